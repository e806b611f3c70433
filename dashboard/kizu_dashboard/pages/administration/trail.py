"""Who did what, when, why, from what to what; and whether the records are as they were written."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Final

import streamlit as st

from kizu_dashboard.language.speaking import known, say, say_count
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
        heads = [say("No."), say("When"), say("Who"), say("What"), say("About"), say("Change"), say("Why")]
        st.html(data_table(heads, rows))
    else:
        if page.older is None:
            st.html(empty_state(say("No such event"), say("Clear a filter.")))
        else:
            further = say("Go on to older ones, or clear a filter.")
            st.html(empty_state(say("No such event among those looked at"), further))
    _turning(page, cursors)
    _whole(page)


def _sought() -> Sought:
    """The filters, kept in the address so that a view can be passed on."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        who = st.text_input(say("Who"), key="who", bind="query-params", placeholder=say("The whole name"), width=170)
        what = st.text_input(say("What"), key="what", bind="query-params", placeholder=say("Begins with, as user."), width=190)
        about = st.selectbox(
            say("About"), SUBJECTS, index=None, placeholder=say("Anything"), format_func=known, key="about",
            bind="query-params", width=160,
        )  # fmt: skip
        which = st.text_input(say("Its id"), key="which", bind="query-params", placeholder=say("Lot, name or uid"), width=220)
        st.button(say("Refresh"), icon=":material/refresh:", help=say("Read the records again"))
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
        st.button(say("Newest"), icon=":material/first_page:", disabled=not cursors, on_click=cursors.clear)
        st.button(say("Newer"), icon=":material/chevron_left:", disabled=not cursors, on_click=_turn_back, args=(cursors,))
        older = page.older
        st.button(say("Older"), icon=":material/chevron_right:", disabled=older is None, on_click=cursors.append, args=(older,))


def _turn_back(cursors: list[int]) -> None:
    cursors.pop()


def _whole(page: TrailPage) -> None:
    """One event with all that it tells, chosen by its number."""
    by_id = {one.id: one for one in page.events}
    chosen = st.selectbox(say("Show one whole"), list(by_id), index=None, placeholder=say("Its number"), key="event", width=220)
    if chosen is not None:
        st.json(asdict(by_id[chosen]) | {"at": by_id[chosen].at.isoformat()})


def _verification(room: Room) -> None:
    st.html(card_title(say("Are the records as they were written?")))
    walk = room.verifying.walk
    if walk is not None and walk.runs:
        _progress(room)
        return
    with room.records.unit(read_only=True) as unit:
        last = unit.verifications.last()
    if walk is not None and walk.failed is not None:
        st.html(became(say("The last walk gave no result: {why}", why=known(walk.failed)), well=False))
    if last is None:
        st.html(quiet(say("They were never verified here.")))
    else:
        _result(last, room)
    st.button(say("Verify now"), icon=":material/fact_check:", key="verify", on_click=_begin, args=(room,))


def _result(last: AuditEvent, room: Room) -> None:
    told = last.after or {}
    findings, first = int(told["findings"]), list(told["first"])
    seen = {
        "events": told["events"],
        "reviews": told["reviews"],
        "time": moment(last.at, room.config.plant.zone),
        "name": last.actor,
    }
    if findings:
        said = say_count(
            "{count:,} finding in {events:,} audit events and {reviews:,} reviews · {time}, by {name}",
            "{count:,} findings in {events:,} audit events and {reviews:,} reviews · {time}, by {name}",
            findings,
            **seen,
        )
        st.html(became(said, well=False))
        st.html(data_table([say("What is not as it was written")], [[str(one)] for one in first]))
    else:
        said = say("All as written: {events:,} audit events and {reviews:,} reviews · {time}, by {name}", **seen)
        st.html(became(said, well=True))
    head = told["head"]
    st.html(
        quiet(say("Last event then: {head}. Noted elsewhere, it also shows whether the trail's end was cut off.", head=head))
    )


@st.fragment(run_every=LOOK_S)
def _progress(room: Room) -> None:
    current_user(by_clock=True)
    walk = room.verifying.walk
    if walk is None or not walk.runs:
        st.rerun()
    lasted = duration_text(datetime.now(UTC) - walk.began_at)
    said = say(
        "{events:,} audit events looked at in {duration}, for {name}. It goes on if you leave this page.",
        events=walk.events, duration=lasted, name=walk.by,
    )  # fmt: skip
    st.html(quiet(said))


def _begin(room: Room) -> None:
    def step(by: str) -> str:
        room.verifying.begin(by=by)
        return say("The records are being verified")

    write(step)
