"""The control by which pages choose a period; it stands in the address."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import streamlit as st

from kizu_dashboard.language.speaking import known, say
from kizu_dashboard.periods import ALL, LENGTHS, OWN, Period, named_period, own_period
from kizu_dashboard.room import Room

__all__ = ["ANALYSIS", "choose_analysed", "choose_period"]

ANALYSIS: Final = "analysis-"
"""Begins the names of the controls of pages that analyse a period."""


def choose_period(names: Sequence[str], default: str, zone: ZoneInfo, *, prefix: str = "") -> Period | None:
    """Draws it into a row of controls; None where the chosen times are no period, which the page then says.

    `prefix` begins its names in the address: pages that offer other periods, or begin with another, do not share one.
    """
    offered = [*names, OWN]
    name = st.selectbox(
        say("Period"), offered, index=offered.index(default), format_func=known, key=f"{prefix}period", bind="query-params",
        width=170,
    )  # fmt: skip
    if name != OWN:
        return named_period(name or ALL, datetime.now(UTC))
    first, last = (
        st.datetime_input(label, None, key=f"{prefix}{key}", bind="query-params", format="YYYY-MM-DD", step=900, width=200)
        for label, key in ((say("From"), "from"), (say("To, excluded"), "to"))
    )
    return own_period(first, last, zone)


def choose_analysed(room: Room) -> tuple[Period | None, str | None]:
    """Draws into a row of controls what the pages that analyse a period share: the period, and one station or all (None)."""
    period = choose_period(tuple(LENGTHS), "Last 7 days", room.config.plant.zone, prefix=ANALYSIS)
    with room.records.unit(read_only=True) as unit:
        stations = unit.stations.names()
    station = st.selectbox(
        say("Station"), stations, index=None, placeholder=say("All"), key="at", bind="query-params", width=200
    )
    return period, station
