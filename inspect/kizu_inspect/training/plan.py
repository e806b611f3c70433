"""Before the first step: how many steps fit into the time, and what must be left of it for what follows them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import torch

from kizu_inspect.labelled.dataset import Sample
from kizu_inspect.labelled.picture_files import read_picture
from kizu_inspect.network.devices import clock
from kizu_inspect.network.model import Classifier
from kizu_inspect.network.novelty import Novelty
from kizu_inspect.network.profile import COMPARING
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.picture.quality import measure
from kizu_inspect.picture.tiles import tile_corners
from kizu_inspect.results import ImageRGB
from kizu_inspect.training.gates import MOST_PICTURES
from kizu_inspect.training.learner import seconds_a_step
from kizu_inspect.training.pictures import Pictures
from kizu_inspect.training.remember import CELLS, MEMORY, PICTURES
from kizu_inspect.training.scales import MASKED_PICTURES, REFINED_PICTURES, SCALED_PICTURES
from kizu_inspect.training.schedule import Pace
from kizu_inspect.training.settings import TrainingSettings

__all__ = ["Plan", "bytes_needed", "make_plan"]

READ_PICTURES, PASSED_PICTURES, ROUNDS, CHOSEN = 8, 32, 5, 32
"""What is timed: so many pictures read, passes of so many, so often, and so many of the cells that a model remembers."""
REFINING_PASSES = 12
"""Of refining one map, as the time of forward passes."""
JUDGING_PASSES, SCALING_PASSES = 3, 2
"""Of judging a picture as the line does, with its novelty; and of a picture that scales are learned of."""
SPARE, SPARE_S = 1.25, 8.0
"""What follows the steps is planned with a quarter more, and with so much for what does not depend on the pictures."""


@dataclass(frozen=True)
class Plan:
    """How a training is to go. Plain values, so that a checkpoint keeps it."""

    steps: int
    """Optimiser steps; no more are taken."""
    seconds: float | None
    """What the steps may take, with the looks at validation pictures between them; None: as long as they take."""
    least_steps: int
    """So many are taken however long they take."""
    seconds_a_step: float | None
    """By a probe; None where nothing is to be over at a time."""
    ending_s: float
    """What follows the steps, about; 0 where nothing is to be over at a time."""
    scaling_s: float
    """What the scales of all methods take, about; 0 likewise."""

    @property
    def pace(self) -> Pace:
        """The schedule's, whose time begins now."""
        return Pace(self.steps, self.seconds, self.least_steps)


def make_plan(
    model: Classifier,
    pictures: Mapping[str, Pictures],
    samples: Sequence[Sample],
    settings: TrainingSettings,
    *,
    good: int | None,
    device: torch.device,
    methods: Sequence[str],
    until: float | None,
) -> Plan:
    """The plan of a training that is to be over, bundle and all, at the time `until` (of time.monotonic), where that is given.

    `samples` are those of the validation split. Where there is a time, some steps and passes are taken to see how long they
    take here; the model's weights are as before.
    """
    if until is None:
        return Plan(settings.fit.steps, None, 1, None, 0.0, 0.0)
    several = settings.architecture.head.labels == "several"
    a_step = seconds_a_step(model, pictures["train"], settings.fit, good=good, several=several, device=device)
    ending, scaling = _after_the_steps(model, pictures, samples, settings, good=good, device=device, methods=methods)
    seconds = max(0.0, until - time.monotonic() - ending)
    fitting = max(settings.least_steps, int(seconds / a_step))
    steps = min(fitting, settings.most_steps or fitting)
    return Plan(steps, seconds, min(settings.least_steps, steps), a_step, ending, scaling)


def bytes_needed(model: Classifier) -> int:
    """What bundle and checkpoints may fill on the disk.

    A checkpoint has the weights, the best ones, and up to two averages for each; a new file lies beside the one it replaces.
    """
    weights: int = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    return 2 * (4 + 1) * weights + 32_000_000


def _after_the_steps(
    model: Classifier,
    pictures: Mapping[str, Pictures],
    samples: Sequence[Sample],
    settings: TrainingSettings,
    *,
    good: int | None,
    device: torch.device,
    methods: Sequence[str],
) -> tuple[float, float]:
    """About how many seconds the bundle takes once the steps are taken, and the scales of all methods alone."""
    val, some = pictures["val"], samples[: min(READ_PICTURES, len(samples))]
    images, references = val.as_input(slice(0, PASSED_PICTURES), device)
    model.eval()
    channels, *size = model.explainable(images, references).activations.shape[1:]
    predict = model.predictor(None)  # as Score-CAM's passes go, which are most of them
    times = []
    for _ in range(ROUNDS):
        start = clock(device)
        predict(images, references)
        times.append((clock(device) - start) / len(images))
    start, views = time.monotonic(), 0
    for sample in some:
        picture = read_picture(sample.path, bits=settings.input.bits)
        measure(picture)
        views += _views(picture, settings.input)
    a_reading = (time.monotonic() - start) / len(some)
    masked_ways = 2 if model.profile.name in COMPARING or model.masks_input else 1
    masked = MASKED_PICTURES * channels * masked_ways
    refined = REFINED_PICTURES * REFINING_PASSES * (1 if good is None else 2)
    scaled = SCALING_PASSES * min(SCALED_PICTURES, len(val))
    remembered, cells = min(PICTURES, len(pictures["train"])), size[0] * size[1]
    passes = remembered + 2 * len(val) + JUDGING_PASSES * len(samples) * views / len(some)
    of_methods = scaled + refined + (masked if "score-cam" in methods else 0)
    a_pass = median(times)
    read = (min(MOST_PICTURES, len(samples) + len(pictures["train"])) + len(samples)) * a_reading
    ending = SPARE * (a_pass * (passes + of_methods) + read + _choosing_s(remembered * cells, channels, device)) + SPARE_S
    return ending, SPARE * a_pass * (scaled + refined + masked)


def _choosing_s(count: int, channels: int, device: torch.device) -> float:
    """About how many seconds it takes to choose the cells that a model remembers: for each it looks at all of so many."""
    cells = torch.rand((min(CELLS, count), channels), generator=torch.Generator().manual_seed(0)).to(device)
    generator = torch.Generator().manual_seed(0)
    Novelty.of(cells, size=1, generator=generator)  # the first one also sets up memory
    start = clock(device)
    Novelty.of(cells, size=CHOSEN, generator=generator)
    return (clock(device) - start) / CHOSEN * MEMORY


def _views(picture: ImageRGB, inputs: InputSettings) -> int:
    """How many inputs of the network a picture makes."""
    if inputs.tiling is None:
        return 1
    height, width = picture.shape[0], picture.shape[1]
    return len(tile_corners((0, 0, width, height), tile_px=inputs.size_px, stride_px=inputs.tiling.stride_px))
