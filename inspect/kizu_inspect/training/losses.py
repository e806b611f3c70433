"""What a network is fitted to: the classes of its pictures, and what each cell of its map shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from kizu_inspect.labelled.places import UNSURE
from kizu_inspect.network.heads import EvidenceHead
from kizu_inspect.network.model import Classifier
from kizu_inspect.training.pictures import Pictures

__all__ = ["ClassLoss", "class_weights", "evidence_loss"]


@dataclass(frozen=True)
class ClassLoss:
    """Losses of logits (N, C) against the classes of pictures."""

    several: bool
    """A picture may have several classes: one binary cross-entropy a defect class instead of the softmax's over all."""
    good: int | None
    weights: Tensor
    """(C,) what each class counts, 1 on average."""
    smoothing: float

    def mean(self, logits: Tensor, labels: Tensor, marks: Tensor) -> Tensor:
        """Of a training batch, smoothed: `labels` (N,) are the pictures' first classes, `marks` (N, C) all of them."""
        if not self.several:
            return F.cross_entropy(logits, labels, weight=self.weights, label_smoothing=self.smoothing)
        wanted = marks.float() * (1 - self.smoothing) + self.smoothing / 2
        return (self._each(logits, wanted) * self.weights[self._defects]).sum(dim=1).mean()

    def plain(self, logits: Tensor, labels: Tensor, marks: Tensor, *, weighted: bool = False) -> Tensor:
        """Of each picture (N,), without smoothing; `weighted` gives their mean with the classes' weights instead."""
        if self.several:
            losses = self._each(logits, marks.float())
            return (losses * self.weights[self._defects]).sum(dim=1).mean() if weighted else losses.sum(dim=1)
        if weighted:
            return F.cross_entropy(logits, labels, weight=self.weights)
        return F.cross_entropy(logits, labels, reduction="none")

    @property
    def _defects(self) -> list[int]:
        return [index for index in range(len(self.weights)) if index != self.good]

    def _each(self, logits: Tensor, wanted: Tensor) -> Tensor:
        over_good = logits if self.good is None else logits - logits[:, self.good, None]
        columns = self._defects
        return F.binary_cross_entropy_with_logits(over_good[:, columns], wanted[:, columns], reduction="none")


def class_weights(pictures: Pictures, *, balanced: bool) -> Tensor:
    """What each class (C,) counts in the loss, 1 on average: the root of its rarity, or all the same."""
    counts = pictures.marks.sum(axis=0)
    if not balanced:
        return torch.ones(len(counts))
    # The root: full inverse frequency lets a class of a dozen pictures drown the rest.
    weights = np.sqrt(len(pictures) / (len(counts) * np.maximum(1, counts)))
    return torch.tensor(weights / weights.mean(), dtype=torch.float32)


def evidence_loss(cells: Tensor, truths: Tensor, model: Classifier) -> Tensor:
    """The cross-entropy of each cell's class, the mean over defects' cells and that over all others in equal parts.

    `cells` (N, C, h, w) are the classes' logits in each cell, `truths` (N, H, W) what each pixel shows. A cell's class is that
    of its centre; cells of unsure pixels do not count.
    """
    where = model.cells
    rows, columns = (
        (where.start_px + where.step_px * torch.arange(count, device=cells.device)).round().long().clamp(0, side - 1)
        for count, side in zip(cells.shape[2:], truths.shape[1:], strict=True)
    )
    shown = truths[:, rows[:, None], columns[None]].long()  # (N, h, w)
    good = model.head.good if isinstance(model.head, EvidenceHead) else None
    sure = shown != UNSURE
    if good is None:
        sure = sure & (shown > 0)
    labels = torch.where(shown > 0, shown - 1, 0 if good is None else good)
    losses = F.cross_entropy(cells, labels.masked_fill(~sure, 0), reduction="none")
    parts = [losses[sure & chosen] for chosen in (shown > 0, shown == 0)]
    means = [part.mean() for part in parts if len(part)]
    return torch.stack(means).mean() if means else losses.sum() * 0
