"""What was done: the chain of audit events, and the permit without which no review can go."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from kizu_db.tables.base import Base, row_id, sha256_text

__all__ = ["AuditEventTable", "PrunePermitTable"]


class AuditEventTable(Base):
    """One change that an auditor asks about, chained to the one before; the database refuses to change or delete it."""

    __tablename__ = "audit_event"
    __table_args__ = (UniqueConstraint("hash"), UniqueConstraint("previous_hash"), Index(None, "subject", "subject_id"))

    id: Mapped[int] = mapped_column(row_id, primary_key=True, autoincrement=False)
    """1, 2, 3, … without a gap."""
    at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    subject_id: Mapped[str]
    before: Mapped[str | None]
    """Canonical JSON, as text: its bytes are what was hashed."""
    after: Mapped[str | None]
    reason: Mapped[str]
    previous_hash: Mapped[str] = mapped_column(sha256_text)
    hash: Mapped[str] = mapped_column(sha256_text)


class PrunePermitTable(Base):
    """Inspections whose reviews may be deleted in this transaction, by retention; empty outside of one."""

    __tablename__ = "prune_permit"

    inspection_id: Mapped[int] = mapped_column(row_id, primary_key=True, autoincrement=False)
