"""The records one after the other, however many there are."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from kizu_db.records import Records
from kizu_db.values import InspectionRecord
from kizu_inspect.results import Verdict

__all__ = ["each_record"]

A_PAGE = 200
"""Records held at once."""


def each_record(
    records: Records,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    station: str | None = None,
    verdicts: Collection[Verdict] | None = None,
) -> Iterator[InspectionRecord]:
    """The records judged in [since, until), in the order of recording; None leaves an end open, or takes all.

    Each page is read in a unit of its own, so that no transaction lasts as long as what is done with the records: what is
    reviewed or recorded meanwhile may be seen or not. Raises RecordError where the database is away.
    """
    after: int | None = None
    while True:
        with records.unit(read_only=True) as unit:
            page = unit.inspections.records_after(
                after, since=since, until=until, station=station, verdicts=verdicts, limit=A_PAGE
            )
        if not page:
            return
        yield from page
        after = page[-1].row.number
