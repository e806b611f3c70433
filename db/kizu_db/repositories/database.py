"""What the records lie in."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from kizu_db.values import DatabaseState

__all__ = ["Database", "size_in_bytes"]


class Database:
    """The database itself."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def state(self) -> DatabaseState:
        """Its kind, its program's version, the version of its tables, and its size."""
        connection = self._session.connection()
        alone = connection.dialect.name == "sqlite"
        asked = "SELECT sqlite_version()" if alone else "SELECT current_setting('server_version')"
        return DatabaseState(
            kind="SQLite" if alone else "PostgreSQL",
            program_version=str(connection.scalar(text(asked))),
            version=str(connection.scalar(text("SELECT version_num FROM alembic_version"))),
            size_bytes=size_in_bytes(connection),
        )


def size_in_bytes(connection: Connection) -> int:
    """How much it takes on its disk; of SQLite with what waits in its log."""
    if connection.dialect.name != "sqlite":
        return int(connection.scalar(text("SELECT pg_database_size(current_database())")) or 0)
    file = Path(connection.engine.url.database or "")
    beside = (file.with_name(file.name + end) for end in ("", "-wal"))
    return sum(path.stat().st_size for path in beside if path.exists())
