"""Who may do what: users and their sessions."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from kizu_db.permissions import Role
from kizu_db.tables.base import Base, row_id, sha256_text, words

__all__ = ["SessionTable", "UserTable"]


class UserTable(Base):
    """A person who may sign in."""

    __tablename__ = "user_account"
    __table_args__ = (UniqueConstraint("name_folded"),)

    id: Mapped[int] = mapped_column(row_id, primary_key=True)
    name: Mapped[str]
    name_folded: Mapped[str]
    """What all spellings of the name have in common: Kim and kim are the same person."""
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
