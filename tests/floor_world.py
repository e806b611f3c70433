"""A floor of stations with hours of inspections behind them, for the pages of engineers; and a browser to look at them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from browser_world import browser_of, chromium, window
from dashboard_world import empty_plant
from db_examples import explanation, inspection, judgement
from kizu_dashboard.room import Room, close_rooms, open_room
from kizu_dashboard.settings import DashboardConfig
from kizu_db.records import Unit
from kizu_inspect.results import Verdict


@dataclass(frozen=True)
class Floor:
    """The open room, and the moment that its stories end with."""

    config: DashboardConfig
    room: Room
    now: datetime

    def add(self, ago: timedelta, verdict: Verdict = Verdict.PASS, *, unit: Unit | None = None, **told: Any) -> str:
        """An inspection so long before now; a flagged one has a map. Its uid.

        `target` and `score` go into the judgement, all else into the inspection.
        """
        if unit is None:
            with self.room.records.unit() as opened:
                return self.add(ago, verdict, unit=opened, **told)
        judged = judgement(verdict)
        usual = {Verdict.PASS: 0.125, Verdict.REVIEW: 0.5}.get(verdict, 0.875)
        target, score = told.pop("target", "scratch"), told.pop("score", usual)
        if verdict is not Verdict.ERROR:
            judged = replace(judged, target=target, score=score)
        at = self.now - ago
        told = {"view": "top", "lot": "L7", "captured_at": at, "judged_at": at, "judgement": judged} | told
        uid = unit.inspections.add(inspection(verdict, **told))
        if verdict.flagged:
            unit.inspections.store_explanation(uid, explanation())
        return uid


@contextmanager
def empty_floor(folder: Path) -> Iterator[Floor]:
    """A plant in Seoul without an inspection; now is this second."""
    config = empty_plant(folder)
    try:
        yield Floor(config, open_room(config.model_dump_json()), datetime.now(UTC).replace(microsecond=0))
    finally:
        close_rooms()


@contextmanager
def browsing(config: DashboardConfig, address: str, *, width: int = 1280, height: int = 800) -> Iterator[Page]:
    """Kim's window."""
    with (
        chromium() as program,
        window(browser_of(program, config, address, "Kim", width=width, height=height), address) as page,
    ):
        yield page
