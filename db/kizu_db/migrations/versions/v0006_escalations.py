"""Parts that a reviewer could not tell, and left to a second person; those that waited before are nobody's."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_NAMES = ("escalated_by", "escalated_why")


def upgrade() -> None:
    """From the fifth version: columns that may be empty, so no row is written anew."""
    for name in _NAMES:
        op.add_column("review_queue", sa.Column(name, sa.Text(), nullable=True))


def downgrade() -> None:
    """To the fifth version: the parts wait for anybody again; the audit trail still tells of it."""
    with op.batch_alter_table("review_queue", recreate="never") as queue:
        for name in _NAMES:
            queue.drop_column(name)
