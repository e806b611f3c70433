"""One optimiser step after the other: a network with all that its next step depends on."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from kizu_inspect.network.devices import clock, quick_precision
from kizu_inspect.network.model import Classifier
from kizu_inspect.training.batches import Batch, Batches
from kizu_inspect.training.losses import ClassLoss, attention_loss, class_weights, evidence_loss
from kizu_inspect.training.muon import Muon
from kizu_inspect.training.pictures import Pictures
from kizu_inspect.training.schedule import Pace, set_rate

if TYPE_CHECKING:
    from kizu_inspect.training.fit import FitSettings

__all__ = ["Learner", "seconds_a_step", "snapshot"]

PROBE_STEPS = 24
LEAST_PROBE_STEPS, PROBE_S = 6, 5.0
"""A slow network is probed with fewer steps, as soon as they have taken so long."""


class Learner:
    """A network that takes steps; the same state goes on in the same way."""

    def __init__(
        self,
        model: Classifier,
        train: Pictures,
        settings: FitSettings,
        *,
        good: int | None,
        several: bool,
        device: torch.device,
    ) -> None:
        self._model, self._settings, self._device = model, settings, device
        self._precision = _precision(device, settings)
        weights = class_weights(train, balanced=settings.class_weights == "balanced").to(device)
        self.loss_of = ClassLoss(several, good, weights, settings.label_smoothing)
        self._optimisers = _optimisers(model, settings)
        self._scaler = torch.amp.GradScaler(enabled=self._precision is torch.float16)
        self._batches = Batches(
            model.profile,
            train,
            size=settings.batch_size,
            shift_px=settings.shift_px,
            hard_share=settings.hard_share,
            seed=settings.seed,
            device=device,
        )

    def step(self, pace: Pace, taken: int) -> float:
        """One optimiser step, the next after so many; its loss."""
        batch = self._batches.draw()
        logits, loss = self._loss(batch)
        self._batches.learned(batch.rows, self.loss_of.plain(logits.detach(), batch.labels, batch.marks))
        self._model.zero_grad()
        torch.autograd.backward(self._scaler.scale(loss))
        for optimiser in self._optimisers:
            set_rate(optimiser, self._settings.learning_rate, pace, taken)
            self._scaler.step(optimiser)
        self._scaler.update()
        return float(loss.detach())

    @property
    def row_losses(self) -> tuple[float, ...]:
        """Of each training row, as of `History`."""
        return tuple(self._batches.mean_losses.tolist())

    def state(self) -> dict[str, Any]:
        """All that the next step depends on: tensors and plain values, not copied."""
        return {
            "model": self._model.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self._optimisers],
            "scaler": self._scaler.state_dict(),
            "batches": self._batches.state(),
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state(self._device) if self._device.type == "cuda" else None,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from another learner's state. Raises RuntimeError, ValueError or KeyError where it is of another network."""
        self._model.load_state_dict(state["model"])
        for optimiser, kept in zip(self._optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(kept)
        self._scaler.load_state_dict(state["scaler"])
        self._batches.restore(state["batches"])
        torch.set_rng_state(state["torch"])
        if state["cuda"] is not None:
            torch.cuda.set_rng_state(state["cuda"], self._device)

    def _loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The logits (N, C) of a batch, float32, and its loss."""
        model, settings, loss_of = self._model, self._settings, self.loss_of
        model.train()
        with torch.autocast(self._device.type, dtype=self._precision, enabled=self._precision is not torch.float32):
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


def seconds_a_step(
    model: Classifier, train: Pictures, settings: FitSettings, *, good: int | None, several: bool, device: torch.device
) -> float:
    """What one optimiser step takes here: the median over a few real steps. The model's weights are as before."""
    before = snapshot(model)
    times: list[float] = []
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        learner = Learner(model, train, settings, good=good, several=several, device=device)
        while len(times) < PROBE_STEPS and not (len(times) >= LEAST_PROBE_STEPS and sum(times) > PROBE_S):
            start = clock(device)
            learner.step(Pace(PROBE_STEPS), len(times))
            times.append(clock(device) - start)
    model.load_state_dict(before)
    return median(times[len(times) // 3 :])  # the first ones also set up memory and kernels


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the weights."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


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
