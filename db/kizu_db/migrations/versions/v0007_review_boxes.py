"""Boxes that reviewers draw: append-only like the reviews that they belong to. Earlier reviews have none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_PERMITTED = (
    "EXISTS (SELECT 1 FROM prune_permit JOIN review ON review.inspection_id = prune_permit.inspection_id "
    "WHERE review.id = OLD.review_id)"
)
_TAKEN = "review_id = NEW.review_id AND ordinal = NEW.ordinal"
_NAMES = ("x1", "y1", "x2", "y2", "defect_class")


def upgrade() -> None:
    """From the sixth version. Boxes that a step back has dropped are told in the audit trail, and come back from there."""
    boxes = op.create_table(
        "review_box",
        sa.Column("review_id", _ID, autoincrement=False, nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in _NAMES[:4]),
        sa.Column("defect_class", sa.Text(), nullable=False),
        sa.CheckConstraint("x1 >= 0 AND x1 < x2 AND y1 >= 0 AND y1 < y2", name="ck_review_box_inside"),
        sa.ForeignKeyConstraint(["review_id"], ["review.id"], name="fk_review_box_review_id"),
        sa.PrimaryKeyConstraint("review_id", "ordinal", name="pk_review_box"),
    )
    for row in _told(op.get_bind()):
        op.get_bind().execute(sa.insert(boxes), row)
    if op.get_bind().dialect.name == "sqlite":
        _refuse_changes_on_sqlite()
    else:
        _refuse_changes_on_postgresql()


def downgrade() -> None:
    """To the sixth version: the audit trail still tells of the boxes."""
    op.drop_table("review_box")
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION kizu_review_box_pruned()")


def _told(connection: sa.Connection) -> Iterator[dict[str, Any]]:
    query = (
        "SELECT review.id, after FROM audit_event JOIN review ON CAST(review.id AS TEXT) = subject_id "
        "WHERE subject = 'review' AND action = 'review.add' AND after LIKE '%\"boxes\":%' ORDER BY review.id"
    )
    for review_id, after in connection.execute(sa.text(query)).all():
        for ordinal, box in enumerate(json.loads(after).get("boxes", ())):
            yield {"review_id": review_id, "ordinal": ordinal, **dict(zip(_NAMES, box, strict=True))}


def _refuse_changes_on_sqlite() -> None:
    refuse = "BEGIN SELECT RAISE(ABORT, 'review_box rows are append-only'); END"
    op.execute(f"CREATE TRIGGER review_box_no_update BEFORE UPDATE ON review_box {refuse}")
    op.execute(f"CREATE TRIGGER review_box_no_delete BEFORE DELETE ON review_box WHEN NOT {_PERMITTED} {refuse}")
    taken = f"WHEN EXISTS (SELECT 1 FROM review_box WHERE {_TAKEN})"
    op.execute(f"CREATE TRIGGER review_box_no_replace BEFORE INSERT ON review_box {taken} {refuse}")


def _refuse_changes_on_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION kizu_review_box_pruned() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN IF {_PERMITTED} THEN RETURN OLD; END IF; RAISE EXCEPTION 'review_box rows are append-only'; END $$"
    )
    for name, when, each, function in (
        ("append_only", "UPDATE", "ROW", "kizu_append_only"),
        ("no_truncate", "TRUNCATE", "STATEMENT", "kizu_append_only"),
        ("no_delete", "DELETE", "ROW", "kizu_review_box_pruned"),
    ):
        op.execute(
            f"CREATE TRIGGER review_box_{name} BEFORE {when} ON review_box FOR EACH {each} EXECUTE FUNCTION {function}()"
        )
