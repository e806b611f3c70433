"""A Gaussian over pictures."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["blurred"]


def blurred(pictures: Tensor, sigma_px: float) -> Tensor:
    """Pictures (N, C, H, W) under a Gaussian: a matrix for each axis, since a wide convolution costs more than the network."""
    height, width = pictures.shape[2:]
    down, across = (_gaussian(side, sigma_px, pictures) for side in (height, width))
    return down.T @ pictures @ across


def _gaussian(side: int, sigma_px: float, like: Tensor) -> Tensor:
    """(side, side): what each pixel of a row gives to each other one; rows are continued by reflection."""
    reach = min(max(1, round(3 * sigma_px)), side - 1)
    places = torch.arange(-reach, reach + 1, dtype=like.dtype, device=like.device)
    kernel = torch.softmax(-(places**2) / (2 * sigma_px**2), dim=0)
    points = torch.eye(side, dtype=like.dtype, device=like.device)[:, None]  # (side, 1, side): a row for each pixel
    return F.conv1d(F.pad(points, (reach, reach), mode="reflect"), kernel[None, None])[:, 0]
