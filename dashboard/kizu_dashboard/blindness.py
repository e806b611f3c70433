"""Which parts a person judges by the photo alone, and what else must then not tell them of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kizu_dashboard.room import Room
from kizu_db.chance import chance_of
from kizu_db.values import InspectionRow
from kizu_inspect.results import Verdict

__all__ = ["drawn_blind", "hidden_from", "veiled"]


def drawn_blind(room: Room, row: InspectionRow) -> bool:
    """Whether the first look at this part is blind: the audit sample's is, and of what was flagged a share, by a hash.

    Without such a share, who is shown a part blind would know that it passed.
    """
    if row.verdict is Verdict.PASS:
        return row.audit
    return row.verdict.flagged and chance_of(row.uid, "blind") < room.config.dashboard.blind_share


def hidden_from(room: Room, reviewer: str) -> frozenset[str]:
    """The uids of the parts that this person has before them and judges blind: pages tell no decision of them meanwhile. A file
    that is taken out of the house holds all."""
    with room.records.unit(read_only=True) as unit:
        held = {one.uid_inspection: one.look for one in unit.queue.claims(of=reviewer)}
        rows = unit.inspections.rows(list(held)) if held else []
    return frozenset(row.uid for row in rows if held[row.uid] == "second" or (held[row.uid] is None and drawn_blind(room, row)))


def veiled(room: Room, reviewer: str, rows: Sequence[InspectionRow]) -> list[InspectionRow]:
    """The rows, without the decision where this person is to judge the part as if nobody had."""
    hidden = hidden_from(room, reviewer)
    return [replace(row, disposition=None) if row.uid in hidden else row for row in rows]
