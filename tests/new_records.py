"""Databases of this version in a moment: copies of one that its migrations made. Migrations have tests of their own."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from kizu_db.migrations import current_version, upgrade
from kizu_db.settings import DatabaseSettings

__all__ = ["make_records"]


def make_records(settings: DatabaseSettings) -> None:
    """As `upgrade` leaves it."""
    file = settings.file
    if file is not None and not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(_sqlite())
    elif current_version(settings) is None:
        upgrade(settings)


@cache
def _sqlite() -> bytes:
    with tempfile.TemporaryDirectory(prefix="kizu-records-") as folder:
        file = Path(folder) / "kizu.db"
        upgrade(DatabaseSettings(url=f"sqlite:///{file}"))
        assert [path.name for path in Path(folder).iterdir()] == ["kizu.db"], "nothing of it stands beside it"
        return file.read_bytes()
