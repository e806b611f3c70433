"""Who may do what: users, their sessions, and the terminals that they share."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from kizu_db.permissions import Role, Way
from kizu_db.tables.base import Base, row_id, sha256_text, words

__all__ = ["SessionTable", "TerminalTable", "UserTable"]


class UserTable(Base):
    """A person who may sign in."""

    __tablename__ = "user_account"
    __table_args__ = (
        UniqueConstraint("name_folded"),
        Index("uq_user_account_badge_hash", "badge_hash", unique=True),
        Index("uq_user_account_account_sha256", "account_sha256", unique=True),
    )

    id: Mapped[int] = mapped_column(row_id, primary_key=True)
    name: Mapped[str]
    name_folded: Mapped[str]
    """What all spellings of the name have in common: Kim and kim are the same person."""
    role: Mapped[Role] = mapped_column(words(Role, "role"))
    active: Mapped[bool]
    password_hash: Mapped[str | None]
    created_at: Mapped[datetime]
    pin_hash: Mapped[str | None]
    pin_tries: Mapped[int] = mapped_column(default=0, server_default="0")
    """Since it was set, or was last right. Counted before each try."""
    badge_hash: Mapped[str | None] = mapped_column(sha256_text)
    """A slow hash with this database's own salt, as hex digits: found by itself, and not guessed from a copy of the records."""
    account_sha256: Mapped[str | None] = mapped_column(sha256_text)
    """Of the issuer and the subject of the account elsewhere by which this person signs in."""


class TerminalTable(Base):
    """A browser on the shop floor at which PINs and badges work; known by the hash of its cookie's secret."""

    __tablename__ = "terminal"
    __table_args__ = (UniqueConstraint("name_folded"), UniqueConstraint("token_sha256"))

    id: Mapped[int] = mapped_column(row_id, primary_key=True)
    name: Mapped[str]
    name_folded: Mapped[str]
    token_sha256: Mapped[str] = mapped_column(sha256_text)
    made_at: Mapped[datetime]
    made_by: Mapped[str]
    last_used_at: Mapped[datetime | None]


class SessionTable(Base):
    """One sign-in; known by the hash of its secret, so that the database gives no session away."""

    __tablename__ = "user_session"
    __table_args__ = (
        Index(None, "user_id"),
        Index(None, "expires_at"),
        CheckConstraint("(way IN ('pin', 'badge')) = (terminal_id IS NOT NULL)", name="terminal"),
    )

    token_sha256: Mapped[str] = mapped_column(sha256_text, primary_key=True)
    user_id: Mapped[int] = mapped_column(row_id, ForeignKey("user_account.id"))
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    way: Mapped[Way] = mapped_column(words(Way, "way"))
    terminal_id: Mapped[int | None] = mapped_column(row_id, ForeignKey("terminal.id"))
