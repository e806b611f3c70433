"""Grad-CAM: feature maps weighted by the class's mean gradient (Selvaraju et al., ICCV 2017, https://arxiv.org/abs/1610.02391)."""

from __future__ import annotations

from torch import Tensor

from kizu_inspect.explain.contract import Maps, finish
from kizu_inspect.explain.gradients import mean_gradient
from kizu_inspect.network.forward import Forward
from kizu_inspect.network.heads import weighted_sum

__all__ = ["grad_cam"]


def grad_cam(forward: Forward, targets: Tensor, *, against: int | None = None) -> Maps:
    """L = ReLU Σ_k w_k A^k with w_k = (1/Z) Σ_ij ∂y_c/∂A_ij^k; y_c − y_against where `against` is given.

    A head that pools a linear readout has w = W/Z whatever it pools, so L = ReLU(CAM)/Z and nothing is differentiated.
    """
    weights = mean_gradient(forward, targets, against=against).to(forward.activations.dtype)  # (N, K)
    return finish(forward, targets, weighted_sum(weights, forward.activations))
