"""The plant and what it judges by: stations and their views, lots and parts, models and recipes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from kizu_db.tables.base import Base, SearchText, row_id, sha256_text

__all__ = ["ChosenLimitsTable", "LotTable", "ModelTable", "PartTable", "RecipeTable", "StationTable", "ViewTable"]


class StationTable(Base):
    """A place that inspects."""

    __tablename__ = "station"

    name: Mapped[str] = mapped_column(primary_key=True)
    outbox_seq: Mapped[int] = mapped_column(row_id, default=0, server_default="0")
    """The number of the station's last event."""
    signal_seq: Mapped[int] = mapped_column(row_id, default=0, server_default="0")
    """The highest sequence number that any signal of it may have."""
    created_at: Mapped[datetime]


class ViewTable(Base):
    """One side of a part, as a station looks at it."""

    __tablename__ = "view"

    station: Mapped[str] = mapped_column(ForeignKey("station.name"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)


class LotTable(Base):
    """What was made together. Parts of which no lot is known belong to the lot without a name."""

    __tablename__ = "lot"
    __table_args__ = (CheckConstraint("held = (held_at IS NOT NULL AND held_by IS NOT NULL)", name="held"),)

    name: Mapped[str] = mapped_column(primary_key=True)
    held: Mapped[bool] = mapped_column(default=False, server_default=false())
    """A legal hold: nothing of the lot is pruned."""
    held_by: Mapped[str | None]
    held_at: Mapped[datetime | None]
    held_reason: Mapped[str | None]


class PartTable(Base):
    """The physical thing. One part may have several views."""

    __tablename__ = "part"
    __table_args__ = (
        UniqueConstraint("serial", "lot"),
        Index(None, "serial_folded"),
        Index(None, "serial_reversed"),
        Index(None, "lot"),
    )

    id: Mapped[int] = mapped_column(row_id, primary_key=True)
    serial: Mapped[str]
    lot: Mapped[str] = mapped_column(ForeignKey("lot.name"))
    """Empty where no lot is known: two NULLs would not be equal, and the part would be there twice."""
    generated: Mapped[bool]
    serial_folded: Mapped[str] = mapped_column(SearchText)
    """The serial without upper and lower case, for searches by its beginning."""
    serial_reversed: Mapped[str] = mapped_column(SearchText)
    """The same from its end, for searches by its last figures."""


class ModelTable(Base):
    """A trained model that judged something here; the database refuses to change or delete it."""

    __tablename__ = "model"

    hash: Mapped[str] = mapped_column(sha256_text, primary_key=True)
    name: Mapped[str]
    classes: Mapped[list[str]]
    good: Mapped[str | None]
    path: Mapped[str]
    spec: Mapped[dict[str, Any]]
    promise: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    registered_at: Mapped[datetime]


class RecipeTable(Base):
    """One version of a station's settings; the database refuses to change or delete it."""

    __tablename__ = "recipe"
    __table_args__ = (UniqueConstraint("station", "version"),)

    id: Mapped[int] = mapped_column(row_id, primary_key=True)
    station: Mapped[str] = mapped_column(ForeignKey("station.name"))
    version: Mapped[int]
    content: Mapped[dict[str, Any]]
    model_hash: Mapped[str | None] = mapped_column(sha256_text, ForeignKey("model.hash"))
    created_at: Mapped[datetime]

    chosen: Mapped[ChosenLimitsTable | None] = relationship(lazy="joined", viewonly=True)


class ChosenLimitsTable(Base):
    """Who chose the limits of a recipe version; as unchanging as that. Versions whose limits nobody chose here have none."""

    __tablename__ = "chosen_limits"

    recipe_id: Mapped[int] = mapped_column(row_id, ForeignKey("recipe.id"), primary_key=True, autoincrement=False)
    chosen_as: Mapped[int]
    """The version by which they were chosen: this one, or an earlier one of the station that this one carries on."""
    chosen_by: Mapped[str]
    reason: Mapped[str]
    seen: Mapped[dict[str, Any]]
    """The figures by which they were chosen, with what these rest on."""
