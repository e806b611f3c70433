"""What a page says where something fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import streamlit as st

from kizu_dashboard.failing import AWAY_SENTENCE, failure_text
from kizu_dashboard.language.speaking import known, say
from kizu_dashboard.markup import empty_state
from kizu_inspect.errors import KizuError, RecordsAway

__all__ = ["telling_failures"]

AGAIN_S: Final = 3


@contextmanager
def telling_failures() -> Iterator[None]:
    """A page, or a piece of one, that fails inside says so in words; where the records are away it is drawn again by itself."""
    try:
        yield
    except RecordsAway as error:
        failure_text(error)
        again = say("The line goes on without this page. It tries again every {seconds} seconds.", seconds=AGAIN_S)
        st.html(empty_state(known(AWAY_SENTENCE), again))
        _draw_again()
    except KizuError as error:
        st.html(empty_state(say("This page cannot be shown"), failure_text(error)))


@st.fragment(run_every=AGAIN_S)
def _draw_again() -> None:
    """Draws the whole page again at its second run, which its clock begins."""
    if st.session_state.pop("drawn-again", False):
        st.rerun()
    st.session_state["drawn-again"] = True
