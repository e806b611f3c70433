"""What the Review and the Part page share: the desk of who is signed in, the panel, and the reviews made before."""

from __future__ import annotations

from typing import Literal
from zoneinfo import ZoneInfo

import streamlit as st

from kizu_dashboard.bulk_deciding import Bulk
from kizu_dashboard.components.decision import draw_panel, sent_answer
from kizu_dashboard.failing import failure_text
from kizu_dashboard.language.speaking import known, say
from kizu_dashboard.markup import card_title, facts
from kizu_dashboard.pages.frame import current_room, current_user, user_now
from kizu_dashboard.reviewing import Desk
from kizu_dashboard.room import open_room
from kizu_dashboard.wording import DECISIONS, TREATMENTS, boxes_text, comment_text, disposition_text, moment, role_name
from kizu_db.permissions import Action
from kizu_db.values import InspectionRecord, Review, User
from kizu_inspect.errors import KizuError

__all__ = ["current_desk", "draw_decision", "draw_reviews", "may_act", "reviewer_now"]


@st.cache_resource(scope="session", show_spinner=False, on_release=Desk.leave)
def _desk(config: str, reviewer: str, of: str) -> Desk:
    """One for each person and page in a browser window; when that is closed, what lay on it is given back.

    The window may only have lost its connection: its session has the desk still when it is back, and the part, if it is free.
    """
    desk: Desk = st.session_state.setdefault(f"desk {of} {reviewer}", Desk(open_room(config), reviewer))
    return desk


def current_desk(of: Literal["review", "part"], *, by_clock: bool = False) -> Desk:
    """The desk of who is signed in; `by_clock` as for `current_user`."""
    return _desk(current_room().config.model_dump_json(), current_user(by_clock=by_clock).name, of)


def draw_decision(desk: Desk, record: InspectionRecord, *, follow: bool) -> None:
    """The panel in which a person decides; with `follow` the next part is shown after it."""
    with current_room().records.unit(read_only=True) as unit:
        escalations = unit.queue.escalations(record.row.uid)
        seconds = unit.second_reviews.of(record.row.uid) if record.reviews else []
    draw_panel(desk, record, escalations, seconds, lambda: _answered(desk, follow=follow))


def _answered(desk: Desk, *, follow: bool) -> None:
    """Take the answer as it is now: nothing here is left from the run before."""
    if may_act(desk):
        desk.answer(sent_answer(), follow=follow)


def may_act(desk: Desk) -> bool:
    """Whether who is signed in at this moment may work at this desk, which else says why not. For callbacks."""
    user = reviewer_now(desk)
    if user is None:
        return False
    desk.settles = user.role.may(Action.SETTLE)  # of who came in by badge or PIN the records know a higher one
    return True


def reviewer_now(at: Desk | Bulk) -> User | None:
    """Who is signed in at this moment, where it is the one who works here and they may review; `at` else says why not."""
    try:
        user = user_now()
    except KizuError as error:
        at.refuse(failure_text(error))
        return None
    if user is None or user.name != at.reviewer:
        return None  # the page, which is drawn next, says that the sign-in has ended
    if not user.role.may(Action.REVIEW):
        at.leave()
        at.refuse(say("You are {role} now, and may look alone.", role=role_name(user.role)))
        return None
    return user


def draw_reviews(record: InspectionRecord, zone: ZoneInfo) -> None:
    """Every review, the standing one first; corrected ones stay readable. Then what was said in a second look."""
    if not record.reviews:
        return
    with current_room().records.unit(read_only=True) as unit:
        seconds = unit.second_reviews.of(record.row.uid)
    superseded = {review.supersedes for review in record.reviews}
    with st.container(border=True, key="card-reviews"):
        st.html(card_title(say("Reviews")))
        for review in reversed(record.reviews):
            decided = f"{known(DECISIONS[review.decision])}, {disposition_text(review)}"
            if review.id in superseded:
                decided = say("{decision} (corrected)", decision=decided)
            st.html(facts({say("Decision"): decided} | _told(review, zone)))
        for review in reversed(seconds):
            decided = say("{decision}, blind to the decision", decision=disposition_text(review))
            st.html(facts({say("Second look"): decided} | _told(review, zone)))


def _told(review: Review, zone: ZoneInfo) -> dict[str, str]:
    entries = {say("By"): f"{review.reviewer}, {moment(review.reviewed_at, zone)}"}
    if review.boxes:
        entries[say("Drew")] = boxes_text(review.boxes)
    if review.treatment is not None:
        entries[say("Then")] = known(TREATMENTS[review.treatment])
    if review.reason:
        entries[say("Comment")] = comment_text(review)
    if review.shown_ms is not None:
        entries[say("Looked at")] = say("{seconds:.1f} s", seconds=review.shown_ms / 1000)
    return entries
