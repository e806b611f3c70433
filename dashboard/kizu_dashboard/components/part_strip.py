"""A strip of small pictures, each of which opens its part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from zoneinfo import ZoneInfo

import streamlit as st

from kizu_dashboard.components.assets import join_scripts, read_asset, texts_in
from kizu_dashboard.wording import class_name
from kizu_db.values import InspectionRow

__all__ = ["draw_part_strip", "strip_data"]

_mount = st.components.v2.component(
    "kizu_part_strip",
    html=read_asset("part_strip.html"),
    css=read_asset("part_strip.css"),
    js=join_scripts("speaking.js", "making.js", "part_strip.js"),
)


def draw_part_strip(
    rows: Sequence[InspectionRow], zone: ZoneInfo, *, key: str, tell: Callable[[InspectionRow], str] | None = None
) -> None:
    """Mounts the strip; a click goes to the part's page. `tell` says of each what it is; None: what was suspected."""
    told = {"parts": strip_data(rows, zone, tell), "texts": texts_in("making.js", "part_strip.js")}
    result = _mount(key=key, data=told, on_opened_change=lambda: None)
    opened = result.opened
    if isinstance(opened, str):
        st.switch_page("part.py", query_params={"uid": opened})


def strip_data(
    rows: Sequence[InspectionRow], zone: ZoneInfo, tell: Callable[[InspectionRow], str] | None = None
) -> list[dict[str, str | None]]:
    """What the strip is told of each part."""
    return [
        {
            "uid": row.uid,
            "name": row.part,
            "thumbnail": None if row.kept_image is None else f"/thumbnail/{row.uid}",
            "about": " · ".join((row.judged_at.astimezone(zone).strftime("%H:%M"), (tell or _suspected)(row))),
        }
        for row in rows
    ]


def _suspected(row: InspectionRow) -> str:
    return class_name(row.target or row.verdict.value)
