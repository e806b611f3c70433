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

__all__ = ["ClassLoss", "attention_loss", "class_weights", "evidence_loss"]

LEAST_ATTENTION = 1e-4
"""Added to every cell, so that a map that is 0 on a defect still has a share there, and a gradient."""
OUTSIDE_WEIGHT = 2.0
"""Of what lies outside all defects where no class is good, over what lies inside."""


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


def evidence_loss(cells: Tensor, truths: Tensor, model: Classifier, *, pointing_weight: float = 0.0) -> Tensor:
    """What the cells' classes lack of the truth, the mean over defects' places and that over all others in equal parts.

    `cells` (N, C, h, w) are the classes' logits in each cell, `truths` (N, H, W) what each pixel shows. Each cell is held
    against what its centre shows, by cross-entropy; unsure pixels do not count. Without a good class no logit stands for
    "nothing here": there the evidence of every class is pushed below 0 outside the defects (softplus), and above it inside
    those of the class. `pointing_weight` adds so much of `_beside`, which asks each map to be hottest on the defect.
    """
    head = model.head
    assert isinstance(head, EvidenceHead)  # no other head judges cells
    shown = _at_cells(truths, model, cells)
    sure, defect = shown != UNSURE, (shown > 0) & (shown != UNSURE)
    labels = torch.where(defect, shown - 1, 0 if head.good is None else head.good)
    inside = outside = F.cross_entropy(cells, labels, reduction="none")
    if head.good is None:
        evidence = cells - head.bias.to(cells.dtype)[None, :, None, None]
        inside = inside + F.softplus(-evidence.gather(1, labels[:, None])[:, 0])
        outside = OUTSIDE_WEIGHT * F.softplus(evidence).sum(dim=1)
    parts = [losses[sure & chosen] for losses, chosen in ((inside, defect), (outside, ~defect))]
    means = [part.mean() for part in parts if len(part)]
    loss = torch.stack(means).mean() if means else cells.sum() * 0
    return loss + pointing_weight * _beside(cells, shown) if pointing_weight > 0 else loss


def attention_loss(attention: Tensor, truths: Tensor, model: Classifier) -> Tensor:
    """How much of the attention maps (N, h, w) lies beside the defects: the mean of -log of the share of a map's sum on them.

    Its one cross-entropy lets an attention map lie anywhere as long as the class is told; pictures that say where their
    defects lie can say it to the map. Those without a defect, or without places, do not count.
    """
    shown = _at_cells(truths, model, attention)
    sure = (shown != UNSURE).flatten(1)
    on_defect = sure & (shown > 0).flatten(1)
    marked = on_defect.any(dim=1)
    if not marked.any():
        return attention.sum() * 0
    weight = attention.flatten(1)[marked] + LEAST_ATTENTION
    everywhere, inside = ((weight * cells[marked]).sum(dim=1) for cells in (sure, on_defect))
    return (everywhere.log() - inside.log()).mean()


def _at_cells(truths: Tensor, model: Classifier, cells: Tensor) -> Tensor:
    """What the pixels at the centres of `cells` (…, h, w) show: (N, h, w) int64."""
    where = model.cells
    rows, columns = (
        (where.start_px + where.step_px * torch.arange(count, device=cells.device)).round().long().clamp(0, side - 1)
        for count, side in zip(cells.shape[-2:], truths.shape[1:], strict=True)
    )
    return truths[:, rows[:, None], columns[None]].long()


def _beside(cells: Tensor, shown: Tensor) -> Tensor:
    """How much of a class's map lies beside its defect: the mean of -log of its share on it, softmax over the sure cells.

    A map's maximum is one cell among hundreds, and the mean over cells hardly feels it: a map may be right nearly everywhere
    and hottest beside a scratch. `cells` (N, C, h, w) are the classes' logits, `shown` (N, h, w) what each cell shows.
    """
    evidence = cells.flatten(2)  # (N, C, Z)
    of_class = shown.flatten(1)[:, None] == torch.arange(1, cells.shape[1] + 1, device=cells.device)[None, :, None]
    sure = (shown != UNSURE).flatten(1)[:, None]
    marked = of_class.any(dim=2)  # (N, C)
    if not marked.any():
        return cells.sum() * 0
    everywhere = evidence.masked_fill(~sure, -torch.inf).logsumexp(dim=2)
    on_defect = evidence.masked_fill(~of_class, -torch.inf).logsumexp(dim=2)
    return (everywhere - on_defect)[marked].mean()
