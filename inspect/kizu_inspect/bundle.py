"""A trained model on disk: bundle.yaml and weights.safetensors, checked by hash, never pickled."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from kizu_inspect.durable import make_folder, sync
from kizu_inspect.errors import BundleError, KizuError
from kizu_inspect.network.model import Architecture, Classifier, build_classifier
from kizu_inspect.network.novelty import Novelty
from kizu_inspect.picture.golden import WEIGHTS_FILE
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.recipe import ExplanationSettings, Refine
from kizu_inspect.results import ModelInfo
from kizu_inspect.settings import Settings, describe_invalid, read_yaml

__all__ = [
    "Bundle",
    "BundleSpec",
    "Calibration",
    "ExplanationScales",
    "NoveltyLimit",
    "PictureCalibration",
    "Promise",
    "Provenance",
    "Scale",
    "Thresholds",
]

SPEC_FILE = "bundle.yaml"


class PictureCalibration(Settings):
    """How the log-odds of a picture in tiles, the most that any tile has, become the picture's own."""

    temperature: float = Field(gt=0, title="Temperature", description="The picture's log-odds are divided by it.")
    offset: float = Field(
        title="Offset", description="Added to the log-odds of every defect before: the most of many tiles is high by chance."
    )
    pictures: int = Field(gt=0, title="n", description="Validation pictures that it rests on.")


class Calibration(Settings):
    """How logits become probabilities."""

    temperature: float = Field(default=1.0, gt=0, title="Temperature", description="Logits are divided by it.")
    expected_calibration_error: float | None = Field(
        default=None, ge=0, le=1, title="Expected calibration error", description="On the validation split, 15 bins."
    )
    picture: PictureCalibration | None = Field(
        default=None, title="Picture", description="Of pictures in tiles; null: a picture is as defective as its worst tile."
    )


class Promise(Settings):
    """A miss rate that the thresholds keep, with 95 % confidence, on parts like those of the validation split."""

    miss_rate: float = Field(
        gt=0, lt=1, title="Promised miss rate", description="At most this share of defective parts passes."
    )
    bound: float = Field(ge=0, le=1, title="Bound", description="One-sided 95 % Clopper-Pearson upper bound that was reached.")
    defective_parts: int = Field(gt=0, title="n", description="Defective pictures that the bound rests on.")
    missed: int = Field(ge=0, title="Missed", description="How many of them passed.")


class Thresholds(Settings):
    """PASS below `pass_below`, REJECT from `reject_from`, REVIEW between; on score = 1 − p(good)."""

    pass_below: float = Field(default=0.5, ge=0, le=1, title="PASS limit", description="PASS below this score.")
    reject_from: float = Field(default=0.5, ge=0, le=1, title="REJECT limit", description="REJECT from this score on.")
    promise: Promise | None = Field(default=None, title="Promise", description="None: the thresholds promise nothing.")

    @model_validator(mode="after")
    def _ordered(self) -> Thresholds:
        if self.pass_below > self.reject_from:
            raise ValueError(f"pass_below {self.pass_below} lies above reject_from {self.reject_from}")
        return self


class NoveltyLimit(Settings):
    """From where on a picture is unlike anything in training, whatever its defect score."""

    limit: float = Field(ge=0, title="Limit", description="A picture whose novelty lies above it does not pass: REVIEW.")
    share: float = Field(
        gt=0, lt=1, title="Share", description="Of the good validation pictures (of all where no class is good) below it."
    )
    pictures: int = Field(gt=0, title="n", description="Validation pictures that the limit rests on.")


class Scale(Settings):
    """What makes one map comparable with the next, from validation data."""

    scale: float = Field(gt=0, title="Display scale", description="Raw map value drawn at full colour.")
    region_threshold: float = Field(
        gt=0, le=1, title="Region threshold", description="Share of the scale from which a cell belongs to a region."
    )


class ExplanationScales(Scale):
    """One method's scale under its default options, and under those that change what a raw value means."""

    variants: dict[str, Scale] = Field(
        default={}, title="Variants", description="By options that are not the default, joined by +: alpha_norm, margin, …"
    )


class Provenance(Settings):
    """Where the model comes from."""

    data_hash: str = Field(title="Data hash", description="SHA-256 over the training set's contents.")
    seed: int = Field(title="Seed", description="Seed of every random draw.")
    split_seed: int | None = Field(
        default=None,
        title="Split seed",
        description="By which pictures without a split were shared out; null: there were none.",
    )
    group_pattern: str | None = Field(
        default=None, title="Group pattern", description="Told a picture's group by its name when they were shared out."
    )
    threads: int = Field(title="Threads", description="Processor threads; the same seed and count give the same weights.")
    device: str = Field(title="Device", description="What it was trained on.")
    steps: int = Field(title="Steps", description="Optimiser steps.")
    versions: dict[str, str] = Field(title="Versions", description="Of Kizu and the libraries that matter.")
    figures: dict[str, float] = Field(title="Figures", description="On the validation split.")


class BundleSpec(Settings):
    """bundle.yaml."""

    format: Literal[1] = Field(default=1, title="Format", description="Version of this file's layout.")
    name: str = Field(min_length=1, title="Name", description="What people call the model.")
    classes: tuple[str, ...] = Field(min_length=2, title="Classes", description="In the order of the logits.")
    good: str | None = Field(title="Good class", description="The class that passes; null where there is none.")
    input: InputSettings
    architecture: Architecture
    calibration: Calibration
    thresholds: Thresholds
    novelty: NoveltyLimit | None = Field(
        default=None, title="Novelty", description="null: nothing goes to REVIEW because it is unlike the training pictures."
    )
    gates: dict[str, tuple[float, float]] | None = Field(
        default=None, title="Gates",
        description="Least and most of each measure of a picture; outside of them it is an ERROR. null: too few pictures.",
    )  # fmt: skip
    explanation: dict[str, ExplanationScales] = Field(title="Explanation", description="Scales by method.")
    refine: Refine = Field(
        default="none", title="Refine",
        description="How maps are drawn unless a recipe says otherwise: pixels where no places of defects were learned.",
    )  # fmt: skip
    provenance: Provenance
    weights_sha256: str = Field(default="", title="Weights", description="SHA-256 of weights.safetensors.")

    @model_validator(mode="after")
    def _good_is_a_class(self) -> BundleSpec:
        if self.good is not None and self.good not in self.classes:
            raise ValueError(f"good class {self.good!r} is not among the classes {list(self.classes)}")
        return self


class Bundle:
    """A model with its description."""

    def __init__(self, spec: BundleSpec, model: Classifier, *, path: Path, spec_hash: str) -> None:
        self.spec = spec
        self.model = model
        self.path = path
        self.hash = spec_hash

    def options(self, asked: ExplanationSettings) -> ExplanationSettings:
        """The options with what they leave to the bundle."""
        return asked if asked.refine is not None else asked.model_copy(update={"refine": self.spec.refine})

    def scale_of(self, options: ExplanationSettings) -> Scale:
        """The display scale and region threshold of the options' method. Raises BundleError where none was learned."""
        options = self.options(options)
        variant = options.variant(neutral=self.spec.architecture.knows_neutral(self.spec.input.profile))
        learned = self.spec.explanation.get(options.method)
        if learned is None:
            raise BundleError(
                f"bundle {self.path} has no display scale for {options.method}",
                found=f"scales for {', '.join(self.spec.explanation) or 'no method'}",
                expected=options.method,
                next_step="Choose one of those methods in explanation.method, or train the bundle again.",
            )
        if variant and variant not in learned.variants:
            raise BundleError(
                f"bundle {self.path} has no display scale for {options.method} with these options",
                found=f"scales for {', '.join(['the default options', *learned.variants])}",
                expected=variant,
                next_step="Leave the options of explanation out, or train the bundle again.",
            )
        return learned.variants[variant] if variant else learned

    @property
    def good_index(self) -> int | None:
        """The logit of the good class."""
        return None if self.spec.good is None else self.spec.classes.index(self.spec.good)

    @property
    def info(self) -> ModelInfo:
        """What the records keep of it."""
        promise = self.spec.thresholds.promise
        return ModelInfo(
            hash=self.hash,
            name=self.spec.name,
            classes=self.spec.classes,
            good=self.spec.good,
            path=self.path,
            spec=self.spec.model_dump(mode="json"),
            promise=None if promise is None else promise.model_dump(mode="json"),
        )

    @classmethod
    def load(cls, path: Path) -> Bundle:
        """The bundle in the folder `path`, in evaluation mode on the processor. Raises BundleError."""
        spec_path, weights_path = path / SPEC_FILE, path / WEIGHTS_FILE
        for needed in (spec_path, weights_path):
            if not needed.is_file():
                raise BundleError(
                    "model bundle is not there",
                    found=f"no file {needed}",
                    expected=f"a folder with {SPEC_FILE} and {WEIGHTS_FILE}",
                    next_step="Train one with `kizu train DATA --out BUNDLE`.",
                )
        text = spec_path.read_bytes()
        try:
            spec = BundleSpec.model_validate(read_yaml(text))
        except yaml.YAMLError as error:
            raise BundleError(f"{spec_path} is not YAML", found=str(error)) from None
        except ValidationError as error:
            raise BundleError(f"{spec_path} is not understood", found=describe_invalid(error)) from None
        found = _sha256(weights_path)
        if found != spec.weights_sha256:
            raise BundleError(
                f"weights in {weights_path} are not those that the bundle describes",
                found=f"SHA-256 {found[:12]}…",
                expected=f"{spec.weights_sha256[:12]}…",
                next_step="Restore the bundle from its backup or train it again.",
            )
        model = build_classifier(
            spec.architecture,
            spec.input,
            classes=len(spec.classes),
            good=None if spec.good is None else spec.classes.index(spec.good),
        )
        try:
            weights = load_file(weights_path)
            if "novelty.memory" in weights:
                model.novelty = Novelty(weights["novelty.memory"], weights["novelty.spread"])
            model.load_state_dict(weights)
        except (SafetensorError, RuntimeError, KeyError) as error:
            raise BundleError(f"weights in {weights_path} do not fit the architecture", found=str(error)[:200]) from None
        if spec.novelty is not None and model.novelty is None:
            raise BundleError(
                f"weights in {weights_path} lack what the novelty limit needs", found="no novelty.memory",
                expected="the cells that it compares with", next_step="Train the bundle again, or set novelty: null.",
            )  # fmt: skip
        return cls(spec, model.eval(), path=path, spec_hash=hashlib.sha256(text).hexdigest())

    @classmethod
    def save(cls, path: Path, spec: BundleSpec, model: Classifier) -> Bundle:
        """Writes the bundle into the folder `path` (made where missing) and returns it as loaded.

        Each file is written beside its place and moved there whole. Killed between the two moves, an older bundle of that
        folder has weights that it does not describe, which loading refuses. Raises OSError, and KizuError where the disk
        refuses the weights.
        """
        make_folder(path)
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
        weights, described = path / f".{WEIGHTS_FILE}.new", path / f".{SPEC_FILE}.new"
        _save_weights(state, weights)
        content: dict[str, Any] = spec.model_copy(update={"weights_sha256": _sha256(weights)}).model_dump(mode="json")
        described.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
        for written in (weights, described):
            sync(written)
        weights.replace(path / WEIGHTS_FILE)
        described.replace(path / SPEC_FILE)
        sync(path)
        return cls.load(path)


def _save_weights(state: dict[str, Tensor], path: Path) -> None:
    try:
        save_file(state, path)
    except SafetensorError as error:  # so its library says that the disk is full
        path.unlink(missing_ok=True)
        raise KizuError(
            f"weights of the bundle {path.parent} cannot be written", found=str(error),
            next_step="Check the free space and the owner of that place.",
        ) from None  # fmt: skip


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
