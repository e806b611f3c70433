"""What happens to a write where the file, the disk or the server says no: a clear error, and nothing lost."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from sqlalchemy.engine import make_url

from db_examples import inspection
from kizu_db.migrations import upgrade
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings
from kizu_db.verifying import verify
from kizu_inspect.errors import RecordError

NOBODY = 65534


@contextmanager
def as_nobody(*paths: Path) -> Iterator[None]:
    """Without the rights of root, to whom no file is read-only, where the tests have them."""
    if os.geteuid() != 0:
        yield
        return
    for path in paths:
        os.chown(path, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_read_only_file_is_read_and_not_written() -> None:
    with TemporaryDirectory(prefix="kizu-") as name:
        folder = Path(name)
        settings = DatabaseSettings(url=f"sqlite:///{folder / 'kizu.db'}")
        upgrade(settings)
        with Records.open(settings) as records, records.unit() as unit:
            uid = unit.inspections.add(inspection())
        files = sorted(folder.iterdir())
        for path in files:
            path.chmod(stat.S_IRUSR)
        said = r"refused the work: found .*readonly.*Nothing of this step was kept"
        with as_nobody(folder, *files), Records.open(settings) as records:
            with pytest.raises(RecordError, match=said), records.unit() as unit:
                unit.inspections.add(inspection())
            with records.unit(read_only=True) as unit:
                assert [row.uid for row in unit.inspections.latest()] == [uid]


FILL_THE_DISK = """
import resource, sys
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings
from kizu_inspect.errors import RecordError
from db_examples import inspection

records = Records.open(DatabaseSettings(url=sys.argv[1]))
with records.unit() as unit:
    unit.inspections.add(inspection(source_key="before"))
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
kept = 0
try:
    while True:
        with records.unit() as unit:
            unit.inspections.add(inspection(source_key=f"key {kept}", image_name="x" * 20_000))
        kept += 1
except RecordError as error:
    print(kept, error)
"""


def test_a_full_disk_is_told_and_all_that_was_kept_stays(tmp_path: Path) -> None:
    settings = DatabaseSettings(url=f"sqlite:///{tmp_path / 'kizu.db'}")
    upgrade(settings)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    ran = subprocess.run(
        [sys.executable, "-c", FILL_THE_DISK, settings.url], capture_output=True, text=True, check=True, env=environment
    )
    kept, _, said = ran.stdout.partition(" ")
    assert "refused the work: found" in said
    assert "full" in said or "disk I/O" in said
    assert "Nothing of this step was kept." in said
    with Records.open(settings) as records:
        with records.unit(read_only=True) as unit:
            assert len(unit.inspections.latest(limit=1000)) == int(kept) + 1
            assert int(kept) > 0
        with records.unit() as unit:
            unit.inspections.add(inspection())
    assert verify(settings).findings == ()


def test_a_lost_connection_loses_its_own_unit_only(new_postgresql: Callable[[], DatabaseSettings]) -> None:
    settings = new_postgresql()
    upgrade(settings)
    url = make_url(settings.url)
    with Records.open(settings) as records:
        with records.unit() as unit:
            uid = unit.inspections.add(inspection())

        def lose_it_between_two() -> None:
            with records.unit() as unit:
                unit.inspections.add(inspection())
                address = url.set(drivername="postgresql").render_as_string(hide_password=False)
                with closing(psycopg.connect(address, autocommit=True)) as other:
                    ours = "pg_stat_activity WHERE application_name = 'kizu' AND datname = %s"
                    other.execute(f"SELECT pg_terminate_backend(pid) FROM {ours}".encode(), [url.database])
                unit.inspections.add(inspection())

        with pytest.raises(RecordError, match=r"refused the work: found .*(terminat|clos)"):
            lose_it_between_two()
        with records.unit() as unit:  # the next one finds its way by itself
            later = unit.inspections.add(inspection())
            assert [row.uid for row in unit.inspections.latest()] == [later, uid]
    assert verify(settings).findings == ()


def test_a_file_that_another_program_holds_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kizu_db.engine.WAIT_S", 0.1)
    settings = DatabaseSettings(url=f"sqlite:///{tmp_path / 'kizu.db'}")
    upgrade(settings)
    with Records.open(settings) as one, Records.open(settings) as other, one.unit() as unit:
        unit.inspections.add(inspection())
        with pytest.raises(RecordError, match=r"refused the work: found database is locked"), other.unit() as second:
            second.inspections.add(inspection())


def test_a_unit_within_a_unit_is_told_and_not_waited_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kizu_db.records.WAIT_S", 0.1)
    settings = DatabaseSettings(url=f"sqlite:///{tmp_path / 'kizu.db'}")
    upgrade(settings)
    with Records.open(settings) as records, records.unit() as unit:
        unit.inspections.add(inspection())
        with pytest.raises(RecordError, match=r"is busy: found units of this program"), records.unit():
            pass
