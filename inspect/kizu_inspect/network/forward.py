"""What one forward pass leaves, which is all that the explanations start from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from kizu_inspect.network.heads import LfiHead
from kizu_inspect.picture.images import CellGeometry

__all__ = ["Entrance", "Forward", "Predict"]


class Predict(Protocol):
    """The whole model without gradients, for many pictures: images (N, 3, H, W), references (N, 1, H, W) -> logits (N, C).

    Where `masks` (N, 1, H, W) in [0, 1] are given, what the backbone is given of each picture fades, where they are 0, into
    what it is given of one without a defect.
    """

    def __call__(self, images: Tensor, references: Tensor | None = None, masks: Tensor | None = None, /) -> Tensor: ...


@dataclass(frozen=True)
class Entrance:
    """The network from the backbone on, for methods that ask what a logit owes to what goes in."""

    shown: Callable[[Tensor, Tensor | None], tuple[Tensor, Tensor]]
    """Images, references -> what the backbone is given of them (N, channels, H, W), and of pictures without a defect (N or 1,
    channels, H, W)."""
    judge: Callable[[Tensor], Tensor]
    """What the backbone is given -> logits (N, C); can be differentiated."""


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
    """(N, 1, h, w): the channel mean of the backbone's input at the size of a map, where the head or the
    branch asks for it (LFI)."""
    attention: Tensor | None = None
    """(N, h, w): the LFI head's attention map of this pass, before its normalisation."""
    neutral: Tensor | None = None
    """RGB in [0, 1], a picture in which this model finds nothing: the golden one (3, H, W), each picture's reference
    (N, 3, H, W), or None where it has none."""
    cells: CellGeometry | None = None
    """Where the cells of A lie in the network's input."""
    branch: LfiHead | None = None
    """The LFI head beside the head, which is asked only where its map is."""
    masks_input: bool = False
    """Whether Score-CAM's masks lie on what the backbone is given instead of on the picture."""
    entrance: Entrance | None = None
    """Where the backbone begins; None: the model is known by its last feature map alone."""

    def head_on(self, activations: Tensor) -> Tensor:
        """The logits (N, C) that the head gives other activations of these pictures."""
        logits: Tensor = self.head(activations, self.grey) if isinstance(self.head, LfiHead) else self.head(activations)
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
