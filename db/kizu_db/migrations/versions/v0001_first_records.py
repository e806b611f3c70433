"""The first records: parts, models, recipes, inspections, maps with their regions, reviews.

Reviews and recipes are append-only, and the database itself holds that: triggers refuse to change or delete a row, also
for a program that knows nothing of Kizu.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# Table, and which columns of a new row nobody may have taken: SQLite's INSERT OR REPLACE deletes the row that has them,
# and tells a DELETE trigger of it only where recursive_triggers is on.
_APPEND_ONLY = {
    "recipe": "id = NEW.id OR (station = NEW.station AND version = NEW.version)",
    "review": "id = NEW.id OR nonce = NEW.nonce OR supersedes = NEW.supersedes",
}


def upgrade() -> None:
    """From an empty database."""
    op.create_table(
        "model",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("classes", sa.JSON(), nullable=False),
        sa.Column("good", sa.Text(), nullable=True),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("promise", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_model")),
    )
    op.create_table(
        "part",
        sa.Column("id", _ID, nullable=False),
        sa.Column("serial", sa.Text(), nullable=False),
        sa.Column("lot", sa.Text(), nullable=False),
        sa.Column("generated", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_part")),
        sa.UniqueConstraint("serial", "lot", name=op.f("uq_part_serial_lot")),
    )
    op.create_table(
        "recipe",
        sa.Column("id", _ID, nullable=False),
        sa.Column("station", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("model_hash", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["model_hash"], ["model.hash"], name=op.f("fk_recipe_model_hash")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recipe")),
        sa.UniqueConstraint("station", "version", name=op.f("uq_recipe_station_version")),
    )
    op.create_table(
        "inspection",
        sa.Column("id", _ID, nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("part_id", _ID, nullable=False),
        sa.Column("view", sa.Text(), nullable=True),
        sa.Column("station", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("source_key", sa.Text(), nullable=False),
        sa.Column("captured_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("judged_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "verdict",
            sa.Enum("PASS", "REVIEW", "ERROR", "REJECT", name="verdict", native_enum=False, create_constraint=True, length=16),
            nullable=False,
        ),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("probabilities", sa.JSON(), nullable=False),
        sa.Column("predicted", sa.Text(), nullable=True),
        sa.Column("target", sa.Text(), nullable=True),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("width_px", sa.Integer(), nullable=True),
        sa.Column("height_px", sa.Integer(), nullable=True),
        sa.Column("image_sha256", sa.String(length=64), nullable=True),
        sa.Column("image_name", sa.Text(), nullable=False),
        sa.Column("model_hash", sa.String(length=64), nullable=True),
        sa.Column("recipe_id", _ID, nullable=True),
        sa.Column("device", sa.Text(), nullable=True),
        sa.Column("timings_ms", sa.JSON(), nullable=False),
        sa.Column(
            "explanation_state",
            sa.Enum(
                "none",
                "pending",
                "done",
                "failed",
                name="explanation_state",
                native_enum=False,
                create_constraint=True,
                length=16,
            ),
            nullable=False,
        ),
        sa.Column("explanation_error", sa.Text(), nullable=True),
        sa.Column("audit", sa.Boolean(), nullable=False),
        sa.Column("audit_probability", sa.Double(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint("audit_probability >= 0 AND audit_probability <= 1", name=op.f("ck_inspection_audit_probability")),
        sa.ForeignKeyConstraint(["model_hash"], ["model.hash"], name=op.f("fk_inspection_model_hash")),
        sa.ForeignKeyConstraint(["part_id"], ["part.id"], name=op.f("fk_inspection_part_id")),
        sa.ForeignKeyConstraint(["recipe_id"], ["recipe.id"], name=op.f("fk_inspection_recipe_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inspection")),
        sa.UniqueConstraint("source", "source_key", name=op.f("uq_inspection_source_source_key")),
        sa.UniqueConstraint("uid", name=op.f("uq_inspection_uid")),
    )
    op.create_index(op.f("ix_inspection_judged_at"), "inspection", ["judged_at"], unique=False)
    op.create_index(op.f("ix_inspection_part_id"), "inspection", ["part_id"], unique=False)
    op.create_index(
        op.f("ix_inspection_pending"),
        "inspection",
        ["station", "id"],
        unique=False,
        sqlite_where=sa.text("explanation_state = 'pending'"),
        postgresql_where=sa.text("explanation_state = 'pending'"),
    )
    op.create_index(op.f("ix_inspection_station_judged_at"), "inspection", ["station", "judged_at"], unique=False)
    op.create_index(op.f("ix_inspection_verdict_judged_at"), "inspection", ["verdict", "judged_at"], unique=False)

    op.create_table(
        "heatmap",
        sa.Column("id", _ID, nullable=False),
        sa.Column("inspection_id", _ID, nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "ok",
                "flat",
                "all_negative",
                "non_finite",
                "no_evidence_map",
                "signed_activations",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("grid", sa.LargeBinary(), nullable=False),
        sa.Column("grid_rows", sa.Integer(), nullable=False),
        sa.Column("grid_columns", sa.Integer(), nullable=False),
        sa.Column("maximum", sa.Double(), nullable=False),
        sa.Column("scale", sa.Double(), nullable=False),
        sa.Column("origin_x_px", sa.Double(), nullable=False),
        sa.Column("origin_y_px", sa.Double(), nullable=False),
        sa.Column("step_x_px", sa.Double(), nullable=False),
        sa.Column("step_y_px", sa.Double(), nullable=False),
        sa.Column("width_px", sa.Integer(), nullable=False),
        sa.Column("height_px", sa.Integer(), nullable=False),
        sa.Column("score_without", sa.Double(), nullable=True),
        sa.Column("score_only", sa.Double(), nullable=True),
        sa.Column("conflict", sa.Boolean(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["inspection_id"], ["inspection.id"], name=op.f("fk_heatmap_inspection_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_heatmap")),
        sa.UniqueConstraint("inspection_id", "method", name=op.f("uq_heatmap_inspection_id_method")),
    )
    op.create_table(
        "review",
        sa.Column("id", _ID, nullable=False),
        sa.Column("inspection_id", _ID, nullable=False),
        sa.Column("reviewer", sa.Text(), nullable=False),
        sa.Column("disposition", sa.String(length=16), nullable=False),
        sa.Column("defect_class", sa.Text(), nullable=True),
        sa.Column("decision", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("shown_ms", sa.Integer(), nullable=True),
        sa.Column("nonce", sa.Text(), nullable=False),
        sa.Column("supersedes", _ID, nullable=True),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("decision IN ('accept', 'override')", name=op.f("ck_review_decision")),
        sa.CheckConstraint("disposition IN ('good', 'defective')", name=op.f("ck_review_disposition")),
        sa.ForeignKeyConstraint(["inspection_id"], ["inspection.id"], name=op.f("fk_review_inspection_id")),
        sa.ForeignKeyConstraint(["supersedes"], ["review.id"], name=op.f("fk_review_supersedes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review")),
        sa.UniqueConstraint("nonce", name=op.f("uq_review_nonce")),
        sa.UniqueConstraint("supersedes", name=op.f("uq_review_supersedes")),
    )
    op.create_index(op.f("ix_review_inspection_id"), "review", ["inspection_id"], unique=False)

    op.create_table(
        "region",
        sa.Column("heatmap_id", _ID, nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("x1", sa.Integer(), nullable=False),
        sa.Column("y1", sa.Integer(), nullable=False),
        sa.Column("x2", sa.Integer(), nullable=False),
        sa.Column("y2", sa.Integer(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("share", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["heatmap_id"], ["heatmap.id"], name=op.f("fk_region_heatmap_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("heatmap_id", "ordinal", name=op.f("pk_region")),
    )
    _create_triggers()


def downgrade() -> None:
    """To a database without tables, and without records."""
    _drop_triggers()
    op.drop_table("region")
    op.drop_table("review")
    op.drop_table("heatmap")
    op.drop_table("inspection")
    op.drop_table("recipe")
    op.drop_table("part")
    op.drop_table("model")


def _create_triggers() -> None:
    sqlite = op.get_context().dialect.name == "sqlite"
    if not sqlite:
        op.execute(
            "CREATE FUNCTION kizu_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION '% rows are append-only', TG_TABLE_NAME; END $$"
        )
    for table, taken in _APPEND_ONLY.items():
        if sqlite:
            refuse = f"BEGIN SELECT RAISE(ABORT, '{table} rows are append-only'); END"
            op.execute(f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}")
            op.execute(f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}")
            when = f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {taken})"
            op.execute(f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} {when} {refuse}")
        else:
            refuse = "EXECUTE FUNCTION kizu_append_only()"
            op.execute(f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW {refuse}")
            op.execute(f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {refuse}")


def _drop_triggers() -> None:
    sqlite = op.get_context().dialect.name == "sqlite"
    for table in _APPEND_ONLY:
        for trigger in ("no_update", "no_delete", "no_replace") if sqlite else ("append_only", "no_truncate"):
            op.execute(f"DROP TRIGGER {table}_{trigger}" + ("" if sqlite else f" ON {table}"))
    if not sqlite:
        op.execute("DROP FUNCTION kizu_append_only()")
