"""The files that could not be read, and how each is given back."""

from __future__ import annotations

import shlex
from typing import Final

import streamlit as st

from kizu_dashboard.language.speaking import known, say
from kizu_dashboard.markup import Cell, card_title, data_table, empty_state
from kizu_dashboard.pages.administration.writing import WHY
from kizu_dashboard.room import Room
from kizu_dashboard.wording import moment
from kizu_db.values import QuarantinedFile, User

__all__ = ["draw_quarantine", "release_command"]

MOST: Final = 50


def draw_quarantine(room: Room, user: User) -> None:
    """Draws the section. A release needs the station's folders, which only its own machine has: the command is shown."""
    released = st.toggle(say("Also those that were given back"), key="released")
    with room.records.unit(read_only=True) as unit:
        files = unit.quarantine.latest(released=released, limit=MOST)
    if not files:
        st.html(
            empty_state(say("Nothing is in quarantine"), say("Files that could not be read stand here, each with its reason."))
        )
        return
    with st.container(border=True, key="card-quarantine"):
        st.html(card_title(say("Files that could not be read")))
        all_of_them = len(files) < MOST
        st.caption(say("Newest first.") if all_of_them else say("Newest first, the newest {count}.", count=MOST))
        heads = [say("File"), say("Station"), say("Put aside"), say("Why"), say("Given back")]
        st.html(data_table(heads, [_row(one, room) for one in files]))
    waiting = {one.uid_inspection: one for one in files if one.released_at is None}
    if waiting:
        _how_to_release(waiting, user)


def _row(file: QuarantinedFile, room: Room) -> list[Cell]:
    zone = room.config.plant.zone
    back = "–" if file.released_at is None else f"{moment(file.released_at, zone)}, {file.released_by}"
    place = f"/part?uid={file.uid_inspection}"
    return [(file.name or file.part, place), file.station, moment(file.quarantined_at, zone), file.error, back]


def _how_to_release(waiting: dict[str, QuarantinedFile], user: User) -> None:
    with st.container(border=True, key="card-give-back"):
        st.html(card_title(say("Give one back")))
        st.caption(say("It is judged anew. Its folders are on the station's machine, so the command is run there."))
        uid = st.selectbox(
            say("File"), list(waiting), index=None, placeholder=say("Choose a file"), key="quarantined",
            format_func=lambda one: f"{waiting[one].name}, {waiting[one].station}" if one in waiting else say("given back"),
        )  # fmt: skip
        reason = st.text_input(known(WHY), key="quarantine-why", max_chars=500)
        if uid is not None:
            st.code(release_command(waiting[uid], by=user.name, reason=reason), language="bash", wrap_lines=True)


def release_command(file: QuarantinedFile, *, by: str, reason: str) -> str:
    """What is typed on the station's machine, each text quoted for its shell."""
    told = ["kizu", "quarantine", "release", file.uid_inspection, "--station", file.station]
    return shlex.join([*told, "--reason", reason.strip() or "WHY", "--by", by])
