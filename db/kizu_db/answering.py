"""Connections to PostgreSQL that do not wait for ever: a server may hang while its kernel still takes what is sent."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg

if TYPE_CHECKING:
    from psycopg.abc import PQGen

__all__ = ["AnsweringConnection", "connect"]

T = TypeVar("T")

_NOTHING: Final = 0
"""What psycopg tells each time when neither an answer nor room for a question came."""


class AnsweringConnection(psycopg.Connection[Any]):
    """A connection that is given up where the server says nothing at all for `answer_s` seconds.

    Whatever psycopg waits for on an open connection goes through `wait`: statements, commit, rollback. It is silence that ends
    it, and not work that takes long while rows come. The server may still do what it was told last.
    """

    answer_s: float

    def wait(self, gen: PQGen[T], *args: Any, **kwargs: Any) -> T:
        """What `gen` gives. Raises psycopg.OperationalError after the silence; the connection is closed then."""
        try:
            return super().wait(_heard(gen, self.answer_s), *args, **kwargs)
        except _SilenceError as silence:
            self.close()
            raise psycopg.OperationalError(str(silence)) from None


def connect(*args: Any, answer_s: float, **kwargs: Any) -> AnsweringConnection:
    """Connect as `psycopg.connect` does, whose `connect_timeout` holds until the server lets one in."""
    connection: AnsweringConnection = AnsweringConnection.connect(*args, **kwargs)
    connection.answer_s = answer_s
    return connection


class _SilenceError(Exception):
    """Nothing came."""


def _heard(gen: PQGen[T], answer_s: float) -> PQGen[T]:
    """The same generator, with an end to its patience; it is resumed several times a second, also when nothing came."""
    heard_s = time.monotonic()
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            now_s = time.monotonic()
            if ready != _NOTHING:
                heard_s = now_s
            elif now_s - heard_s > answer_s:
                raise _SilenceError(f"the server gave no answer for {answer_s:.0f} s")
            wanted = gen.send(ready)
    except StopIteration as end:
        result: T = end.value
        return result
