"""Reads the components' HTML, CSS and JavaScript, which lie beside the modules."""

from __future__ import annotations

from pathlib import Path

from kizu_dashboard.language.catalogues import texts_of
from kizu_dashboard.language.speaking import language_now

__all__ = ["join_scripts", "read_asset", "texts_in"]


def read_asset(name: str) -> str:
    """The text of a file in this package."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def join_scripts(*names: str) -> str:
    """One script of several files of this package, in this order: what stands in one is known in all."""
    return "\n".join(read_asset(name) for name in names)


def texts_in(*names: str) -> dict[str, str]:
    """What scripts and markup of these files say in the reader's language, by their English: for `speak` in speaking.js."""
    return texts_of(language_now(), names)
