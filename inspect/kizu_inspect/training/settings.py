"""What a training is told, and the pictures that it is told of."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from kizu_inspect.labelled.bit_depth import unfilled
from kizu_inspect.labelled.dataset import LabelledSet
from kizu_inspect.network.model import Architecture
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.recipe import Device
from kizu_inspect.settings import Settings
from kizu_inspect.training.cut_tiles import cut_tiles
from kizu_inspect.training.fit import FitSettings
from kizu_inspect.training.pictures import Pictures, load_pictures

__all__ = ["COARSE_PX", "TrainingSettings", "pictures_of"]

COARSE_PX = 8
"""The cells of `local` where no stages are fused; coarser ones could not tell a defect's border at all."""


class TrainingSettings(Settings):
    """Everything that `kizu train` lets one choose."""

    name: str = Field(default="model", title="Name", description="What people call the model.")
    input: InputSettings = InputSettings()
    architecture: Architecture = Architecture()
    fit: FitSettings = FitSettings()
    seconds: float | None = Field(
        default=None,
        gt=0,
        title="Seconds",
        description="The whole training, calibration included, ends within this time, and takes the steps that fit into it.",
    )
    most_steps: int | None = Field(
        default=None, ge=1, title="Most steps", description="So many steps are enough, whatever time is left."
    )
    learn_places: bool = Field(
        default=False, title="Learn places",
        description="Learn where defects lie from boxes or masks, also of whole pictures; tiles always do.",
    )  # fmt: skip
    least_steps: int = Field(default=400, ge=1, title="Least steps", description="However long they take.")
    device: Device = Field(default="auto", title="Device", description="auto, cpu or cuda.")
    backbone_weights: Path | None = Field(default=None, title="Weights", description="torchvision state dict to start from.")
    promised_miss_rate: float = Field(
        default=0.05, gt=0, lt=1, title="Promise", description="Miss rate that the PASS limit keeps."
    )
    overkill_limit: float = Field(
        default=0.01, ge=0, le=1, title="Overkill", description="Overkill that the REJECT limit keeps."
    )


def pictures_of(data: LabelledSet, split: str, settings: TrainingSettings) -> Pictures:
    """What is learned from in one split: whole pictures, or tiles of them. Raises DataError."""
    ring_px = (settings.architecture.cell_px or COARSE_PX) / 2 + 1
    samples, inputs = data.split(split), settings.input
    if inputs.bits is None and (finding := unfilled(samples)) is not None:
        raise finding.as_error()
    if inputs.tiling is None:
        return load_pictures(
            samples, data.classes, inputs, good=data.good, ring_px=ring_px if settings.learn_places else None
        )  # fmt: skip
    return cut_tiles(samples, data.classes, inputs, good=data.good, ring_px=ring_px, seed=settings.fit.seed)
