"""What the Review and the Part page share: the desk of who is signed in, the panel, and the reviews made before."""

from __future__ import annotations

from typing import Literal
from zoneinfo import ZoneInfo

import streamlit as st

from kizu_dashboard.components.decision import draw_panel, sent_answer
from kizu_dashboard.markup import card_title, facts
from kizu_dashboard.pages.frame import current_room, current_user, user_now
from kizu_dashboard.reviewing import Desk
from kizu_dashboard.room import open_room
from kizu_dashboard.wording import boxes_text, disposition_text, moment
from kizu_db.values import InspectionRecord

__all__ = ["current_desk", "draw_decision", "draw_reviews"]


@st.cache_resource(scope="session", show_spinner=False, on_release=Desk.leave)
def _desk(config: str, reviewer: str, _of: str) -> Desk:
    """One for each person and page in a browser window; when that is closed, what lay on it is given back."""
    return Desk(open_room(config), reviewer)


def current_desk(of: Literal["review", "part"], *, by_clock: bool = False) -> Desk:
    """The desk of who is signed in; `by_clock` as for `current_user`."""
    return _desk(current_room().config.model_dump_json(), current_user(by_clock=by_clock).name, of)


def draw_decision(desk: Desk, record: InspectionRecord, *, follow: bool) -> None:
    """The panel in which a person decides; with `follow` the next part is shown after it."""
    with current_room().records.unit(read_only=True) as unit:
        escalation = unit.queue.escalation(record.row.uid)
    draw_panel(desk, record, escalation, lambda: _answered(desk, follow=follow))


def _answered(desk: Desk, *, follow: bool) -> None:
    """Take the answer as it is now, from who is signed in now: nothing here is left from the run before."""
    user = user_now()
    if user is not None and user.name == desk.reviewer:
        desk.answer(sent_answer(), follow=follow)


def draw_reviews(record: InspectionRecord, zone: ZoneInfo) -> None:
    """Every review, the standing one first; corrected ones stay readable."""
    if not record.reviews:
        return
    superseded = {review.supersedes for review in record.reviews}
    with st.container(border=True, key="card-reviews"):
        st.html(card_title("Reviews"))
        for review in reversed(record.reviews):
            entries = {
                "Decision": f"{review.decision}, {disposition_text(review)}"
                + (" (corrected)" if review.id in superseded else ""),
                "By": f"{review.reviewer}, {moment(review.reviewed_at, zone)}",
            }
            if review.boxes:
                entries["Drew"] = boxes_text(review.boxes)
            if review.treatment is not None:
                entries["Then"] = review.treatment
            if review.reason:
                entries["Comment"] = review.reason
            if review.shown_ms is not None:
                entries["Looked at"] = f"{review.shown_ms / 1000:.1f} s"
            st.html(facts(entries))
