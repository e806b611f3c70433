"""What a page says where the records cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from kizu_dashboard.markup import quiet
from kizu_inspect.errors import RecordError

__all__ = ["show_failure", "telling_failures"]


@contextmanager
def telling_failures() -> Iterator[None]:
    """Draws the page's rest; where the records fail meanwhile, a sentence and a way to try again take its place."""
    try:
        yield
    except RecordError as error:
        show_failure(error, "The records cannot be read now.")
        st.button("Try again", icon=":material/refresh:", key="try-again")


def show_failure(error: RecordError, sentence: str) -> None:
    """The sentence, and in the records' own words what was found and what to do."""
    st.error(sentence, icon=":material/cloud_off:")
    st.html(quiet(str(error)))
