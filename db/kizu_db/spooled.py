"""Where a station's spool lies beside the pictures, and how many rows wait in it for the database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, unquote

__all__ = ["rows_in", "spool_path", "spooled_rows"]

_FOLDER = ".spool"


def spool_path(images: Path, station: str) -> Path:
    """The file of this station's spool in the image store."""
    return images / _FOLDER / f"{quote(station, safe='')}.db"


def rows_in(file: sqlite3.Connection) -> int:
    """How many rows wait in an open spool."""
    return int(file.execute("SELECT coalesce(sum(rows), 0) FROM batch").fetchone()[0])


def spooled_rows(images: Path) -> dict[str, int | None]:
    """How many rows each station's spool holds; None where that cannot be told now. Stations without one are left out.

    It takes no lock, so that no line waits for it: read in the midst of a write it may be off by a batch.
    """
    found: dict[str, int | None] = {}
    for path in sorted((images / _FOLDER).glob("*.db")):
        try:
            with closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?immutable=1", uri=True)) as file:
                found[unquote(path.stem)] = rows_in(file)
        except sqlite3.Error:
            found[unquote(path.stem)] = None
    return found
