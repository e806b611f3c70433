"""What `kizu train` is asked for, as the settings of one training or of several to compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from kizu_inspect.errors import ConfigError
from kizu_inspect.settings import describe_invalid

if TYPE_CHECKING:
    from pathlib import Path

    from kizu.training_file import TrainingFile
    from kizu_inspect.labelled.dataset import LabelledSet
    from kizu_inspect.recipe import Bits
    from kizu_inspect.training.settings import TrainingSettings

__all__ = ["COMPARED", "LEAST_STEPS", "Asked", "backbones_for", "candidates_for"]

COMPARED: Final = ("local", "resnet18", "mobilenet_v3_small", "efficientnet_b0")
"""The backbones of `--compare` where none are named."""
ENOUGH_STEPS, ENOUGH_MINUTES = 1000, 7.0
"""Unless told otherwise."""
LEAST_STEPS: Final = 400
"""With fewer a network from scratch has hardly begun to learn. They are taken where nobody has said how long it may take."""


def backbones_for(named: Sequence[str], *, compare: bool) -> tuple[str, ...]:
    """The backbones to train. Raises ConfigError for an unknown one, and for several without `compare`."""
    from kizu_inspect.network.backbones import BACKBONES

    known = ["local", *BACKBONES]
    unknown = [name for name in named if name not in known]
    if unknown:
        raise ConfigError("unknown backbone", found=", ".join(unknown), expected=", ".join(known))
    chosen = tuple(dict.fromkeys(named)) or (COMPARED if compare else COMPARED[:1])
    if len(chosen) > 1 and not compare:
        raise ConfigError(
            "several backbones without a comparison", found=", ".join(chosen), expected="one",
            next_step="Add --compare to train and compare them.",
        )  # fmt: skip
    return chosen


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What `kizu train` is asked for besides its pictures: its options, and the settings file."""

    name: str
    backbones: tuple[str, ...]
    profiles: tuple[str, ...]
    compare: bool
    steps: int | None
    minutes: float | None
    size: int | None
    tile: int | None
    bits: Bits | None
    places: bool
    head: str
    labels: str
    promise: float
    weights: Path | None
    seed: int
    device: str
    rest: TrainingFile

    @property
    def names(self) -> tuple[str, ...]:
        """Of the candidates: `backbone/profile`."""
        return tuple(f"{backbone}/{profile}" for backbone in self.backbones for profile in self.profiles)


def candidates_for(asked: Asked, labelled: LabelledSet) -> dict[str, TrainingSettings]:
    """The settings of each candidate, by its name. Raises ConfigError where an option is not understood."""
    from kizu_inspect.training.settings import TrainingSettings
    from kizu_inspect.training.standard import standard_architecture

    if asked.compare and len(asked.names) == 1:
        raise ConfigError(
            "nothing to compare", found=f"one candidate, {asked.backbones[0]} with the profile {asked.profiles[0]}",
            expected="several", next_step="Name more backbones, or several profiles.",
        )  # fmt: skip
    common = {
        "name": asked.name,
        "fit": {**asked.rest.fit.model_dump(), "steps": asked.steps or ENOUGH_STEPS, "seed": asked.seed},
        **_time(asked),
        "learn_places": asked.places,
        "device": asked.device,
        "promised_miss_rate": asked.promise,
        "backbone_weights": asked.weights,
    }
    inputs = _input(asked, labelled)
    marked = (asked.places or asked.tile is not None) and any(one.boxes or one.masked for one in labelled.samples)
    candidates = {}
    for name in asked.names:
        backbone, profile = name.split("/")
        try:
            architecture = standard_architecture(
                backbone, profile, marked=marked, kind=asked.head, labels=asked.labels, **asked.rest.network.model_dump()
            )
            candidates[name] = TrainingSettings.model_validate(
                {**common, "input": {**inputs, "profile": profile}, "architecture": architecture}
            )
        except ValidationError as error:
            raise ConfigError("options are not understood", found=describe_invalid(error)) from None
    return candidates


def _time(asked: Asked) -> dict[str, Any]:
    """How long a candidate may take: an even share of the time."""
    told: dict[str, Any] = {"most_steps": ENOUGH_STEPS if asked.minutes is None else asked.steps}
    minutes = asked.minutes
    if minutes is None and asked.steps is None:
        minutes = ENOUGH_MINUTES * (len(asked.names) if asked.compare else 1)
    if minutes is not None:
        told["seconds"] = minutes * 60 / len(asked.names)
        told["least_steps"] = LEAST_STEPS if asked.minutes is None and not asked.compare else 1
    return told


def _input(asked: Asked, labelled: LabelledSet) -> dict[str, Any]:
    """What every candidate is given of a picture; the profile is its own."""
    from kizu_inspect.picture.inputs import stride_for

    tile = asked.tile
    height, width = (tile, tile) if tile is not None else _input_size(labelled, longest=asked.size)
    return {
        "height_px": height,
        "width_px": width,
        "tiling": None if tile is None else {"stride_px": stride_for(tile)},
        "bits": asked.bits,
        "alignment": asked.rest.alignment,
    }


def _input_size(labelled: LabelledSet, *, longest: int | None) -> tuple[int, int]:
    """Height and width of the input: the median picture, its longer side at most `longest` (224), in multiples of 8."""
    from kizu_inspect.labelled.picture_files import known_sizes
    from kizu_inspect.picture.inputs import size_for

    sizes = known_sizes(labelled.samples)
    if not sizes:
        found = str(labelled.samples[0].path)
        raise ConfigError("no picture can be read", found=found, expected="a PNG, JPEG, BMP or TIFF")
    return size_for(list(sizes.values()), longest=longest)
