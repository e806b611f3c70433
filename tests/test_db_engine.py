"""What the connections promise to programs that share a database."""

from __future__ import annotations

from pathlib import Path
from threading import Barrier, Thread

from kizu_db.engine import make_engine
from kizu_db.settings import DatabaseSettings

TOGETHER = 6


def test_several_programs_may_make_the_same_sqlite_file_at_once(tmp_path: Path) -> None:
    """Six at once met SQLite's refusal to change over to its write-ahead log in about one of fourteen rounds."""
    failed: list[Exception] = []
    for number in range(60):
        settings = DatabaseSettings(url=f"sqlite:///{tmp_path / f'{number}.db'}")
        barrier = Barrier(TOGETHER)

        def write(settings: DatabaseSettings = settings, barrier: Barrier = barrier) -> None:
            engine = make_engine(settings)
            barrier.wait()
            try:
                with engine.begin() as connection:
                    connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS seen (part TEXT)")
            except Exception as exc:  # noqa: BLE001 - handed to the test's own thread
                failed.append(exc)
            finally:
                engine.dispose()

        programs = [Thread(target=write) for _ in range(TOGETHER)]
        for program in programs:
            program.start()
        for program in programs:
            program.join()
    assert failed == []
