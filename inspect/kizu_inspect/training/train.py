"""From a labelled set to a bundle: fit, calibrate, set thresholds and scales, report."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event

import torch

from kizu_inspect.errors import DataError
from kizu_inspect.explain import EXPLAINERS
from kizu_inspect.labelled.dataset import LabelledSet
from kizu_inspect.network.devices import device_name, pick_device
from kizu_inspect.network.model import build_classifier
from kizu_inspect.training.calibrate import halves_of
from kizu_inspect.training.checkpoints import EVERY_S, Checkpoint, KeptTraining, check_room, kept_training
from kizu_inspect.training.contradictions import Contradicted, contradicted_in_training
from kizu_inspect.training.fit import History, Standing, fit, prepare_profile
from kizu_inspect.training.make_bundle import MadeBundle, make_bundle
from kizu_inspect.training.plan import Plan, bytes_needed, make_plan
from kizu_inspect.training.settings import TrainingSettings, pictures_of
from kizu_inspect.versions import version_of

__all__ = ["Trained", "checkpoint_of", "train", "train_within"]

LEAST_VALIDATED = 4
ALONE = "model"
"""The name of the checkpoint of a training that is compared with no other."""


@dataclass(frozen=True)
class Trained(MadeBundle):
    """A new bundle and how it came about."""

    history: History
    contradicted: tuple[Contradicted, ...]
    """The training pictures that the model contradicted most while it learned them, the worst first."""


def train(
    data: LabelledSet,
    out: Path,
    settings: TrainingSettings,
    *,
    begun: float | None = None,
    resume: bool = False,
    keep_every_s: float = EVERY_S,
    stop: Event | None = None,
    on_plan: Callable[[Plan], None] | None = None,
    progress: Callable[[Standing], None] | None = None,
    methods: Sequence[str] = tuple(EXPLAINERS),
) -> Trained:
    """Trains on the set's train split, calibrates on its val split, writes the bundle into `out`.

    `settings.seconds` count from `begun` (of time.monotonic) on, or from now. Until the bundle is whole a checkpoint lies in a
    folder beside `out`, written every `keep_every_s` seconds; `resume` goes on from it. Once `stop` is set the training ends
    with its best weights so far. `on_plan` gets the plan before the first step, `progress` where the training stands after
    each. The same seed, thread count and machine give the same weights where the time plays no part, resumed or not. Only the
    maps of `methods` get a display scale. Raises DataError, ConfigError, EndedEarly.
    """
    until = None if settings.seconds is None else (time.monotonic() if begun is None else begun) + settings.seconds
    with kept_training(out, [ALONE], resume=resume, every_s=keep_every_s) as kept:
        checkpoint = checkpoint_of(kept, ALONE, data, settings)
        return train_within(
            checkpoint, data, out, settings, until=until, stop=stop, on_plan=on_plan, progress=progress, methods=methods
        )


def checkpoint_of(kept: KeptTraining, name: str, data: LabelledSet, settings: TrainingSettings) -> Checkpoint:
    """The checkpoint of that name for a training with this data and these settings. Raises DataError, ConfigError."""
    identity = {
        "data": {"hash": data.data_hash, "classes": list(data.classes), "good": data.good},
        "settings": settings.model_dump(mode="json"),
        "device": device_name(pick_device(settings.device)),
        "kizu": version_of("kizu"),
    }
    return kept.checkpoint(name, identity)


def train_within(
    checkpoint: Checkpoint,
    data: LabelledSet,
    out: Path,
    settings: TrainingSettings,
    *,
    until: float | None,
    stop: Event | None,
    on_plan: Callable[[Plan], None] | None,
    progress: Callable[[Standing], None] | None,
    methods: Sequence[str],
) -> Trained:
    """One training, to be over at the time `until`; its checkpoint stays."""
    device = pick_device(settings.device)
    good = None if data.good is None else data.classes.index(data.good)
    several = settings.architecture.head.labels == "several"
    torch.manual_seed(settings.fit.seed)
    model = build_classifier(
        settings.architecture, settings.input, classes=len(data.classes), good=good, weights=settings.backbone_weights
    ).to(device)
    check_room(checkpoint.path.parent, bytes_needed(model))
    pictures = {name: pictures_of(data, name, settings) for name in ("train", "val")}
    few = len(pictures["train"]) < settings.fit.batch_size
    if few or len(pictures["val"]) < LEAST_VALIDATED:
        raise DataError(
            "too few pictures to train on", found=f"{len(pictures['train'])} train and {len(pictures['val'])} val",
            expected=f"at least {settings.fit.batch_size} train and {LEAST_VALIDATED} val",
            next_step="Add pictures, or lower fit.batch_size (kizu train --settings FILE)." if few else "Put more into val.",
        )  # fmt: skip
    halves = halves_of(pictures["val"].samples, seed=settings.fit.seed)
    prepare_profile(model, pictures["train"], good=good)
    if checkpoint.state is None:
        plan = make_plan(
            model, pictures, data.split("val"), settings, good=good, device=device, methods=methods, until=until
        )  # fmt: skip
        checkpoint.plan = asdict(plan)
    plan = Plan(**checkpoint.plan)
    if on_plan is not None:
        on_plan(plan)
    history = fit(
        model, pictures["train"], pictures["val"].subset(halves.scheduling), settings.fit, good=good, several=several,
        device=device, pace=plan.pace, progress=progress, checkpoint=checkpoint, stop=stop,
    )  # fmt: skip
    made = make_bundle(
        model, data, pictures, halves, out, settings, steps=history.taken, validation_loss=min(history.val_loss),
        device=device, methods=methods,
    )  # fmt: skip
    contradicted = contradicted_in_training(pictures["train"].samples, history.row_losses)
    return Trained(**vars(made), history=history, contradicted=contradicted)
