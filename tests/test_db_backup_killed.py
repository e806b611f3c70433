"""`kizu db backup` and `kizu db restore` as processes, killed at one moment after another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import yaml
from sqlalchemy.engine import make_url
from watchfiles import watch

from backup_world import PROGRAMS, content, fill, names_below
from kizu_db.backup.description import read_description
from kizu_db.backup.files import silent
from kizu_db.backup.make import make_backup
from kizu_db.image_store import ImageStore
from kizu_db.migrations import current_version, upgrade
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings

STEP_BY_STEP = """
import sys
from pathlib import Path
from kizu_db.backup.make import make_backup
from kizu_db.backup.restore import restore_backup
from kizu_db.image_store import ImageStore
from kizu_db.settings import DatabaseSettings

def report(step, done, total):
    print(step, done, flush=True)
    sys.stdin.readline()

work, url, images, folder, programs = sys.argv[1:]
settings, store = DatabaseSettings(url=url), ImageStore(Path(images))
report("started", 0, 0)
if work == "backup":
    make_backup(settings, store, Path(folder), images=True, programs=Path(programs), report=report)
else:
    restore_backup(Path(folder), settings, store, programs=Path(programs), report=report)
report("ended", 0, 0)
"""
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


@pytest.fixture
def filled(database: DatabaseSettings, tmp_path: Path) -> DatabaseSettings:
    """Records of 9 MB, with 20 pictures."""
    upgrade(database)
    with Records.open(database) as records:
        fill(records, ImageStore(tmp_path / "images"), count=40, cells=(300, 400))
    return database


def kizu(folder: Path, work: str, backup: Path, database: DatabaseSettings) -> list[str]:
    """The command, with its kizu.yaml."""
    config = folder / f"{work}.yaml"
    config.write_text(yaml.safe_dump({"database": {"url": database.url}, "images": {"path": str(folder / "images")}}))
    code = "from kizu.main import main; main()"
    arguments = ["db", work, str(backup), "--config", str(config), "--postgresql-bin", str(PROGRAMS)]
    return [sys.executable, "-c", code, *arguments]


def killed_at_each_moment(*arguments: str) -> Iterator[str]:
    """Runs the work again and again, each time killed one moment later; the moment, after each kill, until the work's end."""
    moment = 0
    while True:
        moment += 1
        command = [sys.executable, "-c", STEP_BY_STEP, *arguments]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            said = process.stdout.readline()
            for _ in range(moment - 1):
                process.stdin.write("\n")
                process.stdin.flush()
                said = process.stdout.readline()
            assert said, f"the work ended by itself before moment {moment}"
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        if said.startswith("ended"):
            return
        yield said.strip()


def test_a_killed_backup_leaves_nothing_under_its_name(filled: DatabaseSettings, tmp_path: Path) -> None:
    out = tmp_path / "backups" / "monday"
    store = ImageStore(tmp_path / "images")
    moments = []
    for moment in killed_at_each_moment("backup", filled.url, str(store.path), str(out), str(PROGRAMS)):
        moments.append(moment)
        assert not out.exists(), moment
        if moment != "started 0":
            assert [path.suffix for path in out.parent.iterdir() if path.is_dir()] == [".unfinished"], moment
    assert len({moment.rpartition(" ")[0] for moment in moments}) >= 4
    assert [path.name for path in out.parent.iterdir()] == ["monday"]
    assert read_description(out).pictures.copied == 20
    read_description(out).require_unchanged(out, silent)
    assert len(names_below(out / "images")) == 20


def new_target(settings: DatabaseSettings, request: pytest.FixtureRequest, file: Path) -> DatabaseSettings:
    """An empty database of the same kind."""
    if settings.file is not None:
        return DatabaseSettings(url=f"sqlite:///{file}")
    make: Callable[[], DatabaseSettings] = request.getfixturevalue("new_postgresql")
    return make()


def quiet(settings: DatabaseSettings, server: str) -> bool:
    """Whether nobody is connected to the database any more."""
    with psycopg.connect(server, autocommit=True) as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = %s", [make_url(settings.url).database]
        ).fetchone()
    return found == (0,)


def test_a_killed_restore_leaves_no_half_database(
    filled: DatabaseSettings, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    make_backup(filled, ImageStore(tmp_path / "images"), out, images=True, programs=PROGRAMS)
    before = content(filled)
    store = ImageStore(tmp_path / "other images")
    target = new_target(filled, request, tmp_path / "other" / "kizu.db")
    moments = []
    for moment in killed_at_each_moment("restore", target.url, str(store.path), str(out), str(PROGRAMS)):
        moments.append(moment)
        if target.file is not None:
            assert not target.file.exists(), moment
        else:
            server = request.getfixturevalue("postgresql_server")
            while not quiet(target, server):  # pg_restore finds its input cut short, and the server takes all back
                pass
            if current_version(target) is not None:  # it had been handed the last byte
                break
    assert len({moment.rpartition(" ")[0] for moment in moments}) >= 4
    assert content(target) == before
    if target.file is not None:
        assert {path.name for path in target.file.parent.iterdir()} <= {"kizu.db", "kizu.db-wal", "kizu.db-shm"}
    assert names_below(store.path) == names_below(tmp_path / "images")


@pytest.mark.parametrize("changes", [1, 4])
def test_the_command_is_killed_while_it_backs_up_and_run_again(changes: int, filled: DatabaseSettings, tmp_path: Path) -> None:
    out = tmp_path / "backups" / "monday"
    out.parent.mkdir()
    command = kizu(tmp_path, "backup", out, filled)
    seen = watch(out.parent, step=1, debounce=1, rust_timeout=100, yield_on_timeout=True)
    assert next(seen) == set()  # from now on it watches
    with subprocess.Popen(command, env=ENVIRONMENT) as process:
        while changes and process.poll() is None:
            changes -= bool(next(seen))
        process.kill()
    if out.exists():
        read_description(out).require_unchanged(out, silent)
        out.rename(tmp_path / "whole")
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    read_description(out).require_unchanged(out, silent)
    assert [path.name for path in out.parent.iterdir()] == ["monday"]


def test_the_command_is_killed_while_it_restores_and_run_again(
    filled: DatabaseSettings, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    before = content(filled)
    out = tmp_path / "out"
    make_backup(filled, ImageStore(tmp_path / "images"), out, programs=PROGRAMS)
    place = tmp_path / "place"
    place.mkdir()
    target = new_target(filled, request, place / "kizu.db")
    command = kizu(tmp_path, "restore", out, target)
    seen = watch(place, step=1, debounce=1, rust_timeout=20, yield_on_timeout=True)
    assert next(seen) == set()
    with subprocess.Popen(command, env=ENVIRONMENT) as process:
        server = None if target.file is not None else str(request.getfixturevalue("postgresql_server"))
        while process.poll() is None and not next(seen) and (server is None or quiet(target, server)):
            pass
        process.kill()
    while server is not None and not quiet(target, server):
        pass
    if current_version(target) is None:
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert content(target) == before
