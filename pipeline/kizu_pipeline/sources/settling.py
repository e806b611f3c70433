"""Files that are not complete yet."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

from kizu_pipeline.sources.scan import Version

__all__ = ["Unsettled", "digest"]


@dataclass(frozen=True)
class Unsettled:
    """A file that is not complete yet."""

    version: Version
    since: float
    """When this version was first seen (monotonic, s)."""
    until: float = math.inf
    """When it may be complete, if nothing tells sooner."""
    open: bool = False
    """Whether a program holds it open for writing."""
    told: bool = False
    """Whether the log says so already."""
    content: str = ""
    """The digest of its content then, where it waits to settle."""


def digest(path: Path) -> str:
    """What the file holds now, as a digest; "" where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
