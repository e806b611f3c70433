"""Stations, views, lots and parts: made as they first appear, and the lots' legal holds."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Select, bindparam, select, union_all, update
from sqlalchemy.orm import Session

from kizu_db.permissions import Action
from kizu_db.repositories.audit_trail import AuditTrail
from kizu_db.repositories.common import PLAIN, insert_unless_there
from kizu_db.repositories.users import Users
from kizu_db.tables import LotTable, PartTable, StationTable, ViewTable
from kizu_db.tables.base import clean_text
from kizu_db.values import HeldLot
from kizu_inspect.errors import RecordError

__all__ = ["Lots", "ensure_part", "ensure_place", "parts_like", "too_many_like"]

# Built once: see `insert_unless_there`.
_STATION = select(StationTable.name.expression).where(StationTable.name.expression == bindparam("station"))
_VIEW = select(ViewTable.name.expression).where(
    ViewTable.station.expression == bindparam("station"), ViewTable.name.expression == bindparam("view")
)
_LOT = select(LotTable.name.expression).where(LotTable.name.expression == bindparam("lot"))
# Held against a prune, which would take a part without inspections away before it gets its new one.
_PART = (
    select(PartTable.id.expression)
    .where(PartTable.serial.expression == bindparam("serial"), PartTable.lot.expression == bindparam("lot"))
    .with_for_update(read=True, key_share=True)
)


def ensure_place(session: Session, station: str, view: str | None = None) -> None:
    """Make the station and its view known, where they are not."""
    connection, told = session.connection(), {"station": station}
    if connection.scalar(*((_STATION, told) if view is None else (_VIEW, told | {"view": view}))) is None:
        insert_unless_there(session, StationTable, {"name": station, "created_at": datetime.now(UTC)})
        if view is not None:
            insert_unless_there(session, ViewTable, {"station": station, "name": view})


def ensure_part(session: Session, serial: str, lot: str, *, generated: bool) -> int:
    """The number of the part with this serial in this lot, made where it is not known."""
    connection, told = session.connection(), {"serial": serial, "lot": lot}
    found: int | None = connection.scalar(_PART, told)
    if found is None:
        if connection.scalar(_LOT, {"lot": lot}) is None:
            insert_unless_there(session, LotTable, {"name": lot})
        folded = clean_text(serial).casefold()
        values = {
            "serial": serial,
            "lot": lot,
            "generated": generated,
            "serial_folded": folded,
            "serial_reversed": folded[::-1],
        }
        found = insert_unless_there(session, PartTable, values)
    # Another station may have recorded its first view of the part in between.
    return found if found is not None else connection.scalars(_PART, told).one()


def parts_like(session: Session, text: str, limit: int) -> list[int]:
    """Numbers of parts whose serial begins or ends with this text, in upper or lower case; at most `limit` for each end.

    What begins with the text lies together in an index, and so does what ends with it; a text in the midst would cost a
    walk through all parts.
    """
    found = [select(end.limit(limit).subquery().c.id) for end in _ends_like(text)]
    return list(dict.fromkeys(session.scalars(union_all(*found))))


def too_many_like(session: Session, text: str, limit: int) -> bool:
    """Whether `parts_like` leaves out some of the parts whose serial begins or ends with this text."""
    return any(session.scalar(end.offset(limit).limit(1)) is not None for end in _ends_like(text))


def _ends_like(text: str) -> list[Select[int]]:
    """The parts whose serial begins with this text, and those whose serial ends with it, each along its index."""
    wanted = clean_text(text).casefold()
    ends = ((PartTable.serial_folded, wanted), (PartTable.serial_reversed, wanted[::-1]))
    return [
        select(PartTable.id).where(column >= start, column < start + "\U0010ffff").order_by(column) for column, start in ends
    ]


class Lots:
    """The lots, and which of them are held: nothing of a held lot is pruned."""

    def __init__(self, session: Session, trail: AuditTrail, users: Users) -> None:
        self._session = session
        self._trail = trail
        self._users = users

    def hold(self, lot: str, *, by: str, reason: str) -> None:
        """Set the lot's legal hold. Raises RecordError: an unknown lot, one that is held already, no reason; NotAllowed."""
        self._require(by, reason)
        now = datetime.now(UTC)
        self._change(lot, True, {"held_by": by, "held_at": now, "held_reason": reason})
        self._trail.add(
            "lot.hold", actor=by, subject="lot", subject_id=lot, before={"held": False}, after={"held": True}, reason=reason
        )

    def release(self, lot: str, *, by: str, reason: str) -> None:
        """End the lot's legal hold. Raises RecordError: an unknown lot, one that is not held, no reason; NotAllowed."""
        self._require(by, reason)
        self._change(lot, False, {"held_by": None, "held_at": None, "held_reason": None})
        self._trail.add(
            "lot.release", actor=by, subject="lot", subject_id=lot, before={"held": True}, after={"held": False}, reason=reason
        )

    def held(self) -> list[HeldLot]:
        """The lots under legal hold, by name."""
        found = self._session.scalars(select(LotTable).where(LotTable.held).order_by(LotTable.name))
        return [HeldLot(lot.name, lot.held_by or "", lot.held_at, lot.held_reason or "") for lot in found if lot.held_at]

    def _change(self, lot: str, held: bool, values: dict[str, object]) -> None:
        # Asked as it is changed: of two at once the second does not write over who held it first, and why.
        change = update(LotTable).where(LotTable.name == lot, LotTable.held.is_(not held)).values(held=held, **values)
        changed = self._session.scalar(change.returning(LotTable.name), execution_options=PLAIN)
        if changed is not None:
            return
        if self._session.scalar(select(LotTable.name).where(LotTable.name == lot)) is None:
            raise RecordError("There is no such lot", found=repr(lot), expected="a lot of which a part was inspected")
        raise RecordError(f"The lot {lot} is {'held already' if held else 'not held'}")

    def _require(self, by: str, reason: str) -> None:
        self._users.require(by, Action.HOLD)
        if not by.strip() or not reason.strip():
            raise RecordError("A legal hold needs a name and a reason", found=f"by {by!r}, because {reason!r}")
