"""Making a backup."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Literal

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from kizu_db.backup import postgresql, sqlite
from kizu_db.backup.description import PICTURES, RECORDS, Description
from kizu_db.backup.files import Content, Report, digest, new_folder, silent
from kizu_db.backup.pictures import list_pictures
from kizu_db.engine import connected
from kizu_db.image_store import ImageStore
from kizu_db.migrations import current_version, require_known
from kizu_db.settings import DatabaseSettings
from kizu_inspect.errors import SchemaError
from kizu_inspect.versions import version_of

__all__ = ["make_backup"]

_AT_ONCE = 10_000


def make_backup(
    settings: DatabaseSettings,
    store: ImageStore,
    out: Path,
    *,
    images: bool = False,
    programs: Path | None = None,
    report: Report = silent,
    cleared: Callable[[Path], None] = lambda _path: None,
) -> Description:
    """Write the records as they stand at one moment, and the list of the pictures that they name, into the folder `out`.

    Nobody waits for it: a line records on meanwhile. `out` is new or empty, and gets its content in one step when all of it
    is on the disk. With `images` the pictures are copied too. `programs` is the folder with pg_dump, where it is not on
    the PATH. `cleared` is told of what a killed backup to `out` left, which is removed.

    Raises SchemaError where the database is not set up or newer than this program, ConfigError for an `out` that is in use
    and a pg_dump that is missing or too old, RecordError where the database or the disk refuses or the database is damaged.
    """
    _require_records(settings)
    program = postgresql.find_program("pg_dump", programs) if settings.file is None else None
    with new_folder(out, cleared=cleared) as folder, tempfile.TemporaryFile("w+", dir=folder, encoding="utf-8") as names:
        made_at = datetime.now(UTC)
        kind: Literal["sqlite", "postgresql"] = "sqlite" if program is None else "postgresql"
        records = folder / RECORDS[kind]
        content: Content | None = None
        with connected(settings) as connection:
            schema = MigrationContext.configure(connection).get_current_revision()
            inspections = connection.scalar(text("SELECT count(*) FROM inspection"))
            # Looked up only after this transaction: it would keep the database from clearing up for as long.
            count = _write_names(connection, names)
            if program is None:
                sqlite.copy_out(connection, records, report)
            else:
                content = postgresql.dump(connection, program, records, report)
        if content is None:
            sqlite.require_sound(
                records, f"The database {settings.shown}", "Restore the last backup to another file, and look what it lacks."
            )
            content = digest(records, step="checking the copy", report=report)
        names.seek(0)
        pictures = list_pictures((line.rstrip("\n") for line in names), count, store, folder, images, report)
        description = Description(
            made_at=made_at,
            kizu=version_of("kizu"),
            schema_version=str(schema),
            database=kind,
            inspections=int(inspections or 0),
            pictures=pictures,
            files={records.name: content, PICTURES: digest(folder / PICTURES)},
        )
        description.write(folder)
        report("bringing it to the disk", 0, 0)
    return description


def _require_records(settings: DatabaseSettings) -> None:
    found = current_version(settings)
    if found is None:
        raise SchemaError(f"The database {settings.shown} is not set up", found="no version", next_step="Correct database.url.")
    require_known(found, f"The database {settings.shown}")


def _write_names(connection: Connection, names: IO[str]) -> int:
    """Write the SHA-256 of every picture that a row names, one a line and each once; their number."""
    # A backup is made before an upgrade too: records of the first version let no picture go.
    columns = {column["name"] for column in inspect(connection).get_columns("inspection")}
    kept = "image_sha256 IS NOT NULL" + (" AND image_pruned_at IS NULL" if "image_pruned_at" in columns else "")
    named = text(f"SELECT DISTINCT image_sha256 FROM inspection WHERE {kept} ORDER BY image_sha256")
    count = 0
    for (name,) in connection.execute(named, execution_options={"yield_per": _AT_ONCE}):
        names.write(f"{name}\n")
        count += 1
    return count
