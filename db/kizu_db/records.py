"""The door to the records: one unit of work, one `with` block, committed or rolled back whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from kizu_db.engine import READ_ONLY, make_engine, refused
from kizu_db.migrations import require_current
from kizu_db.repositories.inspections import Inspections
from kizu_db.repositories.models import Models
from kizu_db.repositories.recipes import Recipes
from kizu_db.repositories.reviews import Reviews
from kizu_db.settings import DatabaseSettings

__all__ = ["Inspections", "Models", "Recipes", "Records", "Reviews", "Unit"]


class Unit:
    """The repositories of one transaction; of use only inside its `with` block."""

    def __init__(self, session: Session) -> None:
        self.inspections = Inspections(session)
        self.models = Models(session)
        self.recipes = Recipes(session)
        self.reviews = Reviews(session)


class Records:
    """The records of one database. Threads may share it: each unit has a connection of its own."""

    def __init__(self, engine: Engine, shown_url: str) -> None:
        self._engine = engine
        self._reader = engine.execution_options(**{READ_ONLY: True})
        self._shown_url = shown_url

    @classmethod
    def open(cls, settings: DatabaseSettings) -> Records:
        """The records at this address; close them after use.

        Raises SchemaError where the database has another version than this program (or none), RecordError where it cannot
        be reached, ConfigError where the password cannot be read.
        """
        require_current(settings)
        return cls(make_engine(settings), settings.shown)

    @contextmanager
    def unit(self, *, read_only: bool = False) -> Iterator[Unit]:
        """One transaction: all of it is kept, or, after an exception, nothing.

        A read-only unit sees one unchanging state and waits for nobody; on SQLite any other unit is the only writer
        while it lasts, so draw pictures and pages outside of it. Raises RecordError where the database refuses or is away.
        """
        try:
            with Session(self._reader if read_only else self._engine) as session, session.begin():
                yield Unit(session)
        except SQLAlchemyError as exc:
            raise refused(exc, self._shown_url) from exc

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.close()
