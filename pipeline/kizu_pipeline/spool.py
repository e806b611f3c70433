"""What the records cannot take for now: rows kept on the local disk, in order, until they can."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from pydantic import TypeAdapter

from kizu_db.image_store import ImageStore
from kizu_db.records import Records
from kizu_db.spooled import rows_in, spool_path
from kizu_db.values import NewInspection
from kizu_inspect.durable import identity_of, make_folder, sync
from kizu_inspect.errors import ConfigError, RecordError, RecordRefused, RecordsAway
from kizu_pipeline.observing.state import LineState
from kizu_pipeline.settings import RuntimeSettings
from kizu_pipeline.sources.base import Queue
from kizu_pipeline.stages.part_state import JudgedPart

__all__ = ["Batch", "Spool", "open_spool"]

_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 5.0
_SHOWN: Final = 200

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS belongs (database TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS batch (number INTEGER PRIMARY KEY AUTOINCREMENT, rows INTEGER NOT NULL, content TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS known (source_key TEXT PRIMARY KEY, uid TEXT NOT NULL, error TEXT, batch INTEGER NOT NULL);
"""

_log = structlog.get_logger("kizu.line")


@dataclass(frozen=True)
class Batch:
    """What one transaction is to record."""

    uids: tuple[str, ...]
    news: tuple[NewInspection, ...]
    parts: tuple[JudgedPart, ...]
    """Those that these rows complete."""


_BATCH: Final = TypeAdapter(Batch)


class Spool:
    """The batches of one station that wait for its database, in a SQLite file that survives kills and power cuts.

    While any waits, or the database did not answer lately, the spool is `active`: every new batch goes behind those. One thread
    adds, one records; others may ask.
    """

    def __init__(self, path: Path, *, station: str, most_rows: int, state: LineState) -> None:
        """`state` is told while the database is away. The file is made when it is needed."""
        self._path = path
        self._station = station
        self._database = ""
        self._most_rows = most_rows
        self._state = state
        self._lock = threading.RLock()
        self._away = False
        self._since_s = time.monotonic()
        self._rows = 0
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        """Which file that is (device and inode)."""

    def begin(self, database: str) -> None:
        """Open the file, where there is one, for this database (`AuditTrail.root`).

        Raises ConfigError where it holds rows for another one, RecordError where it cannot be used.
        """
        self._database = database
        if self._path.exists():
            try:
                self._open()
            except (OSError, sqlite3.Error) as error:
                raise RecordError(
                    f"The spool {self._path} cannot be used", found=error,
                    next_step="It holds results that the database has not got. Check its folder, or put the file aside.",
                ) from error  # fmt: skip

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None:
            if identity_of(self._path) == self._file:
                return self._connection
            _log.error("the spool's file is gone, and what it held", rows=self._rows, spool=str(self._path))
            self._connection.close()
            self._connection = None
        make_folder(self._path.parent)
        file = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        # No write-ahead log: the image store that it lies in may be a network drive.
        file.execute("PRAGMA synchronous = EXTRA")
        file.executescript(_TABLES)
        sync(self._path.parent)
        self._rows = rows_in(file)
        before = file.execute("SELECT database FROM belongs").fetchone()
        if self._rows and before is not None and before[0] != self._database:
            raise ConfigError(
                f"{self._path} holds {self._rows} results for another database",
                found=f"the one that begins with {before[0][:12]}",
                expected=self._database[:12],
                next_step="Start once with that database, so that it gets them, or put the file aside.",
            )
        if before is None or before[0] != self._database:
            with _transaction(file):
                file.execute("DELETE FROM belongs")
                file.execute("INSERT INTO belongs VALUES (?)", (self._database,))
        self._connection, self._file = file, identity_of(self._path)
        return file

    @property
    def active(self) -> bool:
        """Whether batches wait, or the database did not answer lately."""
        with self._lock:
            return self._away or self._rows > 0

    def refused(self, error: RecordsAway) -> None:
        """The database does not answer: from now on batches are kept here, until all of them are recorded."""
        with self._lock:
            if not self.active:
                self._since_s = time.monotonic()
                _log.error("records are away; results are kept in the spool", error=str(error), spool=str(self._path))
            self._away = True
            self._state.records_away(self, str(error), judging=True)

    def keep(self, batch: Batch) -> bool:
        """Whether the batch is in the spool, on the disk; not where it is not active.

        Raises RecordsAway where it holds as much as it may, or its disk refuses, RecordRefused for what would not come back
        as it is.
        """
        with self._lock:
            if not self.active:
                return False
            if self._rows + len(batch.uids) > self._most_rows:
                raise RecordsAway(
                    f"The spool {self._path} is full", found=f"{self._rows} results",
                    expected=f"at most {self._most_rows} (runtime.spool_rows)", next_step="Bring the database back.",
                )  # fmt: skip
            with self._asked():
                file = self._open()
                with _transaction(file):
                    content = _content(batch)
                    number = file.execute(
                        "INSERT INTO batch (rows, content) VALUES (?, ?)", (len(batch.uids), content)
                    ).lastrowid
                    file.executemany(
                        "INSERT OR IGNORE INTO known VALUES (?, ?, ?, ?)",
                        [
                            (new.source_key, uid, new.error if new.image_sha256 is None else None, number)
                            for uid, new in zip(batch.uids, batch.news, strict=True)
                        ],
                    )
            self._rows += len(batch.uids)
            return True

    def known(self, source_keys: Collection[str]) -> dict[str, tuple[str, str | None]]:
        """Of those of these pieces of work whose rows wait here the uid, and the error of a file that could not be read.

        Raises RecordsAway where its disk refuses.
        """
        with self._lock, self._asked():
            if not self._rows or self._connection is None:
                return {}
            query = "SELECT source_key, uid, error FROM known WHERE source_key IN (SELECT value FROM json_each(?))"
            found = self._connection.execute(query, (json.dumps(list(source_keys)),)).fetchall()
        return {key: (uid, error) for key, uid, error in found}

    def run(self, records: Records, add: Callable[[Batch], object], *, ended: threading.Event, drain_s: float) -> None:
        """Record with `add` what waits, whenever the records can be had; once `ended`, for `drain_s` at most.

        Raises what else `add` raises.
        """
        pause_s = _PAUSE_S
        while not ended.wait(pause_s):
            if not self.active:
                continue
            try:
                rows = self.record(add, ended=ended.is_set)
                if not rows:
                    with records.unit(prompt=True) as unit:
                        unit.signals.reserve(self._station, 0)  # a write that changes nothing: a full disk can be read
            except RecordsAway:
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                continue
            pause_s = _PAUSE_S
            with self._lock:
                if not self._rows:
                    self._away = False
                    self._state.records_back(self)
                    _log.info(
                        "records are back; the spool is recorded", rows=rows, after_s=round(time.monotonic() - self._since_s, 1)
                    )
        until = time.monotonic() + drain_s
        with suppress(RecordsAway):  # the next start does it
            self.record(add, ended=lambda: time.monotonic() > until)

    def record(self, add: Callable[[Batch], object], *, ended: Callable[[], bool]) -> int:
        """Record what waits, oldest first, with `add`, a transaction each, until it has `ended`; how many rows that were.

        Raises what `add` raises, RecordsAway where the spool's disk refuses; what was not recorded waits on.
        """
        recorded = 0
        while not ended() and (first := self._first()) is not None:
            number, batch = first
            add(batch)
            recorded += len(batch.uids)
            self._drop(number)
        return recorded

    def _first(self) -> tuple[int, Batch] | None:
        with self._lock, self._asked():
            if not self._rows or self._connection is None:
                return None
            query = "SELECT number, content FROM batch ORDER BY number LIMIT 1"
            number, content = self._connection.execute(query).fetchone()
        return number, _BATCH.validate_json(content)

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """What the disk refuses may pass."""
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise RecordsAway(
                f"The spool {self._path} cannot be used", found=error,
                next_step="Check the free space of its disk. Nothing of this step was kept.",
            ) from error  # fmt: skip

    def _drop(self, number: int) -> None:
        with self._lock, self._asked():
            assert self._connection is not None
            with _transaction(self._connection):
                self._connection.execute("DELETE FROM known WHERE batch = ?", (number,))
                self._connection.execute("DELETE FROM batch WHERE number = ?", (number,))
            self._rows = rows_in(self._connection)

    def queues(self) -> dict[str, Queue]:
        """The rows that wait."""
        with self._lock:
            return {"spool": Queue(self._rows, self._since_s if self._rows else None)}

    def close(self) -> None:
        """Close the file; what waits in it is recorded by the next start."""
        with self._lock:
            if self._rows:
                _log.warning("results wait in the spool for the next start", rows=self._rows, spool=str(self._path))
            if self._connection is not None:
                self._connection.close()


@contextmanager
def open_spool(station: str, runtime: RuntimeSettings, image_store: ImageStore, state: LineState) -> Iterator[Spool]:
    """The station's spool, beside the pictures that its rows name. Raises as `Spool` does."""
    spool = Spool(
        spool_path(image_store.path, station),
        station=station,
        most_rows=runtime.spool_rows,
        state=state,
    )
    state.watch_queues("spool", spool.queues)
    try:
        yield spool
    finally:
        spool.close()


def _content(batch: Batch) -> str:
    try:
        content = _BATCH.dump_json(batch).decode()
        if _BATCH.validate_json(content) == batch:
            return content
        found: object = content[:_SHOWN]
    except ValueError as error:  # half of a character, or what is no number
        found = error
    raise RecordRefused("Results cannot be kept", found=found, expected="text of whole characters, finite numbers")


@contextmanager
def _transaction(file: sqlite3.Connection) -> Iterator[None]:
    file.execute("BEGIN IMMEDIATE")
    try:
        yield
        file.execute("COMMIT")
    except BaseException:  # whatever it was; it is raised again
        if file.in_transaction:  # a full disk has ended it already, or has let it stand
            file.execute("ROLLBACK")
        raise
