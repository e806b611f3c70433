"""Deciding for many parts at once: what is laid out, what was selected, what was stored, and taking it back."""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kizu_dashboard.bulk_answers import LEFT_OUT, Chosen, Fate, Group, GroupAnswer, Situation
from kizu_dashboard.deciding import LONGEST_REASON, Outcome, decide
from kizu_dashboard.failing import failure_text
from kizu_dashboard.language.speaking import known, say, say_count
from kizu_dashboard.room import Room
from kizu_dashboard.wording import class_name
from kizu_db.values import InspectionRow
from kizu_inspect.errors import KizuError, NotAllowed, RecordError, RecordsAway

__all__ = ["MOST_AT_ONCE", "Became", "Bulk"]

MOST_AT_ONCE: Final = 100
_REMEMBERED: Final = 20
"""Groups that can be taken back."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    uid: str = Field(max_length=64)
    shown_ms: int | None = Field(ge=0, le=10**9)


class _Choice(BaseModel):
    """What the browser sends: the parts that were selected on the page of this turn."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    turn: str = Field(max_length=64)
    parts: list[_Part] = Field(min_length=1, max_length=MOST_AT_ONCE)


@dataclass(frozen=True)
class Became:
    """What became of an answer for a group."""

    said: str
    """As a sentence."""
    left: tuple[tuple[str, str], ...]
    """The parts that were left out, each with a sentence why."""


class Bulk:
    """One reviewer's gallery in one browser window. Threads may share it.

    Nothing is raised but where the records are only read: `notice` says why nothing was stored.
    """

    def __init__(self, room: Room, reviewer: str) -> None:
        self.reviewer = reviewer
        self.group: Group | None = None
        """The parts that an answer is asked for."""
        self.became: Became | None = None
        self.notice: str | None = None
        self.done = 0
        """Counts the groups that were stored."""
        self._room = room
        self._turn = ""
        self._laid: dict[str, int | None] = {}
        """What is on the page: by uid, the review that stands."""
        self._looked_at: dict[tuple[str, str | None], frozenset[str]] = {}
        """For which parts each answer was shown to count, of the group."""
        self._made: deque[Group] = deque(maxlen=_REMEMBERED)
        self._lock = threading.RLock()

    def lay_out(self, rows: Sequence[InspectionRow]) -> str:
        """These parts are on the page now; the turn, by which a choice says that it was made of them as they stand."""
        uids = [row.uid for row in rows]
        with self._room.records.unit(read_only=True) as unit:
            standing = unit.reviews.standing(uids)
        with self._lock:
            laid = {uid: standing.get(uid) for uid in uids}
            if laid != self._laid:
                self._laid, self._turn = laid, secrets.token_urlsafe(16)
            return self._turn

    def choose(self, told: object) -> None:
        """An answer is asked for the parts that the browser sent."""
        with self._lock:
            self.notice = None
            try:
                choice = _Choice.model_validate(told)
            except ValidationError:
                self.notice = say("The browser's choice cannot be read: load the page again.")
                return
            uids = [part.uid for part in choice.parts]
            if choice.turn != self._turn or not set(uids) <= set(self._laid) or len(set(uids)) < len(uids):
                self.notice = say("The page has changed since these parts were selected: select them again.")
                return
            self._open(Group(tuple(Chosen(part.uid, part.shown_ms, self._laid[part.uid]) for part in choice.parts)))

    def cancel(self) -> None:
        """No answer is asked for any more."""
        with self._lock:
            self.group = self.notice = None

    def leave(self) -> None:
        """What was asked for is given up: who works here may not any more."""
        self.cancel()

    def refuse(self, why: str) -> None:
        """Say why nothing was even looked at."""
        with self._lock:
            self.notice = say("Not stored: {why}", why=why)

    def situation(self) -> Situation | None:
        """What the records say of the group; None where there is none. Raises RecordError where they are away."""
        group = self.group
        return None if group is None else Situation(self._room, group, self.reviewer)

    def look_at(self, answer: GroupAnswer, fates: Sequence[Fate]) -> None:
        """The reviewer sees what the answer would mean: for no other part it is stored."""
        with self._lock:
            self._looked_at[answer.question] = frozenset(one.uid for one in fates if one.left_out is None)

    def store(self, answer: GroupAnswer) -> None:
        """Decide for each part on its own, as the page Review does. The same answer again stores nothing twice."""
        with self._lock:
            group, self.notice = self.group, None
            if group is None:
                return  # it was pressed twice, and is stored
            try:
                self._store(group, answer)
            except KizuError as error:
                self.notice = failure_text(error)

    def take_back(self) -> None:
        """The last group comes back to be decided again; what somebody decided since is left as it is."""
        with self._lock:
            self.notice = None
            if not self._made:
                self.notice = say("There is no decision to take back.")
                return
            made = self._made[-1]
            try:
                with self._room.records.unit(read_only=True) as unit:
                    records = {one.row.uid: one for one in unit.inspections.records([part.uid for part in made.parts])}
            except KizuError as error:
                self.notice = failure_text(error)
                return
            parts = []
            for part in made.parts:
                stands = None if (record := records.get(part.uid)) is None else record.standing_review
                own = stands is not None and stands.nonce == made.nonce_of(part.uid)
                parts.append(Chosen(part.uid, part.shown_ms, stands.id if own and stands else None, overtaken=not own))
            self._open(Group(tuple(parts), again=True))

    @property
    def can_undo(self) -> bool:
        """Whether there is a group to take back."""
        return bool(self._made)

    def _open(self, group: Group) -> None:
        self.group, self.became = group, None
        self._looked_at.clear()

    def _store(self, group: Group, answer: GroupAnswer) -> None:
        if len(answer.reason) > LONGEST_REASON:
            self.notice = say(
                "Nothing was stored: the reason has {count:,} characters, and may have {most:,}.",
                count=len(answer.reason),
                most=LONGEST_REASON,
            )
            return
        looked_at = self._looked_at.get(answer.question)
        if looked_at is None:
            self.notice = say("Nothing was stored: look at what this answer would mean, then store it.")
            return
        fates = Situation(self._room, group, self.reviewer).fates(answer)
        wanted = [one for one in fates if one.left_out is None and one.uid in looked_at]
        if silent := sum(one.needs_reason for one in wanted):
            self.notice = say_count(
                "Nothing was stored: say why. The answer contradicts the verdict of {count} part.",
                "Nothing was stored: say why. The answer contradicts the verdict of {count} parts.",
                silent,
            )
            return
        left = [(one.part, one.left_out) for one in fates if one.left_out is not None]
        stored: list[str] = []
        stopped: str | None = None
        for one in wanted:
            try:
                why = stopped or self._store_one(one, answer)
            except (RecordsAway, NotAllowed) as error:
                if not stored:
                    raise
                why = stopped = failure_text(error)  # what is stored is told, and the rest can be selected again
            except RecordError as error:
                why = failure_text(error)
            if why is None:
                stored.append(one.uid)
            else:
                left.append((one.part, why))
        said = _became(answer, len(stored), len(group.parts))
        if group.again:
            self._made.pop()
        if answer.kind != "unsure" and stored:
            self._made.append(Group(tuple(part for part in group.parts if part.uid in stored), nonce=group.nonce))
        self.became, self.group = Became(said, tuple(left)), None
        self.done += 1

    def _store_one(self, one: Fate, answer: GroupAnswer) -> str | None:
        """Why it was not stored after all; None where it was."""
        held = one.waits and self._hold(one.uid)
        if one.waits and not held and (why := self._why_not_held(one.uid)) is not None:
            return why
        try:
            if one.review is not None:
                return known(LEFT_OUT["overtaken"]) if decide(self._room, one.review) is Outcome.OVERTAKEN else None
            with self._room.records.unit(prompt=True) as unit:
                unit.queue.escalate(one.uid, by=self.reviewer, why=answer.reason.strip())
        except KizuError:
            if held:
                with suppress(RecordError), self._room.records.claims() as claims:  # the lease ends by itself
                    claims.release(one.uid, by=self.reviewer)
            raise
        return None

    def _hold(self, uid: str) -> bool:
        """Have the part before it is decided, so that nobody is shown it meanwhile who then decides for nothing."""
        with self._room.records.claims() as claims:
            return claims.hold(uid, self.reviewer) is not None

    def _why_not_held(self, uid: str) -> str | None:
        """Who has the part; None where it is decided, of which the write itself tells."""
        with self._room.records.unit(read_only=True) as unit:
            holder = next((claim.reviewer for claim in unit.queue.claims() if claim.uid_inspection == uid), None)
        return None if holder is None else known(LEFT_OUT["claimed"]).format(name=holder)


def _became(answer: GroupAnswer, stored: int, chosen: int) -> str:
    """What became of it, as a sentence; it is plural by the number of parts that were chosen."""
    match answer.kind:
        case "confirm":
            return say_count(
                "{stored} of {count} part is recorded as its verdict says.",
                "{stored} of {count} parts are recorded as their verdicts say.",
                chosen,
                stored=stored,
            )
        case "good":
            return say_count(
                "{stored} of {count} part is recorded as good.",
                "{stored} of {count} parts are recorded as good.",
                chosen,
                stored=stored,
            )
        case "defective":
            return say_count(
                "{stored} of {count} part is recorded as defective: {name}.",
                "{stored} of {count} parts are recorded as defective: {name}.",
                chosen,
                stored=stored,
                name=class_name(answer.defect_class or ""),
            )
        case "unsure":
            return say_count(
                "{stored} of {count} part is left to a second person.",
                "{stored} of {count} parts are left to a second person.",
                chosen,
                stored=stored,
            )
