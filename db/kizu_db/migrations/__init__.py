"""Brings a database from one version to another. The steps lie in this package, so an installed wheel can migrate too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from kizu_db.engine import connected, make_engine, refused
from kizu_db.settings import DatabaseSettings
from kizu_inspect.errors import RecordError, SchemaError

__all__ = ["current_version", "downgrade", "head_version", "require_current", "require_known", "upgrade"]

_LOCK = 0x6B697A75  # "kizu": the advisory lock that lets one program at a time migrate a PostgreSQL database


def upgrade(settings: DatabaseSettings, revision: str = "head") -> None:
    """Bring the database to a version (by default this program's); all steps are kept, or none.

    A SQLite file and its folder are made where they are missing. Raises SchemaError where the database is from a newer
    version or the revision is unknown, RecordError where the database refuses.
    """
    if settings.file is not None:
        try:
            settings.file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise RecordError(
                f"The folder {settings.file.parent} cannot be made",
                found=exc.strerror or exc,
                next_step="Correct database.url.",
            ) from exc
    with _migrating(settings) as connection:
        command.upgrade(_config(connection), revision)


def downgrade(settings: DatabaseSettings, revision: str) -> None:
    """Take the database back to an older version ("base": no tables, and no records). Raises as `upgrade` does."""
    _require_file(settings)
    with _migrating(settings) as connection:
        command.downgrade(_config(connection), revision)


def head_version() -> str:
    """The version of the records that this program reads and writes."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def current_version(settings: DatabaseSettings) -> str | None:
    """The version of the database; None where it has no tables of Kizu. Changes and creates nothing.

    Raises RecordError where the database cannot be reached.
    """
    if settings.file is not None and not settings.file.is_file():
        return None
    with connected(settings, gives_up=True) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def require_current(settings: DatabaseSettings) -> None:
    """Raise SchemaError, with the way out, unless the database has exactly this program's version."""
    found, expected = current_version(settings), head_version()
    if found == expected:
        return
    if found is None:
        _require_file(settings)
        raise SchemaError(
            f"The database {settings.shown} is not set up",
            found="no version",
            expected=f"version {expected}",
            next_step="Run `kizu db upgrade`.",
        )
    require_known(found, f"The database {settings.shown}")
    raise SchemaError(
        f"The database {settings.shown} is from an older version of Kizu",
        found=f"version {found}",
        expected=f"version {expected}",
        next_step="Run `kizu db upgrade`.",
    )


def _require_file(settings: DatabaseSettings) -> None:
    if settings.file is not None and not settings.file.is_file():
        raise SchemaError(
            f"There is no database {settings.file.absolute()}",
            next_step="Run `kizu db upgrade` to make it, or correct database.url.",
        )


def require_known(version: str, what: str) -> None:
    """Raise SchemaError where records of this version are newer than this program; `what` they are begins the message."""
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if version not in known:
        raise SchemaError(
            f"{what} is from a newer version of Kizu",
            found=f"version {version}",
            expected=f"version {head_version()} or older",
            next_step="Install the Kizu that wrote it, or a later one.",
        )


@contextmanager
def _migrating(settings: DatabaseSettings) -> Iterator[Connection]:
    """One transaction around all steps, held by one program at a time."""
    # To change a table SQLite puts another one in its place, and would take the rows that refer to it for orphans meanwhile:
    # they are looked at once, at the end.
    engine = make_engine(settings, foreign_keys=False)
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":  # SQLite's transactions take their lock as they begin
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            found = MigrationContext.configure(connection).get_current_revision()
            if found is not None:
                require_known(found, f"The database {settings.shown}")
            yield connection
            _require_no_orphans(connection, settings)
    except CommandError as exc:
        raise SchemaError(
            f"The database {settings.shown} cannot be brought to that version", found=exc, expected=head_version()
        ) from exc
    except SQLAlchemyError as exc:
        raise refused(exc, settings.shown) from exc
    finally:
        engine.dispose()


def _require_no_orphans(connection: Connection, settings: DatabaseSettings) -> None:
    if connection.dialect.name == "sqlite":
        orphan = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        if orphan is not None:
            raise SchemaError(
                f"The database {settings.shown} refers to rows that are not there", found=f"table {orphan[0]}, row {orphan[1]}",
                next_step="Nothing was changed; restore it from a backup.",
            )  # fmt: skip


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", "kizu_db:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
