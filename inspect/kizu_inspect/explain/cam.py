"""CAM: the class's own linear readout of the last feature map (Zhou et al., CVPR 2016, https://arxiv.org/abs/1512.04150)."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from kizu_inspect.errors import MethodError
from kizu_inspect.explain.contract import Maps, finish
from kizu_inspect.explain.gradients import readout_weights
from kizu_inspect.network.forward import Forward
from kizu_inspect.network.heads import LfiHead, ReadoutHead, weighted_sum

__all__ = ["cam"]


def cam(forward: Forward, targets: Tensor, *, against: int | None = None) -> Maps:
    """L = Σ_k W_k^c A^k, after ReLU, in logit units; W^c − W^against where `against` is given.

    With an evidence head it is the class's evidence map. An LFI head reads A + A ∘ attention linearly: there A is that.

    Raises MethodError for a head that is no linear readout of A.
    """
    if isinstance(forward.head, LfiHead) and forward.attention is not None:
        with torch.no_grad():
            seen = forward.head.attended(forward.activations, forward.attention)
        forward = replace(forward, head=forward.head.readout, activations=seen)
    if not isinstance(forward.head, ReadoutHead):
        raise MethodError(
            "cam needs a head that reads the feature map linearly",
            found=type(forward.head).__name__,
            expected="an evidence, linear or lfi head",
            next_step="Choose grad-cam for this bundle.",
        )
    weights = readout_weights(forward.head, targets, against=against).to(forward.activations.dtype)  # (N, K)
    return finish(forward, targets, weighted_sum(weights, forward.activations))
