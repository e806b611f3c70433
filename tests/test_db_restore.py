"""Restoring: only what is whole, and only where nothing is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from sqlalchemy import text

from backup_world import PROGRAMS, content, fill, make, nothing_in, restore
from db_examples import raw
from kizu_db.backup.files import digest
from kizu_db.backup.restore import restore_backup
from kizu_db.image_store import ImageStore
from kizu_db.migrations import upgrade
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings
from kizu_inspect.errors import ConfigError, KizuError, RecordError, SchemaError


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "images")


@pytest.fixture
def backup(database: DatabaseSettings, records: Records, store: ImageStore, tmp_path: Path) -> Path:
    fill(records, store)
    make(database, store, tmp_path / "out")
    return tmp_path / "out"


@pytest.mark.parametrize("name", ["records", "images.csv"])
def test_a_changed_backup_is_named_and_not_restored(
    name: str, backup: Path, store: ImageStore, elsewhere: DatabaseSettings
) -> None:
    path = next(backup.glob(f"{name}*"))
    data = path.read_bytes()
    for changed, found in (
        (data[:50] + bytes([data[50] ^ 1]) + data[51:], "SHA-256"),
        (data[:-1], f"{len(data) - 1} bytes"),
        (None, "no file"),
    ):
        path.unlink()
        if changed is not None:
            path.write_bytes(changed)
        with pytest.raises(
            RecordError, match=rf"{path.name} is not what was written: found {found}.*expected {len(data)} bytes"
        ):
            restore(backup, elsewhere, store)
        assert nothing_in(elsewhere)
    path.write_bytes(data)
    restore(backup, elsewhere, store)


def edit(backup: Path, **changes: object) -> None:
    """Change keys of backup.yaml."""
    path = backup / "backup.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))


def test_folders_that_are_no_backup(backup: Path, store: ImageStore, elsewhere: DatabaseSettings, tmp_path: Path) -> None:
    def refused(kind: type[KizuError], match: str, folder: Path = backup) -> None:
        with pytest.raises(kind, match=match):
            restore(folder, elsewhere, store)
        assert nothing_in(elsewhere)

    refused(ConfigError, "none is no backup: found backup.yaml: No such file", tmp_path / "none")
    refused(ConfigError, "images is no backup: found backup.yaml: No such file", tmp_path / "images")
    other = "postgresql" if elsewhere.file is not None else "sqlite"
    records = "records.pgdump" if elsewhere.file is not None else "records.db"
    said = (backup / "backup.yaml").read_text()
    files = yaml.safe_load(said)["files"]
    edit(backup, database=other, files={records: files["images.csv"], "images.csv": files["images.csv"]})
    refused(ConfigError, f"is of another kind of database: found {other}")
    edit(backup, database="sqlite" if other == "postgresql" else "postgresql", files={"../kizu.db": files["images.csv"]})
    refused(ConfigError, "backup.yaml is not understood: found .*files must be")
    (backup / "backup.yaml").write_text(said)
    edit(backup, schema_version="9999", of_tomorrow=True)
    refused(SchemaError, r"The backup .* is from a newer version of Kizu: found version 9999; expected version \w+ or older")
    for broken in ("", "[", "format: 2\n"):
        (backup / "backup.yaml").write_text(broken)
        refused(ConfigError, "backup.yaml is not understood|no YAML")
    (backup / "backup.yaml").write_bytes(b"\xff\xfe")
    refused(ConfigError, "no YAML")


def test_no_records_are_written_over(backup: Path, database: DatabaseSettings, store: ImageStore, tmp_path: Path) -> None:
    before = content(database)
    with pytest.raises(RecordError, match=r"only where no (database is: found .*kizu\.db|records are: found the table \w+ in)"):
        restore(backup, database, store)
    assert content(database) == before
    if database.file is not None:
        for end in ("-wal", "-journal"):
            target = tmp_path / f"left{end}" / "kizu.db"
            target.parent.mkdir()
            target.with_name(f"kizu.db{end}").write_bytes(b"of another database")
            with pytest.raises(RecordError, match=f"found .*kizu.db{end}. Move that file away"):
                restore(backup, DatabaseSettings(url=f"sqlite:///{target}"), store)


def test_a_database_that_appears_meanwhile_is_kept(backup: Path, store: ImageStore, elsewhere: DatabaseSettings) -> None:
    at = "restoring the records" if elsewhere.file is not None else "comparing the pictures"

    def report(step: str, _done: int, _total: int) -> None:
        if step == at:
            upgrade(elsewhere)  # as a line does that starts

    with pytest.raises(RecordError, match=r"only where no database is|already exists"):
        restore_backup(backup, elsewhere, store, programs=PROGRAMS, report=report)
    with raw(elsewhere) as connection:
        assert connection.scalar(text("SELECT count(*) FROM inspection")) == 0


def test_records_that_no_database_takes_leave_nothing(backup: Path, store: ImageStore, elsewhere: DatabaseSettings) -> None:
    """As of a backup made by hand: its hash is right, its content is not."""
    path = next(backup.glob("records*"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :] = os.urandom(len(data) - len(data) // 2)
    path.write_bytes(data)
    edit(backup, files={name: digest(backup / name).model_dump() for name in (path.name, "images.csv")})
    with pytest.raises(RecordError, match=r"is damaged: found|pg_restore could not do its work: found"):
        restore(backup, elsewhere, store)
    assert nothing_in(elsewhere)
