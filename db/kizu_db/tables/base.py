"""What all tables share: the base with its names for constraints, and column types that are the same on every database."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Double, Enum, Integer, MetaData, String, Text, TypeDecorator
from sqlalchemy.orm import DeclarativeBase

__all__ = ["Base", "CleanText", "SearchText", "UtcDateTime", "clean_text", "row_id", "sha256_text", "words"]


class UtcDateTime(TypeDecorator[datetime]):
    """A time that goes in aware and comes out aware, in UTC, on every database (SQLite itself knows no time zones)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The time as this database keeps it. Raises ValueError for a time without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a time zone cannot be recorded: {value.isoformat()}")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The time in UTC, aware."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


def clean_text(text: str) -> str:
    r"""The text without what a database would refuse.

    A file name may hold bytes that are no UTF-8 (Python shows them as lone surrogates): they are written as `\udcff`.
    PostgreSQL refuses the character 0: it is written as U+FFFD.
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\ufffd")


class CleanText(TypeDecorator[str]):
    """Text that every database takes."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - the base's signature
        """The text as `clean_text` leaves it."""
        return None if value is None else clean_text(value)


row_id = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only for INTEGER
sha256_text = String(64)


def words(kind: type[StrEnum], name: str, *, length: int = 16) -> Enum:
    """A column of words with a check, kept as text so that a new word needs no new database type."""
    return Enum(
        kind,
        name=name,
        native_enum=False,
        length=length,
        create_constraint=True,
        values_callable=lambda k: [e.value for e in k],
    )


SearchText = Text(collation="C").with_variant(Text(), "sqlite")
"""Text in the order of its bytes, whatever the database's language: an index of it serves searches by how it begins."""


class Base(DeclarativeBase):
    """The base of all tables; constraints get names, so that a migration can find them again."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {str: CleanText, datetime: UtcDateTime, float: Double, dict[str, Any]: JSON, list[str]: JSON}  # noqa: RUF012 - read by SQLAlchemy
