"""Fitting a classifier: a schedule that runs to its end and keeps the weights of lowest validation loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor, nn

from kizu_inspect.decide import likely, probabilities_of
from kizu_inspect.network.devices import clock, quick_precision
from kizu_inspect.network.model import Classifier
from kizu_inspect.settings import Settings
from kizu_inspect.training.batches import Batch, Batches
from kizu_inspect.training.losses import ClassLoss, attention_loss, class_weights, evidence_loss
from kizu_inspect.training.muon import Muon
from kizu_inspect.training.pictures import Pictures

__all__ = ["FitOptions", "FitSettings", "History", "exactly_right", "fit", "logits_of", "prepare_profile", "seconds_a_step"]

PROBE_STEPS = 24
LEAST_PROBE_STEPS, PROBE_S = 6, 5.0
"""A slow network is probed with fewer steps, as soon as they have taken so long."""


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
    row_losses: tuple[float, ...]
    """The mean loss of each training row over every time that it was drawn, before each was learned; nan of one never drawn."""


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
    progress: Callable[[int, float], None] | None = None,
) -> History:
    """Fits `model` in place, to one class a picture or `several`, and leaves it in evaluation mode with its best weights.

    `progress` gets (step, loss).
    """
    optimisers = _optimisers(model, settings)
    schedules = [
        torch.optim.lr_scheduler.OneCycleLR(
            optimiser, settings.learning_rate, total_steps=settings.steps, pct_start=0.3, div_factor=10,
            cycle_momentum="betas" in optimiser.defaults,
        )
        for optimiser in optimisers
    ]  # fmt: skip
    scaler = torch.amp.GradScaler(enabled=_precision(device, settings) is torch.float16)
    weights = class_weights(train, balanced=settings.class_weights == "balanced").to(device)
    loss_of = ClassLoss(several, good, weights, settings.label_smoothing)
    batches = _batches(model, train, settings, device)
    every = max(1, settings.steps // 10)
    best_loss, best_step, best_state = float("inf"), 0, _snapshot(model)
    losses: list[float] = []
    curve: list[tuple[int, float, float, float]] = []
    for step in range(1, settings.steps + 1):
        batch = batches.draw()
        logits, loss = _loss(model, batch, loss_of, settings, device)
        batches.learned(batch.rows, loss_of.plain(logits.detach(), batch.labels, batch.marks))
        model.zero_grad()
        torch.autograd.backward(scaler.scale(loss))
        for optimiser, schedule in zip(optimisers, schedules, strict=True):
            scaler.step(optimiser)
            schedule.step()
        scaler.update()
        losses.append(float(loss.detach()))
        if progress is not None:
            progress(step, losses[-1])
        if step % every == 0 or step == settings.steps:
            logits_val = logits_of(model, val, device=device)
            truth = torch.from_numpy(val.labels), torch.from_numpy(val.marks)
            val_loss = float(replace(loss_of, weights=weights.cpu()).plain(logits_val, *truth, weighted=True))
            accuracy = float(exactly_right(logits_val.double().numpy(), val, good=good, several=several).mean())
            curve.append((step, float(np.mean(losses[-every:])), val_loss, accuracy))
            if val_loss < best_loss:
                best_loss, best_step, best_state = val_loss, step, _snapshot(model)
    model.load_state_dict(best_state)
    model.eval()
    steps, train_loss, val_losses, accuracies = zip(*curve, strict=True)
    return History(steps, train_loss, val_losses, accuracies, best_step, tuple(batches.mean_losses.tolist()))


def _loss(
    model: Classifier, batch: Batch, loss_of: ClassLoss, settings: FitSettings, device: torch.device
) -> tuple[Tensor, Tensor]:
    """The logits (N, C) of a batch, float32, and its loss."""
    model.train()
    with _autocast(device, _precision(device, settings)):
        answers = model.answers(batch.images, batch.references, detached=settings.branch == "detached")
    logits = answers.logits.float()
    loss = loss_of.mean(logits, batch.labels, batch.marks)
    if batch.truths is not None and answers.cells is not None and settings.evidence_weight > 0:
        places = evidence_loss(answers.cells.float(), batch.truths, model, pointing_weight=settings.pointing_weight)
        loss = loss + settings.evidence_weight * places
    if batch.truths is not None and answers.attention is not None and settings.pointing_weight > 0:
        told = attention_loss(answers.attention.float(), batch.truths, model)
        loss = loss + settings.evidence_weight * settings.pointing_weight * told
    if answers.branch is not None:
        loss = loss + loss_of.mean(answers.branch.float(), batch.labels, batch.marks)
    return logits, loss


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


def seconds_a_step(
    model: Classifier, train: Pictures, settings: FitSettings, *, good: int | None, several: bool, device: torch.device
) -> float:
    """What one optimiser step takes here: the median over a few real steps. The model's weights are as before."""
    loss_of = ClassLoss(several, good, class_weights(train, balanced=False).to(device), settings.label_smoothing)
    before = _snapshot(model)
    random_state = torch.get_rng_state()
    optimisers = _optimisers(model, settings)
    batches = _batches(model, train, settings, device)
    times = []
    for _ in range(PROBE_STEPS):
        start = clock(device)
        _, loss = _loss(model, batches.draw(), loss_of, settings, device)
        model.zero_grad()
        torch.autograd.backward(loss)
        for optimiser in optimisers:
            optimiser.step()
        times.append(clock(device) - start)
        if len(times) >= LEAST_PROBE_STEPS and sum(times) > PROBE_S:
            break
    model.load_state_dict(before)
    torch.set_rng_state(random_state)
    return median(times[len(times) // 3 :])  # the first ones also set up memory and kernels


def _batches(model: Classifier, train: Pictures, settings: FitSettings, device: torch.device) -> Batches:
    return Batches(
        model.profile,
        train,
        size=settings.batch_size,
        shift_px=settings.shift_px,
        hard_share=settings.hard_share,
        seed=settings.seed,
        device=device,
    )


def _autocast(device: torch.device, precision: torch.dtype) -> torch.autocast:
    return torch.autocast(device.type, dtype=precision, enabled=precision is not torch.float32)


def _precision(device: torch.device, settings: FitSettings) -> torch.dtype:
    """As the settings say, or bfloat16 where the processor or card has it, float16 on older cards, else float32."""
    if settings.precision != "auto":
        return torch.float32 if settings.precision == "float32" else torch.bfloat16
    return quick_precision(device) or (torch.float16 if device.type == "cuda" else torch.float32)


def _optimisers(model: nn.Module, settings: FitSettings) -> tuple[torch.optim.Optimizer, ...]:
    """Muon for the kernels that mix channels; AdamW for the rest: readouts, kernels of single channels, norms and biases.

    Or AdamW for all.
    """
    kernels: list[nn.Parameter] = []
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for parameter in model.parameters():
        mixes_channels = settings.optimiser == "muon" and parameter.ndim == 4 and parameter.shape[1] > 1
        (kernels if mixes_channels else decayed if parameter.ndim > 1 else free).append(parameter)
    rest = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": free, "weight_decay": 0.0}],
        lr=settings.learning_rate,
    )
    return (Muon(kernels, lr=settings.learning_rate, weight_decay=settings.weight_decay), rest) if kernels else (rest,)


def _snapshot(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
