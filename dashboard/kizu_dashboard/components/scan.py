"""The field into which a scanner or a person types which part comes next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import streamlit as st

from kizu_dashboard.components.assets import join_scripts, read_asset, texts_in

__all__ = ["draw_scan", "sent_scan"]

_KEY: Final = "scan"

_mount = st.components.v2.component(
    "kizu_scan",
    html=read_asset("scan.html"),
    css=read_asset("scan.css"),
    js=join_scripts("speaking.js", "pressed.js", "keys.js", "scan.js"),
)


def draw_scan(said: str | None, on_scan: Callable[[], None]) -> None:
    """Mounts the field with what became of the last scan; `on_scan` is called when one came, which `sent_scan` then gives."""
    _mount(key=_KEY, data={"said": said, "texts": texts_in("scan.html", "scan.js")}, on_scanned_change=on_scan)


def sent_scan() -> str:
    """What was scanned, from the state of this very run; empty where it is no text."""
    state = st.session_state.get(_KEY)
    text = None if state is None else state.get("scanned")
    return text[:200] if isinstance(text, str) else ""
