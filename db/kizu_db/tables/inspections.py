"""What was inspected: the verdicts with their check figures, the maps with their regions, and the files in quarantine."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    String,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from kizu_db.tables.base import Base, row_id, sha256_text, words
from kizu_db.tables.plant import ModelTable, PartTable, RecipeTable
from kizu_db.tables.reviews import ReviewTable
from kizu_db.tables.signals import SignalTable
from kizu_db.values import ExplanationState
from kizu_inspect.results import MapStatus, Verdict

__all__ = [
    "CONFLICTING",
    "REVIEWED",
    "SUSPECTED",
    "WAITING",
    "HeatmapTable",
    "InspectionTable",
    "QuarantineTable",
    "RegionTable",
]

# Written out in queries too: a database uses a partial index only where it finds the index's own words.
CONFLICTING = "explanation_conflict"
REVIEWED = "disposition IS NOT NULL"
SUSPECTED = "verdict IN ('REVIEW', 'REJECT')"
WAITING = "disposition IS NULL AND verdict <> 'PASS'"


class InspectionTable(Base):
    """One image of one part, judged once. The order of `id` is the order of recording, whatever the clock does."""

    __tablename__ = "inspection"
    __table_args__ = (
        UniqueConstraint("source", "source_key"),
        UniqueConstraint("uid"),
        ForeignKeyConstraint(["station", "view"], ["view.station", "view.name"]),  # holds where a view is named
        CheckConstraint("audit_probability >= 0 AND audit_probability <= 1", name="audit_probability"),
        CheckConstraint("disposition IN ('good', 'defective')", name="disposition"),
        CheckConstraint("disposition = 'defective' OR defect_class IS NULL", name="defect_class"),
        Index(None, "judged_at"),
        Index(None, "part_id"),
        Index(None, "recipe_id"),
        Index(None, "verdict", "id"),
        Index(None, "station", "verdict", "id"),
        *(
            Index(f"ix_inspection_{name}", *columns, sqlite_where=text(where), postgresql_where=text(where))
            for name, columns, where in (
                ("pending", ("station", "id"), "explanation_state = 'pending'"),
                ("conflicting", ("verdict", "id"), CONFLICTING),
                ("reviewed", ("disposition", "verdict", "id"), REVIEWED),
                ("suspected", ("target", "verdict", "id"), SUSPECTED),
                ("waiting", ("verdict", "id"), WAITING),
                ("kept_image", ("image_sha256",), "image_pruned_at IS NULL"),
            )
        ),
    )

    id: Mapped[int] = mapped_column(row_id, primary_key=True)
    uid: Mapped[str] = mapped_column(String(36))
    part_id: Mapped[int] = mapped_column(row_id, ForeignKey("part.id"))
    view: Mapped[str | None]
    station: Mapped[str] = mapped_column(ForeignKey("station.name"))
    source: Mapped[str]
    source_key: Mapped[str]
    captured_at: Mapped[datetime]
    judged_at: Mapped[datetime]
    verdict: Mapped[Verdict] = mapped_column(words(Verdict, "verdict"))
    reason: Mapped[str]
    probabilities: Mapped[dict[str, Any]]
    predicted: Mapped[str | None]
    target: Mapped[str | None]
    score: Mapped[float | None]
    novelty: Mapped[float | None]
    reference_correlation: Mapped[float | None]
    width_px: Mapped[int | None]
    height_px: Mapped[int | None]
    image_sha256: Mapped[str | None] = mapped_column(sha256_text)
    image_name: Mapped[str]
    image_pruned_at: Mapped[datetime | None]
    """When the picture went, by the plant's rules of retention; its hash stays."""
    model_hash: Mapped[str | None] = mapped_column(sha256_text, ForeignKey("model.hash"))
    recipe_id: Mapped[int | None] = mapped_column(row_id, ForeignKey("recipe.id"))
    device: Mapped[str | None]
    timings_ms: Mapped[dict[str, Any]]
    explanation_state: Mapped[ExplanationState] = mapped_column(words(ExplanationState, "explanation_state"))
    explanation_error: Mapped[str | None]
    explanation_conflict: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether a map of it does not explain its verdict."""
    audit: Mapped[bool]
    audit_probability: Mapped[float | None]
    error: Mapped[str | None]
    disposition: Mapped[str | None] = mapped_column(String(16))
    """What its latest review says; NULL while nobody reviewed it."""
    defect_class: Mapped[str | None]
    """Of the latest review."""
    measured: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """What was measured of the picture, by name; NULL for rows of before it was recorded."""

    part: Mapped[PartTable] = relationship(lazy="raise")
    model: Mapped[ModelTable | None] = relationship(lazy="raise")
    recipe: Mapped[RecipeTable | None] = relationship(lazy="raise")
    heatmaps: Mapped[list[HeatmapTable]] = relationship(lazy="raise", order_by="HeatmapTable.id")
    reviews: Mapped[list[ReviewTable]] = relationship(lazy="raise", order_by="ReviewTable.id")
    signal: Mapped[SignalTable | None] = relationship(lazy="raise")


class HeatmapTable(Base):
    """One method's map of one inspection: float16 cells, little-endian, row by row."""

    __tablename__ = "heatmap"
    __table_args__ = (UniqueConstraint("inspection_id", "method"),)

    id: Mapped[int] = mapped_column(row_id, primary_key=True)
    inspection_id: Mapped[int] = mapped_column(row_id, ForeignKey("inspection.id", ondelete="CASCADE"))
    method: Mapped[str]
    target: Mapped[str]
    status: Mapped[MapStatus] = mapped_column(words(MapStatus, "status", length=24))
    grid: Mapped[bytes] = mapped_column(LargeBinary)
    grid_rows: Mapped[int]
    grid_columns: Mapped[int]
    maximum: Mapped[float]
    scale: Mapped[float]
    origin_x_px: Mapped[float]
    origin_y_px: Mapped[float]
    step_x_px: Mapped[float]
    step_y_px: Mapped[float]
    width_px: Mapped[int]
    height_px: Mapped[int]
    score_without: Mapped[float | None]
    score_only: Mapped[float | None]
    conflict: Mapped[bool]
    made_at: Mapped[datetime]

    regions: Mapped[list[RegionTable]] = relationship(lazy="raise", order_by="RegionTable.ordinal")


class RegionTable(Base):
    """One connected piece of a map, in pixels of the original picture; older rows have no contour and no sizes."""

    __tablename__ = "region"

    heatmap_id: Mapped[int] = mapped_column(row_id, ForeignKey("heatmap.id", ondelete="CASCADE"), primary_key=True)
    ordinal: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    x1: Mapped[int]
    y1: Mapped[int]
    x2: Mapped[int]
    y2: Mapped[int]
    label: Mapped[str]
    score: Mapped[float]
    share: Mapped[float]
    contour: Mapped[list[list[int]] | None] = mapped_column(JSON(none_as_null=True))
    """[[x, y], …]."""
    length_px: Mapped[float | None]
    width_px: Mapped[float | None]
    area_px: Mapped[int | None]


class QuarantineTable(Base):
    """A file that could not be read, put aside beside its error; a person may release it."""

    __tablename__ = "quarantine"
    __table_args__ = (CheckConstraint("(released_at IS NULL) = (released_by IS NULL)", name="released"),)

    inspection_id: Mapped[int] = mapped_column(row_id, ForeignKey("inspection.id", ondelete="CASCADE"), primary_key=True)
    error: Mapped[str]
    quarantined_at: Mapped[datetime]
    released_at: Mapped[datetime | None]
    released_by: Mapped[str | None]
