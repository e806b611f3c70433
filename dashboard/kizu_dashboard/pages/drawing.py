"""How the pages draw a chart: in the house's own theme, told in words too, its marks leading to the parts behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import streamlit as st

from kizu_dashboard.charts import OPENED, PICKED
from kizu_dashboard.filters import ListView
from kizu_dashboard.language.speaking import say
from kizu_dashboard.markup import data_table

__all__ = ["draw_chart", "draw_figures", "draw_opening_chart", "draw_picking_chart"]


class Opens(Protocol):
    """What an address leads to."""

    @property
    def href(self) -> str:
        """The address."""


def draw_chart(chart: Any, *, key: str, told: str) -> None:
    """Draws it over the whole width; `told` is what a screen reader says instead."""
    st.altair_chart(chart, theme=None, key=key, alt=told)


def draw_picking_chart(chart: Any, *, key: str, told: str, width: Literal["stretch", "content"] = "stretch") -> str | None:
    """Draws it likewise, or as wide as it is itself (`content`); the key of the mark that is chosen by a click, or None."""
    event = st.altair_chart(chart, width=width, theme=None, key=key, alt=told, on_select="rerun", selection_mode=OPENED)
    marks = event.selection.get(OPENED) or []
    return str(marks[0][PICKED]) if marks else None


def draw_opening_chart(chart: Any, opens: Mapping[str, ListView], *, key: str, told: str) -> None:
    """Draws it likewise; a click on a mark opens the inspections that `opens` has for its key."""
    picked = draw_picking_chart(chart, key=key, told=told)
    if picked is not None and picked in opens:
        # By the address and by hand: a control that the address does not name would keep what an earlier look at the list left.
        st.session_state.update(opens[picked].controls)
        st.switch_page("search.py", query_params=opens[picked].query)


def draw_figures(
    heads: list[str],
    rows: Mapping[str, list[str]],
    opens: Mapping[str, Opens],
    *,
    key: str,
    said: Callable[[str], str] = str,
) -> None:
    """The chart's figures as a table, by the keys of its marks, as they are `said`, which lead to the same inspections.

    It is made when it is opened: a table of 720 rows costs a browser as much as all charts together.
    """
    table = st.expander(say("As a table"), icon=":material/table_rows:", key=key, on_change="rerun")
    if table.open:
        first = {name: (said(name), opens[name].href) if name in opens else said(name) for name in rows}
        table.html(data_table(heads, [[first[name], *cells] for name, cells in rows.items()]))
