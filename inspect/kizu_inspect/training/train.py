"""From a labelled set to a bundle: fit, calibrate, set thresholds and scales, report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from kizu_inspect.errors import DataError
from kizu_inspect.explain import EXPLAINERS
from kizu_inspect.labelled.dataset import LabelledSet
from kizu_inspect.network.devices import pick_device
from kizu_inspect.network.model import build_classifier
from kizu_inspect.training.calibrate import halves_of
from kizu_inspect.training.fit import History, fit, prepare_profile, seconds_a_step
from kizu_inspect.training.make_bundle import MadeBundle, make_bundle
from kizu_inspect.training.settings import TrainingSettings, pictures_of

__all__ = ["Trained", "train"]


@dataclass(frozen=True)
class Trained(MadeBundle):
    """A new bundle and how it came about."""

    history: History


def train(
    data: LabelledSet,
    out: Path,
    settings: TrainingSettings,
    *,
    on_steps: Callable[[int, float], None] | None = None,
    progress: Callable[[int, float], None] | None = None,
    methods: Sequence[str] = tuple(EXPLAINERS),
) -> Trained:
    """Trains on the set's train split, calibrates on its val split, writes the bundle into `out`.

    `on_steps` gets the number of steps and the probed seconds a step before they begin; `progress` (step, loss). The same
    seed, thread count and machine give the same weights. Only the maps of `methods` get a display scale. Raises DataError,
    ConfigError.
    """
    device = pick_device(settings.device)
    good = None if data.good is None else data.classes.index(data.good)
    pictures = {name: pictures_of(data, name, settings) for name in ("train", "val")}
    if len(pictures["val"]) < 4 or len(pictures["train"]) < settings.fit.batch_size:
        raise DataError(
            "too few pictures to train on", found=f"{len(pictures['train'])} train and {len(pictures['val'])} val",
            expected=f"at least {settings.fit.batch_size} train and 4 val",
            next_step="Add pictures, or lower fit.batch_size (kizu train --settings FILE).",
        )  # fmt: skip
    torch.manual_seed(settings.fit.seed)
    model = build_classifier(
        settings.architecture, settings.input, classes=len(data.classes), good=good, weights=settings.backbone_weights
    ).to(device)
    prepare_profile(model, pictures["train"], good=good)
    fitting = settings.fit
    several = settings.architecture.head.labels == "several"
    probed = seconds_a_step(model, pictures["train"], fitting, good=good, several=several, device=device)
    if settings.seconds is not None:
        fitting_in = max(settings.least_steps, int(settings.seconds / probed))
        fitting = fitting.model_copy(update={"steps": min(fitting_in, settings.most_steps or fitting_in)})
    if on_steps is not None:
        on_steps(fitting.steps, probed)
    halves = halves_of(pictures["val"].samples, seed=fitting.seed)
    history = fit(
        model, pictures["train"], pictures["val"].subset(halves.scheduling), fitting, good=good, several=several, device=device,
        progress=progress,
    )  # fmt: skip
    made = make_bundle(
        model, data, pictures, halves, out, settings, steps=fitting.steps, validation_loss=min(history.val_loss),
        device=device, methods=methods,
    )  # fmt: skip
    return Trained(**vars(made), history=history)
