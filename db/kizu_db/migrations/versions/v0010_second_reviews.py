"""Second reviews, blind to the first: append-only like the reviews, and parts that wait for one. Nothing waits for one yet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa
from alembic import op

from kizu_db.chance import chance_of

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_PERMITTED = "EXISTS (SELECT 1 FROM prune_permit WHERE prune_permit.inspection_id = OLD.inspection_id)"
_QUEUE: Final[dict[str, sa.types.TypeEngine[Any]]] = {"look": sa.Text(), "seen_by": sa.Text(), "blind_chance": sa.Double()}
_TOLD = ("reviewer", "disposition", "defect_class", "decision", "treatment", "reason", "shown_ms", "nonce")


def upgrade() -> None:
    """From the version before. Second reviews that a step back has dropped come back from the audit trail."""
    for name, kind in _QUEUE.items():
        op.add_column("review_queue", sa.Column(name, kind, nullable=True))
    connection = op.get_bind()
    waiting = sa.text("SELECT id, uid FROM inspection WHERE id IN (SELECT inspection_id FROM review_queue)")
    chances = [{"chance": chance_of(uid, "blind"), "id": number} for number, uid in connection.execute(waiting).all()]
    if chances:
        connection.execute(sa.text("UPDATE review_queue SET blind_chance = :chance WHERE inspection_id = :id"), chances)
    seconds = op.create_table(
        "second_review",
        sa.Column("id", _ID, nullable=False),
        sa.Column("inspection_id", _ID, nullable=False),
        sa.Column("reviewer", sa.Text(), nullable=False),
        sa.Column("disposition", sa.String(16), nullable=False),
        sa.Column("defect_class", sa.Text(), nullable=True),
        sa.Column("decision", sa.String(16), nullable=False),
        sa.Column("treatment", sa.String(16), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("shown_ms", sa.Integer(), nullable=True),
        sa.Column("nonce", sa.Text(), nullable=False),
        sa.Column("boxes", sa.JSON(), nullable=False),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("disposition IN ('good', 'defective')", name="ck_second_review_disposition"),
        sa.CheckConstraint("decision IN ('accept', 'override')", name="ck_second_review_decision"),
        sa.CheckConstraint("treatment IN ('accept', 'rework', 'scrap')", name="ck_second_review_treatment"),
        sa.ForeignKeyConstraint(["inspection_id"], ["inspection.id"], name="fk_second_review_inspection_id"),
        sa.PrimaryKeyConstraint("id", name="pk_second_review"),
        sa.UniqueConstraint("nonce", name="uq_second_review_nonce"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_second_review_inspection_id", "second_review", ["inspection_id"])
    for table in ("review", "second_review"):
        op.create_index(f"ix_{table}_reviewer_reviewed_at", table, ["reviewer", "reviewed_at"])
    for row in _told(connection):
        connection.execute(sa.insert(seconds), row)
    if connection.dialect.name == "sqlite":
        _refuse_changes_on_sqlite()
    else:
        connection.execute(
            sa.text("SELECT setval('second_review_id_seq', coalesce((SELECT max(id) FROM second_review), 0) + 1, false)")
        )
        _refuse_changes_on_postgresql()


def downgrade() -> None:
    """To the version before: what is decided waits no more; the audit trail still tells of the second reviews."""
    op.execute("DELETE FROM review_queue WHERE look IS NOT NULL")
    with op.batch_alter_table("review_queue", recreate="never") as queue:
        for name in _QUEUE:
            queue.drop_column(name)
    op.drop_index("ix_review_reviewer_reviewed_at", "review")
    op.drop_table("second_review")
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION kizu_second_review_pruned()")


def _told(connection: sa.Connection) -> Iterator[dict[str, Any]]:
    """The second reviews that the audit trail tells of, of inspections that are still there."""
    query = "SELECT subject_id, after FROM audit_event WHERE subject = 'second_review' AND action = 'review.second' ORDER BY id"
    for key, after in connection.execute(sa.text(query)).all():
        told = json.loads(after)
        number = connection.scalar(sa.text("SELECT id FROM inspection WHERE uid = :uid"), {"uid": told["inspection"]})
        if number is not None:
            at = datetime.fromisoformat(told["reviewed_at"]).astimezone(UTC)
            yield {
                "id": int(key), "inspection_id": number, "boxes": told["boxes"],
                "reviewed_at": at.replace(tzinfo=None) if connection.dialect.name == "sqlite" else at,
                **{name: told[name] for name in _TOLD},
            }  # fmt: skip


def _refuse_changes_on_sqlite() -> None:
    refuse = "BEGIN SELECT RAISE(ABORT, 'second_review rows are append-only'); END"
    op.execute(f"CREATE TRIGGER second_review_no_update BEFORE UPDATE ON second_review {refuse}")
    op.execute(f"CREATE TRIGGER second_review_no_delete BEFORE DELETE ON second_review WHEN NOT {_PERMITTED} {refuse}")
    taken = "WHEN EXISTS (SELECT 1 FROM second_review WHERE id = NEW.id OR nonce = NEW.nonce)"
    op.execute(f"CREATE TRIGGER second_review_no_replace BEFORE INSERT ON second_review {taken} {refuse}")


def _refuse_changes_on_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION kizu_second_review_pruned() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN IF {_PERMITTED} THEN RETURN OLD; END IF; RAISE EXCEPTION 'second_review rows are append-only'; END $$"
    )
    for name, when, each, function in (
        ("append_only", "UPDATE", "ROW", "kizu_append_only"),
        ("no_truncate", "TRUNCATE", "STATEMENT", "kizu_append_only"),
        ("no_delete", "DELETE", "ROW", "kizu_second_review_pruned"),
    ):
        op.execute(
            f"CREATE TRIGGER second_review_{name} BEFORE {when} ON second_review FOR EACH {each} EXECUTE FUNCTION {function}()"
        )
