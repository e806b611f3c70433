"""LFI-CAM: the attention map of a network trained with the LFI head (Lee et al., ICCV 2021, https://arxiv.org/abs/2105.00937)."""

from __future__ import annotations

import torch
from torch import Tensor

from kizu_inspect.errors import MethodError
from kizu_inspect.explain.contract import Maps, finish
from kizu_inspect.network.forward import Forward

__all__ = ["lfi_cam"]


def lfi_cam(forward: Forward, targets: Tensor, *, against: int | None = None) -> Maps:  # noqa: ARG001
    """L = ReLU Σ_k w_k A^k with the learned importance w: one map a picture, whatever the class.

    The map that the forward pass left, where the LFI head gives the verdict; where it stands beside another head, its
    importance network is asked now. Raises MethodError for a model that has none.
    """
    if forward.branch is not None and forward.grey is not None:
        with torch.no_grad():
            return finish(forward, targets, forward.branch.attention(forward.activations, forward.grey), of_class=False)
    if forward.attention is None:
        raise MethodError(
            "lfi-cam needs a model trained with the LFI head",
            found=type(forward.head).__name__,
            expected="LfiHead",
            next_step="Train it again with `kizu train`, or choose another method.",
        )
    return finish(forward, targets, forward.attention, of_class=False)
