"""The disk's watermarks: a warning, then pictures of passed parts go, then the intake stops before nothing can be kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path
from typing import Final, Self

import structlog
from pydantic import Field, model_validator

from kizu_db.space import space_of
from kizu_inspect.settings import Settings

__all__ = ["DiskGuard", "DiskSettings", "used_percent"]

_AT_MOST_EVERY_S: Final = 1.0

_log = structlog.get_logger("kizu.disk")


class DiskSettings(Settings):
    """How full the file systems of image store and SQLite file may become, in percent of what this user can use."""

    warn: float = Field(default=85.0, gt=0, le=100, title="Warn", description="From here on the log warns.")
    drop_pass: float = Field(
        default=95.0, gt=0, le=100, title="Drop passed pictures",
        description="From here on pictures of parts that pass are not kept, but for the audit sample, held lots, and those due "
        "a map. Their rows are.",
    )  # fmt: skip
    stop: float = Field(
        default=98.0, gt=0, le=100, title="Stop",
        description="From here on nothing is taken from the source; below it the line goes on by itself.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.warn <= self.drop_pass <= self.stop:
            raise ValueError(
                f"found warn {self.warn:g}, drop_pass {self.drop_pass:g}, stop {self.stop:g}: none may be below the one before"
            )
        return self


class _Level(IntEnum):
    FREE = 0
    WARN = 1
    DROP_PASS = 2
    STOP = 3


def used_percent(path: Path) -> float | None:
    """How full the file system of `path` is (0 to 100); None where that cannot be told."""
    space = space_of(path)
    return None if space is None else space.used_percent


class DiskGuard:
    """Knows how full the disks are; looks at most once a second. What it tells may be read from any thread."""

    def __init__(self, settings: DiskSettings, paths: Mapping[str, Path]) -> None:
        """`paths` by what they hold."""
        self._settings = settings
        self._paths = dict(paths)
        self._lock = threading.Lock()
        self._next_s = 0.0
        self._level = _Level.FREE
        self._why: str | None = None
        self.used: Mapping[str, float] = {}
        """Percent by what lies there, as of the last look."""
        self.stops = 0
        """How often it stopped the intake."""

    @property
    def stopped(self) -> bool:
        """Whether nothing may be taken from the source, as of the last look."""
        return self._level is _Level.STOP

    @property
    def drops_passed(self) -> bool:
        """Whether pictures of parts that pass are not kept, as of the last look."""
        return self._level >= _Level.DROP_PASS

    def why_stopped(self) -> str | None:
        """Why nothing is taken, in words; None where the intake goes on."""
        return self._why

    def stops_intake(self) -> bool:
        """Whether nothing may be taken from the source now."""
        with self._lock:
            now_s = time.monotonic()
            if now_s >= self._next_s:
                self._next_s = now_s + _AT_MOST_EVERY_S
                self._look()
        return self.stopped

    def _look(self) -> None:
        found = {name: used_percent(path) for name, path in self._paths.items()}
        self.used = {name: used for name, used in found.items() if used is not None}
        fullest = max(self.used, key=lambda each: self.used[each], default=None)
        if fullest is None:  # storing the next picture will tell what is wrong
            self._level, self._why = _Level.FREE, None
            return
        before, self._level = self._level, self._level_at(self.used[fullest])
        shown, place = f"{self.used[fullest]:.1f} %", str(self._paths[fullest])
        limit = self._settings.stop
        self._why = f"the disk of the {fullest} is {shown} full (stop at {limit:g} %): {place}" if self.stopped else None
        self.stops += self.stopped and before is not _Level.STOP
        log = _log.bind(holds=fullest, path=place, used=shown)
        if self._level > before:
            match self._level:
                case _Level.STOP:
                    log.error("disk is full; nothing is taken", stop=limit)
                case _Level.DROP_PASS:
                    log.error("disk is nearly full; pictures of passed parts are not kept", stop=limit)
                case _:
                    log.warning("disk is nearly full", stop=limit)
        elif self._level < before and before >= _Level.DROP_PASS:
            log.info("disk has space again", intake="stopped" if self.stopped else "goes on", passed_kept=not self.drops_passed)

    def _level_at(self, used: float) -> _Level:
        settings = self._settings
        limits = ((settings.stop, _Level.STOP), (settings.drop_pass, _Level.DROP_PASS), (settings.warn, _Level.WARN))
        return next((level for limit, level in limits if used >= limit), _Level.FREE)
