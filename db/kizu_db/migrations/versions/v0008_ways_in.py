"""Terminals on the shop floor, PINs, badges and accounts elsewhere, and how each sign-in came in. Sign-ins before it end."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)
_SHA256 = sa.String(length=64)
_UNIQUE = ("badge_hash", "account_sha256")


def upgrade() -> None:
    """From the seventh version."""
    op.create_table(
        "terminal",
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_folded", sa.Text(), nullable=False),
        sa.Column("token_sha256", _SHA256, nullable=False),
        sa.Column("made_at", _TIME, nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("last_used_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_terminal"),
        sa.UniqueConstraint("name_folded", name="uq_terminal_name_folded"),
        sa.UniqueConstraint("token_sha256", name="uq_terminal_token_sha256"),
    )
    op.add_column("user_account", sa.Column("pin_hash", sa.Text(), nullable=True))
    op.add_column("user_account", sa.Column("pin_tries", sa.Integer(), server_default="0", nullable=False))
    for name in _UNIQUE:
        op.add_column("user_account", sa.Column(name, _SHA256, nullable=True))
        op.create_index(f"uq_user_account_{name}", "user_account", [name], unique=True)
    op.drop_table("user_session")
    _make_sessions(
        sa.Column("way", sa.String(length=16), nullable=False),
        sa.Column("terminal_id", _ID, nullable=True),
        sa.CheckConstraint("way IN ('password', 'link', 'pin', 'badge', 'oidc')", name="ck_user_session_way"),
        sa.CheckConstraint("(way IN ('pin', 'badge')) = (terminal_id IS NOT NULL)", name="ck_user_session_terminal"),
        sa.ForeignKeyConstraint(["terminal_id"], ["terminal.id"], name="fk_user_session_terminal_id"),
    )


def downgrade() -> None:
    """To the seventh version: terminals, PINs, badges and accounts are lost; who has a password signs in by it."""
    op.drop_table("user_session")
    _make_sessions()
    for name in _UNIQUE:
        op.drop_index(f"uq_user_account_{name}", "user_account")
    with op.batch_alter_table("user_account", recreate="never") as account:
        for name in ("pin_hash", "pin_tries", *_UNIQUE):
            account.drop_column(name)
    op.drop_table("terminal")


def _make_sessions(*more: sa.schema.SchemaItem) -> None:
    op.create_table(
        "user_session",
        sa.Column("token_sha256", _SHA256, nullable=False),
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("last_seen_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name="fk_user_session_user_id"),
        sa.PrimaryKeyConstraint("token_sha256", name="pk_user_session"),
        *more,
    )
    op.create_index("ix_user_session_user_id", "user_session", ["user_id"])
    op.create_index("ix_user_session_expires_at", "user_session", ["expires_at"])
