"""Who may do what, and what was done: users, their sessions, and the chain of audit events."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from kizu_db.permissions import Role
from kizu_db.tables.base import Base, row_id, sha256_text, words

__all__ = ["AuditEventTable", "PrunePermitTable", "SessionTable", "UserTable"]


class UserTable(Base):
    """A person who may sign in."""

    __tablename__ = "user_account"
    __table_args__ = (UniqueConstraint("name_folded"),)

    id: Mapped[int] = mapped_column(row_id, primary_key=True)
    name: Mapped[str]
    name_folded: Mapped[str]
    """Without upper and lower case: Kim and kim are the same person."""
    role: Mapped[Role] = mapped_column(words(Role, "role"))
    active: Mapped[bool]
    password_hash: Mapped[str | None]
    created_at: Mapped[datetime]


class SessionTable(Base):
    """One sign-in; known by the hash of its secret, so that the database gives no session away."""

    __tablename__ = "user_session"
    __table_args__ = (Index(None, "user_id"), Index(None, "expires_at"))

    token_sha256: Mapped[str] = mapped_column(sha256_text, primary_key=True)
    user_id: Mapped[int] = mapped_column(row_id, ForeignKey("user_account.id"))
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]


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
