"""Which versions of Kizu and of libraries run here, for provenance: never a reason to fail."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Final

__all__ = ["UNKNOWN", "version_of"]

UNKNOWN: Final = "unknown"


def version_of(package: str) -> str:
    """A package's version by its metadata; `unknown` where it is installed without any, or run from a copy of its source."""
    try:
        # Metadata that a broken installation left without a version gives None (or a KeyError), whatever its type says.
        found: str | None = version(package)
    except (PackageNotFoundError, KeyError):
        return UNKNOWN
    return found or UNKNOWN
