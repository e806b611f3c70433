"""In which order parts that wait are taken: the statements of the queue, built once for each kind of question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from sqlalchemy import ColumnElement, Executable, ScalarSelect, Text, TextClause, bindparam, func, literal, select, update

from kizu_db.tables import QueueTable
from kizu_db.tables.reviews import FREE, TAKEN
from kizu_inspect.results import Verdict

__all__ = ["Asked", "Order", "asked_for", "look_ahead", "may_have", "not_named", "take_next"]

Order = Literal["uncertain", "oldest"]
"""What comes first: the part whose score is nearest to even, or the one that has waited longest."""

# Built once, see `insert_unless_there`. A row that another reviewer is taking at this moment is passed over; on SQLite there is
# no other, nor words for it, and SQLAlchemy leaves them out.
_queue, _inspection = (QueueTable.metadata.tables[name] for name in ("review_queue", "inspection"))


@dataclass(frozen=True)
class Asked:
    """By what a reviewer takes parts: what a statement is built for."""

    order: Order
    by_station: bool
    by_class: bool
    with_some_passed_over: bool
    settles: bool
    """Whether the reviewer may settle what two people disagree on."""

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        """Which parts may be taken."""
        conditions = [not_named(_queue.c.escalated_by), *may_have(settles=self.settles)]
        if self.by_station:
            conditions.append(_queue.c.station == bindparam("of_station"))
        if self.by_class:
            # Who judges blind must not know what the model thinks of the part.
            seen = (func.coalesce(_queue.c.blind_chance, 1.0) >= bindparam("blind_share")) & _queue.c.look.is_(None)
            conditions += [
                _queue.c.defect_class == bindparam("of_class"),
                _queue.c.verdict != Verdict.PASS,
                seen | (_queue.c.look == "engineer"),
            ]
        if self.with_some_passed_over:
            passed = select(_inspection.c.id).where(_inspection.c.uid.in_(bindparam("passed_over", expanding=True)))
            conditions.append(_queue.c.inspection_id.not_in(passed))
        return conditions

    @property
    def ranks(self) -> list[ColumnElement[Any]]:
        """In which order."""
        return [*([_queue.c.certainty] if self.order == "uncertain" else []), _queue.c.inspection_id]


def not_named(names: ColumnElement[str | None]) -> ColumnElement[bool]:
    """Whether the parameter `reviewer` is none of these names: each ends with a line, so without it they would be the same."""
    all_of_them = literal("\n").concat(names)
    own = literal("\n").concat(bindparam("reviewer", type_=Text)).concat("\n")
    return names.is_(None) | (func.replace(all_of_them, own, "") == all_of_them)


def may_have(*, settles: bool) -> list[ColumnElement[bool]]:
    """Of which parts this reviewer may be the next judge: of none that they judged before, and none for others alone."""
    for_all = _queue.c.look.is_(None) | (_queue.c.look == "second")
    return [not_named(_queue.c.seen_by), *([] if settles else [for_all])]


def asked_for(
    reviewer: str,
    order: Order,
    station: str | None,
    defect_class: str | None,
    passing_over: Sequence[str],
    *,
    settles: bool,
    blind_share: float,
) -> tuple[Asked, dict[str, object]]:
    """What is asked, and the statement's parameters for it."""
    asked = Asked(order, station is not None, defect_class is not None, bool(passing_over), settles)
    given: dict[str, object | None] = {
        "of_station": station,
        "of_class": defect_class,
        "blind_share": None if defect_class is None else blind_share,
        "passed_over": list(passing_over) or None,
    }
    return asked, {name: value for name, value in given.items() if value is not None} | {"reviewer": reviewer}


@cache
def look_ahead(asked: Asked) -> Executable:
    query = select(_inspection.c.uid).join_from(_queue, _inspection, _inspection.c.id == _queue.c.inspection_id)
    return query.where(FREE, *asked.conditions).order_by(*asked.ranks).limit(bindparam("most"))


@cache
def take_next(asked: Asked) -> Executable:
    def first(*conditions: ColumnElement[bool] | TextClause, by: Sequence[ColumnElement[Any]]) -> ScalarSelect[int]:
        query = select(_queue.c.inspection_id).where(*conditions, *asked.conditions).order_by(*by).limit(1)
        return query.with_for_update(skip_locked=True).scalar_subquery()

    ended = first(TAKEN, _queue.c.claim_expires_at <= bindparam("now"), by=[_queue.c.claim_expires_at])
    free = first(FREE, by=asked.ranks)
    uid = select(_inspection.c.uid).where(_inspection.c.id == _queue.c.inspection_id).scalar_subquery()
    taken: dict[str, Any] = {"claimed_by": bindparam("reviewer"), "claim_expires_at": bindparam("until")}
    return (
        update(_queue).where(_queue.c.inspection_id == func.coalesce(ended, free)).values(taken).returning(uid, _queue.c.look)
    )
