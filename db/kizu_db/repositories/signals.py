"""The signals to the lines' controls."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from kizu_db.repositories.plant import ensure_place
from kizu_db.tables import InspectionTable, StationTable
from kizu_db.values import NewSignal

__all__ = ["Signals"]

_station, _signal = (StationTable.metadata.tables[name] for name in ("station", "signal"))
_RESERVE = (
    update(_station)
    .where(_station.c.name == bindparam("of_station"))
    .values(signal_seq=_station.c.signal_seq + bindparam("more"))
    .returning(_station.c.signal_seq)
)


class Signals:
    """What the control was told of each inspection, and the sequence numbers that it was told them by."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def reserve(self, station: str, count: int) -> int:
        """The last of `count` sequence numbers of the station that nobody else gets, ever."""
        ensure_place(self._session, station)
        return int(self._session.connection().scalars(_RESERVE, {"of_station": station, "more": count}).one())

    def add(self, signals: Sequence[NewSignal]) -> None:
        """Write these down. One of an inspection that is gone is passed over; one that is there already is replaced."""
        uids = {signal.uid: signal for signal in signals}
        query = select(InspectionTable.id, InspectionTable.uid).where(InspectionTable.uid.in_(uids))
        numbers = {uid: number for number, uid in self._session.execute(query)}
        if not numbers:
            return
        values = [
            {
                "inspection_id": numbers[uid],
                "sent": signal.sent,
                "sent_at": signal.sent_at,
                "acknowledged_at": signal.acknowledged_at,
                "late_ms": signal.late_ms,
                "note": signal.note,
            }
            for uid, signal in uids.items()
            if uid in numbers
        ]
        connection = self._session.connection()
        connection.execute(delete(_signal).where(_signal.c.inspection_id.in_(list(numbers.values()))))
        connection.execute(insert(_signal), values)
