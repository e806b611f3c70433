"""What the pages share: the room that this dashboard shows, and who is looking at it."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from kizu_dashboard.language.asking import language_for
from kizu_dashboard.markup import session_over
from kizu_dashboard.room import Room, open_room
from kizu_dashboard.signing_in.gate import SIGN_IN
from kizu_dashboard.signing_in.sessions import cookie_name
from kizu_db.values import User

__all__ = [
    "current_room", "current_user", "remember_list", "remembered_list", "require_user", "session_language", "user_now",
]  # fmt: skip


def current_room() -> Room:
    """The room whose settings the server was started with. Raises SchemaError, ConfigError and RecordError like `open_room`."""
    return open_room(str(st.secrets["kizu"]["config"]))


def session_language() -> str | None:
    """In which language the browser is spoken to whose script runs in this thread; None where none does."""
    if get_script_run_ctx(suppress_warning=True) is None:
        return None
    return language_for(st.context.cookies, st.context.headers.get("Accept-Language"), current_room().config.dashboard)


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
    return require_user(user_now(by_clock=by_clock))


def require_user(user: User | None) -> User:
    """The same of who is known already to be signed in, or not."""
    if user is None:
        asked = urlencode([(name, value) for name in st.query_params for value in st.query_params.get_all(name)])
        back = (urlsplit(st.context.url or "").path or "/") + (f"?{asked}" if asked else "")
        st.html(session_over(f"{SIGN_IN}?{urlencode({'next': back})}"))
        st.stop()
    return user


def remember_list() -> None:
    """What the page Search is narrowed to now, for the way back to it."""
    st.session_state["list-query"] = {name: st.query_params.get_all(name) for name in st.query_params}


def remembered_list() -> dict[str, list[str]]:
    """What the page Search was narrowed to when it was left."""
    found: dict[str, list[str]] = st.session_state.get("list-query", {})
    return found
