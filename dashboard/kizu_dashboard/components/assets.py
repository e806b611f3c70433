"""Reads the components' HTML, CSS and JavaScript, which lie beside the modules."""

from __future__ import annotations

from pathlib import Path

__all__ = ["read_asset"]


def read_asset(name: str) -> str:
    """The text of a file in this package."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
