"""What the pages share: the room that this dashboard shows."""

from __future__ import annotations

import streamlit as st

from kizu_dashboard.room import Room, open_room

__all__ = ["current_room"]


def current_room() -> Room:
    """The room whose settings the server was started with. Raises SchemaError, ConfigError and RecordError like `open_room`."""
    return open_room(str(st.secrets["kizu"]["config"]))
