"""The control by which pages choose a period; it stands in the address."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import streamlit as st

from kizu_dashboard.periods import ALL, OWN, Period, named_period, own_period

__all__ = ["ANALYSIS", "choose_period"]

ANALYSIS: Final = "analysis-"
"""The prefix of the pages that analyse a period, which share it."""


def choose_period(names: Sequence[str], default: str, zone: ZoneInfo, *, prefix: str = "") -> Period | None:
    """Draws it into a row of controls; None where the chosen times are no period, which the page then says.

    `prefix` begins its names in the address: pages that offer other periods, or begin with another, do not share one.
    """
    offered = [*names, OWN]
    name = st.selectbox("Period", offered, index=offered.index(default), key=f"{prefix}period", bind="query-params", width=170)
    if name != OWN:
        return named_period(name or ALL, datetime.now(UTC))
    first, last = (
        st.datetime_input(label, None, key=f"{prefix}{key}", bind="query-params", format="YYYY-MM-DD", step=900, width=200)
        for label, key in (("From", "from"), ("To, excluded", "to"))
    )
    return own_period(first, last, zone)
