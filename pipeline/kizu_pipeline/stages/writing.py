"""Transaction 1: the rows of a batch with all that goes with them, now or out of the spool, and what is left of one refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, TypeVar

import structlog

from kizu_db.recordable import with_safe_names, without_figures
from kizu_db.records import Unit
from kizu_db.values import NewInspection
from kizu_inspect.errors import AlreadyInspected, KizuError, RecordRefused
from kizu_pipeline.naming import generated_part, printable
from kizu_pipeline.spool import Batch
from kizu_pipeline.stages.around import Around
from kizu_pipeline.stages.part_state import JudgedPart

__all__ = ["NO_PICTURE", "add_parts", "add_row", "record_spooled", "recorded_as_error"]

T = TypeVar("T")

NO_PICTURE: Final = "no picture"
"""The name of what did not come."""
_SHOWN: Final = 200
_LONGEST: Final = 1000

_log = structlog.get_logger("kizu.line")


def add_row(around: Around, unit: Unit, new: NewInspection, uid: str) -> tuple[str, bool]:
    """A row and what goes with it; its uid, and whether it was not there. Raises RecordRefused for what is in it."""
    try:
        unit.inspections.add(new, uid=uid)
    except AlreadyInspected:
        known = unit.inspections.uid_of(new.source, new.source_key)
        if known is None:
            raise
        if known != uid:  # else it is this very row, and the answer to its commit was lost
            # Another service took the same work meanwhile: the lock lies on a folder, not on a video or a copied station.
            around.signal.never_ok(new.source_key, "recorded before, perhaps with another verdict")
        return known, False
    if new.image_sha256 is None and new.image_name != NO_PICTURE:
        unit.quarantine.add(uid, new.judgement.reason, at=new.judged_at)
    around.publishing.add(unit, uid, new)
    return uid, True


def add_parts(around: Around, unit: Unit, parts: Sequence[JudgedPart]) -> None:
    """The events of the parts that these rows complete."""
    for part in parts:
        around.publishing.add_part(unit, part)


def recorded_as_error(
    new: NewInspection, refusal: RecordRefused, record: Callable[[NewInspection], T]
) -> tuple[NewInspection, T]:
    """Record what can be kept of a row that was refused, as an ERROR that tells why; that row, and what `record` gave.

    Where its names are refused too, it gets a part that is made up. Where not even that is taken the row is not at fault:
    raises RecordRefused.
    """
    told = KizuError(
        f"the verdict {new.judgement.verdict.value} of part {printable(new.part[:_SHOWN])} cannot be recorded",
        found=str(refusal)[:_LONGEST], next_step="Correct what it names, and have the part judged again.",
    )  # fmt: skip
    row = without_figures(new, str(told))
    try:
        return row, record(row)
    except RecordRefused:
        row = with_safe_names(new, str(told), part=generated_part(new.source, new.source_key))
        return row, record(row)


def record_spooled(around: Around, batch: Batch) -> None:
    """Transaction 1 of a batch that waited in the spool: as it was decided then.

    Where it is refused for what is in it, one row at a time, and what is refused alone as an ERROR, of which the line's
    control heard another verdict before.
    """
    try:
        _record(around, batch)
    except RecordRefused:
        for index, (uid, new) in enumerate(zip(batch.uids, batch.news, strict=True)):
            last = index == len(batch.uids) - 1
            _record_alone(around, Batch((uid,), (new,), batch.parts if last else ()))


def _record_alone(around: Around, batch: Batch) -> None:
    (new,) = batch.news
    try:
        _record(around, batch)
    except RecordRefused as refusal:
        around.views.refused(batch.uids[0])  # first: its part may be whole at any moment
        row, _ = recorded_as_error(new, refusal, lambda row: _record(around, replace(batch, news=(row,))))
        around.state.count("rows_refused")
        _log.error(
            "row refused; it is recorded as ERROR, and its verdict was told before", inspection=batch.uids[0], part=new.part,
            told=new.judgement.verdict.value, reason=row.judgement.reason,
        )  # fmt: skip


def _record(around: Around, batch: Batch) -> None:
    with around.records.unit(prompt=True) as unit:
        unit.inspections.expect(batch.news)
        new = [add_row(around, unit, new, uid)[1] for uid, new in zip(batch.uids, batch.news, strict=True)]
        if any(new):  # else it was recorded, and a kill came before it left the spool
            add_parts(around, unit, [_as_recorded(unit, part) for part in batch.parts])


def _as_recorded(unit: Unit, part: JudgedPart) -> JudgedPart:
    """With the verdicts of its rows: one that was refused has become an ERROR."""
    rows = {seen.uid: unit.inspections.get(seen.uid) for seen in part.views}
    return replace(
        part,
        views=tuple(seen if (row := rows[seen.uid]) is None else replace(seen, verdict=row.row.verdict) for seen in part.views),
    )
