"""Indexes for lists by suspected class and by decision."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_PARTIAL = {
    "ix_inspection_reviewed": (["disposition", "verdict", "id"], "disposition IS NOT NULL"),
    "ix_inspection_suspected": (["target", "verdict", "id"], "verdict IN ('REVIEW', 'REJECT')"),
}


def upgrade() -> None:
    """From the fourth version: two indexes of flagged and reviewed inspections alone."""
    for name, (columns, where) in _PARTIAL.items():
        op.create_index(name, "inspection", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def downgrade() -> None:
    """To the fourth version: nothing is lost."""
    for name in _PARTIAL:
        op.drop_index(name, "inspection")
