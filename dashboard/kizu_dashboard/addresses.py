"""Addresses whose words are those of the reader's language: what a control offers stands there as it is read.

A link passed on to somebody of another language, or a page whose language is changed, must open the same view.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final
from urllib.parse import parse_qsl, urlencode

from kizu_dashboard.filters import DECISIONS
from kizu_dashboard.language.speaking import LANGUAGES, known, speaking
from kizu_dashboard.pages.admin import SECTIONS
from kizu_dashboard.pages.period import ANALYSIS
from kizu_dashboard.pages.search import VIEWS
from kizu_dashboard.periods import ALL, LENGTHS, OWN
from kizu_dashboard.quality import GROUPINGS
from kizu_dashboard.reviewing import ORDERS
from kizu_dashboard.trail import SUBJECTS
from kizu_dashboard.watching import SPANS

__all__ = ["OFFERED", "in_readers_words"]

_PERIODS: Final = (ALL, *LENGTHS, OWN)
OFFERED: Final[Mapping[str, Collection[str]]] = {
    "period": _PERIODS,
    f"{ANALYSIS}period": _PERIODS,
    "decision": DECISIONS,
    "view": VIEWS,
    "span": SPANS,
    "by": tuple(GROUPINGS),
    "order": tuple(ORDERS.values()),
    "section": tuple(SECTIONS),
    "about": SUBJECTS,
}
"""The English texts that a control offers, by its name in the address."""


def in_readers_words(query: str) -> str:
    """The same query with what controls offer in the reader's language, whichever it was written in; else as it is."""
    asked = parse_qsl(query, keep_blank_values=True)
    said = [(name, _said(name, value)) for name, value in asked]
    return query if said == asked else urlencode(said)


def _said(name: str, value: str) -> str:
    for language in LANGUAGES:
        with speaking(language):
            text = next((one for one in OFFERED.get(name, ()) if known(one) == value), None)
        if text is not None:
            return known(text)
    return value
