"""Connections to the database, set up so that a committed row survives a power cut and a reader never stops a writer."""

from __future__ import annotations

import json
import sqlite3
import time
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from kizu_db.settings import DatabaseSettings
from kizu_inspect.errors import RecordError

__all__ = ["NOT_DURABLE", "READ_ONLY", "WAIT_S", "make_engine", "refused"]

READ_ONLY = "kizu_read_only"
"""Execution option of an engine whose transactions only read."""

NOT_DURABLE = "kizu_not_durable"
"""Execution option of an engine whose transactions a power cut may take back."""

WAIT_S = 30.0
"""For how long a writer waits for another one."""

_CONNECT_S = 10


def make_engine(settings: DatabaseSettings, *, foreign_keys: bool = True) -> Engine:
    """An engine for either database; whoever makes it disposes of it. Connects only when it is first used.

    Without `foreign_keys` SQLite does not check them: for a migration that puts another table in the place of one.

    Raises ConfigError where the password file cannot be read.
    """
    url = settings.connection_url()
    # NaN is no JSON: PostgreSQL refuses it, and SQLite would keep what no other program reads.
    to_json = partial(json.dumps, allow_nan=False)
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": WAIT_S}, json_serializer=to_json)
        event.listen(engine, "connect", partial(_prepare_sqlite, foreign_keys=foreign_keys))
        event.listen(engine, "begin", _begin_sqlite)
    else:
        # A plan that is made once for all values would walk a whole table for a rare one.
        options = "-c plan_cache_mode=force_custom_plan"
        connect_args = {"connect_timeout": _CONNECT_S, "application_name": "kizu", "options": options}
        engine = create_engine(url, connect_args=connect_args, json_serializer=to_json, pool_pre_ping=True)
        event.listen(engine, "begin", _begin_postgresql)
    return engine


def refused(exc: SQLAlchemyError, shown_url: str) -> RecordError:
    """What a person reads when the database says no: the driver's own words, without the statement."""
    cause = getattr(exc, "orig", None) or exc
    return RecordError(
        f"The database {shown_url} refused the work",
        found=str(cause).strip() or type(cause).__name__,
        next_step="Nothing of this step was kept.",
    )


def _prepare_sqlite(connection: Any, _record: object, *, foreign_keys: bool) -> None:
    # Python's sqlite3 would begin a transaction only before the first write and commit before a CREATE TABLE; so it is
    # told to begin none, and `_begin_sqlite` does.
    connection.isolation_level = None
    cursor = connection.cursor()
    try:
        _use_write_ahead_log(cursor)
        cursor.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")
        cursor.execute("PRAGMA recursive_triggers = ON")  # INSERT OR REPLACE then meets the triggers that refuse a delete
    finally:
        cursor.close()


def _use_write_ahead_log(cursor: sqlite3.Cursor) -> None:
    # A file is changed over once. Two programs at it together would wait for each other, so SQLite refuses one of them
    # at once, without the wait that `timeout` promises.
    give_up = time.monotonic() + WAIT_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(0.01)


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that may write takes the write lock at once: one that reads first and then writes is refused
    # without waiting when another wrote in between.
    options = connection.get_execution_options()
    read_only = bool(options.get(READ_ONLY, False))
    # With NORMAL a power cut takes back the last commits: of a claim, but not of a row whose file has moved already.
    connection.exec_driver_sql(f"PRAGMA synchronous = {'NORMAL' if options.get(NOT_DURABLE, False) else 'FULL'}")
    connection.exec_driver_sql(f"PRAGMA query_only = {'ON' if read_only else 'OFF'}")
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _begin_postgresql(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get(NOT_DURABLE, False):
        connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
    if options.get(READ_ONLY, False):
        # One snapshot for the whole unit, as in SQLite: a list and its counts then agree.
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
