"""The latest inspections: how many of what, and which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import streamlit as st

from kizu_dashboard.components.inspection_list import draw_inspection_list
from kizu_dashboard.markup import empty_state, figure_tiles
from kizu_dashboard.pages.frame import current_room
from kizu_dashboard.room import Room
from kizu_dashboard.theme import LOOKS
from kizu_inspect.results import Verdict
from kizu_inspect.sums.yields import first_pass_yield, share_of

PAGE_ROWS: Final = 50
SHOWN_ORDER: Final = (Verdict.REJECT, Verdict.REVIEW, Verdict.ERROR, Verdict.PASS)
PERIODS: Final[dict[str, timedelta | None]] = {
    "Last hour": timedelta(hours=1),
    "Last 24 hours": timedelta(days=1),
    "Last 7 days": timedelta(days=7),
    "All": None,
}


@dataclass(frozen=True)
class Filters:
    """What the list is narrowed to."""

    verdicts: tuple[Verdict, ...]
    part: str
    period: str
    conflicting: bool


def main() -> None:
    """Draws the page."""
    room = current_room()
    st.title("Inspections", anchor=False)
    plant = room.config.plant
    st.caption(f"{plant.name} · times in {plant.timezone}")
    tiles = st.container()
    filters = _filters()
    length = PERIODS[filters.period]
    since = None if length is None else datetime.now(UTC) - length
    with room.records.unit(read_only=True) as unit:
        counts = unit.rollups.verdicts(since=since)
    with tiles:
        shares = {verdict: share_of(verdict, counts) for verdict in (Verdict.REJECT, Verdict.REVIEW, Verdict.ERROR)}
        st.html(figure_tiles(sum(counts.values()), first_pass_yield(counts), shares))
    _list(room, filters, since, counts)


def _filters() -> Filters:
    """The filters, kept in the address so that a view can be passed on."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        words = st.pills(
            "Verdict",
            [verdict.value for verdict in SHOWN_ORDER],
            selection_mode="multi",
            format_func=lambda word: f"{LOOKS[Verdict(word)].icon} {word}",
            key="verdict",
            bind="query-params",
        )
        part = st.text_input(
            "Part", placeholder="Begins or ends with", icon=":material/search:", key="search", bind="query-params", width=260
        )
        period = st.selectbox("Period", list(PERIODS), index=3, key="period", bind="query-params", width=170)
        conflicting = st.toggle(
            "Map conflicts", key="conflicts", bind="query-params", help="Only parts whose heatmap does not explain the verdict"
        )
        st.button("Refresh", icon=":material/refresh:", help="Read the records again")
    return Filters(tuple(Verdict(word) for word in words), (part or "").strip(), period, conflicting)


def _list(room: Room, filters: Filters, since: datetime | None, counts: Mapping[Verdict, int]) -> None:
    cursors = _cursors(filters)
    with room.records.unit(read_only=True) as unit:
        found = unit.inspections.latest(
            verdicts=filters.verdicts or None,
            part=filters.part or None,
            since=since,
            conflicting=filters.conflicting,
            limit=PAGE_ROWS + 1,
            before=cursors[-1] if cursors else None,
        )
    rows = found[:PAGE_ROWS]
    if not rows:
        _nothing(filters, sum(counts.values()))
        return
    opened = draw_inspection_list(rows, room.config.plant.zone)
    first = len(cursors) * PAGE_ROWS + 1
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"{first:,} to {first + len(rows) - 1:,}, newest first", width="stretch")
        st.button("Newest", icon=":material/first_page:", disabled=not cursors, on_click=cursors.clear)
        st.button("Newer", icon=":material/chevron_left:", disabled=not cursors, on_click=_turn_back, args=(cursors,))
        older = len(found) > PAGE_ROWS
        st.button("Older", icon=":material/chevron_right:", disabled=not older, on_click=cursors.append, args=(rows[-1].uid,))
    if opened is not None:
        st.switch_page("part.py", query_params={"uid": opened})


def _cursors(filters: Filters) -> list[str]:
    """The ids after which the pages turned so far begin, oldest page last; another filter starts at the newest page."""
    # As a plain tuple: Streamlit runs this file anew each time, and two runs' Filters are never equal.
    chosen = (filters.verdicts, filters.part, filters.period, filters.conflicting)
    if st.session_state.get("inspections-filters") != chosen:
        st.session_state["inspections-filters"] = chosen
        st.session_state["inspections-cursors"] = []
    cursors: list[str] = st.session_state["inspections-cursors"]
    return cursors


def _turn_back(cursors: list[str]) -> None:
    cursors.pop()


def _nothing(filters: Filters, in_period: int) -> None:
    if filters.verdicts or filters.part or filters.conflicting:
        st.html(empty_state("No inspection matches", "Clear the filters or the search, or choose a longer period."))
    elif filters.period != "All" and in_period == 0:
        st.html(empty_state("No inspections in this period", "Choose a longer period, or check that the line is running."))
    else:
        st.html(
            empty_state(
                "No inspections yet",
                "Start the line with “kizu run” and put pictures into its folder; they appear here as they are judged.",
            )
        )


if __name__ == "__main__":
    main()
