"""Bringing a backup back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from kizu_db.backup import postgresql, sqlite
from kizu_db.backup.description import Description, read_description
from kizu_db.backup.files import Report, silent
from kizu_db.backup.pictures import Finding, compare_pictures
from kizu_db.image_store import ImageStore
from kizu_db.settings import DatabaseSettings
from kizu_inspect.errors import ConfigError, RecordError

__all__ = ["restore_backup"]


def restore_backup(
    backup: Path,
    settings: DatabaseSettings,
    store: ImageStore,
    *,
    programs: Path | None = None,
    report: Report = silent,
    cleared: Callable[[Path], None] = lambda _path: None,
    found: Callable[[Finding], None] = lambda _finding: None,
) -> Description:
    """Bring the backup's records into the database, which must have none, and its pictures into the store.

    Everything is checked before anything is written. Pictures come first, as on the line: a row never names one that is
    still to come, and a restore that was killed can be run again. `found` is told of each picture that the store lacked
    or has in another size. The records keep their version: older ones need `kizu db upgrade`. `programs` is the folder with
    pg_restore; `cleared` is told of what a killed restore left, which is removed.

    Raises ConfigError for a folder that is no backup, a backup of the other kind of database, and a missing pg_restore;
    SchemaError for records newer than this program; RecordError where the backup was changed, a database is there already,
    or the database or the disk refuses.
    """
    description = read_description(backup)
    kind = "postgresql" if settings.file is None else "sqlite"
    if description.database != kind:
        raise ConfigError(
            f"The backup {backup} is of another kind of database",
            found=description.database,
            expected=f"{kind}, as database.url says",
            next_step="Name a database of the backup's kind in database.url.",
        )
    records = backup / description.records
    if settings.file is None:
        program = postgresql.find_program("pg_restore", programs)
        postgresql.require_vacant(settings)
        bring_back = partial(postgresql.load, records, program, settings, report)
    else:
        sqlite.require_vacant(settings.file)
        content = description.files[records.name]
        bring_back = partial(sqlite.put_in_place, records, content, settings.file, report, cleared)
    description.require_unchanged(backup, report)
    try:
        for finding in compare_pictures(backup, description.pictures.named, store, report):
            found(finding)
        bring_back()
    except OSError as exc:
        raise RecordError(f"The backup {backup} could not be read", found=exc.strerror or exc) from exc
    return description
