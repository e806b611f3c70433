"""What a logit owes to the last feature map: by closed form where the head has one, else by differentiating the head."""

from __future__ import annotations

import torch
from torch import Tensor

from kizu_inspect.network.forward import Forward
from kizu_inspect.network.heads import ReadoutHead

__all__ = ["gradient_of_head", "mean_gradient", "readout_weights", "target_score"]


def gradient_of_head(forward: Forward, targets: Tensor, *, against: int | None = None) -> Tensor:
    """∂y/∂A (N, K, h, w), y the logit of `targets` (N,), less that of class `against` where given.

    The head alone is differentiated: the backbone is never run again. No gradient is left anywhere.
    """
    with torch.enable_grad():
        # A copy made here: torch refuses gradients on what was made under inference mode.
        leaf = forward.activations.detach().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(target_score(forward.head_on(leaf), targets, against=against), leaf)
    return gradient


def target_score(logits: Tensor, targets: Tensor, *, against: int | None) -> Tensor:
    """What is differentiated: the sum over pictures of the logit of `targets` (N,), less that of `against` where given."""
    score = logits.gather(1, targets[:, None]).sum()
    return score if against is None else score - logits[:, against].sum()


def mean_gradient(forward: Forward, targets: Tensor, *, against: int | None = None) -> Tensor:
    """The mean of ∂y/∂A over the Z cells: (N, K). A head that pools a linear readout has W/Z, whatever it pools."""
    if isinstance(forward.head, ReadoutHead):
        cells = forward.activations.shape[2] * forward.activations.shape[3]
        return readout_weights(forward.head, targets, against=against) / cells
    return gradient_of_head(forward, targets, against=against).mean(dim=(2, 3))


def readout_weights(head: ReadoutHead, targets: Tensor, *, against: int | None = None) -> Tensor:
    """W of `targets`, less that of class `against` where given: (N, K)."""
    with torch.no_grad():
        weights = head.channel_weights(targets)
        return weights if against is None else weights - head.channel_weights(torch.full_like(targets, against))
