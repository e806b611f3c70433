"""What every page and route works with: the records, the pictures, the settings, and who is signed in."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from kizu_dashboard.settings import DashboardConfig
from kizu_dashboard.signing_in.sessions import Sessions
from kizu_dashboard.verifying import Verifying
from kizu_db.image_store import ImageStore
from kizu_db.records import Records

__all__ = ["Room", "close_rooms", "open_room"]

_opened: dict[str, Room] = {}
_lock = threading.Lock()


@dataclass(frozen=True)
class Room:
    """One plant's records and pictures with the settings to show them."""

    config: DashboardConfig
    records: Records
    images: ImageStore
    sessions: Sessions
    verifying: Verifying


def open_room(config: str) -> Room:
    """The room for these settings (a `DashboardConfig` as JSON), opened once a process and shared by all sessions.

    Raises SchemaError where the database has another version, ConfigError where it cannot be opened.
    """
    with _lock:
        room = _opened.get(config)
        if room is None:
            settings = DashboardConfig.model_validate_json(config)
            records = Records.open(settings.database)
            room = Room(
                settings,
                records,
                ImageStore(settings.images.path),
                Sessions(records, settings.dashboard),
                Verifying(records, settings.database),
            )
            _opened[config] = room
        return room


def close_rooms() -> None:
    """Close every opened room's database."""
    with _lock:
        for room in _opened.values():
            room.sessions.close()
            room.verifying.close()
            room.records.close()
        _opened.clear()
