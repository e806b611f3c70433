"""What every page tells of the line and its disks, until somebody has seen it or it is over."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import streamlit as st

from kizu_dashboard.health import Line, pressing
from kizu_dashboard.language.speaking import language_now, say, speaking
from kizu_dashboard.markup import alert_line
from kizu_dashboard.pages.frame import current_room
from kizu_dashboard.room import open_room
from kizu_db.permissions import Action
from kizu_db.values import User
from kizu_inspect.errors import KizuError

__all__ = ["draw_alerts"]

SEEN: Final = "alerts-seen"
MOST: Final = 3


def draw_alerts(user: User, *, on_live: bool = False) -> None:
    """Draws them, a line each. A display above the line, which nobody could dismiss them on, shows none.

    The page Live draws them with its figures, anew every few seconds, and tells of silent stations itself.

    It never fails: where the records are away, the page itself says so.
    """
    if st.context.is_embedded:
        return
    try:
        lines = _pressing(current_room().config.model_dump_json(), language_now())
    except KizuError:
        return
    told = {_told(one) for one in lines}
    # What is over is forgotten, so that it is told where it comes again.
    seen: set[tuple[str, str]] = st.session_state.setdefault(SEEN, set())
    seen &= told
    fresh = [one for one in lines if _told(one) not in seen and not (on_live and one.live)]
    with st.container(gap="small", key="alerts"):  # always there: what stands below it keeps its place
        _draw(fresh, seen, user)


def _draw(fresh: list[Line], seen: set[tuple[str, str]], user: User) -> None:
    for number, line in enumerate(fresh[:MOST]):
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"alert-{number}"):
            st.html(alert_line(line), width="stretch")
            if line.live:
                st.page_link("live.py", label=say("Live"))
            elif user.role.may(Action.RELEASE_CLAIM):
                st.page_link("admin.py", label=say("Admin"), query_params={"section": say("Health")})
            st.button(say("Dismiss"), key=f"dismiss-{line.name}", type="tertiary", on_click=seen.add, args=(_told(line),))
    if len(fresh) > MOST:
        st.caption(say("And {count} more.", count=len(fresh) - MOST))


def _told(line: Line) -> tuple[str, str]:
    return (line.name, line.state)


@st.cache_data(ttl=10, show_spinner=False)
def _pressing(config: str, language: str) -> list[Line]:
    """For all browsers of a language at once, some seconds old at most."""
    with speaking(language):
        return pressing(open_room(config), datetime.now(UTC))
