"""What an explainer is given and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from kizu_inspect.errors import MethodError
from kizu_inspect.heads import ReadoutHead
from kizu_inspect.images import CellGeometry
from kizu_inspect.results import MapStatus

__all__ = ["Explainer", "Forward", "Maps", "Predict", "check_targets", "finish"]


class Predict(Protocol):
    """The whole model without gradients, for many pictures: images (N, 3, H, W), references (N, 1, H, W) -> logits (N, C)."""

    def __call__(self, images: Tensor, references: Tensor | None = None, /) -> Tensor: ...


@dataclass(frozen=True)
class Forward:
    """What one forward pass of N pictures left. Explaining starts here and changes nothing of the model."""

    images: Tensor
    """(N, 3, H, W) float32 RGB in [0, 1], before normalisation and input profile."""
    references: Tensor | None
    """(N, 1, H, W) float32 grey in [0, 1], for a model that compares with reference pictures."""
    activations: Tensor
    """A (N, K, h, w), the last feature map."""
    logits: Tensor
    """(N, C)."""
    head: nn.Module
    predictor: Callable[[torch.dtype | None], Predict]
    """precision (None: the model's own) -> Predict."""
    grey: Tensor | None = None
    """(N, 1, h, w): the channel mean of the backbone's input at the size of a map, where the head asks for it (LFI)."""
    attention: Tensor | None = None
    """(N, h, w): the LFI head's attention map of this pass, before its normalisation."""
    neutral: Tensor | None = None
    """RGB in [0, 1], a picture in which this model finds nothing: the golden one (3, H, W), each picture's reference
    (N, 3, H, W), or None where it has none."""
    cells: CellGeometry | None = None
    """Where the cells of A lie in the network's input."""

    def head_on(self, activations: Tensor) -> Tensor:
        """The logits (N, C) that the head gives other activations of these pictures."""
        logits: Tensor = self.head(activations) if self.grey is None else self.head(activations, self.grey)
        return logits

    def subset(self, indices: Tensor) -> Forward:
        """The same for some of the pictures: `indices` (M,) int64."""
        return replace(
            self,
            images=self.images[indices],
            references=None if self.references is None else self.references[indices],
            activations=self.activations[indices],
            logits=self.logits[indices],
            grey=None if self.grey is None else self.grey[indices],
            attention=None if self.attention is None else self.attention[indices],
            neutral=self.neutral if self.neutral is None or self.neutral.ndim == 3 else self.neutral[indices],
        )


@dataclass(frozen=True)
class Maps:
    """Raw maps (N, h, w) float32, non-negative and finite, and what each of them is worth."""

    values: Tensor
    status: tuple[MapStatus, ...]


Explainer = Callable[[Forward, Tensor], Maps]
"""(forward, targets (N,) int64: the class explained in each picture) -> Maps. A pure function, without hooks."""


def check_targets(forward: Forward, targets: Tensor) -> None:
    """Raises MethodError unless `targets` are class indices, one for each picture of `forward`."""
    pictures, classes = forward.logits.shape
    expected = f"{pictures} class indices below {classes}, as int64"
    if targets.dtype != torch.int64 or targets.shape != (pictures,):
        raise MethodError("targets do not fit the pictures", found=f"{targets.dtype} {tuple(targets.shape)}", expected=expected)
    wrong = targets[(targets < 0) | (targets >= classes)]
    if len(wrong):
        raise MethodError("a target is no class of the model", found=str(wrong[0].item()), expected=expected)


def finish(forward: Forward, targets: Tensor, signed: Tensor, *, misfit: Tensor | None = None) -> Maps:
    """Signed maps (N, h, w) as they are stored: ReLU, float32, non-finite values 0, each with its status.

    `misfit` (N,) marks pictures in some of whose channels the method's formula does not apply to negative activations.
    """
    signed = signed.detach()
    signed = signed if signed.dtype == torch.float64 else signed.float()  # double precision is for comparison with references
    cells = signed.flatten(1)
    low, high = cells.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0).aminmax(dim=1)
    marks = [cells.isfinite().all(dim=1), high > 0, high > low, low < 0]
    marks.append(torch.zeros_like(marks[0]) if misfit is None else misfit)
    one_cell = cells.shape[1] == 1
    status = []
    for target, (finite, positive, varied, negative, misfits) in zip(
        targets.tolist(), torch.stack(marks, dim=1).tolist(), strict=True
    ):
        if isinstance(forward.head, ReadoutHead) and not forward.head.has_map(target):
            status.append(MapStatus.NO_EVIDENCE_MAP)
        elif not finite:
            status.append(MapStatus.NON_FINITE)
        elif misfits:
            status.append(MapStatus.SIGNED_ACTIVATIONS)
        elif positive:
            status.append(MapStatus.OK if varied or one_cell else MapStatus.FLAT)
        else:
            status.append(MapStatus.ALL_NEGATIVE if negative else MapStatus.FLAT)
    unmapped = [s in (MapStatus.NO_EVIDENCE_MAP, MapStatus.NON_FINITE) for s in status]
    silent = torch.tensor(unmapped, dtype=torch.bool, device=signed.device)  # the type is said because a batch may be empty
    values = torch.relu(torch.nan_to_num(signed, nan=0.0, posinf=0.0, neginf=0.0))
    return Maps(values.masked_fill(silent[:, None, None], 0), tuple(status))
