"""Cells of a CSV that a spreadsheet may open."""

from __future__ import annotations

from typing import Final

__all__ = ["safe_cell"]

RISKY: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def safe_cell(text: str) -> str:
    """The text as a spreadsheet reads it as text: what would start a formula gets an apostrophe before it."""
    return f"'{text}" if text.startswith(RISKY) else text
