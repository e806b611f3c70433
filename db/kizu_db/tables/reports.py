"""The files that people made of the records."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from kizu_db.tables.base import Base, sha256_text

__all__ = ["ReportTable"]


class ReportTable(Base):
    """A file that was made of the records: of what, by whom, and its hash."""

    __tablename__ = "report"
    __table_args__ = (Index(None, "made_at"),)

    uid: Mapped[str] = mapped_column(String(36), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    content: Mapped[dict[str, Any]]
    """The filters, and how many inspections it holds."""
    made_at: Mapped[datetime]
    made_by: Mapped[str]
    software: Mapped[str]
    sha256: Mapped[str] = mapped_column(sha256_text)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
