"""The signals to the line's control, and what was measured of each picture; earlier inspections have neither."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """From the third version: columns that may be empty or have a default, so no row is written anew."""
    op.add_column("inspection", sa.Column("measured", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("station", sa.Column("signal_seq", _ID, server_default="0", nullable=False))
    op.create_table(
        "signal",
        sa.Column("inspection_id", _ID, autoincrement=False, nullable=False),
        sa.Column("sent", sa.String(length=4), nullable=False),
        sa.Column("sent_at", _TIME),
        sa.Column("acknowledged_at", _TIME),
        sa.Column("late_ms", sa.Double()),
        sa.Column("note", sa.Text(), nullable=False),
        sa.CheckConstraint("sent IN ('OK', 'NG', 'none')", name="ck_signal_sent"),
        sa.CheckConstraint("(sent = 'none') = (sent_at IS NULL)", name="ck_signal_sent_at"),
        sa.ForeignKeyConstraint(["inspection_id"], ["inspection.id"], name="fk_signal_inspection_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("inspection_id", name="pk_signal"),
    )


def downgrade() -> None:
    """To the third version: signals and measured values are lost, and sequence numbers begin anew."""
    op.drop_table("signal")
    with op.batch_alter_table("station", recreate="never") as station:
        station.drop_column("signal_seq")
    with op.batch_alter_table("inspection", recreate="never") as inspection:
        inspection.drop_column("measured")
