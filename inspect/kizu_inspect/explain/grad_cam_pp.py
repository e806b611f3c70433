"""Grad-CAM++: gradients weighted cell by cell (Chattopadhyay et al., WACV 2018, https://arxiv.org/abs/1710.11063)."""

from __future__ import annotations

import torch
from torch import Tensor

from kizu_inspect.explain.contract import Maps, finish
from kizu_inspect.explain.gradients import gradient_of_head, readout_weights
from kizu_inspect.network.forward import Forward
from kizu_inspect.network.heads import ReadoutHead, weighted_sum

__all__ = ["grad_cam_pp"]


def grad_cam_pp(forward: Forward, targets: Tensor, *, against: int | None = None, alpha_norm: bool = False) -> Maps:
    """L = ReLU Σ_k w_k A^k with w_k = Σ_ij α_ij^k ReLU(g_ij^k), g = ∂y_c/∂A (of y_c − y_against where `against` is given).

    The paper's α = g² / (2 g² + g³ Σ_ab A_ab^k) is 1 / (2 + g Σ_ab A_ab^k) where g > 0, and elsewhere it multiplies 0: so it
    needs no epsilon and cannot underflow. Activations that may be negative can bring 2 + g Σ A to 0 or below, where the form
    does not apply: α is 0 there and the status is `signed_activations`. The paper's Y = exp(y_c) only scales the whole map
    by exp(y_c) and is left out. `alpha_norm` divides α by its sum over each channel, as the authors' code does.

    A head that pools a linear readout of A over q cells has g = W/q there and 0 elsewhere, so that the sum is closed:
    w = ReLU(W) / (2 + W·Σ A / q). Any other head is differentiated.
    """
    activations = forward.activations
    exact = torch.float64 if activations.dtype == torch.float64 else torch.float32  # half precision overflows in the sums
    totals = activations.sum(dim=(2, 3), dtype=exact)  # (N, K)
    if isinstance(forward.head, ReadoutHead):
        cells = forward.head.pooled_cells(activations.shape[2] * activations.shape[3])
        weight = readout_weights(forward.head, targets, against=against).to(exact)  # (N, K)
        denominator = 2 + weight * totals / cells
        fits = denominator > 0
        alpha_times_cells = torch.full_like(weight, 1.0) if alpha_norm else cells / torch.where(fits, denominator, 1)
        weights = torch.where(fits, alpha_times_cells, 0) * torch.relu(weight) / cells
        misfit = ((weight > 0) & ~fits).any(dim=1)
    else:
        gradient = torch.relu(gradient_of_head(forward, targets, against=against).to(exact))  # (N, K, h, w)
        denominator = 2 + gradient * totals[:, :, None, None]
        fits = denominator > 0
        alpha = torch.where(fits & (gradient > 0), 1 / torch.where(fits, denominator, 1), 0)
        if alpha_norm:
            sums = alpha.sum(dim=(2, 3), keepdim=True)
            alpha = alpha / torch.where(sums > 0, sums, 1)
        weights = (alpha * gradient).sum(dim=(2, 3))  # (N, K)
        misfit = ((gradient > 0) & ~fits).flatten(1).any(dim=1)
    return finish(forward, targets, weighted_sum(weights, activations.to(exact)), misfit=misfit)
