"""One reviewer's desk: the part before them, what they answered, and what comes next."""

from __future__ import annotations

import secrets
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final
from weakref import WeakSet

from kizu_dashboard.blindness import drawn_blind
from kizu_dashboard.deciding import Outcome, decide, defect_classes, judge_again, parse_answer, problems, review_of
from kizu_dashboard.failing import failure_text
from kizu_dashboard.language.speaking import marked, say
from kizu_dashboard.room import Room
from kizu_dashboard.scanning import claim_scanned
from kizu_dashboard.wording import disposition_text
from kizu_db.repositories.queue_order import Order
from kizu_db.values import Claim, InspectionRecord, Look
from kizu_inspect.errors import KizuError, RecordError, RecordsAway

__all__ = ["ORDERS", "Desk", "Shown", "Wanted"]

ORDERS: Final[dict[Order, str]] = {"oldest": marked("Oldest first"), "uncertain": marked("Least certain first")}
_desks: WeakSet[Desk] = WeakSet()
"""All that there are: two windows of one person may show the same part."""
_desks_lock: Final = threading.Lock()

_REMEMBERED: Final = 200
"""Decisions that can be taken back, and parts that were skipped."""
_AHEAD: Final = 3


@dataclass(frozen=True)
class Wanted:
    """Which parts a reviewer takes, in which order."""

    station: str | None = None
    defect_class: str | None = None
    order: Order = "oldest"
    settles: bool = False
    """Whether what two people disagree on comes too."""


@dataclass(frozen=True)
class Shown:
    """What is on the screen. An answer counts only for this part and this nonce."""

    uid: str
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    claimed: bool = True
    """Whether it came from the queue; a part that was opened by its address, or again, did not."""
    standing: int | None = None
    """The review that stood when it was shown: the one that an answer corrects."""
    taken_back: bool = False
    """Whether it was decided here before."""
    blind: bool = False
    """Whether it was decided blind here, which a correction then is too."""
    look: Look | None = None
    """Why it is shown though it was decided before."""


class Desk:
    """What one reviewer has before them in one browser window. Threads may share it; it never waits for a page."""

    def __init__(self, room: Room, reviewer: str) -> None:
        self.reviewer = reviewer
        self._room = room
        self.shown: Shown | None = None
        self.notice: str | None = None
        """Why the last answer was not stored, as a sentence; None where it was."""
        self.told: str | None = None
        """What became of the last answer, in a few words, to be said once."""
        self.scanned: str | None = None
        """Why what was scanned last did not come, as a sentence."""
        self.turn = 0
        """Counts the answers that were looked at: the browser may answer again when it has changed."""
        self.settles = False
        """Whether the reviewer, as signed in now, may settle a disagreement."""
        self._wanted: Wanted | None = None
        self._passed_over: deque[str] = deque(maxlen=_REMEMBERED)
        self._made: deque[Shown] = deque(maxlen=_REMEMBERED)
        self._aside: Shown | None = None
        """What was before the reviewer when they took a decision back."""
        self._left = False
        """Whether what lies here was given back."""
        self._lock = threading.RLock()
        with _desks_lock:
            _desks.add(self)

    def holds(self, room: Room, reviewer: str, uid: str) -> bool:
        """Whether this desk has the part for this reviewer. It waits for no answer that is being stored here."""
        on_it = (self.shown, self._aside)
        return (
            self._room is room
            and self.reviewer == reviewer
            and not self._left
            and any(shown is not None and shown.claimed and shown.uid == uid for shown in on_it)
        )

    def begin(self, wanted: Wanted, *, uid: str | None = None) -> Shown | None:
        """The part before the reviewer, taken from the queue if there is none; None where nothing waits for them.

        `uid` is the part that a reloaded page had: it is theirs again if nobody else has it. Raises RecordError where the
        database refuses or is away.
        """
        with self._lock:
            self._come_back()
            if self._wanted is not None and wanted != self._wanted:
                self._passed_over.clear()
                self._give_back()
                uid = None
            self._wanted, self.settles = wanted, wanted.settles
            if self.shown is None and uid is not None and (claim := self._hold(uid)) is not None:
                self.shown = Shown(uid, look=claim.look)
            if self.shown is None:
                self._take()
            return self.shown

    def look_at(self, uid: str) -> Shown:
        """The part that was opened by its address, without a claim."""
        with self._lock:
            self._left = False
            if self.shown is None or self.shown.uid != uid:
                self.shown = Shown(uid, claimed=False)
                self.notice = self.told = None
            return self.shown

    def present(self, record: InspectionRecord) -> None:
        """The page shows this record now: where another review stands than before, it asks anew, but of who is blind to it."""
        with self._lock:
            standing = None if record.standing_review is None else record.standing_review.id
            if self.shown is not None and self.shown.look == "second":
                return
            if self.shown is not None and self.shown.uid == record.row.uid and self.shown.standing != standing:
                self.shown = replace(self.shown, nonce=secrets.token_urlsafe(16), standing=standing)

    def ahead(self) -> list[str]:
        """The uids of the parts that are likely to come next, so that their pictures can be fetched."""
        wanted = self._wanted or Wanted()
        with self._room.records.unit(read_only=True) as unit:
            return unit.queue.next_up(
                self.reviewer, order=wanted.order, station=wanted.station, defect_class=wanted.defect_class,
                settles=self.settles, blind_share=self._blind_share, passing_over=list(self._passed_over), limit=_AHEAD,
            )  # fmt: skip

    def keep(self) -> None:
        """Renew the claim of the part on the screen. Raises RecordError where somebody else has it by now."""
        with self._lock:
            if self.shown is not None and self.shown.claimed:
                with self._room.records.claims() as claims:
                    claims.renew(self.shown.uid, self.reviewer)

    def leave(self) -> None:
        """Give back what is on the screen: the window was closed, or has lost its connection and may come back."""
        with self._lock, suppress(RecordError):  # the lease ends by itself
            self._left = True
            for shown in (self.shown, self._aside):
                if shown is not None and shown.claimed:
                    self._release(shown)

    def bring(self, text: str) -> None:
        """Have the part of this id, serial or lot before the reviewer, if they may judge it; `scanned` says why not.

        What was before them goes back, with what was typed for it kept by the browser. Nothing is raised.
        """
        with self._lock:
            self.scanned = None
            text = text.strip()
            if not text:
                return
            try:
                self._come_back()
                found = claim_scanned(self._room, self.reviewer, text, settles=self.settles)
                if isinstance(found, str):
                    self.scanned = found
                elif self.shown is None or self.shown.uid != found.uid_inspection:
                    self._put_back()
                    self.shown = Shown(found.uid_inspection, look=found.look)
                    self.notice = self.told = None
            except KizuError as error:
                self.scanned = failure_text(error)

    def refuse(self, why: str) -> None:
        """Say why an answer was not even looked at."""
        with self._lock:
            self.turn += 1
            self.told, self.notice = None, say("Not stored: {why}", why=why)

    def answer(self, told: object, *, follow: bool = True) -> None:
        """Do what the browser sent, once, and have the next part shown if it is to `follow`.

        Nothing is raised: `notice` says what was not stored and why, and what was typed stays with the browser.
        """
        with self._lock:
            self.turn += 1
            self.notice = self.told = self.scanned = None
            try:
                self._answer(told, follow=follow)
            except KizuError as error:
                self.notice = say("Not stored: {why}", why=failure_text(error))

    def _answer(self, told: object, *, follow: bool) -> None:
        answer = parse_answer(told)
        self._come_back()
        shown = self.shown
        if shown is None or (answer.uid, answer.nonce) != (shown.uid, shown.nonce):
            return  # a key that was pressed for another part, or twice: what is shown now was not answered
        if answer.kind == "undo":
            self._take_back()
            return
        if answer.kind == "skip":
            if not shown.taken_back:
                self._passed_over.append(shown.uid)
            self._put_back()
            self._go_on(follow=follow)
            return
        if answer.kind == "unsure":
            if shown.taken_back:
                raise RecordError(marked("that answer is no decision"), next_step=marked("Decide on the part."))
            with self._room.records.unit(prompt=True) as unit:
                unit.queue.escalate(shown.uid, by=self.reviewer, why=answer.reason.strip())
            self.told = say("left to a second person")
            self._go_on(follow=follow)
            return
        with self._room.records.unit(read_only=True) as unit:
            record = unit.inspections.get(shown.uid)
        if record is None:
            raise RecordError(marked("the inspection is not in the records any more"), next_step=marked("Take the next one."))
        review = review_of(record, answer, reviewer=self.reviewer, supersedes=shown.standing)
        if lacking := problems(record, review, self.classes(record), blind=self.is_blind(record)):
            self.notice = " ".join(lacking)
            return
        if shown.look == "second":
            outcome = judge_again(self._room, review)
        else:
            outcome = decide(self._room, review, settles=self.settles)
        if outcome is Outcome.STORED:
            self._made.append(replace(shown, blind=self.is_blind(record)))
            self.told = say("{part}: recorded as {decision}", part=record.row.part, decision=disposition_text(review))
        elif outcome is Outcome.OVERTAKEN:
            self.told = say("{part}: somebody else decided meanwhile; nothing was stored", part=record.row.part)
        self._go_on(follow=follow)

    def is_blind(self, record: InspectionRecord) -> bool:
        """Whether the reviewer must not see what the system thinks: where that was drawn, until it is decided, and of a
        second look, nor what others decided.
        """
        shown = self.shown
        if shown is None or shown.uid != record.row.uid:
            return False
        if shown.blind or shown.look == "second":
            return True
        return shown.claimed and record.standing_review is None and drawn_blind(self._room, record.row)

    def classes(self, record: InspectionRecord) -> tuple[str, ...]:
        """The defects that the part may be said to have."""
        return defect_classes(self._room, record)

    @property
    def can_undo(self) -> bool:
        """Whether there is a decision of this desk to take back."""
        return bool(self._made)

    def _take_back(self) -> None:
        if not self._made:
            self.notice = say("There is no decision to take back.")
            return
        back, shown = self._made.pop(), self.shown
        if shown is not None and shown.taken_back:
            self._made.append(shown)
        elif shown is not None and shown.claimed and self._aside is None:
            self._aside = shown
        self.shown = Shown(back.uid, claimed=False, taken_back=True, blind=back.blind, look=back.look)
        self.told = say("decide again: the new decision replaces the old one, which stays on record")

    def _go_on(self, *, follow: bool) -> None:
        if not follow:
            if self.shown is not None:
                self.shown = replace(self.shown, nonce=secrets.token_urlsafe(16), claimed=False)
            return
        self.shown = None
        aside, self._aside = self._aside, None
        if aside is not None and self._hold(aside.uid) is not None:
            self.shown = aside
            return
        with suppress(RecordError):  # the answer is stored; the page, which is drawn next, takes the part or says why not
            self._take()

    def _take(self) -> None:
        wanted = self._wanted or Wanted()
        with self._room.records.claims() as claims:
            for passing_over in dict.fromkeys((tuple(self._passed_over), ())):  # what was skipped comes last
                claim = claims.take(
                    self.reviewer, order=wanted.order, station=wanted.station, defect_class=wanted.defect_class,
                    settles=self.settles, blind_share=self._blind_share, passing_over=passing_over,
                )  # fmt: skip
                if claim is not None:
                    self.shown = Shown(claim.uid_inspection, look=claim.look)
                    return
                self._passed_over.clear()

    def _come_back(self) -> None:
        """After a lost connection: the same part, with what was typed, unless somebody else has it by now."""
        if not self._left:
            return
        shown = self.shown
        if shown is not None and shown.claimed and self._hold(shown.uid) is None:
            self.shown = None
            self.told = say("The connection was lost, and somebody else has that part by now: this is another one")
        self._left = False

    def _hold(self, uid: str) -> Claim | None:
        """Have this very part, if it waits for this reviewer and nobody else has it."""
        with self._room.records.claims() as claims:
            try:
                return claims.hold(uid, self.reviewer, settles=self.settles)
            except RecordsAway:
                raise
            except RecordError:  # there is no such inspection
                return None

    @property
    def _blind_share(self) -> float:
        return self._room.config.dashboard.blind_share

    def _put_back(self) -> None:
        """Another part comes though this one was not decided; one that was taken back can be taken back again."""
        if self.shown is not None and self.shown.taken_back:
            self._made.append(self.shown)
        self._give_back()

    def _give_back(self) -> None:
        shown, self.shown = self.shown, None
        if shown is not None and shown.claimed:
            self._release(shown)

    def _release(self, shown: Shown) -> None:
        with _desks_lock:
            others = [one for one in _desks if one is not self]
        if any(one.holds(self._room, self.reviewer, shown.uid) for one in others):
            return  # another window of this reviewer still shows it
        with self._room.records.claims() as claims:
            claims.release(shown.uid, by=self.reviewer)
