"""The catalogues: PO files beside this module, read as they are, so that no step before the pages can be forgotten."""

from __future__ import annotations

import gettext
from collections.abc import Sequence
from functools import lru_cache
from io import BytesIO
from pathlib import Path, PurePosixPath

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

__all__ = ["catalogue_of", "texts_of", "translations_of"]


@lru_cache
def catalogue_of(language: str) -> Catalog:
    """All texts of this language; empty for English. Raises OSError where another language has no catalogue."""
    if language == "en":
        return Catalog(locale="en")
    with (Path(__file__).parent / f"{language}.po").open("rb") as file:
        return read_po(file, locale=language)


@lru_cache
def translations_of(language: str) -> gettext.NullTranslations:
    """How texts are said in this language; what is marked as doubtful ("fuzzy") counts as not there."""
    compiled = BytesIO()
    write_mo(compiled, catalogue_of(language))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


@lru_cache
def texts_of(language: str, files: Sequence[str]) -> dict[str, str]:
    """The texts that stand in files of these names, by their English; not those that depend on a number."""
    return {
        message.id: str(message.string)
        for message in catalogue_of(language)
        if isinstance(message.id, str) and message.id and message.string and not message.fuzzy
        if any(PurePosixPath(place).name in files for place, _ in message.locations)
    }
