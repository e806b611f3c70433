"""How old the figures on the screen are, counted on in the browser."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from kizu_dashboard.components.assets import join_scripts, read_asset, texts_in

__all__ = ["draw_freshness"]

_mount = st.components.v2.component(
    "kizu_freshness",
    html=read_asset("freshness.html"),
    css=read_asset("freshness.css"),
    js=join_scripts("speaking.js", "freshness.js"),
)


def draw_freshness(read_at: datetime, now: datetime, *, old_after_s: int) -> None:
    """Mounts the sentence; from `old_after_s` seconds on it warns. Both times aware, `read_at` that of the figures."""
    age_s = max(0.0, (now - read_at).total_seconds())
    data = {"read": read_at.isoformat(), "age_s": age_s, "old_after_s": old_after_s, "texts": texts_in("freshness.js")}
    _mount(key="freshness", data=data)
