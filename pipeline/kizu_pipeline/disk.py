"""The disk's watermarks: a warning, and a stop of the intake before nothing can be kept any more."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

import structlog
from pydantic import Field, model_validator

from kizu_inspect.settings import Settings

__all__ = ["DiskGuard", "DiskSettings", "used_percent"]

_AT_MOST_EVERY_S: Final = 1.0

_log = structlog.get_logger("kizu.disk")


class DiskSettings(Settings):
    """How full the file systems of image store and SQLite file may become, in percent of what this user can use."""

    warn: float = Field(default=85.0, gt=0, le=100, title="Warn", description="From here on the log warns.")
    stop: float = Field(
        default=98.0, gt=0, le=100, title="Stop",
        description="From here on nothing is taken from the source; below it the line goes on by itself.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.warn > self.stop:
            raise ValueError(f"warn ({self.warn:g}) must not be above stop ({self.stop:g})")
        return self


def used_percent(path: Path) -> float | None:
    """How full the file system of `path` is (0 to 100), as `df` tells it; None where that cannot be told.

    A path that is not there yet stands for the nearest folder above it.
    """
    for each in (path, *path.absolute().parents):
        try:
            status = os.statvfs(each)
        except FileNotFoundError:
            continue
        except OSError:
            return None
        used = status.f_blocks - status.f_bfree
        usable = used + status.f_bavail
        return 100 * used / usable if usable > 0 else None
    return None


class DiskGuard:
    """Knows how full the disks are; looks at most once a second. `stopped` may be read from any thread."""

    def __init__(self, settings: DiskSettings, paths: Mapping[str, Path]) -> None:
        """`paths` by what they hold."""
        self._settings = settings
        self._paths = dict(paths)
        self._lock = threading.Lock()
        self._next_s = 0.0
        self._warned = False
        self._why: str | None = None
        self.used: Mapping[str, float] = {}
        """Percent by what lies there, as of the last look."""
        self.stops = 0
        """How often it stopped the intake."""

    @property
    def stopped(self) -> bool:
        """Whether nothing may be taken from the source, as of the last look."""
        return self._why is not None

    def why_stopped(self) -> str | None:
        """The same in words; None where the intake goes on."""
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
        name = max(self.used, key=lambda each: self.used[each], default=None)
        if name is None:
            self._why = None  # storing the next picture will tell what is wrong
            return
        most, shown, place = self.used[name], f"{self.used[name]:.1f} %", str(self._paths[name])
        if most >= self._settings.stop:
            if self._why is None:
                self.stops += 1
                _log.error("disk is full; nothing is taken", holds=name, path=place, used=shown, stop=self._settings.stop)
            self._why = f"the disk of the {name} is {shown} full (stop at {self._settings.stop:g} %): {place}"
        elif self._why is not None:
            _log.info("disk has space again; the line goes on", holds=name, path=place, used=shown)
            self._why = None
        if most >= self._settings.warn and not self._warned and self._why is None:
            _log.warning("disk is nearly full", holds=name, path=place, used=shown, stop=self._settings.stop)
        self._warned = most >= self._settings.warn
