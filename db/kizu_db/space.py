"""How much space there is where pictures and records lie."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Space", "space_of"]


@dataclass(frozen=True)
class Space:
    """A file system, as this user can use it."""

    used_bytes: int
    free_bytes: int

    @property
    def used_percent(self) -> float:
        """How full it is, 0 to 100, as `df` tells it."""
        return 100 * self.used_bytes / (self.used_bytes + self.free_bytes)


def space_of(path: Path) -> Space | None:
    """That of the file system of `path`; None where it cannot be told.

    A path that is not there yet stands for the nearest folder above it.
    """
    for each in (path, *path.absolute().parents):
        try:
            status = os.statvfs(each)
        except FileNotFoundError:
            continue
        except OSError:
            return None
        used, free = status.f_blocks - status.f_bfree, status.f_bavail
        return Space(used * status.f_frsize, free * status.f_frsize) if used + free > 0 else None
    return None
