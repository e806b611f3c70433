"""A Gaussian over pictures, and regions of them grown.

A matrix for each axis, since wide convolutions and wide pooling cost more than the network.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["blurred", "grown"]

_KEPT = 32
"""Matrices of so many kinds are kept."""


def blurred(pictures: Tensor, sigma_px: float) -> Tensor:
    """Pictures (N, C, H, W) under a Gaussian."""
    height, width = pictures.shape[2:]
    down, across = (_gaussian(side, sigma_px, pictures.dtype, pictures.device) for side in (height, width))
    return down.T @ pictures @ across


def grown(regions: Tensor, reach_px: int) -> Tensor:
    """Regions (N, 1, H, W) of 0 and 1, 1 also where one lies within `reach_px` along rows and columns."""
    height, width = regions.shape[2:]
    down, across = (_near(side, reach_px, regions.dtype, regions.device) for side in (height, width))
    return (down @ regions @ across > 0).to(regions.dtype)


@lru_cache(_KEPT)
def _gaussian(side: int, sigma_px: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(side, side): what each pixel of a row gives to each other one; rows are continued by reflection."""
    reach = min(max(1, round(3 * sigma_px)), side - 1)
    places = torch.arange(-reach, reach + 1, dtype=dtype, device=device)
    kernel = torch.softmax(-(places**2) / (2 * sigma_px**2), dim=0)
    points = torch.eye(side, dtype=dtype, device=device)[:, None]  # (side, 1, side): a row for each pixel
    return F.conv1d(F.pad(points, (reach, reach), mode="reflect"), kernel[None, None])[:, 0]


@lru_cache(_KEPT)
def _near(side: int, reach_px: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(side, side): 1 for pixels of a row that lie within `reach_px` of each other, else 0."""
    places = torch.arange(side, device=device)
    return ((places[:, None] - places).abs() <= reach_px).to(dtype)
