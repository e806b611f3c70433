"""One unchanging state of a database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from kizu_db.engine import READ_ONLY, make_engine, refused
from kizu_db.settings import DatabaseSettings

__all__ = ["one_state"]


@contextmanager
def one_state(settings: DatabaseSettings) -> Iterator[Connection]:
    """A connection whose transaction sees the state at its first read, whatever is written meanwhile.

    Raises RecordError where the database refuses or is away.
    """
    engine = make_engine(settings)
    try:
        with engine.execution_options(**{READ_ONLY: True}).connect() as connection:
            yield connection
    except SQLAlchemyError as exc:
        raise refused(exc, settings.shown) from exc
    finally:
        engine.dispose()
