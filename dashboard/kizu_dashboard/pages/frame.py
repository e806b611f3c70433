"""What the pages share: the room that this dashboard shows, and who is looking at it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlencode, urlsplit

import streamlit as st

from kizu_dashboard.failing import AWAY_SENTENCE, failure_text
from kizu_dashboard.markup import empty_state, session_over
from kizu_dashboard.room import Room, open_room
from kizu_dashboard.signing_in.gate import SIGN_IN
from kizu_dashboard.signing_in.sessions import cookie_name
from kizu_db.values import User
from kizu_inspect.errors import KizuError, RecordsAway

__all__ = ["current_room", "current_user", "told_failures", "user_now"]

AGAIN_S: Final = 3


def current_room() -> Room:
    """The room whose settings the server was started with. Raises SchemaError, ConfigError and RecordError like `open_room`."""
    return open_room(str(st.secrets["kizu"]["config"]))


def user_now(*, by_clock: bool = False) -> User | None:
    """Who is signed in at this moment, as the records say; None where the sign-in has ended. For callbacks.

    With `by_clock` nobody did anything, so that it keeps nobody signed in. Raises RecordError where the database refuses or
    is away.
    """
    room = current_room()
    return room.sessions.whose(st.context.cookies.get(cookie_name(room.config.dashboard)), used=not by_clock)


def current_user(*, by_clock: bool = False) -> User:
    """Who is signed in; where the sign-in has ended the page says so and ends here. For pages and their fragments.

    `by_clock` is for fragments that run by themselves. Raises RecordError where the database refuses or is away.
    """
    user = user_now(by_clock=by_clock)
    if user is None:
        asked = urlencode([(name, value) for name in st.query_params for value in st.query_params.get_all(name)])
        back = (urlsplit(st.context.url or "").path or "/") + (f"?{asked}" if asked else "")
        st.html(session_over(f"{SIGN_IN}?{urlencode({'next': back})}"))
        st.stop()
    return user


@contextmanager
def told_failures() -> Iterator[None]:
    """A page, or a piece of one, that fails inside says so in words; where the records are away it is drawn again by itself."""
    try:
        yield
    except RecordsAway as error:
        failure_text(error)
        st.html(empty_state(AWAY_SENTENCE, f"The line goes on without this page. It tries again every {AGAIN_S} seconds."))
        _draw_again()
    except KizuError as error:
        st.html(empty_state("This page cannot be shown", failure_text(error)))


@st.fragment(run_every=AGAIN_S)
def _draw_again() -> None:
    """Draws the whole page again at its second run, which its clock begins."""
    if st.session_state.pop("drawn-again", False):
        st.rerun()
    st.session_state["drawn-again"] = True
