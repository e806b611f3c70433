"""What the repositories share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from sqlalchemy import Executable, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Session

from kizu_db.tables import InspectionTable
from kizu_inspect.errors import RecordError, RecordRefused

__all__ = ["PLAIN", "insert_into", "insert_unless_there", "inspection_id", "number_of", "plain_json"]

PLAIN: Final = {"synchronize_session": False}
"""Of a statement that changes rows which its unit has not read, or does not read again."""

_NUMBER = select(InspectionTable.id.expression).where(InspectionTable.uid.expression == bindparam("uid"))


def insert_into(session: Session, table: type[DeclarativeBase]) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that can say what happens to a taken key: the two databases share the words, not the class."""
    return sqlite.insert(table) if session.get_bind().dialect.name == "sqlite" else postgresql.insert(table)


def insert_unless_there(session: Session, table: type[DeclarativeBase], values: Mapping[str, Any]) -> Any | None:
    """The new row's primary key (its first column); None where a unique key is taken already.

    The transaction stays usable either way. Another error than a taken key is raised as usual.
    """
    connection = session.connection()
    return connection.scalar(_insert_unless_there(connection.dialect.name, table), dict(values))


@cache
def _insert_unless_there(dialect: str, table: type[DeclarativeBase]) -> Executable:
    # What a line says a thousand times is built once: building it costs several times what the database needs for it.
    columns = table.metadata.tables[table.__tablename__]
    statement = sqlite.insert(columns) if dialect == "sqlite" else postgresql.insert(columns)
    return statement.on_conflict_do_nothing().returning(next(iter(columns.primary_key)))


def number_of(session: Session, uid: str) -> int | None:
    """The inspection's number in this database; None where there is no such inspection."""
    found: int | None = session.connection().scalar(_NUMBER, {"uid": uid})
    return found


def inspection_id(session: Session, uid: str) -> int:
    """The inspection's number in this database. Raises RecordError where there is no such inspection."""
    found = number_of(session, uid)
    if found is None:
        raise RecordError("There is no such inspection", found=repr(uid), expected="the uid of a recorded inspection")
    return found


def plain_json(content: Mapping[str, Any], what: str) -> dict[str, Any]:
    """The content as a database gives it back: lists for tuples, text for keys. Raises RecordRefused for other values."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(content), allow_nan=False))
    except (TypeError, ValueError) as exc:
        raise RecordRefused(f"{what} holds what JSON cannot hold", found=exc, expected="text, finite numbers, lists") from exc
    return plain
