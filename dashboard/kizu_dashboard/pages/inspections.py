"""The latest inspections: how many of what, and which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import streamlit as st

from kizu_dashboard.blindness import veiled
from kizu_dashboard.components.inspection_list import draw_inspection_list
from kizu_dashboard.filters import DECISIONS, Filters, decision_of, verdict_label
from kizu_dashboard.language.speaking import known, say
from kizu_dashboard.markup import empty_state, figure_tiles, narrowed_to
from kizu_dashboard.pages.frame import current_room, current_user, remember_list, remembered_list
from kizu_dashboard.pages.period import choose_period
from kizu_dashboard.periods import ALL, LENGTHS, OWN, Period
from kizu_dashboard.room import Room
from kizu_dashboard.wording import recorded_class
from kizu_db.records import Unit
from kizu_inspect.results import Verdict
from kizu_inspect.sums.yields import first_pass_yield, share_of

PAGE_ROWS: Final = 50
SHOWN_ORDER: Final = (Verdict.REJECT, Verdict.REVIEW, Verdict.ERROR, Verdict.PASS)
FURTHER: Final = ("station", "suspected", "lot", "decision")


def main() -> None:
    """Draws the page."""
    if "uid" in st.query_params:  # Streamlit leaves such an address on the way to a part, where the browser's Back ends
        st.query_params.from_dict(remembered_list())
        st.rerun()
    room = current_room()
    st.title(say("Inspections"), anchor=False)
    plant = room.config.plant
    st.caption(say("{plant} · times in {zone}", plant=plant.name, zone=plant.timezone))
    _page(room)


def _page(room: Room) -> None:
    tiles = st.container()
    filters, period = _filters(room)
    if period is None:
        st.warning(say("The period ends before it starts."), icon=":material/event_busy:")
        return
    with room.records.unit(read_only=True) as unit:
        counts = unit.rollups.verdicts(since=period.since, until=period.until, station=filters.station)
    with tiles:
        shares = {verdict: share_of(verdict, counts) for verdict in (Verdict.REJECT, Verdict.REVIEW, Verdict.ERROR)}
        st.html(figure_tiles(sum(counts.values()), first_pass_yield(counts), shares))
    _list(room, filters, period, counts)


def _filters(room: Room) -> tuple[Filters, Period | None]:
    """The filters, kept in the address so that a view can be passed on."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        words = st.pills(
            say("Verdict"),
            [verdict.value for verdict in SHOWN_ORDER],
            selection_mode="multi",
            format_func=lambda word: verdict_label(Verdict(word)),
            key="verdict",
            bind="query-params",
        )
        part = st.text_input(
            say("Part"),
            placeholder=say("Begins or ends with"),
            icon=":material/search:",
            key="search",
            bind="query-params",
            width=190,
        )
        period = choose_period((ALL, *LENGTHS), ALL, room.config.plant.zone)
        conflicting = st.toggle(
            say("Map conflicts"),
            key="conflicts",
            bind="query-params",
            help=say("Only parts whose heatmap does not explain the verdict"),
        )
        with st.popover(say("More filters"), icon=":material/filter_list:"):
            station, suspected, lot, decision = _further(room)
        st.button(say("Refresh"), icon=":material/refresh:", help=say("Read the records again"))
    filters = Filters(
        tuple(Verdict(word) for word in words), part.strip(), conflicting, station, suspected.strip(), lot.strip(), decision
    )
    if filters.further:
        with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
            st.html(narrowed_to(filters.further), width="content")
            st.button(say("Show all again"), icon=":material/filter_list_off:", on_click=_open_up)
    return filters, period


def _further(room: Room) -> tuple[str | None, str, str, str | None]:
    """The filters that are wanted more rarely: station, suspected class, lot, decision."""
    with room.records.unit(read_only=True) as unit:
        stations = unit.stations.names()
    station = st.selectbox(say("Station"), stations, index=None, placeholder=say("All"), key="station", bind="query-params")
    suspected = st.text_input(
        say("Suspected defect class"), placeholder=say("The whole name"), key="suspected", bind="query-params"
    )
    lot = st.text_input(say("Lot"), placeholder=say("The whole name"), key="lot", bind="query-params")
    decision = st.selectbox(
        say("Decision"), DECISIONS, index=None, placeholder=say("Any"), format_func=known, accept_new_options=True,
        key="decision", bind="query-params",
        help=say("Of the latest review: good, defective, or for example “defective: scratch”"),
    )  # fmt: skip
    return station, suspected, lot, decision


def _open_up() -> None:
    """Clears the rarer filters."""
    for name in FURTHER:
        st.session_state[name] = "" if name in ("suspected", "lot") else None


def _list(room: Room, filters: Filters, period: Period, counts: Mapping[Verdict, int]) -> None:
    cursors = _cursors(filters, period)
    disposition, decided_class = decision_of(filters.decision)
    with room.records.unit(read_only=True) as unit:
        suspected, decided_class = (_as_recorded(unit, name) for name in (filters.suspected or None, decided_class))
        found = unit.inspections.latest(
            verdicts=filters.verdicts or None,
            station=filters.station,
            part=filters.part or None,
            since=period.since,
            until=period.until,
            conflicting=filters.conflicting,
            suspected=suspected,
            lot=filters.lot or None,
            disposition=disposition,
            decided_class=decided_class,
            limit=PAGE_ROWS + 1,
            before=cursors[-1] if cursors else None,
        )
    rows = veiled(room, current_user().name, found[:PAGE_ROWS])
    if not rows:
        _nothing(filters, period, sum(counts.values()))
        return
    opened = draw_inspection_list(rows, room.config.plant.zone)
    first = len(cursors) * PAGE_ROWS + 1
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(say("{first:,} to {last:,}, newest first", first=first, last=first + len(rows) - 1), width="stretch")
        st.button(say("Newest"), icon=":material/first_page:", disabled=not cursors, on_click=cursors.clear)
        st.button(say("Newer"), icon=":material/chevron_left:", disabled=not cursors, on_click=_turn_back, args=(cursors,))
        older = len(found) > PAGE_ROWS
        st.button(
            say("Older"), icon=":material/chevron_right:", disabled=not older, on_click=cursors.append, args=(rows[-1].uid,)
        )
    if opened is not None:
        remember_list()
        st.switch_page("part.py", query_params={"uid": opened})


def _as_recorded(unit: Unit, name: str | None) -> str | None:
    """The class that a reader means, who writes it as the pages show it."""
    if name is None or " " not in name:
        return name
    known = {one for verdict in (Verdict.REJECT, Verdict.REVIEW) for one in unit.rollups.defect_classes(verdict=verdict)}
    return recorded_class(name, known)


def _cursors(filters: Filters, period: Period) -> list[str]:
    """The ids after which the pages turned so far begin, oldest page last; another filter starts at the newest page."""
    # The last hour begins elsewhere at each run: it is the same by its name.
    ends = (period.since, period.until) if period.name == OWN else ()
    chosen = (filters, period.name, ends)
    if st.session_state.get("inspections-filters") != chosen:
        st.session_state["inspections-filters"] = chosen
        st.session_state["inspections-cursors"] = []
    cursors: list[str] = st.session_state["inspections-cursors"]
    return cursors


def _turn_back(cursors: list[str]) -> None:
    cursors.pop()


def _nothing(filters: Filters, period: Period, in_period: int) -> None:
    if filters.narrowing:
        st.html(empty_state(say("No inspection matches"), say("Clear the filters or the search, or choose a longer period.")))
    elif period.name != ALL and in_period == 0:
        st.html(
            empty_state(say("No inspections in this period"), say("Choose a longer period, or check that the line is running."))
        )
    else:
        st.html(
            empty_state(
                say("No inspections yet"),
                say("Start the line with “kizu run” and put pictures into its folder; they appear here as they are judged."),
            )
        )


if __name__ == "__main__":
    main()
