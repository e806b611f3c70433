"""One part after the other, decided by keys: the photo first, then what the system thinks of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import streamlit as st

from kizu_dashboard.beside import beside_of
from kizu_dashboard.components.scan import draw_scan, sent_scan
from kizu_dashboard.components.viewer import draw_viewer
from kizu_dashboard.language.speaking import known, marked, say
from kizu_dashboard.markup import empty_state, evidence, part_head, progress_line
from kizu_dashboard.pages.decision import current_desk, draw_decision, draw_reviews, may_act
from kizu_dashboard.pages.failing import telling_failures
from kizu_dashboard.pages.frame import current_room, current_user
from kizu_dashboard.pages.neighbours import draw_near_evidence
from kizu_dashboard.pictures import parse_uid
from kizu_dashboard.quality import group_start
from kizu_dashboard.reviewing import ORDERS, Desk, Wanted
from kizu_dashboard.room import Room, open_room
from kizu_dashboard.wording import FOOT_SENTENCE, class_name, moment, places_text, role_name
from kizu_db.permissions import Action
from kizu_db.values import InspectionRecord
from kizu_inspect.errors import RecordError

_PROGRESS: Final = marked("{judged} judged by you in this shift, since {hour}")
_WAIT: Final = marked("{waiting} wait")
KEEP_S: Final = 120  # a claim lasts ten minutes: renewed so often it outlives some failed tries


def main() -> None:
    """Draws the page."""
    user = current_user()
    if not user.role.may(Action.REVIEW):
        needed = say(
            "Reviews need the role {least}; you are {role}.", least=role_name(Action.REVIEW.least), role=role_name(user.role)
        )
        st.html(empty_state(say("You may look, and not decide"), needed))
        return
    _work(_wanted(current_room(), settles=user.role.may(Action.SETTLE)))
    _keep()


def _wanted(room: Room, *, settles: bool) -> Wanted:
    """Which parts come, kept in the address: it is the reviewer's own choice and survives a reload."""
    stations, classes = _known(room.config.model_dump_json())
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="review-filters"):
        station = st.selectbox(
            say("Station"), stations, index=None, placeholder=say("All stations"), key="station", bind="query-params",
            label_visibility="collapsed", width=190,
        )  # fmt: skip
        defect = st.selectbox(
            say("Suspected"), classes, index=None, placeholder=say("All suspicions"), format_func=class_name, key="class",
            bind="query-params", label_visibility="collapsed", width=190,
        )  # fmt: skip
        order = st.selectbox(
            say("Order"), list(ORDERS), format_func=lambda name: known(ORDERS[name]), key="order", bind="query-params",
            label_visibility="collapsed", width=190,
        )  # fmt: skip
    return Wanted(station, defect, order, settles)


@st.cache_data(ttl=30, show_spinner=False)
def _known(config: str) -> tuple[list[str], list[str]]:
    """The stations whose parts wait, and what these are suspected of."""
    with open_room(config).records.unit(read_only=True) as unit:
        return unit.queue.kinds()


@st.fragment
def _work(wanted: Wanted) -> None:
    """The part and the panel: an answer runs only this again."""
    with telling_failures():
        _next_part(wanted)


def _next_part(wanted: Wanted) -> None:
    room, desk = current_room(), current_desk("review")
    shown = desk.begin(wanted, uid=parse_uid(st.query_params.get("uid", "")))
    if shown is None:
        st.query_params.pop("uid", None)
        _scan(desk)
        st.html(empty_state(say("No part waits for your decision"), _whose_turn(room, wanted)))
        st.button(say("Look again"), icon=":material/refresh:")
        return
    with room.records.unit(read_only=True) as unit:
        record = unit.inspections.get(shown.uid)
    if record is None:
        st.html(empty_state(say("This part is not in the records any more"), say("It was let go by the rules of retention.")))
        return
    st.query_params["uid"] = shown.uid
    _draw(room, desk, record)


def _draw(room: Room, desk: Desk, record: InspectionRecord) -> None:
    row, blind = record.row, desk.is_blind(record)
    places = [*places_text(row), moment(row.captured_at, room.config.plant.zone), *([say("judged blind")] if blind else [])]
    left, right = st.columns([1.75, 1], gap="medium")
    with left:
        st.html(part_head(row.part, None if blind else row.verdict, places))
        draw_viewer(
            record, record.method, photo_first=True, blind=blind, ahead=desk.ahead(), beside=beside_of(room, record),
            classes=desk.classes(record),
        )  # fmt: skip
        if not blind:
            st.caption(known(FOOT_SENTENCE))
    with right:
        st.html(_progress(room, desk))
        _scan(desk)
        draw_decision(desk, record, follow=True)
        if not blind:
            st.html(evidence(record))
            draw_reviews(record, room.config.plant.zone)
            st.page_link(
                "part.py", label=say("All evidence"), icon=":material/center_focus_strong:", query_params={"uid": row.uid}
            )
    if not blind:  # below both: on a tablet held upright the panel follows the photo
        draw_near_evidence(room, record, desk.reviewer)


def _scan(desk: Desk) -> None:
    """The field for a scanner; what is scanned comes before the next part is chosen."""
    draw_scan(desk.scanned, lambda: desk.bring(sent_scan()) if may_act(desk) else None)


def _progress(room: Room, desk: Desk) -> str:
    """How far the reviewer is in this shift, by all their windows, and how much waits."""
    since = group_start(datetime.now(UTC), "shift", room.config.plant.zone)
    with room.records.unit(read_only=True) as unit:
        judged = unit.reviews.judged_since(desk.reviewer, since)
    told = known(_PROGRESS).format(judged=f"{judged:,}", hour=since.astimezone(room.config.plant.zone).strftime("%H:%M"))
    return progress_line(told, known(_WAIT).format(waiting=f"{_waiting(room.config.model_dump_json()):,}"))


@st.cache_data(ttl=5, show_spinner=False)
def _waiting(config: str) -> int:
    with open_room(config).records.unit(read_only=True) as unit:
        return unit.queue.waiting()


def _whose_turn(room: Room, wanted: Wanted) -> str:
    """Why nothing comes, though something may wait."""
    with room.records.unit(read_only=True) as unit:
        waiting = unit.queue.waiting()
    if waiting == 0:
        return say("Every flagged part, and every one of the audit sample, is decided.")
    if wanted.station is not None or wanted.defect_class is not None:
        return say(
            "{waiting:,} wait, but none of this choice that nobody has. Choose all stations and suspicions.", waiting=waiting
        )
    return say("{waiting:,} wait: others have them on the screen, or you left them to a second person.", waiting=waiting)


@st.fragment(run_every=KEEP_S)
def _keep() -> None:
    """Who looks for long keeps the part. Where somebody else has it by now the next answer will say so."""
    try:
        current_desk("review", by_clock=True).keep()
    except RecordError:
        return


if __name__ == "__main__":
    main()
