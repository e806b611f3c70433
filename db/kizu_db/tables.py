"""The tables. Pages and stages never see these classes: repositories turn them into the values of `values.py`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    Double,
    Enum,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from kizu_db.values import ExplanationState
from kizu_inspect.results import MapStatus, Verdict

__all__ = [
    "Base",
    "CleanText",
    "HeatmapTable",
    "InspectionTable",
    "ModelTable",
    "PartTable",
    "RecipeTable",
    "RegionTable",
    "ReviewTable",
    "UtcDateTime",
]


class UtcDateTime(TypeDecorator[datetime]):
    """A time that goes in aware and comes out aware, in UTC, on every database (SQLite itself knows no time zones)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The time as this database keeps it. Raises ValueError for a time without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a time zone cannot be recorded: {value.isoformat()}")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The time in UTC, aware."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


class CleanText(TypeDecorator[str]):
    r"""Text that every database takes.

    A file name may hold bytes that are no UTF-8 (Python shows them as lone surrogates): they are written as `\udcff`.
    PostgreSQL refuses the character 0: it is written as U+FFFD.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - the base's signature
        """The text without what a database would refuse."""
        if value is None:
            return None
        return value.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\ufffd")


_Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only for INTEGER
_Sha256 = String(64)


def _words(kind: type[Verdict] | type[ExplanationState] | type[MapStatus], name: str, *, length: int = 16) -> Enum:
    """A column of words with a check, kept as text so that a new word needs no new database type."""
    return Enum(
        kind,
        name=name,
        native_enum=False,
        length=length,
        create_constraint=True,
        values_callable=lambda k: [e.value for e in k],
    )


class Base(DeclarativeBase):
    """The base of all tables; constraints get names, so that a migration can find them again."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {str: CleanText, datetime: UtcDateTime, float: Double, dict[str, Any]: JSON, list[str]: JSON}  # noqa: RUF012 - read by SQLAlchemy


class PartTable(Base):
    """The physical thing. One part may have several views."""

    __tablename__ = "part"
    __table_args__ = (UniqueConstraint("serial", "lot"),)

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    serial: Mapped[str]
    lot: Mapped[str]
    """Empty where no lot is known: two NULLs would not be equal, and the part would be there twice."""
    generated: Mapped[bool]


class ModelTable(Base):
    """A trained model that judged something here."""

    __tablename__ = "model"

    hash: Mapped[str] = mapped_column(_Sha256, primary_key=True)
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

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    station: Mapped[str]
    version: Mapped[int]
    content: Mapped[dict[str, Any]]
    model_hash: Mapped[str | None] = mapped_column(_Sha256, ForeignKey("model.hash"))
    created_at: Mapped[datetime]


class InspectionTable(Base):
    """One image of one part, judged once. The order of `id` is the order of recording, whatever the clock does."""

    __tablename__ = "inspection"
    __table_args__ = (
        UniqueConstraint("source", "source_key"),
        UniqueConstraint("uid"),
        CheckConstraint("audit_probability >= 0 AND audit_probability <= 1", name="audit_probability"),
        Index(None, "station", "judged_at"),
        Index(None, "judged_at"),
        Index(None, "verdict", "judged_at"),
        Index(None, "part_id"),
        Index(
            "ix_inspection_pending",
            "station",
            "id",
            sqlite_where=text("explanation_state = 'pending'"),
            postgresql_where=text("explanation_state = 'pending'"),
        ),
    )

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    uid: Mapped[str] = mapped_column(String(36))
    part_id: Mapped[int] = mapped_column(_Id, ForeignKey("part.id"))
    view: Mapped[str | None]
    station: Mapped[str]
    source: Mapped[str]
    source_key: Mapped[str]
    captured_at: Mapped[datetime]
    judged_at: Mapped[datetime]
    verdict: Mapped[Verdict] = mapped_column(_words(Verdict, "verdict"))
    reason: Mapped[str]
    probabilities: Mapped[dict[str, Any]]
    predicted: Mapped[str | None]
    target: Mapped[str | None]
    score: Mapped[float | None]
    width_px: Mapped[int | None]
    height_px: Mapped[int | None]
    image_sha256: Mapped[str | None] = mapped_column(_Sha256)
    image_name: Mapped[str]
    model_hash: Mapped[str | None] = mapped_column(_Sha256, ForeignKey("model.hash"))
    recipe_id: Mapped[int | None] = mapped_column(_Id, ForeignKey("recipe.id"))
    device: Mapped[str | None]
    timings_ms: Mapped[dict[str, Any]]
    explanation_state: Mapped[ExplanationState] = mapped_column(_words(ExplanationState, "explanation_state"))
    explanation_error: Mapped[str | None]
    audit: Mapped[bool]
    audit_probability: Mapped[float | None]
    error: Mapped[str | None]

    part: Mapped[PartTable] = relationship(lazy="raise")
    model: Mapped[ModelTable | None] = relationship(lazy="raise")
    recipe: Mapped[RecipeTable | None] = relationship(lazy="raise")
    heatmaps: Mapped[list[HeatmapTable]] = relationship(lazy="raise", order_by="HeatmapTable.id")
    reviews: Mapped[list[ReviewTable]] = relationship(lazy="raise", order_by="ReviewTable.id")


class HeatmapTable(Base):
    """One method's map of one inspection: float16 cells, little-endian, row by row."""

    __tablename__ = "heatmap"
    __table_args__ = (UniqueConstraint("inspection_id", "method"),)

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    inspection_id: Mapped[int] = mapped_column(_Id, ForeignKey("inspection.id", ondelete="CASCADE"))
    method: Mapped[str]
    target: Mapped[str]
    status: Mapped[MapStatus] = mapped_column(_words(MapStatus, "status", length=24))
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
    """One connected piece of a map, as a box in pixels of the original picture."""

    __tablename__ = "region"

    heatmap_id: Mapped[int] = mapped_column(_Id, ForeignKey("heatmap.id", ondelete="CASCADE"), primary_key=True)
    ordinal: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    x1: Mapped[int]
    y1: Mapped[int]
    x2: Mapped[int]
    y2: Mapped[int]
    label: Mapped[str]
    score: Mapped[float]
    share: Mapped[float]


class ReviewTable(Base):
    """What a person decided; the database refuses to change or delete it."""

    __tablename__ = "review"
    __table_args__ = (
        UniqueConstraint("nonce"),
        UniqueConstraint("supersedes"),
        CheckConstraint("disposition IN ('good', 'defective')", name="disposition"),
        CheckConstraint("decision IN ('accept', 'override')", name="decision"),
        Index(None, "inspection_id"),
    )

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    inspection_id: Mapped[int] = mapped_column(_Id, ForeignKey("inspection.id"))
    reviewer: Mapped[str]
    disposition: Mapped[str] = mapped_column(String(16))
    defect_class: Mapped[str | None]
    decision: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str]
    shown_ms: Mapped[int | None]
    nonce: Mapped[str]
    supersedes: Mapped[int | None] = mapped_column(_Id, ForeignKey("review.id"))
    reviewed_at: Mapped[datetime]
