"""What a scanner reads becomes the part before the reviewer, or a sentence that says why not."""

from __future__ import annotations

from typing import Final

from kizu_dashboard.language.speaking import known, marked
from kizu_dashboard.room import Room
from kizu_db.values import Claim, InspectionRow
from kizu_inspect.results import Verdict

__all__ = ["claim_scanned"]

_UNKNOWN: Final = marked("Nothing on record is called “{text}”.")
_HAD: Final = marked("{reviewer} has {part} on the screen.")
_FOR_OTHERS: Final = marked("{part} waits for another person than you.")
_DECIDED: Final = marked("{part} is decided already.")
_PASSED: Final = marked("{part} passed and waits for nobody.")
_LOT_DONE: Final = marked("Of lot {lot} no part waits for a decision.")


def claim_scanned(room: Room, reviewer: str, text: str, *, settles: bool) -> Claim | str:
    """The claim of the oldest inspection of this id, serial or lot that this reviewer may judge and nobody else has.

    Else why there is none. Nothing of it tells what anybody decided. Raises RecordError, RecordsAway like `Records.unit`.
    """
    with room.records.unit(read_only=True) as unit:
        waiting, newest = unit.scanned.waiting(text), unit.scanned.newest(text)
    for uid in waiting:
        with room.records.claims() as claims:
            claim = claims.hold(uid, reviewer, settles=settles)
        if claim is not None:
            return claim
    if newest is None:
        return known(_UNKNOWN).format(text=text)
    if not waiting:
        return _why_none_waits(newest, text)
    with room.records.unit(read_only=True) as unit:
        had_by = {one.uid_inspection: one.reviewer for one in unit.queue.claims()}
        (first,) = unit.inspections.rows(waiting[:1]) or [newest]
    other = next((had_by[uid] for uid in waiting if had_by.get(uid, reviewer) != reviewer), None)
    return known(_FOR_OTHERS).format(part=first.part) if other is None else known(_HAD).format(reviewer=other, part=first.part)


def _why_none_waits(row: InspectionRow, text: str) -> str:
    if row.lot == text and row.part.casefold() != text.casefold():
        return known(_LOT_DONE).format(lot=text)
    if row.disposition is not None:
        return known(_DECIDED).format(part=row.part)
    return known(_PASSED if row.verdict is Verdict.PASS else _FOR_OTHERS).format(part=row.part)
