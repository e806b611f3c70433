"""The gallery: large pictures side by side, selected by mouse and keys, each with its verdict by mark, word and colour."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import streamlit as st

from kizu_dashboard.components.assets import join_scripts, read_asset, texts_in
from kizu_dashboard.components.inspection_list import list_data
from kizu_db.values import InspectionRow

__all__ = ["draw_gallery", "gallery_data", "sent_choice"]

_KEY: Final = "gallery"

_mount = st.components.v2.component(
    "kizu_gallery",
    html=read_asset("gallery.html"),
    css=read_asset("gallery.css"),
    js=join_scripts("speaking.js", "making.js", "gallery.js"),
)


def draw_gallery(
    rows: Sequence[InspectionRow],
    zone: ZoneInfo,
    *,
    heat: bool,
    selecting: bool,
    turn: str = "",
    done: int = 0,
    on_choice: Callable[[], None] = lambda: None,
) -> str | None:
    """Mounts the gallery, with heatmaps over the pictures if `heat`; the id of the inspection that was just opened, or None.

    `selecting` offers the choice of parts to decide for: `on_choice` is called when one came, which `sent_choice` then gives.
    It bears the `turn`; where `done` is another number than before, nothing is selected any more.
    """
    data = gallery_data(rows, zone, heat=heat) | {"selecting": selecting, "turn": turn, "done": done}
    result = _mount(key=_KEY, data=data, on_opened_change=lambda: None, on_chosen_change=on_choice)
    opened = result.opened
    return opened if isinstance(opened, str) else None


def sent_choice() -> object:
    """What the browser sent, from the state of this very run."""
    state = st.session_state.get(_KEY)
    return None if state is None else state.get("chosen")


def gallery_data(rows: Sequence[InspectionRow], zone: ZoneInfo, *, heat: bool) -> dict[str, Any]:
    """What the gallery is told of the parts: as the list, with a larger picture and the name that a screen reader says."""
    told = list_data(rows, zone)["rows"]
    return {
        "rows": [one | {"picture": _picture(row, heat=heat), "name": _name(one)} for one, row in zip(told, rows, strict=True)],
        "texts": texts_in("gallery.html", "making.js", "gallery.js"),
    }


def _picture(row: InspectionRow, *, heat: bool) -> str | None:
    if row.kept_image is None:
        return None
    return f"/thumbnail/{row.uid}?{urlencode({'size': 'large', **({'heatmap': '1'} if heat and row.has_heatmap else {})})}"


def _name(told: dict[str, Any]) -> str:
    pieces = (told["part"], told["word"], told["suspected"], None if told["decision"] == "–" else told["decision"])
    return ", ".join(piece for piece in pieces if piece)
