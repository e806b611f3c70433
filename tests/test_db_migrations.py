"""Migrations: up, down, up again; databases of other versions are refused with the way out."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from argparse import Namespace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier, Thread

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import DateTime, LargeBinary, bindparam, text
from sqlalchemy import inspect as look_into
from sqlalchemy.exc import DBAPIError

from db_examples import SCRATCH, SCRATCHED, explanation, inspection, model, raw, review
from kizu_db.migrations import current_version, downgrade, head_version, upgrade
from kizu_db.permissions import Role
from kizu_db.records import Records
from kizu_db.repositories.limits import ChosenBy
from kizu_db.settings import DatabaseSettings
from kizu_db.tables import Base
from kizu_db.values import AuditStratum, NewSignal
from kizu_db.verifying import verify
from kizu_inspect.errors import RecordError, SchemaError
from kizu_inspect.results import Region, Verdict

TABLES = set(Base.metadata.tables)
FIRST_TABLES = {"part", "inspection", "region", "heatmap", "model", "recipe", "review"}
NEVER_FILLED = {"prune_permit"}
ROOT = Path(__file__).parents[1]


def tables(settings: DatabaseSettings) -> set[str]:
    """The tables there are, Alembic's own aside."""
    with raw(settings) as connection:
        return set(look_into(connection).get_table_names()) - {"alembic_version"}


def fill(settings: DatabaseSettings) -> str:
    """A row in every table; the inspection's uid."""
    with Records.open(settings) as records, records.unit() as unit:
        unit.models.register(model())
        recipe = unit.recipes.register("press-3", {"audit_share": 0.01}, model().hash)
        by = ChosenBy("Mina", "too strict", after=recipe.version)
        recipe = unit.limits.choose("press-3", 0.1, 0.8, by=by, model_hash=model().hash, seen={"reviewed": 46})
        new = inspection(model_hash=model().hash, recipe_id=recipe.id, view="top", lot="L7")
        uid = unit.inspections.add(new)
        unit.inspections.store_explanation(uid, explanation())
        unit.reviews.add(review(uid, boxes=(SCRATCHED,)))
        assert unit.second_reviews.arrange(uid, share=1.0) == "second"
        assert unit.second_reviews.add(review(uid, reviewer="Kim", boxes=(SCRATCHED,)))
        unit.inspections.add(inspection(Verdict.REVIEW))
        unit.quarantine.add(unit.inspections.add(inspection(Verdict.ERROR)), "no picture")
        told = {"sent_at": datetime.now(UTC), "acknowledged_at": None, "late_ms": 1.5, "note": "late"}
        unit.signals.add([NewSignal(uid=uid, sent="NG", **told)])
        unit.outbox.add("press-3", "inspected", {"uid": uid})
        unit.reports.add("csv", b"a,b", {"station": None}, by="Mina", software="Kizu")
        unit.users.add("Mina", Role.ADMIN, by="root")
        unit.sign_ins.begin("mina", lasting=timedelta(hours=1))
        unit.terminals.add("Hall 2", by="Mina", reason="shared")
        unit.lots.hold("L7", by="Mina", reason="a claim")
    with raw(settings) as connection:
        for table in TABLES - NEVER_FILLED:
            assert connection.scalar(text(f"SELECT count(*) FROM {table}")), table
    return uid


def fill_first(settings: DatabaseSettings) -> None:
    """Rows as the first version wrote them."""
    at = {"at": datetime(2026, 3, 1, 12, 34, 56, 789012, tzinfo=UTC)}
    if settings.file is not None:
        at = {"at": at["at"].replace(tzinfo=None)}
    inspections = (
        # id, part, verdict, target, score, state, audit, probability, picture, error
        (1, 1, "REJECT", "scratch", 0.875, "done", False, None, "ab", None),
        (2, 1, "PASS", "scratch", 0.125, "done", True, 0.25, "cd", None),
        (3, 2, "PASS", "scratch", 0.25, "none", False, 0.25, "ef", None),
        (4, 2, "ERROR", None, None, "none", False, None, None, "no picture"),
        (5, 2, "REVIEW", "dent", 0.5, "pending", False, None, "ff", None),
    )
    names = "id, part_id, verdict, target, score, explanation_state, audit, audit_probability, image_sha256, error"
    with raw(settings) as connection:
        kept = text("INSERT INTO model VALUES (:hash, 'plates', '[\"good\"]', 'good', 'bundles', '{\"a\": 0.1}', NULL, :at)")
        connection.execute(kept.bindparams(bindparam("at", type_=DateTime(timezone=True))), at | {"hash": "ab" * 32})
        connection.execute(text("INSERT INTO part VALUES (1, 'Ab-1', '', :no), (2, 'Ab-2', 'L7', :no)"), {"no": False})
        content = text("INSERT INTO recipe VALUES (1, 'press-4', 1, '{\"audit_share\": 0.01}', :hash, :at)")
        connection.execute(content.bindparams(bindparam("at", type_=DateTime(timezone=True))), at | {"hash": "ab" * 32})
        for row in inspections:
            values = (
                dict(zip(names.split(", "), row, strict=True))
                | at
                | {"uid": f"uid-{row[0]}", "key": str(row[0]), "view": "top" if row[0] < 3 else None}
            )
            places = ", ".join(f":{name}" for name in names.split(", "))
            new = text(
                f"INSERT INTO inspection ({names}, uid, view, station, source, source_key, captured_at, judged_at, reason, "
                f"probabilities, image_name, timings_ms) VALUES ({places}, :uid, :view, 'press-3', 'folder incoming', :key, "
                ":at, :at, 'why', '{}', 'a.png', '{}')"
            )
            connection.execute(new.bindparams(bindparam("at", type_=DateTime(timezone=True))), values)
        heatmap = text(
            "INSERT INTO heatmap VALUES "
            "(1, 1, 'cam', 'scratch', 'ok', :grid, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0.5, 0.5, :yes, :at)"
        )
        connection.execute(
            heatmap.bindparams(bindparam("at", type_=DateTime(timezone=True)), bindparam("grid", type_=LargeBinary)),
            at | {"grid": b"\0\0", "yes": True},
        )
        connection.execute(text("INSERT INTO region VALUES (1, 0, 1, 2, 3, 4, 'scratch', 1.5, 0.5)"))
        decided = text(
            "INSERT INTO review VALUES "
            "(:id, :of, 'Mina', :disposition, :name, 'accept', 'seen', 2300, :nonce, :supersedes, :at)"
        ).bindparams(bindparam("at", type_=DateTime(timezone=True)))
        for number, of, disposition, name, supersedes in (
            (1, 1, "good", None, None), (2, 1, "defective", "dent", 1), (3, 2, "defective", "scratch", None),
        ):  # fmt: skip
            told = {"id": number, "of": of, "disposition": disposition, "name": name, "supersedes": supersedes}
            connection.execute(decided, at | told | {"nonce": f"old-{number}"})
        if settings.file is None:
            for table in ("part", "recipe", "inspection", "heatmap", "review"):
                connection.execute(text(f"SELECT setval('{table}_id_seq', 100)"))


def test_records_of_the_first_version_are_carried_over(database: DatabaseSettings) -> None:
    upgrade(database, "0001")
    assert tables(database) == FIRST_TABLES
    fill_first(database)
    upgrade(database)
    hour = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    with Records.open(database) as records, records.unit() as unit:
        rows = {row.uid: row for row in unit.inspections.latest()}
        assert [rows[f"uid-{n}"].disposition for n in range(1, 6)] == ["defective", "defective", None, None, None]
        assert [uid for uid, row in rows.items() if row.explanation_conflict] == ["uid-1"]
        record = unit.inspections.get("uid-1")
        assert record is not None
        assert record.explanations[0].regions == (Region(1, 2, 3, 4, "scratch", 1.5, 0.5),)
        assert (record.mm_per_px, record.explanations[0].regions[0].in_mm(0.1)) == (None, None)
        assert [(one.reviewer, one.supersedes) for one in record.reviews] == [("Mina", None), ("Mina", 1)]
        assert [row.uid for row in unit.inspections.latest(named="ab-2")] == ["uid-5", "uid-4", "uid-3"]
        assert [row.uid for row in unit.inspections.latest(named="B-1")] == ["uid-2", "uid-1"]
        passed = unit.inspections.latest(verdicts=[Verdict.PASS], since=hour, until=hour + timedelta(minutes=35))
        assert [row.uid for row in passed] == ["uid-3", "uid-2"]
        assert unit.queue.waiting() == 2
        assert [file.error for file in unit.quarantine.latest()] == ["no picture"]
        assert unit.rollups.audit_strata() == [AuditStratum(probability=0.25, passes=2, reviewed=1, escapes=1)]
        assert [(event.action, event.subject_id) for event in unit.trail.latest()] == [
            ("review.add", "3"), ("review.add", "2"), ("review.add", "1"), ("recipe.version", "1"),
            ("model.register", "ab" * 32),
        ]  # fmt: skip
        counted = unit.rollups.verdicts(since=hour, until=hour + timedelta(hours=1))
        unit.reviews.add(review("uid-3"))
        unit.inspections.add(inspection(part="Ab-2", lot="L7", judged_at=hour + timedelta(days=1)))
        unit.rollups.rebuild()
        assert unit.rollups.verdicts(since=hour, until=hour + timedelta(hours=1)) == counted
    with Records.open(database) as records, records.claims() as claims:
        taken = claims.take("Kim"), claims.take("Kim")
    assert [claim.uid_inspection for claim in taken if claim] == ["uid-4", "uid-5"]
    assert verify(database).findings == ()
    downgrade(database, "0001")
    assert tables(database) == FIRST_TABLES
    with raw(database) as connection:
        assert connection.scalar(text("SELECT count(*) FROM review")) == 4
        assert connection.scalar(text("SELECT count(*) FROM heatmap")) == 1
        with pytest.raises(DBAPIError, match="append-only"), connection.begin_nested():
            connection.execute(text("DELETE FROM review"))
    upgrade(database)
    assert verify(database).findings == ()


def test_boxes_outlive_a_step_back_from_contours(database: DatabaseSettings) -> None:
    upgrade(database)
    uid = fill(database)
    downgrade(database, "0002")
    with raw(database) as connection:
        assert len(look_into(connection).get_columns("region")) == 9
        assert connection.execute(text("SELECT x1, y1, x2, y2, label, score, share FROM region ORDER BY ordinal")).all() == [
            (10, 20, 30, 40, "scratch", 1.2, 0.625), (0, 0, 4, 5, "scratch", 0.3, 0.1),
        ]  # fmt: skip
    upgrade(database)
    with Records.open(database) as records, records.unit() as unit:
        record = unit.inspections.get(uid)
        assert record is not None
        without = Region(10, 20, 30, 40, "scratch", 1.2, 0.625)
        assert record.explanations[0].regions[0] == without
        unit.inspections.store_explanation(uid, explanation())
        record = unit.inspections.get(uid)
        assert record is not None
        assert record.explanations[0].regions[0] == SCRATCH
    assert verify(database).findings == ()


def test_drawn_boxes_outlive_a_step_back_from_them(database: DatabaseSettings) -> None:
    upgrade(database)
    uid = fill(database)
    downgrade(database, "0006")
    assert "review_box" not in tables(database)
    upgrade(database)
    with Records.open(database) as records, records.unit(read_only=True) as unit:
        assert [one.boxes for one in unit.reviews.of(uid)] == [(SCRATCHED,)]
    with raw(database) as connection, pytest.raises(DBAPIError, match="append-only"), connection.begin_nested():
        connection.execute(text("DELETE FROM review_box"))
    assert verify(database).findings == ()


def test_second_reviews_outlive_a_step_back_from_them_and_nothing_decided_waits_meanwhile(database: DatabaseSettings) -> None:
    upgrade(database)
    uid = fill(database)
    with Records.open(database) as records, records.unit() as unit:
        assert unit.second_reviews.arrange(uid, share=1.0) is None, "they agree"
        unit.reviews.add(review(again := unit.inspections.add(inspection())))
        assert unit.second_reviews.arrange(again, share=1.0) == "second"
        before, waiting = unit.second_reviews.of(uid), unit.queue.waiting()
    downgrade(database, "0009")
    assert "second_review" not in tables(database)
    with raw(database) as connection:
        assert connection.scalar(text("SELECT count(*) FROM review_queue")) == waiting - 1
    upgrade(database)
    with Records.open(database) as records, records.unit(read_only=True) as unit:
        assert unit.second_reviews.of(uid) == before
    with raw(database) as connection:
        assert connection.scalar(text("SELECT count(*) FROM review_queue WHERE blind_chance IS NULL")) == 0
        with pytest.raises(DBAPIError, match="append-only"), connection.begin_nested():
            connection.execute(text("DELETE FROM second_review"))
    assert verify(database).findings == ()


@pytest.mark.parametrize("filled", [False, True], ids=["empty", "filled"])
def test_up_down_and_up_again(database: DatabaseSettings, filled: bool) -> None:
    assert current_version(database) is None
    upgrade(database)
    assert current_version(database) == head_version()
    assert tables(database) == TABLES
    if filled:
        fill(database)
    downgrade(database, "base")
    assert current_version(database) is None
    assert tables(database) == set()
    upgrade(database)
    uid = fill(database)
    upgrade(database)  # nothing to do, and nothing lost
    with Records.open(database) as records, records.unit() as unit:
        assert unit.inspections.get(uid) is not None


def test_the_migrations_make_the_tables_of_the_code(database: DatabaseSettings) -> None:
    upgrade(database)
    with raw(database) as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_a_failed_migration_leaves_nothing(database: DatabaseSettings) -> None:
    if database.file is not None:
        database.file.parent.mkdir()
    with raw(database) as connection:
        connection.execute(text("CREATE TABLE report (id INTEGER)"))  # one of the last that the migrations make
    with pytest.raises(RecordError, match=r"report.*already exists"):
        upgrade(database)
    assert tables(database) == {"report"}
    assert current_version(database) is None
    with raw(database) as connection:
        connection.execute(text("DROP TABLE report"))
    upgrade(database)
    assert tables(database) == TABLES


def test_several_programs_may_upgrade_at_once(database: DatabaseSettings) -> None:
    barrier = Barrier(6)
    failed: list[Exception] = []

    def run() -> None:
        barrier.wait()
        try:
            upgrade(database)
        except Exception as exc:  # noqa: BLE001 - handed to the test's own thread
            failed.append(exc)

    threads = [Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert current_version(database) == head_version()


def test_a_database_that_is_not_set_up_says_what_to_run(database: DatabaseSettings) -> None:
    if database.file is not None:
        with pytest.raises(SchemaError, match=r"There is no database .*kizu\.db.*Run `kizu db upgrade`"):
            Records.open(database)
        assert not database.file.exists(), "looking must not make a database"
        database.file.parent.mkdir()
        database.file.touch()
    with pytest.raises(SchemaError, match=r"not set up: found no version; expected version \w+\. Run `kizu db upgrade`\."):
        Records.open(database)


def set_version(settings: DatabaseSettings, version: str) -> None:
    """As if another version of the program had been here."""
    with raw(settings) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :version"), {"version": version})


def test_a_database_of_a_newer_version_is_left_alone(database: DatabaseSettings) -> None:
    upgrade(database)
    set_version(database, "9999")
    message = r"from a newer version of Kizu: found version 9999; expected version \w+ or older\. Install"
    with pytest.raises(SchemaError, match=message):
        Records.open(database)
    with pytest.raises(SchemaError, match=message):
        upgrade(database)
    with pytest.raises(SchemaError, match=message):
        downgrade(database, "base")
    assert tables(database) == TABLES
    assert current_version(database) == "9999"


def test_an_unknown_revision_is_named(database: DatabaseSettings) -> None:
    with pytest.raises(SchemaError, match=r"cannot be brought to that version: found .*7777"):
        upgrade(database, "7777")
    assert tables(database) == set()


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "kizu.db").write_bytes(b"these are holiday pictures " * 100)
    settings = DatabaseSettings(url=f"sqlite:///{tmp_path / 'kizu.db'}")
    with pytest.raises(RecordError, match="found file is not a database"):
        Records.open(settings)
    with pytest.raises(RecordError, match="found file is not a database"):
        upgrade(settings)


def test_a_server_that_is_away(tmp_path: Path) -> None:
    settings = DatabaseSettings(url=f"postgresql+psycopg://kizu:secret@/kizu?host={tmp_path}")
    with pytest.raises(RecordError, match=r"refused the work: found .*connection") as caught:
        Records.open(settings)
    assert "secret" not in str(caught.value)


def test_the_alembic_command_finds_the_same_migrations(database: DatabaseSettings) -> None:
    if database.file is not None:
        database.file.parent.mkdir()
    said = io.StringIO()
    config = Config(ROOT / "alembic.ini", stdout=said, output_buffer=said, cmd_opts=Namespace(x=[f"url={database.url}"]))
    command.upgrade(config, "head")
    assert current_version(database) == head_version()
    command.check(config)
    assert "No new upgrade operations detected" in said.getvalue()
    command.upgrade(config, "0001", sql=True)
    with pytest.raises(CommandError, match="needs the database itself"):
        command.upgrade(config, "head", sql=True)
    assert re.search(r"CREATE TRIGGER review_\w+ BEFORE UPDATE", said.getvalue())


def test_importing_the_records_brings_no_torch() -> None:
    heavy = "{'torch', 'torchvision', 'cv2', 'streamlit', 'albumentations'}"
    code = f"import sys, kizu_db.records, kizu_db.image_store; print(sorted({heavy} & set(sys.modules)))"
    path = [str(ROOT / "db"), str(ROOT / "inspect")]
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path}; {code}"], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"
