"""What the list of inspections is narrowed to, and how its address says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from kizu_dashboard.periods import Period, Query
from kizu_dashboard.theme import LOOKS
from kizu_dashboard.wording import class_name
from kizu_db.values import Disposition
from kizu_inspect.results import Verdict

__all__ = ["DECISIONS", "Filters", "decision_of", "href_of", "inspections_query", "verdict_label"]

DECISIONS: Final = ("good", "defective")
"""As an address says it; `defective: dent` is a decision too."""


@dataclass(frozen=True)
class Filters:
    """All but the period; empty text and None leave a thing open."""

    verdicts: tuple[Verdict, ...] = ()
    part: str = ""
    conflicting: bool = False
    station: str | None = None
    suspected: str = ""
    lot: str = ""
    decision: str | None = None

    @property
    def further(self) -> list[str]:
        """In words, what it is narrowed to beside the verdicts, the part and map conflicts."""
        told = (
            self.station and f"station {self.station}",
            self.suspected and f"suspected {class_name(self.suspected)}",
            self.lot and f"lot {self.lot}",
            self.decision and f"decided {class_name(self.decision)}",
        )
        return [words for words in told if words]

    @property
    def narrowing(self) -> bool:
        """Whether anything is left out."""
        return bool(self.verdicts or self.part or self.conflicting or self.further)


def verdict_label(verdict: Verdict) -> str:
    """The verdict as its filter and its address write it: `✕ REJECT`."""
    return f"{LOOKS[verdict].icon} {LOOKS[verdict].word}"


def decision_of(text: str | None) -> tuple[Disposition | None, str | None]:
    """`good`, `defective` or `defective: dent` as disposition and defect class; of other text a class that nobody decides."""
    if text is None:
        return None, None
    word, _, name = (piece.strip() for piece in text.partition(":"))
    if word == "good" and not name:
        return "good", None
    if word == "defective":
        return "defective", name or None
    return None, text


def inspections_query(
    period: Period,
    zone: ZoneInfo,
    *,
    verdicts: Sequence[Verdict] = (),
    suspected: str | None = None,
    station: str | None = None,
    lot: str | None = None,
    decision: str | None = None,
) -> Query:
    """The list of the inspections behind a figure; what is None is left open."""
    query = period.query(zone)
    if verdicts:
        query["verdict"] = [verdict_label(verdict) for verdict in verdicts]
    filters = {"suspected": suspected, "station": station, "lot": lot, "decision": decision}
    return query | {name: value for name, value in filters.items() if value is not None}


def href_of(query: Query) -> str:
    """The address of the list."""
    return "/?" + urlencode(query, doseq=True)
