"""What the list of inspections is narrowed to, and how its address says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from kizu_dashboard.language.speaking import LANGUAGES, known, say, speaking
from kizu_dashboard.periods import OWN, Period
from kizu_dashboard.theme import LOOKS
from kizu_dashboard.wording import DISPOSITIONS, class_name
from kizu_db.values import Disposition
from kizu_inspect.results import Verdict

__all__ = ["DECISIONS", "Filters", "ListView", "decision_of", "verdict_label"]

DECISIONS: Final = tuple(DISPOSITIONS)
"""`defective: dent` is a decision too."""


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
            self.station and say("station {station}", station=self.station),
            self.suspected and say("suspected {suspected}", suspected=class_name(self.suspected)),
            self.lot and say("lot {lot}", lot=self.lot),
            self.decision and say("decided {decision}", decision=known(class_name(self.decision))),
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
    """`good`, `defective` or `defective: dent`, in any language, as disposition and defect class.

    Of other text a class that nobody decides.
    """
    if text is None:
        return None, None
    word, _, name = (piece.strip() for piece in text.partition(":"))
    if word in _words_for("good") and not name:
        return "good", None
    if word in _words_for("defective"):
        return "defective", name or None
    return None, text


def _words_for(disposition: Disposition) -> set[str]:
    """How it is written in any language: an address may have come from somebody else."""
    words = set()
    for language in LANGUAGES:
        with speaking(language):
            words.add(known(DISPOSITIONS[disposition]))
    return words


@dataclass(frozen=True)
class ListView:
    """The list of the inspections behind a figure; None leaves a thing open."""

    period: Period
    zone: ZoneInfo
    verdicts: tuple[Verdict, ...] = ()
    suspected: str | None = None
    station: str | None = None
    lot: str | None = None
    decision: str | None = None

    @property
    def query(self) -> dict[str, str | list[str]]:
        """What stands behind the question mark of its address."""
        query: dict[str, str | list[str]] = {"period": known(self.period.name)}
        if self.period.name == OWN:
            ends = zip(("from", "to"), self.period.by_the_clock(self.zone), strict=True)
            query |= {name: end.strftime("%Y-%m-%dT%H:%M") for name, end in ends if end is not None}
        if self.verdicts:
            query["verdict"] = [verdict_label(verdict) for verdict in self.verdicts]
        words = {
            "suspected": self.suspected,
            "station": self.station,
            "lot": self.lot,
            "decision": known(self.decision or "") or None,
        }
        return query | {name: value for name, value in words.items() if value is not None}

    @property
    def href(self) -> str:
        """Its address."""
        return "/?" + urlencode(self.query, doseq=True)

    @property
    def controls(self) -> dict[str, object]:
        """What every control of the list then holds, by its key: one that was left as it was would narrow the list further."""
        since, until = self.period.by_the_clock(self.zone) if self.period.name == OWN else (None, None)
        words = {"suspected": self.suspected or "", "lot": self.lot or "", "station": self.station, "decision": self.decision}
        verdicts = [verdict.value for verdict in self.verdicts]
        return {
            "verdict": verdicts,
            "search": "",
            "conflicts": False,
            "period": self.period.name,
            "from": since,
            "to": until,
            **words,
        }
