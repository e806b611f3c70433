"""Connections to the database, set up so that a committed row survives a power cut and a reader never stops a writer."""

from __future__ import annotations

import json
import math
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    DisconnectionError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
    StatementError,
    TimeoutError,  # noqa: A004 - of a pool
)
from sqlalchemy.pool import ConnectionPoolEntry

from kizu_db.settings import DatabaseSettings
from kizu_inspect.errors import RecordError, RecordRefused, RecordsAway

__all__ = ["ANSWER_S", "PROMPT_ANSWER_S", "PROMPT_S", "WAIT_S", "Use", "connected", "make_engine", "refused"]

Use = Literal["write", "prompt", "pass", "read", "look"]
"""What an engine's transactions are for: to write, to write at once or not at all, to write what a power cut may take back,
only to read, or to read at once or not at all."""

WAIT_S = 30.0
"""For how long a writer of SQLite waits for another one."""

PROMPT_S = 2.0
"""For how long one waits that is to know soon whether the database can be had: for a lock, or for a server to answer."""

ANSWER_S = 60.0
"""For how long a page, or a writer who has time, waits for a server that says nothing at all."""

PROMPT_ANSWER_S = 5.0
"""The same for one that is to know soon. Longer than for a lock: the disk of a busy server may take its time for a commit."""

_CONNECT_S = 10
_PASSING_SQLITE = frozenset({
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY,
})  # fmt: skip
_PASSING_STATES = ("08", "40", "53", "57", "58", "55000", "55P03", "25006")
"""SQLSTATE: connection, deadlock, resources, operator, system; a database that lets nobody in, a lock, a standby."""
_CONTENT_SQLITE = frozenset({sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG})
_CONTENT_STATES = ("22", "23", "54", "P0001")
"""SQLSTATE: data, constraints, limits of an index or a row, a trigger's own word."""
_IDLE_S = 1.0


def make_engine(settings: DatabaseSettings, use: Use = "write", *, foreign_keys: bool = True, gives_up: bool = False) -> Engine:
    """An engine for either database; whoever makes it disposes of it. Connects only when it is first used.

    Without `foreign_keys` SQLite does not check them: for a migration that puts another table in the place of one.
    One that `gives_up` takes a server that says nothing for `ANSWER_S` (`PROMPT_ANSWER_S`) for away; without it statements
    may take hours.
    Raises ConfigError where the password file cannot be read.
    """
    reads, prompt = use in ("read", "look"), use in ("prompt", "look")
    url = settings.connection_url()
    # NaN is no JSON: PostgreSQL refuses it, and SQLite would keep what no other program reads.
    to_json = partial(json.dumps, allow_nan=False)
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": PROMPT_S if prompt else WAIT_S}, json_serializer=to_json)
        event.listen(engine, "connect", partial(_prepare_sqlite, use=use, foreign_keys=foreign_keys))
        # A transaction that may write takes the write lock at once: one that reads first and then writes is refused without
        # waiting when another wrote in between.
        begin = "BEGIN" if reads else "BEGIN IMMEDIATE"
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
        return engine
    # A plan that is made once for all values would walk a whole table for a rare one; a claim is always the same.
    options = ["synchronous_commit=off"] if use == "pass" else ["plan_cache_mode=force_custom_plan"]
    if reads:
        # One snapshot for the whole unit, as in SQLite: a list and its counts then agree.
        options += ["default_transaction_isolation=repeatable\\ read", "default_transaction_read_only=on"]
    if prompt:
        options.append(f"lock_timeout={PROMPT_S * 1e3:.0f}")
    connect_args: dict[str, Any] = {
        "connect_timeout": max(2, round(PROMPT_S)) if prompt else _CONNECT_S,  # less means 2 to libpq
        "application_name": "kizu",
        "options": " ".join(f"-c {option}" for option in options),
    }
    if prompt:  # of a network that is cut the kernel tells only after a quarter of an hour
        connect_args |= {"tcp_user_timeout": round(PROMPT_S * 1e3)}
    # Each claim is one statement: BEGIN and COMMIT would cost two more ways to the server.
    alone: dict[str, Any] = {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True} if use == "pass" else {}
    engine = create_engine(url, connect_args=connect_args, json_serializer=to_json, **alone)
    if gives_up:
        event.listen(engine, "do_connect", partial(_connect, answer_s=PROMPT_ANSWER_S if prompt else ANSWER_S))
    event.listen(engine, "checkin", _remember_use)
    event.listen(engine, "checkout", partial(_require_alive, engine))
    return engine


@contextmanager
def connected(settings: DatabaseSettings, use: Use = "read", *, gives_up: bool = False) -> Iterator[Connection]:
    """A connection outside of the repositories; what it reads is one state, whatever is written meanwhile.

    `gives_up` is that of `make_engine`. Raises RecordError where the database refuses or is away.
    """
    engine = make_engine(settings, use, gives_up=gives_up)
    try:
        with engine.connect() as connection:
            yield connection
    except SQLAlchemyError as exc:
        raise refused(exc, settings.shown) from exc
    finally:
        engine.dispose()


def refused(exc: SQLAlchemyError, shown_url: str) -> RecordError:
    """What a person reads when the database says no: the driver's own words, without the statement.

    A RecordsAway where the same work may succeed later: no connection, a lock, a full disk. A RecordRefused where it is what
    was to be written that it will not have: too long, out of range, against a constraint.
    """
    cause = getattr(exc, "orig", None) or exc
    kind = RecordsAway if _passes(exc) else RecordRefused if _is_of_content(exc) else RecordError
    return kind(
        f"The database {shown_url} refused the work",
        found=str(cause).strip() or type(cause).__name__,
        next_step="Nothing of this step was kept.",
    )


def _passes(exc: SQLAlchemyError) -> bool:
    """Whether the same work may succeed later, by the database's own codes: a lock, a full disk, a server that is away."""
    if isinstance(exc, (DisconnectionError, TimeoutError)):
        return True
    if not isinstance(exc, DBAPIError):
        return False
    if isinstance(exc.orig, sqlite3.Error):
        return getattr(exc.orig, "sqlite_errorcode", 0) & 0xFF in _PASSING_SQLITE
    state = getattr(exc.orig, "sqlstate", None)
    if state is None:  # the driver's own word: no connection
        return exc.connection_invalidated or isinstance(exc, (OperationalError, InterfaceError))
    return str(state).startswith(_PASSING_STATES)


def _is_of_content(exc: SQLAlchemyError) -> bool:
    """Whether other values could have been written."""
    if not isinstance(exc, DBAPIError):
        return isinstance(exc, StatementError)  # a value that has no form in the database
    if isinstance(exc.orig, sqlite3.Error):
        return getattr(exc.orig, "sqlite_errorcode", 0) & 0xFF in _CONTENT_SQLITE
    return isinstance(exc, (DataError, IntegrityError)) or str(getattr(exc.orig, "sqlstate", "")).startswith(_CONTENT_STATES)


def _connect(_dialect: object, _record: object, cargs: list[Any], cparams: dict[str, Any], *, answer_s: float) -> object:
    from kizu_db.answering import connect  # a station with SQLite needs no psycopg

    return connect(*cargs, answer_s=answer_s, **cparams)


def _remember_use(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info["used_at"] = time.monotonic()


def _require_alive(engine: Engine, connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
    """Ask a connection that lay idle whether the server is still there; for each unit it would cost as much as the work."""
    if time.monotonic() - record.info.get("used_at", math.inf) > _IDLE_S:
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as exc:
            raise DisconnectionError from exc  # the pool then takes a new one


def _prepare_sqlite(connection: Any, _record: object, *, use: Use, foreign_keys: bool) -> None:
    # Python's sqlite3 would begin a transaction only before the first write and commit before a CREATE TABLE; so it is
    # told to begin none, and our own listener does.
    connection.isolation_level = None
    cursor = connection.cursor()
    try:
        _use_write_ahead_log(cursor)
        cursor.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")
        # With NORMAL a power cut takes back the last commits: of a claim, but not of a row whose file has moved already.
        cursor.execute(f"PRAGMA synchronous = {'NORMAL' if use == 'pass' else 'FULL'}")
        if use == "pass":
            # A claim waits for no disk: to clear up the write-ahead log is left to the writes that do.
            cursor.execute("PRAGMA wal_autocheckpoint = 0")
        cursor.execute(f"PRAGMA query_only = {'ON' if use in ('read', 'look') else 'OFF'}")
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
