"""What was inspected: as the line hands it over, as lists show it, and all that is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from kizu_db.values.plant import ModelRow, RecipeRow
from kizu_db.values.reviews import Disposition, Review
from kizu_db.values.signals import Signal
from kizu_inspect.errors import ConfigError, RecordError
from kizu_inspect.recipe import ExplanationSettings, Recipe
from kizu_inspect.results import Explanation, Judgement, Verdict
from kizu_inspect.settings import describe_invalid

__all__ = ["ExplanationState", "InspectionRecord", "InspectionRow", "NewInspection", "OutboxEvent", "QuarantinedFile"]


class ExplanationState(StrEnum):
    """How far the map of an inspection has come."""

    NONE = "none"
    """Not asked for; it can be made on demand."""
    PENDING = "pending"
    """Promised: a restarted line makes it from the stored picture."""
    DONE = "done"
    FAILED = "failed"
    """It could not be made; the inspection says why."""


@dataclass(frozen=True, kw_only=True)
class NewInspection:
    """One image of one part, judged once, as the line hands it to the records."""

    source: str
    """Where the work came from; (source, source_key) is the identity of the piece of work."""
    source_key: str
    station: str
    part: str
    """The part's serial."""
    part_generated: bool = False
    """Whether the serial was made up because nothing told it."""
    view: str | None = None
    lot: str | None = None
    captured_at: datetime
    """Aware; kept as UTC."""
    judged_at: datetime
    """Aware; kept as UTC."""
    judgement: Judgement
    image_sha256: str | None = None
    """The picture's name in the image store; None where there is no picture."""
    image_kept: bool = True
    """Whether it is there; else its hash alone is recorded, as of a picture that retention let go."""
    image_name: str
    """The file's name, or what a camera calls the frame ("frame 12")."""
    model_hash: str | None = None
    """A model registered before (or in the same unit); None where nothing was judged."""
    recipe_id: int | None = None
    """A recipe registered before (or in the same unit)."""
    device: str | None = None
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    """Milliseconds by stage."""
    explanation_state: ExplanationState = ExplanationState.NONE
    audit: bool = False
    """Whether the inspection was drawn into the audit sample."""
    audit_probability: float | None = None
    """The chance with which this inspection could be drawn, 0 to 1; None where no draw was made."""
    error: str | None = None
    """What went wrong, in full, for ERROR rows."""
    measured: Mapping[str, float] | None = None
    """What was measured of the picture, by name; None where nothing was."""


@dataclass(frozen=True, kw_only=True)
class InspectionRow:
    """One line of a list of inspections."""

    number: int
    """Its place in the order of recording."""
    uid: str
    part: str
    part_generated: bool
    view: str | None
    lot: str | None
    station: str
    captured_at: datetime
    judged_at: datetime
    verdict: Verdict
    reason: str
    predicted: str | None
    target: str | None
    score: float | None
    image_sha256: str | None
    image_pruned_at: datetime | None
    """When its picture went, by the plant's rules of retention; None while it is kept."""
    model_hash: str | None
    explanation_state: ExplanationState
    audit: bool
    disposition: Disposition | None
    """What the latest review says; None while nobody reviewed it."""
    has_heatmap: bool
    explanation_conflict: bool
    """Whether a map of it does not explain its verdict: without the map's region the part would not pass either."""

    @property
    def kept_image(self) -> str | None:
        """The picture's name in the image store; None where there never was one, or it was pruned."""
        return self.image_sha256 if self.image_pruned_at is None else None


@dataclass(frozen=True, kw_only=True)
class InspectionRecord:
    """All that is known of one inspection."""

    row: InspectionRow
    source: str
    source_key: str
    image_name: str
    probabilities: Mapping[str, float]
    """Calibrated, by class name, in the order in which the model names its classes."""
    width_px: int | None
    height_px: int | None
    device: str | None
    timings_ms: Mapping[str, float]
    audit_probability: float | None
    novelty: float | None
    """How unlike anything in training it is, ≥ 0; None where the model does not tell."""
    reference_correlation: float | None
    """How well its reference fitted, −1 to 1; None where it has none."""
    model: ModelRow | None
    recipe: RecipeRow | None
    explanations: tuple[Explanation, ...]
    """The stored maps with their regions, one for each method, in the order in which they were made."""
    explanation_error: str | None
    reviews: tuple[Review, ...]
    """Oldest first, corrected ones included."""
    error: str | None
    measured: Mapping[str, float] | None
    """What was measured of the picture, by name; None where nothing was recorded."""
    signal: Signal | None
    """What the line's control was told; None where it is not known to have been told anything."""

    @property
    def method(self) -> str:
        """The method by which the line explains this part: the recipe's."""
        content = self.recipe.content if self.recipe is not None else {}
        return str((content.get("explanation") or {}).get("method", ExplanationSettings().method))

    @property
    def refined(self) -> bool:
        """Whether its maps are drawn at pixels: as its recipe said, else as its model was made for."""
        content = self.recipe.content if self.recipe is not None else {}
        asked = (content.get("explanation") or {}).get("refine")
        return (asked or (self.model.spec.get("refine") if self.model is not None else None)) == "pixels"

    @property
    def mm_per_px(self) -> float | None:
        """What a pixel shows of the part, by the recipe that judged it; None where that does not tell."""
        told = self.recipe.content.get("mm_per_px") if self.recipe is not None else None
        return None if told is None else float(told)

    @property
    def keeps_promise(self) -> bool | None:
        """Whether its model's promised miss rate holds with the PASS limit that judged; None where there is no promise."""
        if self.model is None:
            return None
        return self.model.keeps_promise(None if self.recipe is None else self.recipe.limits[0])

    @property
    def recipe_then(self) -> Recipe:
        """The recipe by which this part was judged, with the model that judged it, whatever the station's recipe says today.

        Raises RecordError where the record names no model, ConfigError where this version does not understand the recipe.
        """
        if self.model is None:
            raise RecordError("the record does not name the model that judged", found=f"inspection {self.row.uid}")
        content = dict(self.recipe.content) if self.recipe is not None else {}
        try:
            return Recipe.model_validate({**content, "bundle": str(self.model.path)})
        except ValidationError as error:
            raise ConfigError(
                f"the recipe that judged inspection {self.row.uid} is not understood", found=describe_invalid(error),
                next_step="Use the version of Kizu that judged it.",
            ) from None  # fmt: skip

    @property
    def explanation(self) -> Explanation | None:
        """The map that stands for this inspection in lists and reports: the line's, or else the one stored last."""
        return self.explained_by(self.method) or (self.explanations[-1] if self.explanations else None)

    @property
    def standing_review(self) -> Review | None:
        """The review that counts: the latest one, which no other supersedes."""
        return self.reviews[-1] if self.reviews else None

    def explained_by(self, method: str) -> Explanation | None:
        """The stored map of this method."""
        return next((one for one in self.explanations if one.heatmap.method == method), None)


@dataclass(frozen=True)
class QuarantinedFile:
    """A file that was put aside."""

    uid_inspection: str
    name: str
    error: str
    quarantined_at: datetime
    station: str
    part: str
    released_at: datetime | None = None
    """When it went back into the watched folder; None while it is in quarantine."""
    released_by: str | None = None


@dataclass(frozen=True)
class OutboxEvent:
    """An event that waits to be delivered."""

    event_id: str
    """A receiver that saw it before drops it."""
    station: str
    seq: int
    kind: str
    payload: Mapping[str, Any]
    created_at: datetime
    attempts: int
