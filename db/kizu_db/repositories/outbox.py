"""The events for programs outside: written with what they tell of, so that none is lost and none tells of nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, text, update
from sqlalchemy.orm import Session

from kizu_db.repositories.common import PLAIN, plain_json
from kizu_db.repositories.plant import ensure_place
from kizu_db.tables import OutboxTable, StationTable
from kizu_db.uid import new_uid
from kizu_db.values import OutboxEvent

__all__ = ["Outbox"]


# Part of each picture's first transaction; built once, see `insert_unless_there`.
_station, _outbox = (StationTable.metadata.tables[name] for name in ("station", "outbox"))
_NEXT = (
    update(_station)
    .where(_station.c.name == bindparam("of_station"))
    .values(outbox_seq=_station.c.outbox_seq + 1)
    .returning(_station.c.outbox_seq)
)
_ADD = insert(_outbox)


class Outbox:
    """Each station's events in their order, until they are delivered."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, station: str, kind: str, payload: Mapping[str, Any]) -> str:
        """Add the station's next event; its id, by which receivers drop repeats.

        Raises RecordRefused for a payload that JSON cannot hold.
        """
        event_id = new_uid()
        connection = self._session.connection()
        seq = connection.scalar(_NEXT, {"of_station": station})
        if seq is None:  # a station of which nothing was heard yet
            ensure_place(self._session, station)
            seq = connection.scalars(_NEXT, {"of_station": station}).one()
        values = {"event_id": event_id, "station": station, "seq": seq, "kind": kind, "created_at": datetime.now(UTC)}
        connection.execute(_ADD, values | {"payload": plain_json(payload, "An event")})
        return event_id

    def waiting(self, station: str, *, limit: int = 100, max_attempts: int | None = None) -> list[OutboxEvent]:
        """The station's undelivered events in their order, at most `limit`, less those tried `max_attempts` times."""
        query = select(OutboxTable).where(text("delivered_at IS NULL"), OutboxTable.station == station)
        if max_attempts is not None:
            query = query.where(OutboxTable.attempts < max_attempts)
        found = self._session.scalars(query.order_by(OutboxTable.seq).limit(limit))
        return [
            OutboxEvent(row.event_id, row.station, row.seq, row.kind, row.payload, row.created_at, row.attempts)
            for row in found
        ]

    def counts(self, station: str, *, max_attempts: int) -> tuple[int, int]:
        """How many of the station's events wait, and how many more were set aside: tried `max_attempts` times, in vain."""
        aside = OutboxTable.attempts >= max_attempts
        query = select(func.count().filter(~aside), func.count().filter(aside)).select_from(OutboxTable)
        waiting, set_aside = self._session.execute(
            query.where(text("delivered_at IS NULL"), OutboxTable.station == station)
        ).one()
        return waiting, set_aside

    def tried(self, event_ids: Sequence[str], *, delivered: bool) -> None:
        """Count an attempt, and, where it came through, settle these events."""
        now = datetime.now(UTC) if delivered else None
        change = update(OutboxTable).where(OutboxTable.event_id.in_(event_ids), OutboxTable.delivered_at.is_(None))
        self._session.execute(change.values(attempts=OutboxTable.attempts + 1, delivered_at=now), execution_options=PLAIN)

    def backlog(self) -> dict[str, int]:
        """How many events of each station wait; stations without any are left out."""
        query = select(OutboxTable.station, func.count()).where(text("delivered_at IS NULL")).group_by(OutboxTable.station)
        return dict(self._session.execute(query).all())

    def waiting_since(self) -> dict[str, datetime]:
        """When the event was made that each station's receiver is to get next; stations without any are left out."""
        undelivered = select(OutboxTable.station, func.min(OutboxTable.seq).label("seq")).where(text("delivered_at IS NULL"))
        first = undelivered.group_by(OutboxTable.station).subquery()
        same = (OutboxTable.station == first.c.station) & (OutboxTable.seq == first.c.seq)
        return dict(
            self._session.execute(select(OutboxTable.station, OutboxTable.created_at).join_from(first, OutboxTable, same)).all()
        )

    def forget(self, station: str, *, before: datetime, limit: int) -> int:
        """Remove delivered events of the station, the first in order, at most `limit`: how many.

        Looks no further than the first `limit` delivered ones, of which those delivered `before` that (aware) moment go: the
        rest of the table costs nothing. What is not delivered stays, however old.
        """
        first = select(OutboxTable.id, OutboxTable.delivered_at).where(
            OutboxTable.station == station, OutboxTable.delivered_at.is_not(None)
        )
        found = self._session.execute(first.order_by(OutboxTable.seq).limit(limit)).all()
        due = [number for number, delivered_at in found if delivered_at is not None and delivered_at < before]
        if due:
            self._session.execute(delete(OutboxTable).where(OutboxTable.id.in_(due)), execution_options=PLAIN)
        return len(due)
