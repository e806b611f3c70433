"""Contours and sizes of regions; those recorded before have none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """From the second version: columns that may be empty, so no row is written anew."""
    op.add_column("region", sa.Column("contour", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("region", sa.Column("length_px", sa.Double(), nullable=True))
    op.add_column("region", sa.Column("width_px", sa.Double(), nullable=True))
    op.add_column("region", sa.Column("area_px", sa.Integer(), nullable=True))


def downgrade() -> None:
    """To the second version: boxes stay, contours and sizes are lost."""
    with op.batch_alter_table("region") as region:
        for name in ("area_px", "width_px", "length_px", "contour"):
            region.drop_column(name)
