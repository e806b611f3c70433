"""Backups: one moment of the records, taken while others write, and brought back whole."""

from __future__ import annotations

import csv
import hashlib
import os
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import yaml
from sqlalchemy import text
from sqlalchemy.engine import make_url

from backup_world import OLDER_PROGRAMS, PROGRAMS, content, fill, make, names_below, nothing_in, picture, restore
from db_examples import inspection, raw
from kizu_db.backup.make import make_backup
from kizu_db.backup.pictures import Finding
from kizu_db.backup.restore import restore_backup
from kizu_db.image_store import ImageStore
from kizu_db.migrations import head_version, upgrade
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings
from kizu_inspect.errors import ConfigError, RecordError, SchemaError

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "images")


@pytest.fixture
def postgresql(new_postgresql: Callable[[], DatabaseSettings]) -> DatabaseSettings:
    """A PostgreSQL database of this version, with records that are more than the pipes and sockets to pg_dump hold."""
    settings = new_postgresql()
    upgrade(settings)
    return settings


def test_what_is_backed_up_comes_back_whole(
    database: DatabaseSettings, records: Records, store: ImageStore, elsewhere: DatabaseSettings, tmp_path: Path
) -> None:
    names = fill(records, store)
    before = content(database)
    out = tmp_path / "backups" / "monday"
    made = make(database, store, out)
    kind = "sqlite" if database.file is not None else "postgresql"
    file = "records.db" if kind == "sqlite" else "records.pgdump"
    assert names_below(out.parent) == [f"monday/{name}" for name in sorted(["backup.yaml", "images.csv", file])]
    assert (made.database, made.schema_version, made.inspections) == (kind, head_version(), 9)
    assert yaml.safe_load((out / "backup.yaml").read_text())["pictures"] == {
        "named": 4, "missing": 0, "bytes": sum(len(picture(n)) for n in range(4)), "copied": None, "changed": 0,
    }  # fmt: skip
    for name, kept in made.files.items():
        data = (out / name).read_bytes()
        assert (kept.bytes, kept.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    with (out / "images.csv").open(newline="") as listed:
        assert list(csv.DictReader(listed)) == [
            {
                "sha256": name,
                "bytes": str(store.path_of(name).stat().st_size),
                "path": f"{name[:2]}/{name[2:4]}/{name}.png",
            }
            for name in names
        ]

    restored, findings = restore(out, elsewhere, store)
    assert (restored, findings) == (made, [])
    if elsewhere.file is not None:
        assert [path.name for path in elsewhere.file.parent.iterdir()] == ["kizu.db"]
        assert elsewhere.file.stat().st_nlink == 1
    assert content(elsewhere) == before
    with Records.open(elsewhere) as back, back.unit() as unit:
        unit.inspections.add(inspection())
    with pytest.raises(Exception, match="review"), raw(elsewhere) as connection:
        connection.execute(text("DELETE FROM review"))  # the trigger that forbids it came along


def test_pictures_are_copied_checked_and_put_back(
    database: DatabaseSettings, records: Records, store: ImageStore, elsewhere: DatabaseSettings, tmp_path: Path
) -> None:
    names = fill(records, store, count=12)
    missing, changed, shortened, whole = names[0], names[1], names[2], names[3:]
    store.path_of(missing).unlink()
    store.path_of(changed).write_bytes(b"x" * store.path_of(changed).stat().st_size)
    made = make(database, store, tmp_path / "out", images=True)
    counts = made.pictures
    assert (counts.named, counts.missing, counts.copied, counts.changed) == (6, 1, 4, 1)
    expected = sorted(f"{name[:2]}/{name[2:4]}/{name}.png" for name in [shortened, *whole])
    assert names_below(tmp_path / "out" / "images") == expected

    store.path_of(shortened).write_bytes(b"torn")
    gone, damaged = whole[0], whole[1]
    store.path_of(gone).unlink()
    store.path_of(damaged).unlink()
    (tmp_path / "out" / "images" / damaged[:2] / damaged[2:4] / f"{damaged}.png").write_bytes(b"changed in the backup")
    store.path_of(changed).unlink()
    _restored, findings = restore(tmp_path / "out", elsewhere, store)
    size = {name: len(picture(n)) for n in range(6) if (name := hashlib.sha256(picture(n)).hexdigest())}
    assert findings == [
        Finding(name, state, None if state == "missing before" else size[name], found)
        for name, state, found in sorted(
            [
                (missing, "missing before", None),
                (changed, "missing", None),
                (shortened, "copied", 4),
                (gone, "copied", None),
                (damaged, "missing", None),
            ]
        )
    ]
    for name in (shortened, gone):
        assert len(store.get(name)) == size[name]


def test_everything_is_on_the_disk_before_it_has_its_name(
    database: DatabaseSettings, records: Records, store: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(records, store)
    out = tmp_path / "new" / "out"
    synced: list[Path] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        fsync(descriptor)
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))

    monkeypatch.setattr(os, "fsync", noted)
    make(database, store, out, images=True)
    assert synced[-1] == out.parent
    assert tmp_path in synced, "where a new parent folder has its name"
    below = {path.parts[len(out.parts) :] for path in synced if ".unfinished" in str(path)}
    assert below >= {path.relative_to(out).parts for path in (out, *out.rglob("*"))}


def test_the_store_is_compared_with_the_list(
    database: DatabaseSettings, records: Records, store: ImageStore, elsewhere: DatabaseSettings, tmp_path: Path
) -> None:
    names = fill(records, store)
    make(database, store, tmp_path / "out")
    store.path_of(names[0]).unlink()
    with store.path_of(names[1]).open("ab") as file:
        file.write(b"more")
    _restored, findings = restore(tmp_path / "out", elsewhere, store)
    assert [(f.sha256, f.state) for f in findings] == [(names[0], "missing"), (names[1], "other size")]
    assert findings[1].found_bytes == (findings[1].bytes or 0) + 4


def test_a_line_records_on_and_the_backup_is_one_moment(
    database: DatabaseSettings, records: Records, store: ImageStore, elsewhere: DatabaseSettings, tmp_path: Path
) -> None:
    fill(records, store, count=60, cells=(300, 400))  # 14 MB: several steps
    written = threading.Semaphore(0)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            with records.unit() as unit:
                for _ in range(3):
                    unit.inspections.add(inspection(station="writer"))
            written.release()

    steps: Counter[str] = Counter()

    def report(step: str, _done: int, _total: int) -> None:
        steps[step] += 1
        if step == "copying the records":
            # One that was begun before this step, and one that begins and ends while the copying is half done.
            assert written.acquire(timeout=60)
            while written.acquire(blocking=False):
                pass
            assert written.acquire(timeout=60)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert written.acquire(timeout=60)
        made = make(database, store, tmp_path / "out", report=report)
    finally:
        stop.set()
        writer.join()
    assert steps["copying the records"] >= 3
    restore(tmp_path / "out", elsewhere, store)
    count = text("SELECT count(*) FROM inspection WHERE station = 'writer'")
    with raw(elsewhere) as connection, raw(database) as original:
        kept = connection.scalar(count)
        assert kept > 0
        assert kept % 3 == 0
        assert kept + 61 == made.inspections
        assert original.scalar(count) >= kept + 3 * steps["copying the records"]


GROWING = """
import resource, sys
from pathlib import Path
from backup_world import multiply
from kizu_db.backup.make import make_backup
from kizu_db.backup.restore import restore_backup
from kizu_db.image_store import ImageStore
from kizu_db.settings import DatabaseSettings

folder = Path(sys.argv[1])
settings, store = DatabaseSettings(url=f"sqlite:///{folder / 'kizu.db'}"), ImageStore(folder / "images")
for rows in (1_000, 100_000):
    multiply(settings, rows)
    made = make_backup(settings, store, folder / f"out-{rows}")
    found = 0
    def count(_finding):
        global found
        found += 1
    target = DatabaseSettings(url=f"sqlite:///{folder / f'back-{rows}.db'}")
    restore_backup(folder / f"out-{rows}", target, store, found=count)
    print(made.pictures.missing, found, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_many_pictures_cost_no_memory(tmp_path: Path) -> None:
    settings = DatabaseSettings(url=f"sqlite:///{tmp_path / 'kizu.db'}")
    upgrade(settings)
    with Records.open(settings) as records, records.unit() as unit:
        unit.inspections.add(inspection())
    command = [sys.executable, "-c", GROWING, str(tmp_path)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (few, few_found, before_kib), (many, many_found, after_kib) = (map(int, line.split()) for line in done.stdout.splitlines())
    assert (few, many) == (few_found, many_found) == (1_000, 101_000)
    assert after_kib - before_kib < 16 * 1024


def test_a_backup_goes_only_where_nothing_is(database: DatabaseSettings, records: Records, tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "images")
    fill(records, store)
    used, file, link = tmp_path / "used", tmp_path / "file", tmp_path / "link"
    used.mkdir()
    (used / "notes.txt").write_text("mine")
    file.write_text("mine")
    empty = tmp_path / "empty"
    empty.mkdir()
    link.symlink_to(empty)
    for out, found in (
        (used, r"notes\.txt in it"),
        (file, "a file"),
        (link, "a link or mount point"),
        (Path("/proc"), "mount"),
    ):
        with pytest.raises(ConfigError, match=f"cannot become a backup: found .*{found}.*expected a new or an empty folder"):
            make(database, store, out)
    with pytest.raises(RecordError, match=r"could not be written: found .*file: (File exists|Not a directory)"):
        make(database, store, file / "below")
    assert (used / "notes.txt").read_text() == file.read_text() == "mine"
    assert not list(empty.iterdir())
    make(database, store, empty)
    assert (empty / "backup.yaml").is_file()
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


def test_one_backup_of_a_name_at_a_time(database: DatabaseSettings, records: Records, tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "images")
    fill(records, store)
    refused: list[str] = []

    def report(_step: str, _done: int, _total: int) -> None:
        if not refused:
            with pytest.raises(ConfigError, match="Another process is writing") as caught:
                make(database, store, tmp_path / "out")
            refused.append(str(caught.value))
            make(database, store, tmp_path / "other")

    make(database, store, tmp_path / "out", report=report)
    assert refused
    assert (tmp_path / "other" / "backup.yaml").is_file()


def test_what_a_killed_backup_left_is_cleared_and_nothing_else(
    database: DatabaseSettings, records: Records, tmp_path: Path
) -> None:
    store = ImageStore(tmp_path / "images")
    fill(records, store)
    left = tmp_path / ".out.0123abcd.unfinished"
    others = [tmp_path / name for name in (".out.more.0123abcd.unfinished", ".out.notes.unfinished", ".out.0123abcd.bak")]
    for folder in (left, *others):
        folder.mkdir()
        (folder / "records.db").write_text("half")
    (tmp_path / ".out.lock").touch()
    cleared: list[Path] = []
    make(database, store, tmp_path / "out", cleared=cleared.append)
    assert cleared == [left]
    assert not left.exists()
    assert all((folder / "records.db").is_file() for folder in others)


LIMITED = """
import resource, sys
from pathlib import Path
from backup_world import PROGRAMS
from kizu_db.backup.make import make_backup
from kizu_db.backup.restore import restore_backup
from kizu_db.image_store import ImageStore
from kizu_db.settings import DatabaseSettings
from kizu_inspect.errors import RecordError

work, url, folder, target, limit = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
settings, store = DatabaseSettings(url=url), ImageStore(Path(folder) / "images")
try:
    if work == "make":
        make_backup(settings, store, Path(target), programs=PROGRAMS)
    else:
        restore_backup(Path(target), settings, store, programs=PROGRAMS)
except RecordError as error:
    print(error)
"""


def limited(work: str, settings: DatabaseSettings, folder: Path, target: Path, limit: int) -> str:
    """What is said where no file may become larger than `limit` bytes."""
    command = [sys.executable, "-c", LIMITED, work, settings.url, str(folder), str(target), str(limit)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_disk_that_takes_no_more_leaves_nothing(
    database: DatabaseSettings, records: Records, store: ImageStore, elsewhere: DatabaseSettings, tmp_path: Path
) -> None:
    fill(records, store, count=20, cells=(100, 100))
    out = tmp_path / "backups" / "out"
    said = limited("make", database, tmp_path, out, 100_000)
    assert "Check the free space" in said
    assert ("could not be copied" if database.file is not None else "File too large") in said
    assert not list(out.parent.iterdir())
    make(database, store, out)
    if elsewhere.file is not None:  # a server writes its files itself
        said = limited("restore", elsewhere, tmp_path, out, 100_000)
        assert "kizu.db could not be written: found File too large" in said
        assert not list(elsewhere.file.parent.iterdir())


def test_databases_that_cannot_be_backed_up(database: DatabaseSettings, tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "images")
    with pytest.raises(SchemaError, match="is not set up"):
        make(database, store, tmp_path / "out")
    upgrade(database)
    with raw(database) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaError, match=r"The database .* is from a newer version of Kizu: found version 9999"):
        make(database, store, tmp_path / "out")
    away = "sqlite:////proc/none/kizu.db" if database.file is not None else f"postgresql://kizu@/kizu?host={tmp_path}"
    with pytest.raises((SchemaError, RecordError), match=r"is not set up|refused the work: found .*connection"):
        make(DatabaseSettings(url=away), store, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_database_is_found_when_it_is_backed_up(tmp_path: Path) -> None:
    settings = DatabaseSettings(url=f"sqlite:///{tmp_path / 'kizu.db'}")
    upgrade(settings)
    store = ImageStore(tmp_path / "images")
    with Records.open(settings) as records:
        fill(records, store, count=40, cells=(50, 50))
    with closing(sqlite3.connect(tmp_path / "kizu.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'ix_inspection_part_id'").fetchone()
    with (tmp_path / "kizu.db").open("r+b") as file:
        file.seek((page - 1) * 4096 + 2000)
        file.write(b"\xff" * 2000)
    with pytest.raises(RecordError, match=r"The database sqlite:.* is damaged: found .*\. Restore the last backup"):
        make(settings, store, tmp_path / "out")
    assert sorted(os.listdir(tmp_path)) == ["images", "kizu.db"]


def test_postgresql_programs_that_do_not_fit(postgresql: DatabaseSettings, store: ImageStore, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match=r"program pg_dump is not there: found none in .*images.*--postgresql-bin"):
        make_backup(postgresql, store, out, programs=tmp_path / "images")
    with pytest.raises(
        ConfigError, match=r"pg_dump is older than the server: found version \d+; expected version \d+ or later"
    ):
        make_backup(postgresql, store, out, programs=OLDER_PROGRAMS)
    other = tmp_path / "other"
    other.mkdir()
    (other / "pg_dump").write_text("#!/bin/sh\necho pg_dump of somebody else\n")
    (other / "pg_dump").chmod(0o755)
    with pytest.raises(ConfigError, match=r"does not tell its version: found pg_dump of somebody else"):
        make_backup(postgresql, store, out, programs=other)
    assert not out.exists()
    make(postgresql, store, out)
    with pytest.raises(ConfigError, match=r"program pg_restore is not there: found none in .*other"):
        restore_backup(out, postgresql, store, programs=other)


def test_the_password_is_on_no_command_line(
    postgresql: DatabaseSettings, new_postgresql: Callable[[], DatabaseSettings], store: ImageStore, tmp_path: Path
) -> None:
    spies = tmp_path / "spies"
    spies.mkdir()
    for name in ("pg_dump", "pg_restore"):
        script = f'#!/bin/sh\n[ "$1" = --version ] || echo "$@ and $PGPASSWORD" >> {spies}/said\nexec {PROGRAMS / name} "$@"\n'
        (spies / name).write_text(script)
        (spies / name).chmod(0o755)

    def with_password(settings: DatabaseSettings) -> DatabaseSettings:
        return DatabaseSettings(url=make_url(settings.url).set(password="s3cret!").render_as_string(hide_password=False))

    make_backup(with_password(postgresql), store, tmp_path / "out", programs=spies)
    restore_backup(tmp_path / "out", with_password(new_postgresql()), store, programs=spies)
    dumped, restored = (spies / "said").read_text().splitlines()
    for said, argument in ((dumped, "--format=custom"), (restored, "--single-transaction")):
        arguments, password = said.split(" and ")
        assert argument in arguments
        assert "s3cret" not in arguments
        assert password == "s3cret!"


def cut(settings: DatabaseSettings, server: str) -> None:
    """End every connection to the database, as a server does that goes down."""
    with closing(psycopg.connect(server, autocommit=True)) as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE datname = %s",
            [make_url(settings.url).database],
        ).fetchall()
    assert ended
    assert all(done for (done,) in ended)


def test_a_server_that_goes_away_leaves_nothing(
    postgresql: DatabaseSettings,
    new_postgresql: Callable[[], DatabaseSettings],
    postgresql_server: str,
    store: ImageStore,
    tmp_path: Path,
) -> None:
    with Records.open(postgresql) as records:
        fill(records, store, count=40, cells=(300, 400))

    def cutting(settings: DatabaseSettings, at: str) -> Callable[[str, int, int], None]:
        steps = iter([at])
        return lambda step, _done, _total: cut(settings, postgresql_server) if step == at and next(steps, None) else None

    out = tmp_path / "backups" / "out"
    with pytest.raises(RecordError, match=r"(pg_dump could not do its|refused the) work: found .*(terminat|clos)"):
        make(postgresql, store, out, report=cutting(postgresql, "copying the records"))
    assert not list(out.parent.iterdir())
    made = make(postgresql, store, out)

    target = new_postgresql()
    with pytest.raises(RecordError, match=r"(pg_restore could not do its|refused the) work: found .*(terminat|clos)"):
        restore_backup(out, target, store, programs=PROGRAMS, report=cutting(target, "restoring the records"))
    assert nothing_in(target)
    assert restore(out, target, store)[0] == made
