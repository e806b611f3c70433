"""A SQLite database as one file, taken while others write on."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import cast
from urllib.parse import quote

from sqlalchemy import Connection

from kizu_db.backup.files import Content, Report, copied, unfinished, writing
from kizu_inspect.durable import sync
from kizu_inspect.errors import RecordError

__all__ = ["copy_out", "put_in_place", "require_sound", "require_vacant"]

_PAGES = 1024


def copy_out(connection: Connection, target: Path, report: Report) -> None:
    """Write the state that the connection's transaction sees into the new file `target`. Raises RecordError.

    The transaction must have read already. SQLite's online backup starts again from its first page when it finds that
    another connection has written, and would never end on a running line; a connection that holds a read transaction
    finds one unchanging state, and with a write-ahead log its reading stops no writer.
    """
    source = cast(sqlite3.Connection, connection.connection.driver_connection)
    page = connection.exec_driver_sql("PRAGMA page_size").scalar_one()

    def told(_status: int, remaining: int, total: int) -> None:
        sync(target)  # a little at a time: a line whose commit comes during one long sync waits for its end
        report("copying the records", (total - remaining) * page, total * page)

    try:
        with closing(sqlite3.connect(target, isolation_level=None)) as copy:
            # Nothing to take back and nothing to wait for: the file is new.
            copy.execute("PRAGMA journal_mode = OFF")
            copy.execute("PRAGMA synchronous = OFF")
            source.backup(copy, pages=_PAGES, progress=told)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, which also a read-only disk can show
    except sqlite3.Error as exc:
        raise RecordError(
            f"The records could not be copied to {target}",
            found=exc,
            next_step="Nothing was left behind. Check the free space and the owner of that folder.",
        ) from exc


def require_sound(file: Path, what: str, next_step: str) -> None:
    """Raise RecordError where SQLite finds the closed file damaged; nothing is written beside it."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro&immutable=1", uri=True)) as connection:
            said = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(3)")]
    except sqlite3.Error as exc:
        said = [str(exc)]
    if said != ["ok"]:
        raise RecordError(f"{what} is damaged", found="; ".join(said), next_step=next_step)


def require_vacant(target: Path) -> None:
    """Raise RecordError where a database lies at `target`, or what is left of one."""
    # A log beside a restored file would be replayed into it, whichever database wrote the log.
    for path in (target, *(target.with_name(target.name + end) for end in ("-wal", "-shm", "-journal"))):
        if os.path.lexists(path):
            raise RecordError(
                "A backup is restored only where no database is",
                found=path,
                next_step="Move that file away, or name another in database.url.",
            )


def put_in_place(source: Path, content: Content, target: Path, report: Report, cleared: Callable[[Path], None]) -> None:
    """Make `target` a copy of the backup's file: there whole, sound and on the disk, or not at all.

    Raises RecordError where a database is there, the copy is not `content` or damaged, or the disk refuses; ConfigError
    where another process restores to there.
    """
    with writing(f"The database {target}"), unfinished(target, cleared=cleared) as copy:
        if copied(source, copy, step="restoring the records", report=report) != content:
            raise RecordError(f"{source} changed while it was read", next_step="Check that disk, and try again.")
        require_sound(copy, f"The database in {source}", "This backup cannot be restored; take an older one.")
        sync(copy)
        require_vacant(target)
        os.link(copy, target)  # unlike a rename it fails where a starting line has just made a database
        copy.unlink()
        sync(target.parent)
