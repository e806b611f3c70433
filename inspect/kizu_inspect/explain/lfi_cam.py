"""LFI-CAM: the attention map of a network trained with the LFI head (Lee et al., ICCV 2021, https://arxiv.org/abs/2105.00937)."""

from __future__ import annotations

from torch import Tensor

from kizu_inspect.errors import MethodError
from kizu_inspect.explain.contract import Maps, finish
from kizu_inspect.network.forward import Forward

__all__ = ["lfi_cam"]


def lfi_cam(forward: Forward, targets: Tensor, *, against: int | None = None) -> Maps:  # noqa: ARG001
    """L = ReLU Σ_k w_k A^k with the learned importance w: one map a picture, whatever the class, as the forward pass left it.

    Raises MethodError for a model without the LFI head.
    """
    if forward.attention is None:
        raise MethodError(
            "lfi-cam needs a model trained with the LFI head",
            found=type(forward.head).__name__,
            expected="LfiHead",
            next_step="Train one with `kizu train --head lfi`, or choose another method.",
        )
    return finish(forward, targets, forward.attention)
