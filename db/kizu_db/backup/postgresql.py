"""A PostgreSQL database as an archive of pg_dump, and back by pg_restore."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, cast

import psycopg
from sqlalchemy import Connection, inspect, text

from kizu_db.backup.files import Content, Report, hashed_copy, writer
from kizu_db.engine import connected
from kizu_db.settings import DatabaseSettings
from kizu_db.tables import Base
from kizu_inspect.errors import ConfigError, RecordError

__all__ = ["dump", "find_program", "load", "require_vacant"]

_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")
_SAID = 600


def find_program(name: str, folder: Path | None) -> Path:
    """PostgreSQL's program of this name, in `folder` or else on the PATH. Raises ConfigError."""
    found = shutil.which(name, path=None if folder is None else str(folder))
    if found is None:
        raise ConfigError(
            f"PostgreSQL's program {name} is not there",
            found=f"none {'on the PATH' if folder is None else f'in {folder}'}",
            next_step="Install PostgreSQL's client programs, or name their folder with --postgresql-bin.",
        )
    return Path(found)


def dump(connection: Connection, program: Path, target: Path, report: Report) -> Content:
    """Write the state that the connection's transaction sees into the new file `target`.

    The transaction must be REPEATABLE READ: pg_dump takes over its snapshot. Raises ConfigError for a pg_dump older than the
    server, RecordError where it fails, OSError where the disk refuses.
    """
    server = cast("psycopg.Connection[object]", connection.connection.driver_connection).info.server_version // 10_000
    if (found := _major(program)) < server:
        raise ConfigError(
            f"{program} is older than the server",
            found=f"version {found}",
            expected=f"version {server} or later",
            next_step="Install PostgreSQL's client programs of that version, or name their folder with --postgresql-bin.",
        )
    connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))  # it only waits while pg_dump works
    snapshot = connection.scalar(text("SELECT pg_export_snapshot()"))
    # Most of it is maps of half floats: the usual level made them 8 % smaller, in nearly twice the time.
    arguments = ["--format=custom", "--compress=1", f"--snapshot={snapshot}"]
    with (
        target.open("xb") as file,
        _running(connection, program, arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as child,
    ):
        # Through a pipe: it is hashed on the way, and where this process is killed pg_dump does not outlive it.
        return hashed_copy(cast("IO[bytes]", child.stdout), writer(file), step="copying the records", report=report)


def require_vacant(settings: DatabaseSettings) -> None:
    """Raise RecordError where the database has a table of Kizu's, or cannot be reached."""
    with connected(settings) as connection:
        ours = sorted({*Base.metadata.tables, "alembic_version"} & {*inspect(connection).get_table_names()})
    if ours:
        raise RecordError(
            "A backup is restored only where no records are",
            found=f"the table {ours[0]} in {settings.shown}",
            next_step="Make a new database (createdb NAME), and name it in database.url.",
        )


def load(source: Path, program: Path, settings: DatabaseSettings, report: Report) -> None:
    """Bring the archive into the database: all of it, or nothing. Raises RecordError.

    Where this process is killed, pg_restore finds its input cut short and takes all back; only after it was handed the
    last byte does it end its work alone.
    """
    arguments = ["--single-transaction", "--exit-on-error", "--no-owner"]
    with (
        connected(settings, "write") as connection,  # pg_restore takes over its options
        source.open("rb") as file,
        _running(connection, program, arguments, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as child,
    ):
        archive = cast("IO[bytes]", child.stdin)
        total = source.stat().st_size
        with suppress(BrokenPipeError):  # it has ended already, and its exit code and its words say why
            hashed_copy(file, archive.write, step="restoring the records", total=total, report=report)
        with suppress(BrokenPipeError):
            archive.close()


@contextmanager
def _running(
    connection: Connection, program: Path, arguments: list[str], *, stdin: int, stdout: int
) -> Iterator[subprocess.Popen[bytes]]:
    """The program at work on the connection's database. Raises RecordError where it fails."""
    info = cast("psycopg.Connection[object]", connection.connection.driver_connection).info
    # On the command line every user of the machine could read the password; `dsn` has none.
    environment = {**os.environ, "LC_ALL": "C"} | ({"PGPASSWORD": info.password} if info.password else {})
    command = [str(program), *arguments, "--no-password", f"--dbname={info.dsn}"]
    with tempfile.TemporaryFile() as said:
        with subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=said, env=environment) as child:
            try:
                yield child
            except BaseException:  # whatever ends the work here, Ctrl-C too, ends the program; it is raised again
                child.kill()
                raise
        if child.returncode:
            said.seek(0)
            raise RecordError(
                f"{program.name} could not do its work",
                found=said.read(_SAID).decode("utf-8", "replace").strip() or f"exit code {child.returncode}",
                next_step="Nothing of this step was kept.",
            )


def _major(program: Path) -> int:
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    except OSError as exc:
        said = exc.strerror or str(exc)
    found = _VERSION.search(said)
    if found is None:
        raise ConfigError(f"{program} does not tell its version", found=said.strip() or "nothing", expected="PostgreSQL's own")
    return int(found[1])
