"""Counts by time, kept up in the transactions of what they count."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from kizu_db.tables.base import Base, row_id, words
from kizu_inspect.results import Verdict

__all__ = ["HourTable", "MinuteTable", "ReviewedTable"]


class _Counts:
    """How many inspections one span of time has of one kind, by the time of judging."""

    start: Mapped[datetime] = mapped_column(primary_key=True)
    """The span's first moment, in UTC."""
    station: Mapped[str] = mapped_column(ForeignKey("station.name"), primary_key=True)
    verdict: Mapped[Verdict] = mapped_column(words(Verdict, "verdict"), primary_key=True)
    defect_class: Mapped[str] = mapped_column(primary_key=True)
    """What REVIEW and REJECT suspect; else empty."""
    audit_probability: Mapped[float] = mapped_column(primary_key=True)
    """The chance of the audit sample; 0 where no draw was made."""
    inspections: Mapped[int] = mapped_column(Integer)
    first_id: Mapped[int] = mapped_column(row_id)
    """No inspection of the span has a smaller id: a bound, for lists by time."""
    last_id: Mapped[int] = mapped_column(row_id)
    """None has a greater one."""


class MinuteTable(_Counts, Base):
    """By minute."""

    __tablename__ = "rollup_minute"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 - read by SQLAlchemy


class HourTable(_Counts, Base):
    """By hour."""

    __tablename__ = "rollup_hour"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 - read by SQLAlchemy


class ReviewedTable(Base):
    """How many reviewed inspections a quarter of an hour has of one kind: every zone's days begin with one."""

    __tablename__ = "rollup_reviewed"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 - read by SQLAlchemy

    start: Mapped[datetime] = mapped_column(primary_key=True)
    station: Mapped[str] = mapped_column(ForeignKey("station.name"), primary_key=True)
    verdict: Mapped[Verdict] = mapped_column(words(Verdict, "verdict"), primary_key=True)
    audit: Mapped[bool] = mapped_column(primary_key=True)
    audit_probability: Mapped[float] = mapped_column(primary_key=True)
    disposition: Mapped[str] = mapped_column(String(16), primary_key=True)
    inspections: Mapped[int] = mapped_column(Integer)
