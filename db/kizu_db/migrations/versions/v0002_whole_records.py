"""The whole records: stations, lots, the review queue, the audit trail, users, rollups, the outbox, retention.

Rows of the first version are carried over: serials become searchable, the latest review becomes the current disposition,
flagged inspections without a review wait in the queue, the rollups are counted, and reviews, recipes and models get their
audit events, with the time at which they were written down then.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import context, op
from alembic.util import CommandError

from kizu_db.migrations.first_events import tell_of_first_records

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)
_SEARCH = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")
_AT_ONCE = 2000

_APPEND_ONLY = {
    "recipe": "id = NEW.id OR (station = NEW.station AND version = NEW.version)",
    "review": "id = NEW.id OR nonce = NEW.nonce OR supersedes = NEW.supersedes",
    "model": "hash = NEW.hash",
    "audit_event": "id = NEW.id OR hash = NEW.hash OR previous_hash = NEW.previous_hash",
}
"""Table, and which columns of a new row nobody may have taken: see the first version."""

_OLD = ("recipe", "review")
_PERMITTED = "EXISTS (SELECT 1 FROM prune_permit WHERE inspection_id = OLD.inspection_id)"
_PARTIAL = {
    "ix_inspection_conflicting": (["verdict", "id"], "explanation_conflict"),
    "ix_inspection_waiting": (["verdict", "id"], "disposition IS NULL AND verdict <> 'PASS'"),
    "ix_inspection_kept_image": (["image_sha256"], "image_pruned_at IS NULL"),
}


def upgrade() -> None:
    """From the first version."""
    if context.is_offline_mode():
        raise CommandError("this step carries records over: it needs the database itself, not a script")
    _drop_triggers(_OLD)
    _create_plant()
    _change_old_tables()
    _create_new_tables()
    _carry_over()
    _create_triggers()


def downgrade() -> None:
    """To the first version: what it has no tables for is lost."""
    _drop_triggers(_APPEND_ONLY)
    for table in (
        "report", "prune_permit", "audit_event", "user_session", "user_account", "outbox", "rollup_reviewed", "rollup_hour",
        "rollup_minute", "quarantine", "review_queue",
    ):  # fmt: skip
        op.drop_table(table)
    for name in (*_PARTIAL, "ix_inspection_verdict_id", "ix_inspection_station_verdict_id"):
        op.drop_index(name, "inspection")
    with op.batch_alter_table("review") as review:
        review.drop_constraint("ck_review_treatment", type_="check")
        review.drop_column("treatment")
    with op.batch_alter_table("inspection") as inspection:
        for name in ("ck_inspection_disposition", "ck_inspection_defect_class"):
            inspection.drop_constraint(name, type_="check")
        for name in ("fk_inspection_station", "fk_inspection_station_view"):
            inspection.drop_constraint(name, type_="foreignkey")
        for name in (
            "novelty",
            "reference_correlation",
            "image_pruned_at",
            "explanation_conflict",
            "disposition",
            "defect_class",
        ):
            inspection.drop_column(name)
    op.create_index("ix_inspection_station_judged_at", "inspection", ["station", "judged_at"])
    op.create_index("ix_inspection_verdict_judged_at", "inspection", ["verdict", "judged_at"])
    with op.batch_alter_table("recipe") as recipe:
        recipe.drop_constraint("fk_recipe_station", type_="foreignkey")
    for name in ("serial_folded", "serial_reversed", "lot"):
        op.drop_index(f"ix_part_{name}", "part")
    with op.batch_alter_table("part") as part:
        part.drop_constraint("fk_part_lot", type_="foreignkey")
        part.drop_column("serial_folded")
        part.drop_column("serial_reversed")
    for table in ("view", "lot", "station"):
        op.drop_table(table)
    if not _sqlite():
        op.execute("DROP FUNCTION kizu_review_pruned()")
    for table in _OLD:
        _refuse_changes(table)


def _sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"


def _words(name: str, *words: str) -> sa.Enum:
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=16)


def _verdict() -> sa.Enum:
    return _words("verdict", "PASS", "REVIEW", "ERROR", "REJECT")


def _create_plant() -> None:
    op.create_table(
        "station",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("outbox_seq", _ID, server_default="0", nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_station"),
    )
    op.create_table(
        "view",
        sa.Column("station", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["station"], ["station.name"], name="fk_view_station"),
        sa.PrimaryKeyConstraint("station", "name", name="pk_view"),
    )
    op.create_table(
        "lot",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("held", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("held_by", sa.Text()),
        sa.Column("held_at", _TIME),
        sa.Column("held_reason", sa.Text()),
        sa.CheckConstraint("held = (held_at IS NOT NULL AND held_by IS NOT NULL)", name="ck_lot_held"),
        sa.PrimaryKeyConstraint("name", name="pk_lot"),
    )
    now = sa.bindparam("now", datetime.now(UTC).replace(tzinfo=None) if _sqlite() else datetime.now(UTC), _TIME)
    stations = "SELECT station FROM inspection UNION SELECT station FROM recipe"
    op.execute(sa.text(f"INSERT INTO station (name, created_at) SELECT station, :now FROM ({stations}) AS old").bindparams(now))
    op.execute("INSERT INTO view (station, name) SELECT DISTINCT station, view FROM inspection WHERE view IS NOT NULL")
    op.execute("INSERT INTO lot (name) SELECT DISTINCT lot FROM part")


def _change_old_tables() -> None:
    with op.batch_alter_table("part") as part:
        part.add_column(sa.Column("serial_folded", _SEARCH, server_default="", nullable=False))
        part.add_column(sa.Column("serial_reversed", _SEARCH, server_default="", nullable=False))
        part.create_foreign_key("fk_part_lot", "lot", ["lot"], ["name"])
    with op.batch_alter_table("recipe") as recipe:
        recipe.create_foreign_key("fk_recipe_station", "station", ["station"], ["name"])
    op.drop_index("ix_inspection_station_judged_at", "inspection")
    op.drop_index("ix_inspection_verdict_judged_at", "inspection")
    with op.batch_alter_table("inspection") as inspection:
        for column in (
            sa.Column("novelty", sa.Double()),
            sa.Column("reference_correlation", sa.Double()),
            sa.Column("image_pruned_at", _TIME),
            sa.Column("explanation_conflict", sa.Boolean(), server_default=sa.false(), nullable=False),
            sa.Column("disposition", sa.String(length=16)),
            sa.Column("defect_class", sa.Text()),
        ):
            inspection.add_column(column)
        inspection.create_foreign_key("fk_inspection_station", "station", ["station"], ["name"])
        inspection.create_foreign_key("fk_inspection_station_view", "view", ["station", "view"], ["station", "name"])
        inspection.create_check_constraint("ck_inspection_disposition", "disposition IN ('good', 'defective')")
        inspection.create_check_constraint("ck_inspection_defect_class", "disposition = 'defective' OR defect_class IS NULL")
    op.create_index("ix_inspection_verdict_id", "inspection", ["verdict", "id"])
    op.create_index("ix_inspection_station_verdict_id", "inspection", ["station", "verdict", "id"])
    for name, (columns, where) in _PARTIAL.items():
        op.create_index(name, "inspection", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
    # The audit trail tells of a review by its id: after a prune no other one may get it.
    with op.batch_alter_table("review", table_kwargs={"sqlite_autoincrement": True}) as review:
        review.add_column(sa.Column("treatment", sa.String(length=16)))
        review.create_check_constraint("ck_review_treatment", "treatment IN ('accept', 'rework', 'scrap')")


def _create_new_tables() -> None:
    op.create_table(
        "review_queue",
        sa.Column("inspection_id", _ID, autoincrement=False, nullable=False),
        sa.Column("station", sa.Text(), nullable=False),
        sa.Column("verdict", _verdict(), nullable=False),
        sa.Column("defect_class", sa.Text()),
        sa.Column("certainty", sa.Double(), nullable=False),
        sa.Column("claimed_by", sa.Text()),
        sa.Column("claim_expires_at", _TIME),
        sa.CheckConstraint("(claimed_by IS NULL) = (claim_expires_at IS NULL)", name="ck_review_queue_claim"),
        sa.ForeignKeyConstraint(["inspection_id"], ["inspection.id"], name="fk_review_queue_inspection_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["station"], ["station.name"], name="fk_review_queue_station"),
        sa.PrimaryKeyConstraint("inspection_id", name="pk_review_queue"),
    )
    for name, columns, where in (
        ("free_certainty", ["certainty", "inspection_id"], "claimed_by IS NULL"),
        ("free_station", ["station", "certainty", "inspection_id"], "claimed_by IS NULL"),
        ("free_defect_class", ["defect_class", "certainty", "inspection_id"], "claimed_by IS NULL"),
        ("claimed", ["claim_expires_at"], "claimed_by IS NOT NULL"),
    ):
        some = sa.text(where)
        op.create_index(f"ix_review_queue_{name}", "review_queue", columns, sqlite_where=some, postgresql_where=some)
    op.create_table(
        "quarantine",
        sa.Column("inspection_id", _ID, nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("quarantined_at", _TIME, nullable=False),
        sa.Column("released_at", _TIME),
        sa.Column("released_by", sa.Text()),
        sa.CheckConstraint("(released_at IS NULL) = (released_by IS NULL)", name="ck_quarantine_released"),
        sa.ForeignKeyConstraint(["inspection_id"], ["inspection.id"], name="fk_quarantine_inspection_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("inspection_id", name="pk_quarantine"),
    )
    for grain in ("minute", "hour"):
        op.create_table(
            f"rollup_{grain}",
            sa.Column("start", _TIME, nullable=False),
            sa.Column("station", sa.Text(), nullable=False),
            sa.Column("verdict", _verdict(), nullable=False),
            sa.Column("defect_class", sa.Text(), nullable=False),
            sa.Column("audit_probability", sa.Double(), nullable=False),
            sa.Column("inspections", sa.Integer(), nullable=False),
            sa.Column("first_id", _ID, nullable=False),
            sa.Column("last_id", _ID, nullable=False),
            sa.ForeignKeyConstraint(["station"], ["station.name"], name=f"fk_rollup_{grain}_station"),
            sa.PrimaryKeyConstraint(
                "start", "station", "verdict", "defect_class", "audit_probability", name=f"pk_rollup_{grain}"
            ),
            sqlite_with_rowid=False,
        )
    op.create_table(
        "rollup_reviewed",
        sa.Column("start", _TIME, nullable=False),
        sa.Column("station", sa.Text(), nullable=False),
        sa.Column("verdict", _verdict(), nullable=False),
        sa.Column("audit", sa.Boolean(), nullable=False),
        sa.Column("audit_probability", sa.Double(), nullable=False),
        sa.Column("disposition", sa.String(length=16), nullable=False),
        sa.Column("inspections", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["station"], ["station.name"], name="fk_rollup_reviewed_station"),
        sa.PrimaryKeyConstraint(
            "start", "station", "verdict", "audit", "audit_probability", "disposition", name="pk_rollup_reviewed"
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "outbox",
        sa.Column("id", _ID, nullable=False),
        sa.Column("event_id", sa.String(length=36), nullable=False),
        sa.Column("station", sa.Text(), nullable=False),
        sa.Column("seq", _ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("delivered_at", _TIME),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["station"], ["station.name"], name="fk_outbox_station"),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.UniqueConstraint("event_id", name="uq_outbox_event_id"),
        sa.UniqueConstraint("station", "seq", name="uq_outbox_station_seq"),
    )
    some = sa.text("delivered_at IS NULL")
    op.create_index("ix_outbox_waiting", "outbox", ["station", "seq"], sqlite_where=some, postgresql_where=some)
    op.create_table(
        "user_account",
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_folded", sa.Text(), nullable=False),
        sa.Column("role", _words("role", "viewer", "inspector", "engineer", "admin"), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("password_hash", sa.Text()),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_user_account"),
        sa.UniqueConstraint("name_folded", name="uq_user_account_name_folded"),
    )
    op.create_table(
        "user_session",
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("last_seen_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name="fk_user_session_user_id"),
        sa.PrimaryKeyConstraint("token_sha256", name="pk_user_session"),
    )
    op.create_index("ix_user_session_user_id", "user_session", ["user_id"])
    op.create_index("ix_user_session_expires_at", "user_session", ["expires_at"])
    op.create_table(
        "audit_event",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("before", sa.Text()),
        sa.Column("after", sa.Text()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_event"),
        sa.UniqueConstraint("hash", name="uq_audit_event_hash"),
        sa.UniqueConstraint("previous_hash", name="uq_audit_event_previous_hash"),
    )
    op.create_index("ix_audit_event_subject_subject_id", "audit_event", ["subject", "subject_id"])
    op.create_table(
        "prune_permit",
        sa.Column("inspection_id", _ID, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("inspection_id", name="pk_prune_permit"),
    )
    op.create_table(
        "report",
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("made_at", _TIME, nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("software", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("uid", name="pk_report"),
    )
    op.create_index("ix_report_made_at", "report", ["made_at"])


def _carry_over() -> None:
    connection = op.get_bind()
    for rows in _pages(connection, "SELECT id, serial FROM part WHERE id > :after ORDER BY id LIMIT :limit"):
        values = [{"id": number, "folded": serial.casefold(), "reversed": serial.casefold()[::-1]} for number, serial in rows]
        change = "UPDATE part SET serial_folded = :folded, serial_reversed = :reversed WHERE id = :id"
        connection.execute(sa.text(change), values)
    with op.batch_alter_table("part") as part:
        part.alter_column("serial_folded", server_default=None)
        part.alter_column("serial_reversed", server_default=None)
    for name in ("serial_folded", "serial_reversed", "lot"):
        op.create_index(f"ix_part_{name}", "part", [name])
    latest = "(SELECT max(id) FROM review WHERE inspection_id = inspection.id)"
    for statement in (
        f"UPDATE inspection SET disposition = (SELECT disposition FROM review WHERE id = {latest}), "
        f"defect_class = (SELECT CASE WHEN disposition = 'defective' THEN defect_class END FROM review WHERE id = {latest}) "
        "WHERE id IN (SELECT inspection_id FROM review)",
        f"UPDATE inspection SET explanation_conflict = {_true()} "
        "WHERE id IN (SELECT inspection_id FROM heatmap WHERE conflict)",
        "INSERT INTO review_queue (inspection_id, station, verdict, defect_class, certainty) "
        "SELECT id, station, verdict, target, CASE WHEN score IS NULL THEN 0.0 ELSE abs(2 * score - 1) END FROM inspection "
        "WHERE disposition IS NULL AND (verdict <> 'PASS' OR audit)",
        "INSERT INTO quarantine (inspection_id, error, quarantined_at) SELECT id, coalesce(error, reason), judged_at "
        "FROM inspection WHERE verdict = 'ERROR' AND image_sha256 IS NULL AND source LIKE 'folder %'",
        *_count("minute"),
        *_count("hour"),
        "INSERT INTO rollup_reviewed (start, station, verdict, audit, audit_probability, disposition, inspections) "
        f"SELECT {_start('quarter')}, station, verdict, audit, coalesce(audit_probability, 0.0), disposition, count(*) "
        "FROM inspection WHERE disposition IS NOT NULL GROUP BY 1, 2, 3, 4, 5, 6",
    ):
        connection.exec_driver_sql(statement.replace("%", "%%") if not _sqlite() else statement)
    tell_of_first_records(connection)


def _true() -> str:
    return "1" if _sqlite() else "true"


def _count(grain: str) -> Iterator[str]:
    suspected = "CASE WHEN verdict IN ('REVIEW', 'REJECT') THEN coalesce(target, '') ELSE '' END"
    yield (
        f"INSERT INTO rollup_{grain} "
        "(start, station, verdict, defect_class, audit_probability, inspections, first_id, last_id) "
        f"SELECT {_start(grain)}, station, verdict, {suspected}, coalesce(audit_probability, 0.0), count(*), min(id), max(id) "
        "FROM inspection GROUP BY 1, 2, 3, 4, 5"
    )


def _start(grain: str) -> str:
    if not _sqlite():
        width = {"minute": "1 minute", "quarter": "15 minutes", "hour": "1 hour"}[grain]
        return f"date_bin(interval '{width}', judged_at, timestamptz '2000-01-01 00:00:00+00')"
    quarter = "substr(judged_at, 1, 14) || printf('%02d', CAST(substr(judged_at, 15, 2) AS INTEGER) / 15 * 15) || ':00.000000'"
    whole = {"minute": "substr(judged_at, 1, 16) || ':00.000000'", "hour": "substr(judged_at, 1, 13) || ':00:00.000000'"}
    return whole.get(grain, quarter)


def _pages(connection: sa.Connection, query: str) -> Iterator[list[Any]]:
    after = 0
    while rows := list(connection.execute(sa.text(query), {"after": after, "limit": _AT_ONCE})):
        yield rows
        after = rows[-1][0]


def _create_triggers() -> None:
    if not _sqlite():
        op.execute(
            "CREATE FUNCTION kizu_review_pruned() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN IF {_PERMITTED} THEN RETURN OLD; END IF; RAISE EXCEPTION 'review rows are append-only'; END $$"
        )
    for table in _APPEND_ONLY:
        _refuse_changes(table, prunable=table == "review")


def _refuse_changes(table: str, *, prunable: bool = False) -> None:
    """Append-only, also for a program that knows nothing of Kizu; `prunable` rows may go with a permit."""
    if _sqlite():
        refuse = f"BEGIN SELECT RAISE(ABORT, '{table} rows are append-only'); END"
        unless = f"WHEN NOT {_PERMITTED}" if prunable else ""
        op.execute(f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}")
        op.execute(f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {unless} {refuse}")
        when = f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {_APPEND_ONLY[table]})"
        op.execute(f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} {when} {refuse}")
        return
    refuse = "EXECUTE FUNCTION kizu_append_only()"
    changed = "UPDATE" if prunable else "UPDATE OR DELETE"
    op.execute(f"CREATE TRIGGER {table}_append_only BEFORE {changed} ON {table} FOR EACH ROW {refuse}")
    op.execute(f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {refuse}")
    if prunable:
        op.execute(
            f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION kizu_review_pruned()"
        )


def _drop_triggers(tables: Any) -> None:
    for table in tables:
        names = ("no_update", "no_delete", "no_replace") if _sqlite() else ("append_only", "no_truncate")
        for name in names:
            op.execute(f"DROP TRIGGER IF EXISTS {table}_{name}" + ("" if _sqlite() else f" ON {table}"))
    if not _sqlite():
        op.execute("DROP TRIGGER IF EXISTS review_no_delete ON review")
