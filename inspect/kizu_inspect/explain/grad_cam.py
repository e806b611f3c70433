"""Grad-CAM: feature maps weighted by the class's mean gradient (Selvaraju et al., ICCV 2017, https://arxiv.org/abs/1610.02391)."""

from __future__ import annotations

import torch
from torch import Tensor

from kizu_inspect.explain.contract import Forward, Maps, finish
from kizu_inspect.heads import ReadoutHead

__all__ = ["grad_cam"]


def grad_cam(forward: Forward, targets: Tensor) -> Maps:
    """L = ReLU Σ_k w_k A^k with w_k = (1/Z) Σ_ij ∂y_c/∂A_ij^k.

    A head that pools a linear readout has w = W/Z whatever it pools, so L = ReLU(CAM)/Z and nothing is differentiated. Any
    other head is differentiated alone: the backbone is never run again.
    """
    activations = forward.activations
    cells = activations.shape[2] * activations.shape[3]
    if isinstance(forward.head, ReadoutHead):
        with torch.no_grad():
            return finish(forward, targets, forward.head.class_map(activations, targets) / cells)
    with torch.enable_grad():
        leaf = activations.detach().clone().requires_grad_()
        score = forward.head(leaf).gather(1, targets[:, None]).sum()
        (gradient,) = torch.autograd.grad(score, leaf)  # (N, K, h, w)
    weights = gradient.mean(dim=(2, 3))  # (N, K)
    return finish(forward, targets, torch.einsum("nk,nkhw->nhw", weights, activations))
