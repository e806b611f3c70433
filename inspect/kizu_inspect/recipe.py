"""The versioned settings by which one station judges. Importing this needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Literal

import regex
from pydantic import Field, field_validator, model_validator

from kizu_inspect.gates import MEASURES, Limits
from kizu_inspect.settings import Settings

__all__ = [
    "UNGATED",
    "Alignment",
    "AlignmentSettings",
    "Bits",
    "ClassRule",
    "Device",
    "ExplanationSettings",
    "GateSettings",
    "Masked",
    "Recipe",
    "ReferenceSettings",
    "Refine",
    "Target",
]  # fmt: skip

Device = Literal["auto", "cpu", "cuda"]
Target = Literal["class", "margin"]
Masked = Literal["neutral", "black"]
Refine = Literal["none", "pixels"]
Alignment = Literal["none", "translation", "homography"]

Bits = Literal[8, 10, 12, 14, 16]
"""How many bits of a 16-bit value are filled, from the lowest."""


class ExplanationSettings(Settings):
    """Which map shows the evidence, and for which inspections it is made."""

    method: str = Field(
        default="grad-cam",
        title="Method",
        description="Name of the explanation method: cam, grad-cam, grad-cam++, score-cam or lfi-cam.",
    )
    target: Target = Field(
        default="class",
        title="Target",
        description="Explain the defect's logit (class), or how far it lies above the good class (margin).",
    )
    alpha_norm: bool = Field(
        default=False, title="Normalised α", description="Grad-CAM++ as in its authors' code, which divides α by its sum."
    )
    channels: int | None = Field(
        default=None,
        ge=1,
        title="Channels",
        description="Score-CAM on so many channels, those with most evidence (default: all, exact).",
    )
    channel_softmax: bool = Field(
        default=False,
        title="Channel softmax",
        description="Score-CAM weighs by a softmax over channels, as other libraries do.",
    )
    masked: Masked = Field(
        default="neutral",
        title="Masked",
        description="What Score-CAM's masks hide behind: a picture without a defect, as the model sees it (neutral), or black.",
    )
    aligned_masks: bool = Field(
        default=False,
        title="Aligned masks",
        description="Score-CAM's masks lie where the network's cells look, not stretched over the picture as in the paper.",
    )
    refine: Refine | None = Field(
        default=None, title="Refine",
        description="pixels: draw the map at every second pixel, by what the logit owes to each; none: by the network's cells. "
        "Default: what the bundle was found to need.",
    )  # fmt: skip
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32",
        title="Precision",
        description="Of Score-CAM's forward passes; bfloat16 is faster where the device has it.",
    )
    policy: Literal["flagged", "all", "on_demand"] = Field(
        default="flagged",
        title="Policy",
        description="Explain REVIEW, REJECT and the audit sample (flagged), every judged image (all), or none until asked.",
    )

    def variant(self, *, neutral: bool) -> str:
        """The options of this method that change what a raw map value means, joined by +; empty under default options.

        `neutral`: the model knows a picture in which it finds nothing. Without one, masks hide behind black whatever is asked.
        """
        method = self.method
        changed = {
            "alpha_norm": method == "grad-cam++" and self.alpha_norm,
            "black": method == "score-cam" and self.masked == "black" and neutral,
            "channel_softmax": method == "score-cam" and self.channel_softmax,
            "margin": method != "lfi-cam" and self.target == "margin",
            "pixels": self.refine == "pixels",
        }
        return "+".join(name for name, is_so in changed.items() if is_so)


class AlignmentSettings(Settings):
    """How a reference is laid over the picture that it belongs to."""

    kind: Alignment = Field(
        default="translation", title="Kind", description="By a shift (translation), a change of view (homography), or none."
    )
    least_correlation: float = Field(
        default=0.5, ge=-1, le=1, title="Least correlation",
        description="A picture that correlates less with its reference is not judged: ERROR.",
    )  # fmt: skip


class ReferenceSettings(Settings):
    """The defect-free picture that a model compares with (a model trained with `--profile reference`)."""

    path: Path = Field(
        title="Path", description="A picture: the reference of every part. With a pattern: the folder of the references."
    )
    pattern: str | None = Field(
        default=None, title="Pattern",
        description="Regular expression on a picture's whole file name; `name` uses its groups. Example: (.+)_test[.]jpg",
    )  # fmt: skip
    name: str = Field(
        default=r"\1.png", title="Name", description=r"File name of a picture's reference, by the pattern's groups: \1_temp.jpg"
    )

    @model_validator(mode="after")
    def _pattern_is_one(self) -> ReferenceSettings:
        if self.pattern is not None:
            try:
                regex.compile(self.pattern)
            except regex.error as error:
                raise ValueError(f"pattern {self.pattern!r} is no regular expression: {error}") from None
        return self


class ClassRule(Settings):
    """How one defect class is judged where not as the others."""

    severity: Literal["critical", "major", "minor"] = Field(
        default="major", title="Severity",
        description="critical: REJECT already from the PASS limit on; minor: alone it is never more than REVIEW.",
    )  # fmt: skip
    reject_from: float | None = Field(
        default=None, ge=0, le=1, title="Own REJECT limit",
        description="REJECT from this probability of the class on, whatever the defect score and the severity.",
    )  # fmt: skip


class GateSettings(Settings):
    """What a picture must look like to be judged at all."""

    on: bool = Field(
        default=True, title="On", description="False judges every picture, whatever it looks like; only for trials."
    )
    widen: float = Field(
        default=1.0, gt=0, le=100, title="Widen",
        description="How much wider the bundle's ranges are taken, around their middle: 2 twice, 0.5 half as wide.",
    )  # fmt: skip
    limits: dict[str, tuple[float | None, float | None]] = Field(
        default={}, title="Limits",
        description="Least and most of single measures, instead of the bundle's; null: none. Example: {level: [20, null]}",
    )  # fmt: skip

    @field_validator("limits")
    @classmethod
    def _measures_are_known(
        cls, limits: dict[str, tuple[float | None, float | None]]
    ) -> dict[str, tuple[float | None, float | None]]:
        if unknown := sorted(set(limits) - set(MEASURES)):
            raise ValueError(f"unknown measures {unknown}; known are {', '.join(MEASURES)}")
        if any(limit is not None and not isfinite(limit) for both in limits.values() for limit in both):
            raise ValueError("limits are finite numbers or null")
        for name, (low, high) in limits.items():
            if low is not None and high is not None and low > high:
                raise ValueError(f"{name}: the least, {low}, lies above the most, {high}")
        return limits

    def over(self, learned: Mapping[str, tuple[float, float]] | None) -> Limits:
        """The limits that hold, over those that a bundle has learned."""
        wider: dict[str, tuple[float | None, float | None]] = {}
        for name, (low, high) in (learned or {}).items():
            middle, half = (low + high) / 2, (high - low) / 2 * self.widen
            wider[name] = (middle - half, middle + half)
        return wider | self.limits


UNGATED = GateSettings(on=False)
"""Of measurements: every picture is judged, whatever it looks like."""

Edges = tuple[int, int, int, int]


class Recipe(Settings):
    """How one station judges: model, thresholds, explanation. A change is a new version in the database."""

    bundle: Path = Field(title="Bundle", description="Folder of the trained model (bundle.yaml and weights.safetensors).")
    explanation: ExplanationSettings = ExplanationSettings()
    region_of_interest: Edges | None = Field(
        default=None, title="Region of interest",
        description="Judge only this part of a picture: x1, y1, x2, y2 in px, right and lower edge exclusive.",
    )  # fmt: skip
    mm_per_px: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, title="Millimetres per pixel",
        description="What a pixel of the original picture shows of the part; sizes of regions are then told in mm and mm² too.",
    )  # fmt: skip
    reference: ReferenceSettings | None = Field(
        default=None, title="Reference", description="What a model that compares is given to compare with."
    )
    gates: GateSettings = GateSettings()
    pass_below: float | None = Field(
        default=None, ge=0, le=1, title="PASS limit",
        description="PASS when 1 − p(good) is below this. Default: the bundle's own threshold.",
    )  # fmt: skip
    reject_from: float | None = Field(
        default=None, ge=0, le=1, title="REJECT limit",
        description="REJECT when 1 − p(good) is at or above this; REVIEW between. Default: the bundle's own threshold.",
    )  # fmt: skip
    classes: dict[str, ClassRule] = Field(
        default={}, title="Classes", description="Defect classes with a severity or a REJECT limit of their own, by name."
    )
    allow_no_promise: bool = Field(
        default=False,
        title="Allow no promise",
        description="Run a bundle whose validation set was too small to promise a miss rate.",
    )
    audit_share: float = Field(
        default=0.01, ge=0, le=1, title="Audit share",
        description="Share of PASS parts drawn at random for review, so that escapes can be seen.",
    )  # fmt: skip
    max_megapixels: float = Field(
        default=100.0, gt=0, le=1000, title="Largest picture",
        description="A picture with more pixels than this (in millions) is not decoded but quarantined.",
    )  # fmt: skip
    bits: Bits | None = Field(
        default=None, title="Bits",
        description="How many bits of a 16-bit value the camera fills, from the lowest: 12 where white is 4095; 16 also where "
        "it shifts its values up. Default: what the bundle was trained with, else 16.",
    )  # fmt: skip

    @field_validator("region_of_interest")
    @classmethod
    def _has_an_inside(cls, edges: Edges | None) -> Edges | None:
        if edges is not None and not (0 <= edges[0] < edges[2] and 0 <= edges[1] < edges[3]):
            raise ValueError(f"x1, y1, x2, y2 with 0 ≤ x1 < x2 and 0 ≤ y1 < y2 expected, found {list(edges)}")
        return edges
