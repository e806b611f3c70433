"""How the records, the disks and the stations are."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from kizu_dashboard.health import look_at
from kizu_dashboard.language.speaking import say
from kizu_dashboard.markup import card_title, health_table
from kizu_dashboard.room import Room
from kizu_dashboard.wording import moment
from kizu_db.values import User

__all__ = ["draw_health"]


def draw_health(room: Room, _: User) -> None:
    """Draws the section."""
    now = datetime.now(UTC)
    with st.container(border=True, key="card-health"):
        st.html(card_title(say("Health")))
        st.html(health_table(look_at(room, now)))
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(say("Looked at {time}", time=moment(now, room.config.plant.zone)), width="stretch")
            st.button(say("Look again"), icon=":material/refresh:", key="look-again")
