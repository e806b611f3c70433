"""The places that inspect."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from kizu_db.tables import StationTable

__all__ = ["Stations"]


class Stations:
    """The stations that ever recorded anything, or have a recipe."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def names(self) -> list[str]:
        """All of them, in the order of their names."""
        return sorted(self._session.scalars(select(StationTable.name)))
