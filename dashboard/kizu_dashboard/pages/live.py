"""The line now: what each station records, rejects and leaves to people."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import streamlit as st

from kizu_dashboard.charts import minutes_chart
from kizu_dashboard.components.freshness import draw_freshness
from kizu_dashboard.components.part_strip import draw_part_strip
from kizu_dashboard.failing import failure_text
from kizu_dashboard.language.speaking import known, say
from kizu_dashboard.markup import empty_state, quiet
from kizu_dashboard.pages.alerts import draw_alerts
from kizu_dashboard.pages.drawing import draw_chart
from kizu_dashboard.pages.frame import current_room, current_user, user_now
from kizu_dashboard.room import Room
from kizu_dashboard.station_card import station_figures, station_head
from kizu_dashboard.watching import LINE_MINUTES, SPANS, LineNow, StationNow, watch
from kizu_dashboard.wording import forgotten_text
from kizu_db.permissions import Role
from kizu_inspect.errors import RecordError

EVERY_S: Final = 5
OLD_AFTER_S: Final = 4 * EVERY_S
KIOSK: Final = Path(__file__).parent.parent / "assets" / "kiosk.css"
KEPT: Final = "live-now"


def main() -> None:
    """Draws the page."""
    room = current_room()
    if st.context.is_embedded:
        st.html(KIOSK)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.title(say("Live"), anchor=False, width="stretch")
        span = st.segmented_control(
            say("Counts of"),
            SPANS,
            default=SPANS[0],
            format_func=known,
            key="span",
            bind="query-params",
            required=True,
            label_visibility="collapsed",
        )
    _line(room, span)


@st.fragment(run_every=EVERY_S)
def _line(room: Room, span: str) -> None:
    """All that changes. Where the records are away, the last figures stay, with their age, until they are back."""
    now = datetime.now(UTC)
    alert = st.container()  # a place of its own, so that all below stays where it is when an outage comes and goes
    kept: tuple[str, LineNow] | None = st.session_state.get(KEPT)
    failed: RecordError | None = None
    try:
        user = current_user(by_clock=True)
        if user.role is Role.VIEWER:
            user_now()  # a display in the hall, which can change nothing, does not go idle
        with alert:
            draw_alerts(user, on_live=True)
        kept = st.session_state[KEPT] = (span, watch(room, span=span, now=now))
    except RecordError as error:
        failed = error
    if failed is not None:
        failure_text(failed)
        with alert:
            away = say("The records cannot be reached at the moment. Tried again every {seconds} s.", seconds=EVERY_S)
            st.error(away, icon=":material/cloud_off:")
    if kept is None or (failed is not None and kept[0] != span):
        return
    line = kept[1]
    plant = room.config.plant
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        about = {"plant": plant.name, "span": known(span).lower(), "zone": plant.timezone}
        st.caption(say("{plant} · {span} · times in {zone}", **about), width="stretch")
        with st.container(width="content"):
            draw_freshness(line.read_at, now, old_after_s=OLD_AFTER_S)
    if not line.stations:
        st.html(
            empty_state(
                say("No station is recording"),
                say("Start the line with “kizu run”; its stations appear here with their first inspection."),
            )
        )
    across = 1 if len(line.stations) == 1 else 2 if len(line.stations) <= 4 else 3
    for first in range(0, len(line.stations), across):
        columns = st.columns(across, gap="medium")
        for column, station in zip(columns, line.stations[first : first + across], strict=False):
            with column:
                _station(station, line.read_at, room, known=failed is None)
    if line.forgotten:
        st.html(quiet(forgotten_text(line.forgotten)))


def _station(station: StationNow, now: datetime, room: Room, *, known: bool) -> None:
    with st.container(border=True, key=f"card-live-{station.name}"):
        st.html(station_head(station, now, known=known))
        st.html(station_figures(station, now))
        most = max(station.rejects)
        said = say(
            "Rejects a minute, last {minutes} min: {all:,} in all, {most:,} in the worst minute",
            minutes=LINE_MINUTES, all=sum(station.rejects), most=most,
        )  # fmt: skip
        st.caption(said)
        draw_chart(minutes_chart(station.rejects), key=f"minutes-{station.name}", told=said)
        if station.last_rejects:
            draw_part_strip(station.last_rejects, room.config.plant.zone, key=f"rejects-{station.name}")
        else:
            st.caption(say("No part was rejected here yet."))


if __name__ == "__main__":
    main()
