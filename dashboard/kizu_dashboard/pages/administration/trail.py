"""Who did what, when, why, from what to what; and whether the records are as they were written."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Final

import streamlit as st

from kizu_dashboard.markup import Cell, became, card_title, data_table, empty_state, quiet
from kizu_dashboard.pages.administration.writing import write
from kizu_dashboard.pages.frame import current_user
from kizu_dashboard.room import Room
from kizu_dashboard.trail import SUBJECTS, Sought, TrailPage, about_text, change_text, read_trail
from kizu_dashboard.wording import duration_text, moment
from kizu_db.values import AuditEvent, User

__all__ = ["draw_trail"]

PAGE_EVENTS: Final = 30
LOOK_S: Final = 1
CURSORS: Final = "trail-cursors"


def draw_trail(room: Room, _: User) -> None:
    """Draws the section."""
    with st.container(border=True, key="card-verify"):
        _verification(room)
    sought = _sought()
    cursors = _cursors(sought)
    page = read_trail(room, sought, before=cursors[-1] if cursors else None, limit=PAGE_EVENTS)
    if page.events:
        rows = [_row(one, room) for one in page.events]
        st.html(data_table(["No.", "When", "Who", "What", "About", "Change", "Why"], rows))
    else:
        headline = "No such event" if page.older is None else "No such event among those looked at"
        st.html(empty_state(headline, "Clear a filter." if page.older is None else "Go on to older ones, or clear a filter."))
    _turning(page, cursors)
    _whole(page)


def _sought() -> Sought:
    """The filters, kept in the address so that a view can be passed on."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        who = st.text_input("Who", key="who", bind="query-params", placeholder="The whole name", width=170)
        what = st.text_input("What", key="what", bind="query-params", placeholder="Begins with, as user.", width=190)
        about = st.selectbox("About", SUBJECTS, index=None, placeholder="Anything", key="about", bind="query-params", width=160)
        which = st.text_input("Its id", key="which", bind="query-params", placeholder="Lot, name or uid", width=220)
        st.button("Refresh", icon=":material/refresh:", help="Read the records again")
    texts = [text.strip() or None for text in (who, what, which)]
    return Sought(actor=texts[0], action=texts[1], subject=about, subject_id=texts[2])


def _cursors(sought: Sought) -> list[int]:
    """The events before which the pages turned so far begin, oldest page last; another filter starts at the newest page."""
    if st.session_state.get("trail-sought") != sought:
        st.session_state["trail-sought"] = sought
        st.session_state[CURSORS] = []
    cursors: list[int] = st.session_state[CURSORS]
    return cursors


def _row(event: AuditEvent, room: Room) -> list[Cell]:
    about = about_text(event)
    day, _, clock = moment(event.at, room.config.plant.zone).partition(" ")
    return [
        f"{event.id:,}",
        f"{day} {clock.replace(' ', chr(0xA0))}",  # where it breaks, it breaks here
        event.actor,
        event.action,
        (about, f"/part?uid={event.subject_id}") if event.subject == "inspection" else about,
        change_text(event.before, event.after),
        event.reason,
    ]


def _turning(page: TrailPage, cursors: list[int]) -> None:
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.button("Newest", icon=":material/first_page:", disabled=not cursors, on_click=cursors.clear)
        st.button("Newer", icon=":material/chevron_left:", disabled=not cursors, on_click=_turn_back, args=(cursors,))
        older = page.older
        st.button("Older", icon=":material/chevron_right:", disabled=older is None, on_click=cursors.append, args=(older,))


def _turn_back(cursors: list[int]) -> None:
    cursors.pop()


def _whole(page: TrailPage) -> None:
    """One event with all that it tells, chosen by its number."""
    by_id = {one.id: one for one in page.events}
    chosen = st.selectbox("Show one whole", list(by_id), index=None, placeholder="Its number", key="event", width=220)
    if chosen is not None:
        st.json(asdict(by_id[chosen]) | {"at": by_id[chosen].at.isoformat()})


def _verification(room: Room) -> None:
    st.html(card_title("Are the records as they were written?"))
    walk = room.verifying.walk
    if walk is not None and walk.runs:
        _progress(room)
        return
    with room.records.unit(read_only=True) as unit:
        last = unit.verifications.last()
    if walk is not None and walk.failed is not None:
        st.html(became(f"The last walk gave no result: {walk.failed}", well=False))
    if last is None:
        st.html(quiet("They were never verified here."))
    else:
        _result(last, room)
    st.button("Verify now", icon=":material/fact_check:", key="verify", on_click=_begin, args=(room,))


def _result(last: AuditEvent, room: Room) -> None:
    told = last.after or {}
    findings, first = int(told["findings"]), list(told["first"])
    seen = f"{told['events']:,} audit events and {told['reviews']:,} reviews"
    when = f"{moment(last.at, room.config.plant.zone)}, by {last.actor}"
    if findings:
        st.html(became(f"{findings:,} finding{'s' if findings != 1 else ''} in {seen} · {when}", well=False))
        st.html(data_table(["What is not as it was written"], [[str(one)] for one in first]))
    else:
        st.html(became(f"All as written: {seen} · {when}", well=True))
    st.html(quiet(f"Last event then: {told['head']}. Noted elsewhere, it also shows whether the trail's end was cut off."))


@st.fragment(run_every=LOOK_S)
def _progress(room: Room) -> None:
    current_user(by_clock=True)
    walk = room.verifying.walk
    if walk is None or not walk.runs:
        st.rerun()
    lasted = duration_text(datetime.now(UTC) - walk.began_at)
    st.html(quiet(f"{walk.events:,} audit events looked at in {lasted}, for {walk.by}. It goes on if you leave this page."))


def _begin(room: Room) -> None:
    def step(by: str) -> str:
        room.verifying.begin(by=by)
        return "The records are being verified"

    write(step)
