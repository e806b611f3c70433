"""A person's decision about an inspection: what may be decided, how it is stored, and what comes next."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kizu_dashboard.room import Room
from kizu_db.values import Disposition, InspectionRecord, NewReview
from kizu_inspect.errors import RecordError
from kizu_inspect.results import Verdict

__all__ = ["WAITING_VERDICTS", "Outcome", "Proposal", "accepted", "decide", "defect_classes", "next_waiting", "problems"]

WAITING_VERDICTS: Final = (Verdict.REVIEW, Verdict.ERROR, Verdict.REJECT)
"""What a person must look at: all that the line signalled as not good."""

OTHER_DEFECT: Final = "other defect"


class Outcome(StrEnum):
    """What became of a decision."""

    STORED = "stored"
    REPEATED = "repeated"
    """The same filled-in form was stored before; nothing was written."""
    OVERTAKEN = "overtaken"
    """Somebody else decided since the part was shown; nothing was written."""


@dataclass(frozen=True)
class Proposal:
    """A disposition with its defect class."""

    disposition: Disposition
    defect_class: str | None = None


def accepted(record: InspectionRecord) -> Proposal | None:
    """What accepting the verdict says of the part; None where there is nothing to accept (ERROR: it was not judged).

    REVIEW is a suspicion: accepting it means that the suspected defect is there.
    """
    row = record.row
    match row.verdict:
        case Verdict.PASS:
            return Proposal("good")
        case Verdict.REVIEW | Verdict.REJECT:
            return Proposal("defective", row.target or row.predicted or OTHER_DEFECT)
        case _:
            return None


def defect_classes(record: InspectionRecord) -> tuple[str, ...]:
    """The model's defect classes by falling probability, then `other defect`."""
    good = record.model.good if record.model is not None else None
    names = record.model.classes if record.model is not None else tuple(record.probabilities)
    ranked = sorted((name for name in names if name != good), key=lambda name: -record.probabilities.get(name, 0.0))
    return (*ranked, OTHER_DEFECT)


def problems(review: NewReview) -> list[str]:
    """What is missing before the decision can be stored, as sentences for the reviewer."""
    found = []
    if not review.reviewer.strip():
        found.append("Enter your name.")
    if review.disposition == "defective" and not review.defect_class:
        found.append("Choose the defect.")
    if review.decision == "override" and not review.reason.strip():
        found.append("Give a reason for overriding the verdict.")
    return found


def decide(room: Room, review: NewReview) -> Outcome:
    """Store the decision as a new review, unless it was stored before or another review came in between.

    Raises RecordError for an incomplete review and for an inspection that is not there.
    """
    lacking = problems(review)
    if lacking:
        raise RecordError("the decision is not complete", next_step=" ".join(lacking))
    with room.records.unit() as unit:
        known = unit.reviews.of(review.uid_inspection, hold=True)
        if any(one.nonce == review.nonce for one in known):
            return Outcome.REPEATED
        if (known[-1].id if known else None) != review.supersedes:
            return Outcome.OVERTAKEN
        unit.reviews.add(review)
    return Outcome.STORED


def next_waiting(room: Room, after: str | None = None) -> str | None:
    """The newest flagged inspection without a review that is older than `after`, else the newest of all; None if none waits."""
    with room.records.unit(read_only=True) as unit:
        for before in dict.fromkeys((after, None)):
            found = unit.inspections.latest(verdicts=WAITING_VERDICTS, unreviewed=True, before=before, limit=2)
            for row in found:
                if row.uid != after:
                    return row.uid
    return None
