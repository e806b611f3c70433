"""A person's decision about an inspection: what may be decided, and how it is stored."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kizu_dashboard.language.speaking import known, marked, say
from kizu_dashboard.room import Room
from kizu_dashboard.wording import DISPOSITIONS, OTHER_DEFECT, class_name
from kizu_db.values import MOST_BOXES, Disposition, DrawnBox, InspectionRecord, InspectionRow, NewReview, Treatment
from kizu_inspect.errors import RecordError
from kizu_inspect.results import Verdict

__all__ = [
    "LONGEST_REASON",
    "OTHER_DEFECT",
    "WAITING_VERDICTS",
    "Answer",
    "Outcome",
    "Proposal",
    "decide",
    "decision_word",
    "defect_classes",
    "judge_again",
    "opinion",
    "parse_answer",
    "problems",
    "review_of",
]

WAITING_VERDICTS: Final = (Verdict.REVIEW, Verdict.ERROR, Verdict.REJECT)
"""What a person must look at: all that the line signalled as not good."""

LONGEST_REASON: Final = 10_000
"""Characters; a report still shows so many."""


class Outcome(StrEnum):
    """What became of a decision."""

    STORED = "stored"
    REPEATED = "repeated"
    """The same answer was stored before; nothing was written."""
    OVERTAKEN = "overtaken"
    """Somebody else decided since the part was shown; nothing was written."""


@dataclass(frozen=True)
class Proposal:
    """A disposition with its defect class."""

    disposition: Disposition
    defect_class: str | None = None


class AnsweredBox(BaseModel):
    """A box that was drawn on the photo, in pixels of the original picture, x2 and y2 exclusive."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    x1: int = Field(ge=0)
    y1: int = Field(ge=0)
    x2: int = Field(gt=0, le=10**6)
    y2: int = Field(gt=0, le=10**6)
    defect_class: str = Field(min_length=1, max_length=200)


class Answer(BaseModel):
    """What the browser sends: one answer about the part that was shown, as it stood at the moment of the key or click."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    uid: str = Field(max_length=64)
    nonce: str = Field(max_length=64)
    kind: Literal["confirm", "good", "defective", "unsure", "skip", "undo"]
    defect_class: str | None = Field(default=None, max_length=10_000)
    reason: str = Field(default="", max_length=LONGEST_REASON)
    treatment: Treatment | None = None
    shown_ms: int | None = Field(default=None, ge=0, le=10**9)
    boxes: list[AnsweredBox] = Field(default=[], max_length=MOST_BOXES)

    @model_validator(mode="after")
    def _only_decisions_have_boxes(self) -> Answer:
        if self.boxes and self.kind in ("unsure", "skip", "undo"):
            raise ValueError(f"boxes come with a decision, and {self.kind} is none")
        return self


def parse_answer(told: object) -> Answer:
    """The answer that a browser sent. Raises RecordError where it is none: nothing of it is stored."""
    try:
        return Answer.model_validate(told)
    except ValidationError as error:
        first = error.errors()[0]
        long = first["type"] == "string_too_long" and first["loc"] == ("reason",)
        raise RecordError(
            marked("the comment is too long") if long else marked("the browser's answer cannot be read"),
            found=f"{len(str(first['input'])):,} characters" if long else first["msg"],
            expected=f"at most {LONGEST_REASON:,}" if long else marked("an answer as this page sends it"),
            next_step=marked("Shorten it; nothing was stored.") if long else marked("Load the page again; nothing was stored."),
        ) from None


def opinion(record: InspectionRecord) -> Proposal | None:
    """What the verdict says of the part; None where it says nothing: REVIEW could not tell, ERROR did not judge."""
    row = record.row
    match row.verdict:
        case Verdict.PASS:
            return Proposal("good")
        case Verdict.REJECT:
            return Proposal("defective", row.target or row.predicted or OTHER_DEFECT)
        case _:
            return None


def decision_word(row: InspectionRow) -> str:
    """What a list says of the decision: the disposition, that one is waited for, or a dash."""
    if row.disposition is not None:
        return known(DISPOSITIONS[row.disposition])
    return say("waits") if row.verdict in WAITING_VERDICTS else "–"


def defect_classes(room: Room, record: InspectionRecord) -> tuple[str, ...]:
    """The model's defect classes in its own order, so that a key is always the same class, then `other defect`.

    Of what was not judged, those of the station's latest model.
    """
    model = record.model
    if model is None:
        with room.records.unit(read_only=True) as unit:
            model = unit.models.of_station(record.row.station)
    good, names = (None, ()) if model is None else (model.good, model.classes)
    return (*(name for name in names if name not in (good, OTHER_DEFECT)), OTHER_DEFECT)


def review_of(record: InspectionRecord, answer: Answer, *, reviewer: str, supersedes: int | None) -> NewReview:
    """The review that this answer is: a confirmation takes over what the verdict says.

    `supersedes` is the review that the reviewer saw standing, not the one that stands by now.

    Raises RecordError for an answer that decides nothing, or confirms a verdict that says nothing.
    """
    said = opinion(record)
    match answer.kind:
        case "confirm":
            decided = said
        case "good":
            decided = Proposal("good")
        case "defective":
            decided = Proposal("defective", answer.defect_class)
        case _:
            decided = None
    if decided is None:
        raise RecordError(
            f"{record.row.verdict.value} says nothing that could be confirmed" if answer.kind == "confirm"
            else marked("that answer is no decision"),
            found=answer.kind, expected=marked("good, or a defect"), next_step=marked("Decide on the part."),
        )  # fmt: skip
    return NewReview(
        uid_inspection=record.row.uid,
        reviewer=reviewer,
        disposition=decided.disposition,
        defect_class=decided.defect_class,
        decision="accept" if said is None or decided == said else "override",
        treatment=answer.treatment,
        reason=answer.reason.strip(),
        shown_ms=answer.shown_ms,
        nonce=answer.nonce,
        supersedes=supersedes,
        boxes=tuple(DrawnBox(**box.model_dump()) for box in answer.boxes),
    )


def problems(record: InspectionRecord, review: NewReview, classes: Collection[str], *, blind: bool = False) -> list[str]:
    """What is missing before the decision can be stored, as sentences for the reviewer; `classes` may be chosen.

    Who calls a rejected part good, or a passed one defective, says why; not who was `blind` to the verdict.
    """
    found = []
    if review.disposition == "defective" and review.defect_class not in classes:
        found.append(say("Choose the defect."))
    found += _box_problems(record, review, classes)
    said = opinion(record)
    if said is not None and said.disposition != review.disposition and not blind and not review.reason:
        found.append(
            say("Say why the part is good: the verdict says defective.")
            if review.disposition == "good"
            else say("Say why the part is defective: the verdict says good.")
        )
    return found


def _box_problems(record: InspectionRecord, review: NewReview, classes: Collection[str]) -> list[str]:
    """What is wrong with what was drawn, as sentences."""
    if not review.boxes:
        return []
    if review.disposition == "good":
        return [say("A good part has no defects to draw: delete the boxes, or say what is defective.")]
    width, height = record.width_px, record.height_px
    if record.row.kept_image is None or width is None or height is None:
        return [say("There is no picture to draw on: delete the boxes.")]
    found = []
    if any(box.x1 >= box.x2 or box.y1 >= box.y2 or box.x2 > width or box.y2 > height for box in review.boxes):
        found.append(say("A box lies beyond the picture or has no inside: delete it."))
    drawn = {box.defect_class for box in review.boxes}
    if not drawn <= set(classes):
        found.append(say("A box has a class that this part cannot have: choose another."))
    elif review.defect_class in classes and review.defect_class not in drawn:
        told = class_name(str(review.defect_class))
        found.append(
            say("No box shows {defect}: give one that class, delete the boxes, or decide for what they show.", defect=told)
        )
    return found


def decide(room: Room, review: NewReview, *, settles: bool = False) -> Outcome:
    """Store the decision as a new review, unless it was stored before or another review came in between.

    `settles` says that the reviewer, as signed in now, may settle a disagreement. Raises RecordError for an inspection that is
    not there, and where two people disagree about the part and this is no engineer, or one of them; RecordsAway where the
    database cannot be had within some seconds, NotAllowed for a reviewer who may not review.
    """
    with room.records.unit(prompt=True) as unit:
        known = unit.reviews.of(review.uid_inspection, hold=True)
        if any(one.nonce == review.nonce for one in known):
            return Outcome.REPEATED
        if (known[-1].id if known else None) != review.supersedes:
            return Outcome.OVERTAKEN
        uid = review.uid_inspection
        if known and unit.queue.looks([uid]).get(uid) == "engineer":
            judges = {one.reviewer for one in (*known, *unit.second_reviews.of(uid))}
            if not settles or review.reviewer in judges:
                raise RecordError(
                    marked("Two people disagree about this part, which waits for an engineer who is neither of them"),
                    next_step=marked("Nothing was stored: leave it to that engineer, on the page Review."),
                )
        unit.reviews.add(review)
        unit.second_reviews.arrange(uid, share=room.config.dashboard.second_share, settles=settles)
    return Outcome.STORED


def judge_again(room: Room, review: NewReview) -> Outcome:
    """Store what was said in a second look, unless it was stored before or another person was faster. Raises like `decide`."""
    with room.records.unit(prompt=True) as unit:
        unit.reviews.of(review.uid_inspection, hold=True)
        if not unit.second_reviews.waits_for(review.reviewer, review.uid_inspection):
            return Outcome.OVERTAKEN
        if not unit.second_reviews.add(review):
            return Outcome.REPEATED
        unit.second_reviews.arrange(review.uid_inspection, share=room.config.dashboard.second_share)
    return Outcome.STORED
