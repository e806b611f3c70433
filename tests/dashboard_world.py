"""A small plant for the dashboard's and the reports' tests: drawn pictures, hand-made judgements and maps, a real database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import IO

import numpy as np
from playwright.sync_api import BrowserContext

from kept import keep_pages, server_log
from kizu_dashboard import own_process
from kizu_dashboard.own_process import Served
from kizu_dashboard.room import Room, close_rooms, open_room
from kizu_dashboard.settings import DashboardConfig, DashboardSettings, PlantSettings
from kizu_dashboard.signing_in.sessions import cookie_name
from kizu_db.permissions import Role
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings, ImageStoreSettings
from kizu_db.values import ExplanationState, InspectionRecord, NewInspection, NewReview
from kizu_inspect.explain.regions import find_regions
from kizu_inspect.picture.images import encode_png
from kizu_inspect.results import (
    Explanation,
    GridGeometry,
    Heatmap,
    Judgement,
    MapStatus,
    ModelInfo,
    RegionCheck,
    Verdict,
)
from kizu_inspect.synth import KINDS, DrawnPart, draw_part
from new_records import make_records

MODEL_HASH = "4b1d" * 16
START = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)
CELLS = 40
PEOPLE = {
    "Ana": Role.ADMIN,
    "Eun": Role.ENGINEER,
    "Kim": Role.INSPECTOR,
    "Lee": Role.INSPECTOR,
    "Mina": Role.INSPECTOR,
    "Vera": Role.VIEWER,
}
"""Who works in a plant once somebody signs in; nobody has a password."""


@dataclass(frozen=True)
class Plant:
    """The open room and a station's inspections by part id."""

    config: DashboardConfig
    room: Room
    uids: dict[str, str]
    station: str = "press-3"

    def record(self, part: str) -> InspectionRecord:
        """What the database now says of this part."""
        with self.room.records.unit(read_only=True) as unit:
            record = unit.inspections.get(self.uids[part])
        assert record is not None
        return record

    def session(self, name: str = "Kim") -> str:
        """Signs this person in, who is entered with all others if need be; the secret that the browser's cookie holds."""
        enter_people(self.room.records)
        return self.room.sessions.begin(name)

    def add_unjudged(self, count: int) -> None:
        """Adds ERROR rows without pictures, to fill pages."""
        now = datetime.now(UTC)
        with self.room.records.unit() as unit:
            for number in range(count):
                unit.inspections.add(
                    NewInspection(
                        source="camera",
                        source_key=str(number),
                        station="press-3",
                        part=f"F-{number}",
                        captured_at=now,
                        judged_at=now,
                        judgement=Judgement(Verdict.ERROR, "no light"),
                        image_name=f"frame {number}",
                    )
                )

    def review(self, part: str, **changes: object) -> None:
        """Adds a review of this part: good, overridden by Kim, unless told otherwise."""
        told: dict[str, object] = {
            "reviewer": "Kim",
            "disposition": "good",
            "decision": "override",
            "reason": "only dust",
            "nonce": f"nonce-{part}-{changes}",
            "shown_ms": 4200,
        }
        with self.room.records.unit() as unit:
            unit.reviews.add(NewReview(uid_inspection=self.uids[part], **(told | changes)))  # type: ignore[arg-type]


def empty_plant(folder: Path, *, port: int = 0, name: str = "Werk Süd") -> DashboardConfig:
    """Settings of a plant whose database is new and empty."""
    config = DashboardConfig(
        plant=PlantSettings(name=name, timezone="Asia/Seoul"),
        database=DatabaseSettings(url=f"sqlite:///{folder / 'kizu.db'}"),
        images=ImageStoreSettings(path=folder / "images"),
        dashboard=DashboardSettings(port=port, blind_share=0.0),  # which parts are judged blind hangs on their ids
    )
    make_records(config.database)
    return config


def enter_people(records: Records) -> None:
    """Enters those who work here, the admin first; nothing happens where they are entered."""
    with records.unit() as unit:
        for name, role in PEOPLE.items() if unit.users.nobody() else ():
            unit.users.add(name, role, by="Ana")


@contextmanager
def filled_plant(folder: Path, *, start: datetime = START) -> Iterator[Plant]:
    """A plant with one inspection of each kind that the pages must cope with, a minute apart, oldest first."""
    config = empty_plant(folder)
    room = open_room(config.model_dump_json())
    model = ModelInfo(
        hash=MODEL_HASH,
        name="plates",
        classes=KINDS,
        good="good",
        path=folder / "bundle",
        spec={"thresholds": {"pass_below": 0.2, "reject_from": 0.6}},
        promise=None,
    )
    with room.records.unit() as unit:
        unit.models.register(model)
    try:
        yield Plant(config, room, _fill_station(room, "press-3", start))
    finally:
        close_rooms()


def another_station(plant: Plant, station: str) -> Plant:
    """The same room, with the same stories told of the parts of this station."""
    return Plant(plant.config, plant.room, _fill_station(plant.room, station, START), station)


def _fill_station(room: Room, station: str, start: datetime) -> dict[str, str]:
    with room.records.unit() as unit:
        recipe_id = unit.recipes.register(station, {"bundle": "bundle", "mm_per_px": 0.05}, MODEL_HASH).id
    return {
        story.part: _add(room, station, story, recipe_id, start + timedelta(minutes=number), number)
        for number, story in enumerate(_stories())
    }


@dataclass(frozen=True)
class Story:
    """What happened to one part."""

    part: str
    kind: str = "good"
    verdict: Verdict = Verdict.PASS
    map: MapStatus | None = None
    state: ExplanationState = ExplanationState.NONE
    picture: bool = True
    audit: bool = False
    check: RegionCheck | None = None
    bare: bool = False
    """Recorded when regions had boxes alone."""


def _stories() -> list[Story]:
    done, ok = ExplanationState.DONE, MapStatus.OK
    reject, review = Verdict.REJECT, Verdict.REVIEW
    return [
        Story("P-1001"),
        Story("P-1002", "scratch", reject, ok, done, check=RegionCheck(0.031, 0.882, conflict=False)),
        Story("=HYPERLINK(1)", "dent", reject, ok, done),
        Story("부품-1004", "stain", review, ok, done),
        Story("P-1005", "missing_hole", reject, ok, done, check=RegionCheck(0.714, 0.523, conflict=True)),
        Story("P-1006", audit=True),
        Story("P-1007", "dent", review, MapStatus.FLAT, done),
        Story("P-1008", "scratch", reject, None, ExplanationState.PENDING),
        Story("P-1009", "stain", reject, None, ExplanationState.FAILED),
        Story("P-1010", verdict=Verdict.ERROR, picture=False),
        Story("P-1011"),
        Story("<b>P-1012</b>", "scratch", reject, ok, done, bare=True),
    ]


@cache
def _photo(kind: str, number: int) -> tuple[DrawnPart, bytes]:
    """A drawn part and its file: the same in every plant, and half of what a plant costs."""
    drawn = draw_part(kind, 500 + number, size_px=320)
    return drawn, encode_png(drawn.image)


def _add(room: Room, station: str, story: Story, recipe_id: int, when: datetime, number: int) -> str:
    drawn, png = _photo(story.kind, number)
    size = drawn.image.shape[0]
    error = story.verdict is Verdict.ERROR
    new = NewInspection(
        source=f"folder {station}",
        source_key=f"{number}.png",
        station=station,
        part=story.part,
        view="top",
        lot="L7",
        captured_at=when,
        judged_at=when + timedelta(seconds=1),
        judgement=_judgement(story, size),
        image_sha256=room.images.put(png, suffix=".png") if story.picture else None,
        image_name=f"plate_{number}.png",
        model_hash=None if error else MODEL_HASH,
        recipe_id=None if error else recipe_id,
        device=None if error else "cpu",
        timings_ms={} if error else {"decode": 1.25, "judge": 7.5},
        explanation_state=story.state,
        audit=story.audit,
        audit_probability=0.01 if story.verdict is Verdict.PASS else None,
        error="picture is truncated or broken: found 12 bytes missing" if error else None,
    )
    with room.records.unit() as unit:
        uid = unit.inspections.add(new)
        if story.map is not None:
            explanation = replace(drawn_explanation(drawn, story.kind, story.map), check=story.check)
            if story.bare:
                of_then = (replace(one, contour=(), length_px=None, width_px=None, area_px=None) for one in explanation.regions)
                explanation = replace(explanation, regions=tuple(of_then))
            unit.inspections.store_explanation(uid, explanation)
        if story.state is ExplanationState.FAILED:
            unit.inspections.fail_explanation(uid, "out of memory")
    return uid


def _judgement(story: Story, size: int) -> Judgement:
    if story.verdict is Verdict.ERROR:
        return Judgement(Verdict.ERROR, "picture cannot be judged")
    score = {Verdict.PASS: 0.04, Verdict.REVIEW: 0.45, Verdict.REJECT: 0.93}[story.verdict]
    target = story.kind if story.kind != "good" else "stain"
    rest = [name for name in KINDS if name not in ("good", target)]
    probabilities = {"good": 1 - score, target: score * 0.91} | dict.fromkeys(rest, score * 0.03)
    ordered = {name: probabilities[name] for name in KINDS}
    predicted = max(ordered, key=lambda name: ordered[name])
    reason = f"{target}: defect score {score:.3f} ≥ reject limit 0.600" if score > 0.6 else f"defect score {score:.3f}"
    return Judgement(story.verdict, reason, ordered, predicted, target, score, size, size)


def drawn_explanation(drawn: DrawnPart, target: str, status: MapStatus = MapStatus.OK) -> Explanation:
    """A map that is hot where the drawn defect is, on 40 × 40 cells, with its regions."""
    size = drawn.image.shape[0]
    step = size / CELLS
    cells = (np.arange(CELLS) + 0.5) * step
    grid = np.zeros((CELLS, CELLS))
    if status is MapStatus.OK:
        for x1, y1, x2, y2, _ in drawn.boxes:
            spread = max(step, (x2 - x1) / 4), max(step, (y2 - y1) / 4)
            across = np.exp(-(((cells - (x1 + x2) / 2) / spread[0]) ** 2) / 2)
            down = np.exp(-(((cells - (y1 + y2) / 2) / spread[1]) ** 2) / 2)
            grid = np.maximum(grid, np.outer(down, across))
        grid /= grid.max()
    geometry = GridGeometry(step / 2 - 0.5, step / 2 - 0.5, step, step, size, size)
    heatmap = Heatmap(
        "grad-cam", target, status, grid.astype(np.float16), 3.0 if status is MapStatus.OK else 0.0, 2.5, geometry
    )
    return Explanation(heatmap, find_regions(heatmap, threshold=0.4))


@contextmanager
def serving(config: DashboardConfig, *, link_for: str | None = None, errors: IO[str] | None = None) -> Iterator[Served]:
    """The dashboard in a process of its own, all of whose words stand in `errors` at the end.

    Where the test fails, what its browsers show then is kept, and what the server said.
    """
    with server_log(errors) as said, own_process.serving(config, link_for=link_for, said=said) as it:
        try:
            yield it
        except BaseException:
            keep_pages()
            raise


@contextmanager
def served(config: DashboardConfig) -> Iterator[str]:
    """The address of a dashboard that answers."""
    with serving(config) as it:
        yield it.address


def cookie_header(config: DashboardConfig, secret: str) -> str:
    """What a signed-in browser sends with each request."""
    return f"{cookie_name(config.dashboard)}={secret}"


def come_in(browser: BrowserContext, config: DashboardConfig, address: str, name: str) -> None:
    """From here on this person sits at the browser, signed in."""
    ((cookie, secret),) = session_cookie(config, name).items()
    browser.add_cookies([{"name": cookie, "value": secret, "url": address, "httpOnly": True, "sameSite": "Lax"}])


def session_cookie(config: DashboardConfig, name: str) -> dict[str, str]:
    """Signs this person in, who is entered with all others if need be; the cookie that their browser then holds."""
    room = open_room(config.model_dump_json())
    enter_people(room.records)
    return {cookie_name(config.dashboard): room.sessions.begin(name)}
