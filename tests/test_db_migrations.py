"""Migrations: up, down, up again; databases of other versions are refused with the way out."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from threading import Barrier, Thread

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect as look_into
from sqlalchemy import text

from db_examples import explanation, inspection, model, raw, review
from kizu_db.migrations import current_version, downgrade, head_version, upgrade
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings
from kizu_db.tables import Base
from kizu_inspect.errors import RecordError, SchemaError

TABLES = {"part", "inspection", "region", "heatmap", "model", "recipe", "review"}
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
        uid = unit.inspections.add(inspection(model_hash=model().hash, recipe_id=recipe.id))
        unit.inspections.store_explanation(uid, explanation())
        unit.reviews.add(review(uid))
    with raw(settings) as connection:
        for table in TABLES:
            assert connection.scalar(text(f"SELECT count(*) FROM {table}")), table
    return uid


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
        connection.execute(text("CREATE TABLE review (id INTEGER)"))  # the last but one that the migration makes
    with pytest.raises(RecordError, match=r"review.*already exists"):
        upgrade(database)
    assert tables(database) == {"review"}
    assert current_version(database) is None
    with raw(database) as connection:
        connection.execute(text("DROP TABLE review"))
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
