"""`kizu db backup` and `kizu db restore` as a user calls them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from backup_world import PROGRAMS, content, fill
from kizu_db.image_store import ImageStore
from kizu_db.migrations import current_version, head_version, upgrade
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings
from whole_cli import app

FIRST_VERSION = "0001"


@pytest.fixture
def config(database: DatabaseSettings, tmp_path: Path) -> Path:
    """kizu.yaml of a database without tables yet."""
    return write_config(tmp_path / "kizu.yaml", database, tmp_path / "images")


@pytest.fixture
def other(database: DatabaseSettings, request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, DatabaseSettings]:
    """kizu.yaml of another machine, and its empty database of the same kind."""
    if database.file is not None:
        settings = DatabaseSettings(url=f"sqlite:///{tmp_path / 'other' / 'kizu.db'}")
    else:
        make: Callable[[], DatabaseSettings] = request.getfixturevalue("new_postgresql")
        settings = make()
    return write_config(tmp_path / "other.yaml", settings, tmp_path / "other images"), settings


def write_config(path: Path, database: DatabaseSettings, images: Path) -> Path:
    path.write_text(yaml.safe_dump({"database": {"url": database.url}, "images": {"path": str(images)}}), encoding="utf-8")
    return path


def kizu(work: str, folder: Path, config: Path, *options: str) -> Result:
    arguments = ["db", work, str(folder), "--config", str(config), "--postgresql-bin", str(PROGRAMS), *options]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, (done.output, done.exception)
    return done


def test_records_and_pictures_move_to_another_machine(
    config: Path, database: DatabaseSettings, records: Records, other: tuple[Path, DatabaseSettings], tmp_path: Path
) -> None:
    names = fill(records, ImageStore(tmp_path / "images"), count=20)
    out = tmp_path / "monday"
    (tmp_path / ".monday.0123abcd.unfinished").mkdir()
    said = kizu("backup", out, config, "--images")
    assert (
        f"monday: 21 inspections of {'sqlite' if database.file else 'postgresql'} version {head_version()} in " in said.stdout
    )
    assert "they name 10 pictures of 0.0 MB, 10 of them copied" in said.stdout
    assert "Removed what an earlier run left unfinished: " in said.stderr
    said = kizu("restore", out, other[0])
    assert "21 inspections of " in said.stdout
    assert "10 pictures copied into" in said.stdout
    assert "missing" not in said.stdout
    assert content(other[1]) == content(database)
    assert [name for name, path, _size in ImageStore(tmp_path / "other images").look_up(names) if path is not None] == names


def test_missing_pictures_are_counted_the_first_named_and_all_listed(
    config: Path, records: Records, other: tuple[Path, DatabaseSettings], tmp_path: Path
) -> None:
    store = ImageStore(tmp_path / "images")
    names = fill(records, store, count=20)
    store.path_of(names[0]).unlink()
    store.path_of(names[1]).write_bytes(b"changed")
    out = tmp_path / "monday"
    said = kizu("backup", out, config)
    assert "images: 1, those without a size in images.csv" in said.stdout
    other_store = ImageStore(tmp_path / "other images")
    other_store.put(store.get(names[9]), suffix=".png")
    other_store.put(store.get(names[8]), suffix=".png")
    other_store.path_of(names[8]).write_bytes(b"cut")
    target = tmp_path / "found" / "restored.json"
    said = kizu("restore", out, other[0], "--json", str(target))
    assert "missing in the image store: 7 of 10 pictures" in said.stdout
    assert "… and 2 more: --json lists them" in said.stdout
    assert "of another size in the image store: 1 of 10 pictures" in said.stdout
    assert f"{names[8]}, 3 bytes, not " in said.stdout
    assert "missing, as they were already when the backup was made: 1 of 10 pictures" in said.stdout
    figures = json.loads(target.read_text(encoding="utf-8"))
    assert (figures["inspections"], figures["pictures"]) == (21, 10)
    assert figures["upgrade_needed"] is False
    assert figures["states"] == {"missing": 7, "other size": 1, "missing before": 1}
    assert [found["sha256"] for found in figures["findings"]] == names[:9]
    assert [found["state"] for found in figures["findings"]] == ["missing before", *["missing"] * 7, "other size"]

    changed = json.loads(kizu("backup", tmp_path / "tuesday", config, "--images", "--json", "-").stdout)
    assert changed["pictures"] == {**changed["pictures"], "named": 10, "missing": 1, "copied": 8, "changed": 1}
    assert "changed on disk or not readable: 1, not copied" in kizu("backup", tmp_path / "wednesday", config, "--images").stdout


def test_nothing_to_say_is_an_empty_list(
    config: Path, records: Records, other: tuple[Path, DatabaseSettings], tmp_path: Path
) -> None:
    fill(records, ImageStore(tmp_path / "other images"))
    kizu("backup", tmp_path / "monday", config)
    figures = json.loads(kizu("restore", tmp_path / "monday", other[0], "--json", "-").stdout)
    assert (figures["findings"], figures["states"]) == ([], {})


def test_older_records_keep_their_version_until_the_upgrade(
    config: Path, database: DatabaseSettings, other: tuple[Path, DatabaseSettings], tmp_path: Path
) -> None:
    upgrade(database, FIRST_VERSION)
    kizu("backup", tmp_path / "monday", config)
    said = kizu("restore", tmp_path / "monday", other[0])
    assert current_version(other[1]) == FIRST_VERSION
    assert ("Run `kizu db upgrade`" in said.stdout) == (head_version() != FIRST_VERSION)
    assert CliRunner().invoke(app, ["db", "upgrade", "--config", str(other[0])]).exit_code == 0
    assert current_version(other[1]) == head_version()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["backup", "out"], 2, "kizu: The database sqlite:///kizu.db is not set up: found no version"),
        (["restore", "out"], 2, "kizu: out is no backup: found backup.yaml: No such file or directory. Name a folder"),
        (["restore", "out", "--config", "none.yaml"], 2, "kizu: configuration is not there"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], code: int, said: str, tmp_path: Path) -> None:
    (tmp_path / "kizu.yaml").write_text("database: {url: 'sqlite:///kizu.db'}\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", "from kizu.main import main; main()", "db", *arguments],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code
    assert done.stderr.startswith(said)
    assert len(done.stderr.strip().splitlines()) == 1
