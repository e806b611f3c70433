"""A real PostgreSQL server that hangs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
from freezing import freeze, thaw

__all__ = ["frozen"]


@contextmanager
def frozen(url: str) -> Iterator[None]:
    """The server at this address takes what is sent to it within the block, and answers nothing."""
    with closing(psycopg.connect(url)) as connection:
        status = Path(f"/proc/{connection.info.backend_pid}/stat").read_text()
    stopped = freeze(int(status.rpartition(")")[2].split()[1]))
    try:
        yield
    finally:
        thaw(stopped)
