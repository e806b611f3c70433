"""Fitting a classifier: a schedule that runs to its end and keeps the weights of lowest validation loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor

from kizu_inspect.decide import likely, probabilities_of
from kizu_inspect.errors import EndedEarly
from kizu_inspect.network.model import Classifier
from kizu_inspect.settings import Settings
from kizu_inspect.training.checkpoints import Checkpoint
from kizu_inspect.training.learner import Learner, snapshot
from kizu_inspect.training.losses import ClassLoss
from kizu_inspect.training.pictures import Pictures
from kizu_inspect.training.schedule import Pace

__all__ = ["FitOptions", "FitSettings", "History", "Standing", "exactly_right", "fit", "logits_of", "prepare_profile"]


class FitOptions(Settings):
    """How a network is fitted, however long. The defaults are for training from scratch."""

    batch_size: int = Field(default=32, ge=2, title="Batch size", description="Pictures a step.")
    optimiser: Literal["muon", "adamw"] = Field(
        default="muon", title="Optimiser", description="muon: its steps for kernels that mix channels, AdamW's for the rest."
    )
    learning_rate: float = Field(default=1e-2, gt=0, title="Learning rate", description="The one-cycle schedule's peak.")
    weight_decay: float = Field(default=0.05, ge=0, title="Weight decay", description="Not on norms and biases.")
    label_smoothing: float = Field(default=0.1, ge=0, lt=1, title="Label smoothing", description="Of the cross-entropy.")
    class_weights: Literal["balanced", "none"] = Field(
        default="balanced", title="Class weights", description="Weigh each class by the root of its rarity, or not at all."
    )
    evidence_weight: float = Field(
        default=1.0, ge=0, title="Evidence weight",
        description="What it counts that a map's cells show the class that lies there, where boxes or masks are learned from.",
    )  # fmt: skip
    pointing_weight: float = Field(
        default=1.0, ge=0, title="Pointing weight",
        description="Of the same, what it counts that each class's map is hottest on its defect, and attention on any.",
    )  # fmt: skip
    branch: Literal["detached", "joint"] = Field(
        default="detached", title="Branch",
        description="Whether an LFI branch learns on the features alone, or changes them too.",
    )  # fmt: skip
    shift_px: int = Field(default=8, ge=0, title="Shift", description="Largest random shift in training.")
    hard_share: float = Field(
        default=0.0, ge=0, lt=1, title="Hard share",
        description="Share of a batch that is drawn by the last loss of each picture; the rest is drawn evenly.",
    )  # fmt: skip
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", title="Precision", description="Of the forward passes; auto: bfloat16 where processor or card has it."
    )


class FitSettings(FitOptions):
    """The same with what differs from one fit to the next."""

    steps: int = Field(default=800, ge=1, title="Steps", description="Optimiser steps.")
    seed: int = Field(default=0, ge=0, title="Seed", description="Of every random draw.")


@dataclass(frozen=True)
class History:
    """Curves of one fit."""

    steps: tuple[int, ...]
    train_loss: tuple[float, ...]
    val_loss: tuple[float, ...]
    val_accuracy: tuple[float, ...]
    best_step: int
    taken: int
    """Optimiser steps in all."""
    planned: int
    ended_early: bool
    """Somebody asked for its end before the steps were taken and the time was up."""
    row_losses: tuple[float, ...]
    """The mean loss of each training row over every time that it was drawn, before each was learned; nan of one never drawn."""


@dataclass(frozen=True)
class Standing:
    """Where a fit stands after a step."""

    step: int
    planned: int
    share: float
    """How much of it is behind, 0 to 1: of the steps or of the time, whichever is more."""
    loss: float
    """The step's."""
    validation: tuple[float, float] | None
    """Loss and accuracy on the validation pictures, after the steps that are looked at."""
    unkept: str | None = None
    """Why the last checkpoint could not be written."""


@dataclass
class _Course:
    """What a fit has come to."""

    best_state: dict[str, Tensor]
    taken: int = 0
    losses: list[float] = field(default_factory=list)
    curve: list[tuple[int, float, float, float]] = field(default_factory=list)
    """Step, mean loss of the steps before, validation loss and accuracy."""
    looked: int = 0
    """How many tenths of the fit were behind when the validation pictures were last looked at."""
    best_loss: float = float("inf")
    best_step: int = 0
    over: bool = False


def prepare_profile(model: Classifier, train: Pictures, *, good: int | None) -> None:
    """Sets the input profile's mean, deviation and golden picture from the training pictures."""
    chosen = np.linspace(0, len(train) - 1, min(len(train), 512)).astype(np.int64)  # a share is enough for two moments
    some = train.images[chosen].astype(np.float64) / 255
    model.profile.mean.copy_(torch.tensor(some.mean(axis=(0, 1, 2)))[:, None, None])
    model.profile.std.copy_(torch.tensor(some.std(axis=(0, 1, 2))).clamp(min=0.02)[:, None, None])
    if model.profile.name != "part":
        return
    rows = np.flatnonzero(train.labels == good) if good is not None else np.arange(len(train))
    total = np.zeros(train.images.shape[1:3])
    for row in rows:
        total += train.images[row].mean(axis=2)
    # Rounded to whole grey values: training moves it about as an 8-bit picture.
    model.profile.golden.copy_(torch.tensor(np.rint(total / max(1, len(rows))) / 255)[None])


def fit(
    model: Classifier,
    train: Pictures,
    val: Pictures,
    settings: FitSettings,
    *,
    good: int | None,
    several: bool,
    device: torch.device,
    pace: Pace | None = None,
    progress: Callable[[Standing], None] | None = None,
    checkpoint: Checkpoint | None = None,
    stop: Event | None = None,
) -> History:
    """Fits `model` in place, to one class a picture or `several`, and leaves it in evaluation mode with its best weights.

    It takes the steps of `settings`, or those that `pace` has time for. From `checkpoint` it goes on where that was written,
    and writes it as it goes. Once `stop` is set it ends with the best weights so far. Raises EndedEarly where there are none.
    """
    pace = pace or Pace(settings.steps)
    learner = Learner(model, train, settings, good=good, several=several, device=device)
    course = _Course(snapshot(model))
    if checkpoint is not None and (kept := checkpoint.state) is not None:
        learner.restore(kept["learner"])
        course = _Course(**kept["course"])
        pace.go_on_from(kept["elapsed"])

    def state() -> dict[str, Any]:
        return {"learner": learner.state(), "course": vars(course), "elapsed": pace.elapsed}

    every = max(1, pace.steps // 10)
    while not (course.over or (stop is not None and stop.is_set())):
        begun = pace.elapsed
        course.losses.append(learner.step(pace, course.taken))
        course.taken += 1
        course.over = pace.is_over(course.taken, pace.elapsed - begun)
        behind = pace.behind(course.taken)
        validation = None
        if course.over or int(behind) // every > course.looked:
            course.looked = int(behind) // every
            validation = _look(model, val, course, learner.loss_of, every, device=device)
        unkept = None if checkpoint is None else checkpoint.save_if_due(state)
        if progress is not None:
            share = 1.0 if course.over else behind / pace.steps
            progress(Standing(course.taken, pace.steps, share, course.losses[-1], validation, unkept))
    if checkpoint is not None:
        checkpoint.save(state())
    if not course.curve:
        raise EndedEarly(
            "the training was ended before there was a model", found=f"step {course.taken} of {pace.steps}",
            expected=f"the first look at the validation pictures, after {every} steps",
        )  # fmt: skip
    model.load_state_dict(course.best_state)
    model.eval()
    steps, train_loss, val_loss, accuracy = zip(*course.curve, strict=True)
    return History(
        steps, train_loss, val_loss, accuracy, course.best_step, course.taken, pace.steps, ended_early=not course.over,
        row_losses=learner.row_losses,
    )  # fmt: skip


def _look(
    model: Classifier, val: Pictures, course: _Course, loss_of: ClassLoss, every: int, *, device: torch.device
) -> tuple[float, float]:
    """Loss and accuracy on the validation pictures; where no loss was lower the weights are kept."""
    logits = logits_of(model, val, device=device)
    truth = torch.from_numpy(val.labels), torch.from_numpy(val.marks)
    loss = float(replace(loss_of, weights=loss_of.weights.cpu()).plain(logits, *truth, weighted=True))
    right = exactly_right(logits.double().numpy(), val, good=loss_of.good, several=loss_of.several)
    accuracy = float(right.mean())
    course.curve.append((course.taken, float(np.mean(course.losses[-every:])), loss, accuracy))
    if loss < course.best_loss:
        course.best_loss, course.best_step, course.best_state = loss, course.taken, snapshot(model)
    return loss, accuracy


def exactly_right(
    logits: npt.NDArray[np.float64], pictures: Pictures, *, good: int | None, several: bool
) -> npt.NDArray[np.bool_]:
    """Whether each picture's (N,) most probable class is its own, or of several classes just its own are likely."""
    if not several:
        return np.asarray(logits.argmax(axis=1) == pictures.labels)
    found = likely(probabilities_of(logits, temperature=1.0, good=good, several=True), good=good, several=True)
    right = found == pictures.marks
    return np.asarray(np.delete(right, [] if good is None else good, axis=1).all(axis=1))


def logits_of(
    model: Classifier,
    pictures: Pictures,
    *,
    device: torch.device,
    batch_size: int = 64,
) -> Tensor:
    """The logits (N, C) of all pictures, in the line's float32, on the processor; the model is left in evaluation mode."""
    model.eval()
    rows = []
    for start in range(0, len(pictures), batch_size):
        images, references = pictures.as_input(slice(start, start + batch_size), device)
        with torch.no_grad():
            rows.append(model(images, references).float().cpu())
    return torch.cat(rows)
