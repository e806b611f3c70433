"""Search: inspections by what is known of them, as a list or as pictures, and as a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import streamlit as st

from kizu_dashboard.blindness import hidden_from, veiled
from kizu_dashboard.components.inspection_list import draw_inspection_list
from kizu_dashboard.exporting import AskedFor, export_form
from kizu_dashboard.filters import DECISIONS, Filters, decision_text, find, known_classes, too_common, verdict_label
from kizu_dashboard.language.speaking import known, marked, say
from kizu_dashboard.markup import became, empty_state, figure_tiles, narrowed_to
from kizu_dashboard.pages.frame import current_room, current_user, remember_list, remembered_list
from kizu_dashboard.pages.gallery import draw_pictures
from kizu_dashboard.pages.period import choose_period
from kizu_dashboard.periods import ALL, LENGTHS, OWN, Period
from kizu_dashboard.room import Room
from kizu_db.permissions import Action
from kizu_db.values import User
from kizu_inspect.results import Verdict
from kizu_inspect.sums.yields import first_pass_yield, share_of

PAGE_ROWS: Final = 100
SHOWN_ORDER: Final = (Verdict.REJECT, Verdict.REVIEW, Verdict.ERROR, Verdict.PASS)
FURTHER: Final = ("station", "suspected", "lot", "decision", "reviewer")
LIST: Final = marked("List")
GALLERY: Final = marked("Gallery")
VIEWS: Final = (LIST, GALLERY)
_AROUND: Final = "".join(map(chr, (*range(0x21), 0x7F, 0xA0, 0xFEFF)))


def main() -> None:
    """Draws the page."""
    if "uid" in st.query_params:  # Streamlit leaves such an address on the way to a part, where the browser's Back ends
        st.query_params.from_dict(remembered_list())
        st.rerun()
    room, user = current_room(), current_user()
    st.title(say("Search"), anchor=False)
    plant = room.config.plant
    st.caption(say("{plant} · times in {zone}", plant=plant.name, zone=plant.timezone))
    _page(room, user)


def _page(room: Room, user: User) -> None:
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
    _found(room, user, filters, period, counts)


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
        named = st.text_input(
            say("Part or lot"),
            placeholder=say("Type or scan"),
            icon=":material/search:",
            key="search",
            bind="query-params",
            width=190,
            help=say("How a part's id begins or ends, or a lot's whole name"),
        )
        period = choose_period((ALL, *LENGTHS), ALL, room.config.plant.zone)
        conflicting = st.toggle(
            say("Map conflicts"),
            key="conflicts",
            bind="query-params",
            help=say("Only parts whose heatmap does not explain the verdict"),
        )
        with st.popover(say("More filters"), icon=":material/filter_list:"):
            further = _further(room)
        st.button(say("Refresh"), icon=":material/refresh:", help=say("Read the records again"))
    verdicts = tuple(Verdict(word) for word in words)
    filters = replace(further, verdicts=verdicts, named=_scanned(named), conflicting=conflicting)
    if filters.further:
        with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
            st.html(narrowed_to(filters.further), width="content")
            st.button(say("Show all again"), icon=":material/filter_list_off:", on_click=_open_up)
    return filters, period


def _further(room: Room) -> Filters:
    """The filters that are wanted more rarely: station, suspected class, lot, decision, reviewer."""
    with room.records.unit(read_only=True) as unit:
        stations, classes, people = unit.stations.names(), known_classes(unit), [user.name for user in unit.users.list()]
    station = st.selectbox(say("Station"), stations, index=None, placeholder=say("All"), key="station", bind="query-params")
    suspected = st.text_input(
        say("Suspected defect class"), placeholder=say("The whole name"), key="suspected", bind="query-params"
    )
    lot = st.text_input(say("Lot"), placeholder=say("The whole name"), key="lot", bind="query-params")
    decisions = (*DECISIONS, *(f"defective: {name}" for name in sorted(classes)))
    decision = st.selectbox(
        say("Decision"), decisions, index=None, placeholder=say("Any"), format_func=decision_text, accept_new_options=True,
        key="decision", bind="query-params",
        help=say("Of the latest review: good, defective, or for example “defective: scratch”; undecided is what has none"),
    )  # fmt: skip
    reviewer = st.selectbox(
        say("Decided by"), people, index=None, placeholder=say("Anybody"), key="reviewer", bind="query-params",
        help=say("Who made the latest review"),
    )  # fmt: skip
    return Filters(station=station, suspected=suspected.strip(), lot=_scanned(lot), decision=decision, reviewer=reviewer)


def _scanned(text: str) -> str:
    """The text without what scanners send before and after it: blanks, line ends and other control characters."""
    return text.strip(_AROUND)


def _open_up() -> None:
    """Clears the rarer filters."""
    for name in FURTHER:
        st.session_state[name] = "" if name in ("suspected", "lot") else None


def _found(room: Room, user: User, filters: Filters, period: Period, counts: Mapping[Verdict, int]) -> None:
    cursors = _cursors(filters, period)
    with room.records.unit(read_only=True) as unit:
        before = cursors[-1] if cursors else None
        found = find(unit, filters, period.since, period.until, limit=PAGE_ROWS + 1, before=before)
        whole = not filters.named or unit.inspections.finds_all(filters.named)
    if not whole:
        st.html(became(too_common(filters.named), well=False))
    rows = veiled(room, user.name, found[:PAGE_ROWS])
    if filters.decision is not None or filters.reviewer is not None:  # to be found by it would tell the decision
        hidden = hidden_from(room, user.name)
        rows = [row for row in rows if row.uid not in hidden]
    if not rows:
        _nothing(filters, period, sum(counts.values()))
        return
    view, heat = _view(user, AskedFor(filters=filters, since=period.since, until=period.until))
    if view == GALLERY:
        opened = draw_pictures(room, rows, user, heat=heat)
    else:
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


def _view(user: User, asked: AskedFor) -> tuple[str, bool]:
    """Whether a list or pictures, and these with heatmaps; beside it what is found as a file."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        view = st.segmented_control(
            say("View"), VIEWS, default=LIST, required=True, format_func=known, key="view", bind="query-params",
            label_visibility="collapsed",
        )  # fmt: skip
        heat = False
        if view == GALLERY:
            heat = st.toggle(
                say("Heatmaps"), key="heat", bind="query-params", help=say("Over the pictures of all parts that have one")
            )
        if user.role.may(Action.REPORT):
            st.html(export_form(asked), width="content")
    return str(view), heat


def _cursors(filters: Filters, period: Period) -> list[str]:
    """The ids after which the pages turned so far begin, oldest page last; another filter starts at the newest page."""
    # The last hour begins elsewhere at each run: it is the same by its name.
    ends = (period.since, period.until) if period.name == OWN else ()
    chosen = (filters, period.name, ends)
    if st.session_state.get("search-filters") != chosen:
        st.session_state["search-filters"] = chosen
        st.session_state["search-cursors"] = []
    cursors: list[str] = st.session_state["search-cursors"]
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
