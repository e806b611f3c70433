"""The audit trail page by page, and what an event changed, in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from kizu_dashboard.language.speaking import known, marked
from kizu_dashboard.room import Room
from kizu_db.values import AuditEvent

__all__ = ["SUBJECTS", "Sought", "TrailPage", "about_text", "change_text", "read_trail"]

SUBJECTS: Final = (
    marked("user"), marked("terminal"), marked("inspection"), marked("review"), marked("second_review"), marked("lot"),
    marked("recipe"), marked("model"), marked("report"), marked("export"), marked("retention"), marked("records"),
)  # fmt: skip
"""What events are about."""
LOOKED_AT: Final = 50_000
"""Events that one page looks at: a rare actor is found by going on."""
LONGEST: Final = 160
LONGEST_VALUE: Final = 40
"""Characters: a hash or a path has no place at which a line could be broken."""


@dataclass(frozen=True)
class Sought:
    """Which events; None for all."""

    actor: str | None = None
    action: str | None = None
    """How it begins."""
    subject: str | None = None
    subject_id: str | None = None


@dataclass(frozen=True)
class TrailPage:
    """Some events, newest first."""

    events: tuple[AuditEvent, ...]
    older: int | None
    """Before which event to go on; None where the first one was reached."""


def read_trail(room: Room, sought: Sought, *, before: int | None, limit: int) -> TrailPage:
    """At most `limit` events of those sought, of the newest LOOKED_AT ones `before` that event (None: of all).

    Raises RecordError where the database refuses or is away.
    """
    with room.records.unit(read_only=True) as unit:
        if before is None:
            newest = unit.trail.latest(limit=1)
            before = newest[0].id + 1 if newest else 1
        since = max(1, before - LOOKED_AT)
        events = unit.trail.latest(limit=limit, before=before, since=since, **vars(sought))
    older = events[-1].id if len(events) == limit else since
    return TrailPage(tuple(events), older if older > 1 else None)


def about_text(event: AuditEvent) -> str:
    """What it is about; of a model's hash the beginning."""
    return f"{known(event.subject)} {_cut(event.subject_id, LONGEST_VALUE)}"


def change_text(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> str:
    """What changed, as `role: inspector → engineer`; what is new or gone alone, and what stayed not at all."""
    was, is_now = before or {}, after or {}
    told = []
    for name in (*was, *(name for name in is_now if name not in was)):
        if name not in is_now:
            told.append(f"{name}: {_short(was[name])} → –" if after is not None else f"{name}: {_short(was[name])}")
        elif name not in was:
            told.append(f"{name}: {_short(is_now[name])}")
        elif was[name] != is_now[name]:
            told.append(f"{name}: {_short(was[name])} → {_short(is_now[name])}")
    return _cut("; ".join(told))


def _short(value: object) -> str:
    return _cut(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), LONGEST_VALUE)


def _cut(text: str, longest: int = LONGEST) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
