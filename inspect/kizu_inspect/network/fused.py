"""Finer cells: the maps of a backbone's stages drawn over one another, so that evidence can lie on what is thin."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from kizu_inspect.picture.images import CellGeometry

__all__ = ["FusedBackbone"]


@fx.wrap
def _drawn_on(late: Tensor, early: Tensor, step: float, offset: float) -> Tensor:
    """The late map at the early map's cells, bilinear, border clamped: early cell j lies at late cell step·j + offset."""
    if (step, offset) == (0.5, -0.25):  # an ordinary resize by two, which has a kernel of its own
        return F.interpolate(late, size=early.shape[2:], mode="bilinear", align_corners=False)
    down, across = (
        _weights(count, cells, step, offset, late) for count, cells in zip(early.shape[2:], late.shape[2:], strict=True)
    )
    return down @ late @ across.T


def _weights(count: int, cells: int, step: float, offset: float, like: Tensor) -> Tensor:
    """(count, cells): what each late cell gives to each early one along one axis."""
    place = (step * torch.arange(count, dtype=torch.float32, device=like.device) + offset).clamp(0, cells - 1)
    each = torch.arange(cells, dtype=torch.float32, device=like.device)
    return (1 - (place[:, None] - each[None]).abs()).clamp(min=0).to(like.dtype)


class FusedBackbone(nn.Module):
    """A = ReLU(Σ BN(1×1 of a stage's map), drawn on the cells of the earliest): K = `channels`, in the earliest's cells.

    Late maps know what a thing is, early ones where it lies (Lin et al., feature pyramid networks, CVPR 2017,
    https://arxiv.org/abs/1612.03144). No kernel wider than 1×1 comes after the stages, so a cell sees hardly farther
    than the last stage's did, and the explanations start from A as from any other last map. Each late map is drawn where its
    cells look, which for kernels of odd size is not where a plain resize draws it.
    """

    def __init__(
        self, stages: Sequence[nn.Module], widths: Sequence[int], cells: Sequence[CellGeometry], channels: int
    ) -> None:
        """`stages` run one after the other; `widths` and `cells` are the channels and the geometry of each one's map."""
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.laterals = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, channels, 1, bias=False), nn.BatchNorm2d(channels)) for width in widths
        )
        self.channels = channels
        first = cells[0]
        self._places = [(first.step_px / one.step_px, (first.start_px - one.start_px) / one.step_px) for one in cells]
        # What is drawn between two late cells sees what either sees.
        widest = max(one.field_px + (one.step_px if one.step_px > first.step_px else 0) for one in cells)
        self.cells = CellGeometry(first.start_px, first.step_px, widest)

    def forward(self, x: Tensor) -> Tensor:
        """A (N, K, h, w)."""
        total = None
        for stage, lateral, (step, offset) in zip(self.stages, self.laterals, self._places, strict=True):
            x = stage(x)
            drawn = lateral(x)
            total = drawn if total is None else total.add_(_drawn_on(drawn, total, step, offset))
        assert total is not None
        return F.relu(total, inplace=True)
