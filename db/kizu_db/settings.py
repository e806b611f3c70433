"""Where the records and the pictures are kept."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from pydantic import ConfigDict, Field, field_validator, model_validator
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from kizu_db.values import RetentionEnds
from kizu_inspect.errors import ConfigError
from kizu_inspect.settings import Settings

__all__ = ["PASSWORD_VARIABLE", "DatabaseSettings", "ImageStoreSettings", "RetentionSettings"]

PASSWORD_VARIABLE = "KIZU_DATABASE_PASSWORD"
"""The environment variable that may carry the database password."""

_DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgresql+psycopg": "postgresql+psycopg"}


class DatabaseSettings(Settings):
    """Which database holds the records. The password stays out of every printed form of these settings."""

    model_config = ConfigDict(hide_input_in_errors=True)

    url: str = Field(
        default="sqlite:///data/kizu.db",
        title="Address",
        description="sqlite:///FILE for one station, or postgresql+psycopg://USER@HOST/NAME for more than one writer.",
    )
    password_file: Path | None = Field(
        default=None,
        title="Password file",
        description=f"File with the database password. Without it the environment variable {PASSWORD_VARIABLE} is read.",
    )

    @field_validator("url")
    @classmethod
    def _known(cls, url: str) -> str:
        try:
            parsed = make_url(url)
        except (ArgumentError, ValueError):  # the latter of a port that is no number, with what may be a password's end
            raise ValueError("not a database address; write sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME") from None
        if parsed.drivername not in _DRIVERS:
            raise ValueError(f"{parsed.drivername} is not supported; write sqlite:///FILE or postgresql+psycopg://…")
        if parsed.drivername == "sqlite" and (parsed.database or ":memory:") == ":memory:":
            # Every connection would see an empty database of its own, and nothing would be kept.
            raise ValueError("a database in memory keeps no records; write sqlite:///FILE")
        return url

    @property
    def file(self) -> Path | None:
        """The SQLite file, relative to the current folder unless absolute; None for PostgreSQL."""
        parsed = make_url(self.url)
        return Path(str(parsed.database)) if parsed.drivername == "sqlite" else None

    @property
    def shown(self) -> str:
        """The address without the password and without its options, which may hold one too, for messages."""
        return make_url(self.url).set(query={}).render_as_string(hide_password=True)

    def connection_url(self) -> URL:
        """The address to connect to, with the password from the file, the environment or the address, in this order.

        Raises ConfigError for a password file that cannot be read or is empty.
        """
        parsed = make_url(self.url)
        parsed = parsed.set(drivername=_DRIVERS[parsed.drivername])
        if self.file is not None:
            return parsed
        if self.password_file is not None:
            try:
                password = self.password_file.read_text(encoding="utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as exc:
                raise ConfigError(
                    f"The password file {self.password_file} cannot be read",
                    found=getattr(exc, "strerror", None) or "no UTF-8 text",
                    next_step="Write the database password into it, or correct database.password_file.",
                ) from exc
            if not password:
                raise ConfigError(
                    f"The password file {self.password_file} is empty", expected="the database password on one line"
                )
            return parsed.set(password=password)
        given = os.environ.get(PASSWORD_VARIABLE)
        return parsed.set(password=given) if given else parsed

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """What print and repr show: the address with its password hidden."""
        return [("url", self.shown), ("password_file", self.password_file)]


class ImageStoreSettings(Settings):
    """Where the pictures are kept."""

    path: Path = Field(
        default=Path("data/images"),
        title="Folder",
        description="Folder of the image store; each picture lies there once, named by its SHA-256.",
    )


class RetentionSettings(Settings):
    """How long pictures and records are kept; without a figure, for ever. `kizu db prune` lets go what is over."""

    pass_images_days: int | None = Field(
        default=None, ge=1, le=36_500, title="Pictures of passed parts",
        description="Days for which pictures of PASS parts are kept, except those of the audit sample and of known escapes.",
    )  # fmt: skip
    flagged_images_days: int | None = Field(
        default=None, ge=1, le=36_500, title="Other pictures", description="Days for which all other pictures are kept."
    )
    records_days: int | None = Field(
        default=None, ge=1, le=36_500, title="Records",
        description="Days for which inspections are kept, with their maps and reviews. The audit trail always stays.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _pictures_go_first(self) -> Self:
        for name in ("pass_images_days", "flagged_images_days"):
            days = getattr(self, name)
            if days is not None and self.records_days is not None and days > self.records_days:
                raise ValueError(
                    f"{name} ({days}) is longer than records_days ({self.records_days}): pictures go with their records"
                )
        return self

    def ends(self, now: datetime) -> RetentionEnds:
        """The moments before which things have been kept long enough, at this (aware) one."""

        def end(days: int | None) -> datetime | None:
            return None if days is None else now - timedelta(days=days)

        return RetentionEnds(
            passed_images=end(self.pass_images_days),
            flagged_images=end(self.flagged_images_days),
            records=end(self.records_days),
        )
