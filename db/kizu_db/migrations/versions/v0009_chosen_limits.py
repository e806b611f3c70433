"""Who chose the limits of a recipe version: append-only like the recipes. Those of before were nobody's choice here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INDEX = "ix_inspection_recipe_id"


def upgrade() -> None:
    """From the version before. Choices that a step back has dropped are told in the audit trail, and come back from there."""
    chosen = op.create_table(
        "chosen_limits",
        sa.Column("recipe_id", _ID, autoincrement=False, nullable=False),
        sa.Column("chosen_as", sa.Integer(), nullable=False),
        sa.Column("chosen_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("seen", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["recipe_id"], ["recipe.id"], name="fk_chosen_limits_recipe_id"),
        sa.PrimaryKeyConstraint("recipe_id", name="pk_chosen_limits"),
    )
    op.create_index(_INDEX, "inspection", ["recipe_id"])
    for row in _told(op.get_bind()):
        op.get_bind().execute(sa.insert(chosen), row)
    if op.get_bind().dialect.name == "sqlite":
        refuse = "BEGIN SELECT RAISE(ABORT, 'chosen_limits rows are append-only'); END"
        for name, when in (("no_update", "UPDATE"), ("no_delete", "DELETE")):
            op.execute(f"CREATE TRIGGER chosen_limits_{name} BEFORE {when} ON chosen_limits {refuse}")
        taken = "WHEN EXISTS (SELECT 1 FROM chosen_limits WHERE recipe_id = NEW.recipe_id)"
        op.execute(f"CREATE TRIGGER chosen_limits_no_replace BEFORE INSERT ON chosen_limits {taken} {refuse}")
    else:
        for name, when, each in (("append_only", "UPDATE OR DELETE", "ROW"), ("no_truncate", "TRUNCATE", "STATEMENT")):
            op.execute(
                f"CREATE TRIGGER chosen_limits_{name} BEFORE {when} ON chosen_limits "
                f"FOR EACH {each} EXECUTE FUNCTION kizu_append_only()"
            )


def downgrade() -> None:
    """To the version before: the recipes keep the limits, and the audit trail tells who chose them."""
    op.drop_index(_INDEX, "inspection")
    op.drop_table("chosen_limits")


def _told(connection: sa.Connection) -> Iterator[dict[str, Any]]:
    query = (
        "SELECT recipe.id, after FROM audit_event JOIN recipe ON CAST(recipe.id AS TEXT) = subject_id "
        "WHERE subject = 'recipe' AND action = 'recipe.version' AND after LIKE '%\"chosen_by\":%' ORDER BY recipe.id"
    )
    for recipe_id, after in connection.execute(sa.text(query)).all():
        told = json.loads(after)
        yield {"recipe_id": recipe_id, **{name: told[name] for name in ("chosen_as", "chosen_by", "reason", "seen")}}
