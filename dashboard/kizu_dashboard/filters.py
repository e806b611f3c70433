"""What the page Search is narrowed to, and how its address says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from kizu_dashboard.language.speaking import LANGUAGES, known, marked, say, speaking
from kizu_dashboard.periods import OWN, Period
from kizu_dashboard.theme import LOOKS
from kizu_dashboard.wording import DISPOSITIONS, OTHER_DEFECT, class_name, recorded_class
from kizu_db.records import Unit
from kizu_db.values import Disposition, InspectionRow
from kizu_inspect.results import Verdict

__all__ = [
    "DECISIONS", "ESCALATED", "UNDECIDED", "Filters", "ListView", "decision_of", "decision_text", "find", "known_classes",
    "too_common", "verdict_label",
]  # fmt: skip

UNDECIDED: Final = marked("undecided")
ESCALATED: Final = marked("left to a second person")
DECISIONS: Final = (*DISPOSITIONS, UNDECIDED, ESCALATED)
"""As an address says it, in the reader's language; `defective: dent` is a decision too."""

_STATES: Final = (UNDECIDED, ESCALATED)
"""What is no decision."""


@dataclass(frozen=True)
class Filters:
    """All but the period; empty text and None leave a thing open."""

    verdicts: tuple[Verdict, ...] = ()
    named: str = ""
    """How a part's id begins or ends, or a lot's whole name."""
    conflicting: bool = False
    station: str | None = None
    suspected: str = ""
    lot: str = ""
    decision: str | None = None
    reviewer: str | None = None

    @property
    def further(self) -> list[str]:
        """In words, what it is narrowed to beside the verdicts, the part or lot and map conflicts."""
        told = (
            self.station and say("station {station}", station=self.station),
            self.suspected and say("suspected {suspected}", suspected=class_name(self.suspected)),
            self.lot and say("lot {lot}", lot=self.lot),
            self.decision and self._decided(self.decision),
            self.reviewer and say("decided by {reviewer}", reviewer=self.reviewer),
        )
        return [words for words in told if words]

    @staticmethod
    def _decided(decision: str) -> str:
        told = decision_text(decision)
        return told if decision in _STATES else say("decided {decision}", decision=told)

    @property
    def narrowing(self) -> bool:
        """Whether anything is left out."""
        return bool(self.verdicts or self.named or self.conflicting or self.further)


def verdict_label(verdict: Verdict) -> str:
    """The verdict as its filter and its address write it: `✕ REJECT`."""
    return f"{LOOKS[verdict].icon} {LOOKS[verdict].word}"


def decision_text(decision: str) -> str:
    """A decision of DECISIONS, or `defective: dent`, as it is read."""
    word, colon, name = decision.partition(": ")
    return f"{known(word)}{colon}{class_name(name) if name else ''}"


def decision_of(text: str | None) -> tuple[Disposition | None, str | None]:
    """`good`, `defective` or `defective: dent`, in any language, as disposition and defect class.

    Of other text a class that nobody decides.
    """
    if text is None or text in _STATES:
        return None, None
    word, _, name = (piece.strip() for piece in text.partition(":"))
    if word in _words_for("good") and not name:
        return "good", None
    if word in _words_for("defective"):
        return "defective", name or None
    return None, text


def find(
    unit: Unit, filters: Filters, since: datetime | None, until: datetime | None, *, limit: int, before: str | None = None
) -> list[InspectionRow]:
    """The newest `limit` inspections judged in [since, until) that the filters leave, newest first, after the uid `before`."""
    disposition, decided_class = decision_of(filters.decision)
    suspected, decided_class = (_as_recorded(unit, name) for name in (filters.suspected or None, decided_class))
    return unit.inspections.latest(
        verdicts=filters.verdicts or None,
        station=filters.station,
        named=filters.named or None,
        since=since,
        until=until,
        unreviewed=filters.decision == UNDECIDED,
        conflicting=filters.conflicting,
        suspected=suspected,
        lot=filters.lot or None,
        disposition=disposition,
        decided_class=decided_class,
        reviewer=filters.reviewer,
        escalated=filters.decision == ESCALATED,
        limit=limit,
        before=before,
    )


def too_common(named: str) -> str:
    """What to do where more serials begin or end so than are looked at."""
    return say(
        "So many parts begin or end with “{named}” that only some of them are found. Type more of it, or choose the lot.",
        named=named,
    )


def known_classes(unit: Unit) -> set[str]:
    """The defect classes that the line ever suspected."""
    return {one for verdict in (Verdict.REJECT, Verdict.REVIEW) for one in unit.rollups.defect_classes(verdict=verdict)}


def _as_recorded(unit: Unit, name: str | None) -> str | None:
    """The class that a reader means, who writes it as the pages show it."""
    return name if name is None or " " not in name else recorded_class(name, {*known_classes(unit), OTHER_DEFECT})


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
            "decision": None if self.decision is None else decision_text(self.decision),
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
        words = {
            "suspected": self.suspected or "",
            "lot": self.lot or "",
            "station": self.station,
            "decision": self.decision,
            "reviewer": None,
        }
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
