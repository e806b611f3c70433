"""What the records take and give back: plain frozen values, never live rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from kizu_db.permissions import Role
from kizu_inspect.errors import ConfigError, RecordError
from kizu_inspect.recipe import ExplanationSettings, Recipe
from kizu_inspect.results import Explanation, Judgement, Verdict
from kizu_inspect.settings import describe_invalid

__all__ = [
    "AuditEvent",
    "AuditStratum",
    "Claim",
    "Decision",
    "Disposition",
    "DueInspection",
    "ExplanationState",
    "HeldLot",
    "InspectionRecord",
    "InspectionRow",
    "MadeReport",
    "ModelRow",
    "NewInspection",
    "NewReview",
    "OutboxEvent",
    "QuarantinedFile",
    "RecipeRow",
    "RetentionEnds",
    "Review",
    "Treatment",
    "User",
]

Disposition = Literal["good", "defective"]
"""What a person decided about the part."""

Decision = Literal["accept", "override"]
"""Whether that person agreed with the verdict."""

Treatment = Literal["accept", "rework", "scrap"]
"""What becomes of the part."""


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


@dataclass(frozen=True, kw_only=True)
class InspectionRow:
    """One line of a list of inspections."""

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
class ModelRow:
    """A model as it was when it was first registered."""

    hash: str
    name: str
    classes: tuple[str, ...]
    good: str | None
    path: Path
    spec: Mapping[str, Any]
    promise: Mapping[str, Any] | None
    registered_at: datetime


@dataclass(frozen=True, kw_only=True)
class RecipeRow:
    """One version of a station's settings."""

    id: int
    station: str
    version: int
    """1 for a station's first recipe, one more for each change."""
    content: Mapping[str, Any]
    model_hash: str | None
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class NewReview:
    """What one person decided about one inspection."""

    uid_inspection: str
    reviewer: str
    disposition: Disposition
    defect_class: str | None = None
    decision: Decision
    treatment: Treatment | None = None
    reason: str = ""
    shown_ms: int | None = None
    """How long the inspection was on the screen before the decision."""
    nonce: str
    """Unique to one filled-in form, so that a double click or a repeated request stores one review."""
    supersedes: int | None = None
    """The id of the review that this one corrects."""


@dataclass(frozen=True, kw_only=True)
class Review(NewReview):
    """A stored review; it never changes."""

    id: int
    reviewed_at: datetime


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A part that somebody looks at, so that nobody else is shown it."""

    uid_inspection: str
    reviewer: str
    expires_at: datetime
    """From then on anybody may have it."""


@dataclass(frozen=True)
class User:
    """A person who may work here."""

    name: str
    role: Role
    active: bool


@dataclass(frozen=True)
class HeldLot:
    """A lot of which nothing is pruned."""

    name: str
    """Empty for the parts of which no lot is known."""
    by: str
    since: datetime
    reason: str


@dataclass(frozen=True, kw_only=True)
class RetentionEnds:
    """Moments, aware: what was judged before them has been kept long enough. None keeps all."""

    passed_images: datetime | None
    """Pictures of PASS parts."""
    flagged_images: datetime | None
    """Other pictures."""
    records: datetime | None
    """Inspections with all that hangs on them."""


@dataclass(frozen=True)
class DueInspection:
    """An inspection whose time is over, or whose picture's is."""

    number: int
    uid: str
    judged_at: datetime
    verdict: Verdict
    image_sha256: str | None


@dataclass(frozen=True)
class QuarantinedFile:
    """A file that was put aside."""

    uid_inspection: str
    name: str
    error: str
    quarantined_at: datetime


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


@dataclass(frozen=True, kw_only=True)
class MadeReport:
    """A file that was made of the records."""

    uid: str
    kind: str
    content: Mapping[str, Any]
    """The filters, and how many inspections it holds."""
    made_at: datetime
    made_by: str
    software: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class AuditStratum:
    """The PASS inspections that were drawn into the audit sample with one chance."""

    probability: float
    """Above 0, at most 1."""
    passes: int
    """All PASS inspections of that chance, drawn or not."""
    reviewed: int
    """Drawn ones that a person reviewed."""
    escapes: int
    """Of these, those that are defective."""


@dataclass(frozen=True, kw_only=True)
class AuditEvent:
    """One link of the audit trail; it never changes."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    subject_id: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    reason: str


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

    @property
    def method(self) -> str:
        """The method by which the line explains this part: the recipe's."""
        content = self.recipe.content if self.recipe is not None else {}
        return str((content.get("explanation") or {}).get("method", ExplanationSettings().method))

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
