"""What an explainer is given and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kizu_inspect.heads import ReadoutHead
from kizu_inspect.results import MapStatus

__all__ = ["Explainer", "Forward", "Maps", "finish"]


@dataclass(frozen=True)
class Forward:
    """What one forward pass of N pictures left. Explaining starts here and changes nothing of the model."""

    images: Tensor
    """(N, 3, H, W) float32 RGB in [0, 1], before normalisation and input profile."""
    references: Tensor | None
    """(N, 1, H, W) float32 grey in [0, 1], where the recipe has a reference picture."""
    activations: Tensor
    """A (N, K, h, w), the last feature map."""
    logits: Tensor
    """(N, C)."""
    head: nn.Module
    predict: Callable[[Tensor], Tensor]
    """images -> logits: the whole model without gradients."""

    def subset(self, indices: Tensor) -> Forward:
        """The same for some of the pictures: `indices` (M,) int64."""
        references = None if self.references is None else self.references[indices]
        return Forward(
            self.images[indices], references, self.activations[indices], self.logits[indices], self.head, self.predict
        )


@dataclass(frozen=True)
class Maps:
    """Raw maps (N, h, w) float32, non-negative and finite, and what each of them is worth."""

    values: Tensor
    status: tuple[MapStatus, ...]


Explainer = Callable[[Forward, Tensor], Maps]
"""(forward, targets (N,) int64: the class explained in each picture) -> Maps. A pure function, without hooks."""


def finish(forward: Forward, targets: Tensor, signed: Tensor) -> Maps:
    """Signed maps (N, h, w) as they are stored: ReLU, float32, non-finite values 0, each with its status."""
    signed = signed.detach().float()
    status = []
    for target, one in zip(targets.tolist(), signed, strict=True):
        if isinstance(forward.head, ReadoutHead) and not forward.head.has_map(target):
            status.append(MapStatus.NO_EVIDENCE_MAP)
        elif not bool(torch.isfinite(one).all()):
            status.append(MapStatus.NON_FINITE)
        elif float(one.max()) > 0:
            status.append(MapStatus.FLAT if one.numel() > 1 and float(one.max()) == float(one.min()) else MapStatus.OK)
        else:
            status.append(MapStatus.ALL_NEGATIVE if float(one.min()) < 0 else MapStatus.FLAT)
    values = torch.relu(torch.nan_to_num(signed, nan=0.0, posinf=0.0, neginf=0.0))
    unmapped = [s in (MapStatus.NO_EVIDENCE_MAP, MapStatus.NON_FINITE) for s in status]
    silent = torch.tensor(unmapped, dtype=torch.bool, device=values.device)  # the type is said because a batch may be empty
    return Maps(values * ~silent[:, None, None], tuple(status))
