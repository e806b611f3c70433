"""What `kizu train` is asked for, as the settings of one training or of several to compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from kizu_inspect.errors import ConfigError
from kizu_inspect.settings import describe_invalid

if TYPE_CHECKING:
    from kizu_inspect.labelled.dataset import LabelledSet
    from kizu_inspect.training.settings import TrainingSettings

__all__ = ["COMPARED", "backbones_for", "input_size", "settings_of"]

COMPARED: Final = ("local", "resnet18", "mobilenet_v3_small", "efficientnet_b0")
"""The backbones of `--compare` where none are named."""
LEAST_STEPS = 24
"""Of a candidate in its share of the time: with the usual least a slow network would take many times its share."""


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


def settings_of(
    common: Mapping[str, Any], *, backbones: Sequence[str], profiles: Sequence[str], minutes: float | None, compare: bool
) -> dict[str, TrainingSettings]:
    """Settings by candidate, `backbone/profile`; `minutes` are shared out evenly.

    `common` is what all have in common: TrainingSettings as a mapping, whose input lacks the profile, and whose architecture
    has the options of `standard_architecture` alone. Raises ConfigError where an option is not understood.
    """
    from kizu_inspect.training.settings import TrainingSettings
    from kizu_inspect.training.standard import standard_architecture

    count = len(backbones) * len(profiles)
    if compare and count == 1:
        raise ConfigError(
            "nothing to compare", found=f"one candidate, {backbones[0]} with the profile {profiles[0]}", expected="several",
            next_step="Name more backbones, or several profiles.",
        )  # fmt: skip
    shared: dict[str, Any] = {}
    if minutes is not None:
        shared["seconds"] = minutes * 60 / count
        if compare:
            shared["least_steps"] = LEAST_STEPS
    candidates = {}
    for backbone in backbones:
        for profile in profiles:
            try:
                candidates[f"{backbone}/{profile}"] = TrainingSettings.model_validate(
                    {
                        **common,
                        **shared,
                        "input": {**common["input"], "profile": profile},
                        "architecture": standard_architecture(backbone, profile, **common["architecture"]),
                    }
                )
            except ValidationError as error:
                raise ConfigError("options are not understood", found=describe_invalid(error)) from None
    return candidates


def input_size(labelled: LabelledSet, *, longest: int | None) -> tuple[int, int]:
    """Height and width of the input: the median picture, its longer side at most `longest` (224), in multiples of 8."""
    from kizu_inspect.labelled.picture_files import known_sizes
    from kizu_inspect.picture.inputs import size_for

    sizes = known_sizes(labelled.samples)
    if not sizes:
        found = str(labelled.samples[0].path)
        raise ConfigError("no picture can be read", found=found, expected="a PNG, JPEG, BMP or TIFF")
    return size_for(list(sizes.values()), longest=longest)
