"""How Admin, and Agreement, write: under the name of who is signed in at that moment, and it says what became of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import streamlit as st

from kizu_dashboard.failing import failure_text
from kizu_dashboard.language.speaking import marked
from kizu_dashboard.markup import became
from kizu_dashboard.pages.frame import user_now
from kizu_inspect.errors import KizuError, NotAllowed, RecordError

__all__ = ["WHY", "chosen", "reason_given", "tell_what_became", "write"]

WHY: Final = marked("Why, for the audit trail")
"""The label of each field for a reason."""
TOLD: Final = "admin-told"


def write(step: Callable[[str], str], *, empties: Sequence[str] = (), secrets: Sequence[str] = ()) -> None:
    """Do one step for a callback: `step` gets the name of who does it and returns what was done, in a sentence.

    Fields are known by their keys: `empties` are empty where it was done, and stay as they are where not; `secrets` are
    empty either way. Who is not signed in any more does nothing. The step itself asks the records who may do it.
    """
    try:
        user = user_now()
        if user is None:
            return
        if user.at_terminal:  # in the records, which the step asks, this person may be more
            raise NotAllowed("By PIN or badge nobody does that", expected="a sign-in with a password or an account")
        st.session_state[TOLD] = (step(user.name), True)
        for field in empties:
            st.session_state[field] = ""
    except KizuError as error:
        st.session_state[TOLD] = (failure_text(error), False)
    finally:
        for field in secrets:
            st.session_state[field] = ""


def reason_given(field: str) -> str:
    """What stands in this field. Raises RecordError where it is empty: an auditor asks why."""
    reason = str(st.session_state[field]).strip()
    if not reason:
        raise RecordError(marked("Say why"), found=marked("no reason"), expected=marked("a few words for the audit trail"))
    return reason


def chosen(field: str, lacking: str) -> str:
    """What is chosen in this field. Raises RecordError where nothing is: `lacking` says what to choose."""
    choice = st.session_state[field]
    if choice is None:
        raise RecordError(lacking, found=marked("none"))
    return str(choice)


def tell_what_became() -> None:
    """Say, once, what became of the last step."""
    told: tuple[str, bool] | None = st.session_state.pop(TOLD, None)
    if told is not None:
        said, well = told
        st.html(became(said, well=well))
