"""CAM: the class's own linear readout of the last feature map (Zhou et al., CVPR 2016, https://arxiv.org/abs/1512.04150)."""

from __future__ import annotations

import torch
from torch import Tensor

from kizu_inspect.errors import MethodError
from kizu_inspect.explain.contract import Forward, Maps, finish
from kizu_inspect.heads import ReadoutHead

__all__ = ["cam"]


def cam(forward: Forward, targets: Tensor) -> Maps:
    """L = Σ_k W_k^c A^k, after ReLU, in logit units. With an evidence head, the class's evidence map.

    Raises MethodError for a head that is no linear readout of A.
    """
    if not isinstance(forward.head, ReadoutHead):
        raise MethodError(
            "cam needs a head that reads the feature map linearly",
            found=type(forward.head).__name__,
            expected="an evidence or linear head",
            next_step="Choose grad-cam for this bundle.",
        )
    with torch.no_grad():
        return finish(forward, targets, forward.head.class_map(forward.activations, targets))
