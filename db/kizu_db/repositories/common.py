"""What the repositories share."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Session

from kizu_db.tables import InspectionTable
from kizu_inspect.errors import RecordError

__all__ = ["insert_into", "insert_unless_there", "inspection_id", "plain_json", "require_finite"]


def insert_into(session: Session, table: type[DeclarativeBase]) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that can say what happens to a taken key: the two databases share the words, not the class."""
    return sqlite.insert(table) if session.get_bind().dialect.name == "sqlite" else postgresql.insert(table)


def insert_unless_there(session: Session, table: type[DeclarativeBase], values: Mapping[str, Any]) -> Any | None:
    """The new row's primary key (its first column); None where a unique key is taken already.

    The transaction stays usable either way. Another error than a taken key is raised as usual.
    """
    key = table.__mapper__.primary_key[0]
    return session.scalar(insert_into(session, table).values(**values).on_conflict_do_nothing().returning(key))


def inspection_id(session: Session, uid: str) -> int:
    """The inspection's number in this database. Raises RecordError where there is no such inspection."""
    found = session.scalar(select(InspectionTable.id).where(InspectionTable.uid == uid))
    if found is None:
        raise RecordError("There is no such inspection", found=repr(uid), expected="the uid of a recorded inspection")
    return found


def plain_json(content: Mapping[str, Any], what: str) -> dict[str, Any]:
    """The content as a database gives it back: lists for tuples, text for keys. Raises RecordError for other values."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(content), allow_nan=False))
    except (TypeError, ValueError) as exc:
        raise RecordError(f"{what} holds what JSON cannot hold", found=exc, expected="text, finite numbers, lists") from exc
    return plain


def require_finite(values: Mapping[str, float | None], what: str) -> None:
    """Raise RecordError for a NaN or an infinity: the databases disagree about them, and none means anything here."""
    for name, value in values.items():
        if value is not None and not math.isfinite(value):
            raise RecordError(f"{what} has a {name} that is no number", found=value, expected="a finite number")
