"""One answer for many parts: what it would mean for each of them, and which it leaves out, and why."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, Literal

from kizu_dashboard.blindness import drawn_blind
from kizu_dashboard.deciding import OTHER_DEFECT, Answer, defect_classes, opinion, problems, review_of
from kizu_dashboard.language.speaking import known, marked, say
from kizu_dashboard.room import Room
from kizu_dashboard.wording import class_name, disposition_text
from kizu_db.values import InspectionRecord, NewReview, Treatment
from kizu_inspect.results import Verdict

__all__ = ["LEFT_OUT", "Chosen", "Fate", "Group", "GroupAnswer", "Situation"]

LEFT_OUT: Final = {
    "gone": marked("It is not in the records any more."),
    "overtaken": marked("Somebody decided it since it was shown here."),
    "unseen": marked("Its picture was not on the screen."),
    "pictureless": marked("It has no picture that could be on the screen."),
    "blind": marked("It was drawn to be judged blind, on the page Review."),
    "disputed": marked("Two people disagree about it: an engineer decides, on the page Review."),
    "claimed": marked("{name} has it on the screen."),
    "silent": marked("{verdict} says nothing that could be confirmed."),
    "unknown": marked("The model that judged it does not know {name}."),
    "settled": marked("It does not wait for a decision."),
    "left before": marked("You left it to a second person before."),
}
"""Why a part is left out, as sentences."""

_ANY_REASON: Final = "?"


@dataclass(frozen=True)
class Chosen:
    """One of the parts that were selected, as it was on the screen."""

    uid: str
    shown_ms: int | None
    """For how long its picture was on the screen; None where it was not."""
    standing: int | None
    """The review that stood when it was shown: the one that an answer corrects."""
    overtaken: bool = False
    """Whether it is known already that somebody else decided since."""


@dataclass(frozen=True)
class Group:
    """Parts that one answer is for."""

    parts: tuple[Chosen, ...]
    again: bool = False
    """Whether they were decided together before, which is taken back."""
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(16))

    def nonce_of(self, uid: str) -> str:
        """Of this part's review: the same group answered twice stores it once."""
        return f"{self.nonce}-{uid}"


@dataclass(frozen=True)
class GroupAnswer:
    """What a person says of all of them."""

    kind: Literal["confirm", "good", "defective", "unsure"]
    defect_class: str | None = None
    reason: str = ""
    treatment: Treatment | None = None

    @property
    def question(self) -> tuple[str, str | None]:
        """What decides on which parts it fits, whatever the reason."""
        return self.kind, self.defect_class


@dataclass(frozen=True)
class Fate:
    """What an answer would mean for one part."""

    uid: str
    part: str
    verdict: Verdict | None
    """None where the part is gone."""
    would: str = ""
    """What it would be recorded as."""
    review: NewReview | None = None
    """What would be stored; None where it would be left to a second person, or left out."""
    waits: bool = False
    """Whether somebody else could have it on the screen."""
    needs_reason: bool = False
    left_out: str | None = None
    """Why nothing would be stored, as a sentence."""


class Situation:
    """The parts of a group as the records tell of them now, before one reviewer. Reading it raises RecordError as units do."""

    def __init__(self, room: Room, group: Group, reviewer: str) -> None:
        self._room = room
        self._group = group
        self._reviewer = reviewer
        uids = [part.uid for part in group.parts]
        with room.records.unit(read_only=True) as unit:
            self.records: Mapping[str, InspectionRecord] = {one.row.uid: one for one in unit.inspections.records(uids)}
            self._held_by = {claim.uid_inspection: claim.reviewer for claim in unit.queue.claims()}
            self._looks = unit.queue.looks(uids)
            self._left_before = unit.queue.left_by(reviewer, uids)

    @cached_property
    def classes(self) -> Mapping[str, tuple[str, ...]]:
        """The defects that each part may be said to have, by uid."""
        # Of what was not judged the station's model is asked for; it is the same for all of them.
        by_model: dict[tuple[str, str | None], tuple[str, ...]] = {}
        found = {}
        for uid, record in self.records.items():
            judged_by = (record.row.station, None if record.model is None else record.model.hash)
            if judged_by not in by_model:
                by_model[judged_by] = defect_classes(self._room, record)
            found[uid] = by_model[judged_by]
        return found

    @property
    def answers(self) -> list[GroupAnswer]:
        """All that can be said: confirm, good, the defects of any of the parts in their models' order, and cannot tell."""
        names = dict.fromkeys(name for of_one in self.classes.values() for name in of_one if name != OTHER_DEFECT)
        defects = (GroupAnswer("defective", name) for name in (*names, OTHER_DEFECT))
        unsure = [] if self._group.again else [GroupAnswer("unsure")]
        return [GroupAnswer("confirm"), GroupAnswer("good"), *defects, *unsure]

    def fates(self, answer: GroupAnswer) -> list[Fate]:
        """What the answer would mean, part by part in the group's order."""
        return list(self._fates(answer))

    def _fates(self, answer: GroupAnswer) -> Iterator[Fate]:
        for part in self._group.parts:
            record = self.records.get(part.uid)
            if record is None:
                yield Fate(part.uid, part.uid, None, left_out=known(LEFT_OUT["gone"]))
                continue
            row, stands = record.row, record.standing_review
            waits = stands is None and (row.audit or row.verdict is not Verdict.PASS)
            head = Fate(row.uid, row.part, row.verdict, waits=waits)
            why = self._why_not(part, record, answer, waits=waits)
            yield self._would(head, part, record, answer) if why is None else replace(head, left_out=why)

    def _why_not(self, part: Chosen, record: InspectionRecord, answer: GroupAnswer, *, waits: bool) -> str | None:
        row, stands = record.row, record.standing_review
        if stands is not None and stands.nonce == self._group.nonce_of(part.uid):
            return None  # this very answer was stored before
        look = self._looks.get(part.uid)
        if look == "second" and all(one.reviewer != self._reviewer for one in record.reviews):
            return known(LEFT_OUT["blind"])  # and nothing of what was decided: it may come to this person for a second look
        if look == "engineer":
            return known(LEFT_OUT["disputed"])
        if part.overtaken or (None if stands is None else stands.id) != part.standing:
            return known(LEFT_OUT["overtaken"])
        if row.kept_image is None:
            return known(LEFT_OUT["pictureless"])
        if part.shown_ms is None:
            return known(LEFT_OUT["unseen"])
        if self._is_blind(record):
            return known(LEFT_OUT["blind"])
        holder = self._held_by.get(part.uid, self._reviewer)
        if waits and holder != self._reviewer:
            return known(LEFT_OUT["claimed"]).format(name=holder)
        match answer.kind:
            case "confirm" if opinion(record) is None:
                return known(LEFT_OUT["silent"]).format(verdict=row.verdict.value)
            case "defective" if answer.defect_class not in self.classes[part.uid]:
                return known(LEFT_OUT["unknown"]).format(name=class_name(answer.defect_class or ""))
            case "unsure" if not waits:
                return known(LEFT_OUT["settled"])
            case "unsure" if part.uid in self._left_before:
                return known(LEFT_OUT["left before"])
            case _:
                return None

    def _is_blind(self, record: InspectionRecord) -> bool:
        """Whether this person is to judge it by the photo alone: the gallery tells of the verdict."""
        if not drawn_blind(self._room, record.row):
            return False
        if record.row.verdict is Verdict.PASS:  # a second opinion of the audit sample is worth as much as the first
            return all(one.reviewer != self._reviewer for one in record.reviews)
        return record.standing_review is None

    def _would(self, head: Fate, part: Chosen, record: InspectionRecord, answer: GroupAnswer) -> Fate:
        if answer.kind == "unsure":
            return replace(head, would=say("left to a second person"))

        def review(reason: str) -> NewReview:
            said = Answer(
                uid=part.uid, nonce=self._group.nonce_of(part.uid), kind=answer.kind, defect_class=answer.defect_class,
                reason=reason, treatment=answer.treatment, shown_ms=part.shown_ms,
            )  # fmt: skip
            return review_of(record, said, reviewer=self._reviewer, supersedes=part.standing)

        classes = self.classes[part.uid]
        wrong = problems(record, review(_ANY_REASON), classes)
        if wrong:  # what no reason heals, as a verdict's own class that its model does not offer
            return replace(head, left_out=" ".join(wrong))
        stored = review(answer.reason)
        lacking = bool(problems(record, stored, classes))
        return replace(head, would=disposition_text(stored), review=stored, needs_reason=lacking)
