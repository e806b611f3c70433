"""backup.yaml: what a backup holds, and whether it still does."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import AwareDatetime, Field, ValidationError, model_validator

from kizu_db.backup.files import Content, Report, digest
from kizu_db.migrations import require_known
from kizu_inspect.errors import ConfigError, RecordError
from kizu_inspect.settings import Settings, describe_invalid, read_yaml

__all__ = ["DESCRIPTION", "IMAGES", "PICTURES", "RECORDS", "Description", "Pictures", "read_description"]

DESCRIPTION = "backup.yaml"
PICTURES = "images.csv"
IMAGES = "images"
RECORDS: dict[Literal["sqlite", "postgresql"], str] = {"sqlite": "records.db", "postgresql": "records.pgdump"}


class Pictures(Settings):
    """Counts of the pictures that the records name, each counted once."""

    named: int = Field(ge=0)
    missing: int = Field(ge=0)
    """Not in the image store."""
    bytes: int = Field(ge=0)
    """Of those in the image store."""
    copied: int | None = Field(ge=0)
    """None where pictures were not asked for."""
    changed: int = Field(ge=0)
    """Not copied, because their content is no longer that of their name, or could not be read."""


class Description(Settings):
    """backup.yaml."""

    format: Literal[1] = 1
    made_at: AwareDatetime
    kizu: str
    schema_version: str
    database: Literal["sqlite", "postgresql"]
    inspections: int = Field(ge=0)
    pictures: Pictures
    files: dict[str, Content]

    @property
    def records(self) -> str:
        """The name of the file with the records."""
        return RECORDS[self.database]

    @model_validator(mode="after")
    def _has_its_files(self) -> Self:
        if {*self.files} != (expected := {self.records, PICTURES}):
            raise ValueError(f"files must be {' and '.join(sorted(expected))}")
        return self

    def write(self, backup: Path) -> None:
        """Write it into the backup's folder. Raises OSError."""
        content = yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)
        (backup / DESCRIPTION).write_text(content, encoding="utf-8")

    def require_unchanged(self, backup: Path, report: Report) -> None:
        """Raise RecordError, naming the file, unless the backup's files are as they were written."""
        for name, expected in self.files.items():
            path = backup / name
            found: object = "no file"
            if path.is_file():
                try:
                    size = path.stat().st_size
                    content = digest(path, step=f"checking {name}", report=report) if size == expected.bytes else None
                except OSError as exc:
                    raise RecordError(f"The backup's file {path} cannot be read", found=exc.strerror or exc) from exc
                if content == expected:
                    continue
                found = f"{size} bytes" if content is None else f"SHA-256 {content.sha256}"
            raise RecordError(
                f"The backup's file {path} is not what was written",
                found=found,
                expected=f"{expected.bytes} bytes of SHA-256 {expected.sha256}",
                next_step="Take another copy of this backup, or another backup.",
            )


def read_description(backup: Path) -> Description:
    """What the backup holds.

    Raises ConfigError where the folder is no backup or its description not understood, SchemaError where its records are
    of a newer version than this program's.
    """
    path = backup / DESCRIPTION
    try:
        content = read_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise ConfigError(
            f"{backup} is no backup",
            found=f"{DESCRIPTION}: {exc.strerror}" if isinstance(exc, OSError) else f"a {DESCRIPTION} that is no YAML",
            next_step="Name a folder that `kizu db backup` made.",
        ) from exc
    if isinstance(content, dict) and isinstance(version := content.get("schema_version"), str):
        require_known(version, f"The backup {backup}")
    try:
        return Description.model_validate(content)
    except ValidationError as exc:
        raise ConfigError(f"{path} is not understood", found=describe_invalid(exc)) from exc
