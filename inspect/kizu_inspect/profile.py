"""The input profile: the first layer of every model, from RGB in [0, 1] to what the backbone sees. It travels in the bundle."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["InputProfile", "ProfileName"]

ProfileName = Literal["part", "surface", "plain"]
LOCAL_MEAN_PX = 25
CORE = 0.5


class InputProfile(nn.Module):
    """Images (N, 3, H, W) in [0, 1] as the backbone's input (N, channels, H, W).

    `part`, for a fixed geometry: normalised colour and a fourth, grey channel: the golden picture, the mean of the good
    training pictures. Without it a network of small receptive field cannot know that something is missing.
    `surface`, for textures: grey minus its local mean, over the picture's own mean absolute residual, small values cored
    away: neither brightness nor grain is left to decide by.
    `plain`: normalised colour, as backbones from ImageNet expect it.
    """

    mean: Tensor
    std: Tensor
    golden: Tensor

    def __init__(self, name: ProfileName, *, height_px: int, width_px: int) -> None:
        super().__init__()
        self.name: ProfileName = name
        import os
        self.extra = name=="part" and os.environ.get("EXTRA")=="1"
        self.channels: int = {"part": 4+self.extra, "surface": 1, "plain": 3}[name]
        self.register_buffer("mean", torch.zeros(3, 1, 1))
        self.register_buffer("std", torch.ones(3, 1, 1))
        self.register_buffer("golden", torch.zeros(1, height_px, width_px) if name == "part" else torch.zeros(0))

    def forward(self, images: Tensor, references: Tensor | None = None) -> Tensor:
        """The backbone's input. `references` (N, 1, H, W), grey in [0, 1], replaces the golden picture (part only)."""
        if self.name == "surface":
            return self._surface(images)
        colour = (images - self.mean) / self.std  # (N, 3, H, W)
        if self.name == "plain":
            return colour
        if references is None:
            references = self.golden.expand(len(images), -1, -1, -1)
        c=[colour, (references - self.mean.mean()) / self.std.mean()]
        if self.extra:
            grey = images.mean(dim=1, keepdim=True)
            reach = 5
            local = F.avg_pool2d(F.pad(grey, (reach,)*4, mode="reflect"), 11, stride=1)
            r=grey-local
            c.append(torch.clamp(r/(r.abs().mean(dim=(1,2,3),keepdim=True)+1e-4)/2,-4,4))
        return torch.cat(c, dim=1).contiguous(memory_format=torch.channels_last)

    @staticmethod
    def _surface(images: Tensor) -> Tensor:
        grey = images.mean(dim=1, keepdim=True)  # (N, 1, H, W)
        reach = LOCAL_MEAN_PX // 2
        local = F.avg_pool2d(F.pad(grey, (reach, reach, reach, reach), mode="reflect"), LOCAL_MEAN_PX, stride=1)
        residual = grey - local
        typical = residual.abs().mean(dim=(1, 2, 3), keepdim=True)  # (N, 1, 1, 1)
        u = residual / (typical + 1e-4)  # 1e-4: a constant picture stays at 0 instead of amplifying rounding
        return torch.sign(u) * torch.clamp(u.abs() - CORE, min=0)
