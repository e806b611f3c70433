"""The events that wait to be sent."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from kizu_db.tables.base import Base, row_id

__all__ = ["OutboxTable"]


class OutboxTable(Base):
    """An event for programs outside, written with what it tells of and delivered later, at least once."""

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("event_id"),
        UniqueConstraint("station", "seq"),
        Index("ix_outbox_waiting", "station", "seq", sqlite_where=text("delivered_at IS NULL"),
              postgresql_where=text("delivered_at IS NULL")),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(row_id, primary_key=True)
    event_id: Mapped[str] = mapped_column(String(36))
    station: Mapped[str] = mapped_column(ForeignKey("station.name"))
    seq: Mapped[int] = mapped_column(row_id)
    """1, 2, 3, … at each station, without a gap."""
    kind: Mapped[str]
    payload: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
