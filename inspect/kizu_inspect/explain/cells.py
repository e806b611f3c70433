"""Maps drawn again on other cells."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from kizu_inspect.picture.images import CellGeometry

__all__ = ["sampled"]


def sampled(maps: Tensor, cells: CellGeometry, onto: CellGeometry, size: tuple[int, int] | torch.Size) -> Tensor:
    """Maps (M, 1, h, w) with one value for each cell of `onto`, which are `size` (rows, columns): (M, 1, *size).

    Bilinear between the centres of `cells`, border clamped.
    """
    axes = []
    for count, wanted in zip(maps.shape[2:], size, strict=True):
        places = onto.start_px + onto.step_px * torch.arange(wanted, dtype=maps.dtype, device=maps.device)
        axes.append((2 * (places - cells.start_px) / cells.step_px + 1) / count - 1)  # grid_sample's own unit
    down, across = axes
    grid = torch.stack(torch.meshgrid(across, down, indexing="xy"), dim=-1)  # (rows, columns, 2): x before y
    return F.grid_sample(maps, grid.expand(len(maps), -1, -1, -1), padding_mode="border", align_corners=False)
