"""Files that are not complete yet."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kizu_pipeline.sources.scan import Version

__all__ = ["Unsettled"]


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
