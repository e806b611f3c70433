"""What the line's control was told of each part."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from kizu_db.tables.base import Base, row_id

__all__ = ["SignalTable"]


class SignalTable(Base):
    """The signal of one inspection, written down after it was given; no row where none is known to have been given."""

    __tablename__ = "signal"
    __table_args__ = (
        CheckConstraint("sent IN ('OK', 'NG', 'none')", name="sent"),
        CheckConstraint("(sent = 'none') = (sent_at IS NULL)", name="sent_at"),
    )

    inspection_id: Mapped[int] = mapped_column(
        row_id, ForeignKey("inspection.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    sent: Mapped[str] = mapped_column(String(4))
    sent_at: Mapped[datetime | None]
    acknowledged_at: Mapped[datetime | None]
    late_ms: Mapped[float | None]
    note: Mapped[str]
