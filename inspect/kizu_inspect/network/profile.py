"""The input profile: the first layer of every model, from RGB in [0, 1] to what the backbone sees. It travels in the bundle."""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kizu_inspect.picture.inputs import ProfileName

__all__ = ["COMPARING", "InputProfile"]

COMPARING: Final = frozenset({"part", "reference"})
"""Profiles that know a picture without a defect: what a mask or a check shows in a defect's place."""
SURFACE_MEAN_PX = 25
PART_MEAN_PX = 11
CORE = 0.5


class InputProfile(nn.Module):
    """Images (N, 3, H, W) in [0, 1] as the backbone's input (N, channels, H, W).

    `part`, for a fixed geometry, six channels: normalised colour; the golden picture, the mean of the good training pictures,
    in grey, without which a network of small receptive field cannot know that something is missing; the local contrast, in
    which faint scratches and dents stand out whatever the lighting; and the absolute difference of picture and golden
    picture, both standardised. The difference follows from the others, but without it some runs never learn to compare them.
    `reference`, for parts that are compared with a picture of their own, five channels: normalised colour, the reference in
    grey, and the absolute difference. Nothing of it depends on the rest of the picture, so that tiles see what the whole would.
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
        self.channels: int = {"part": 6, "surface": 1, "reference": 5, "plain": 3}[name]
        self.register_buffer("mean", torch.zeros(3, 1, 1))
        self.register_buffer("std", torch.ones(3, 1, 1))
        self.register_buffer("golden", torch.zeros(1, height_px, width_px) if name == "part" else torch.zeros(0))

    def forward(self, images: Tensor, references: Tensor | None = None) -> Tensor:
        """The backbone's input. `references` (N, 1, H, W), grey in [0, 1]; without them `part` takes its golden picture.

        Raises ValueError where `reference` is given none.
        """
        if self.name == "surface":
            return self._surface(images)
        colour = (images - self.mean) / self.std  # (N, 3, H, W)
        if self.name == "plain":
            return colour
        if self.name == "reference":
            if references is None:
                raise ValueError("a model that compares needs a reference for each picture")
            against = (references - self.mean.mean()) / self.std.mean()  # (N, 1, H, W)
            difference = (_grey(images) - references).abs() / self.std.mean()
            return torch.cat([colour, against, difference], dim=1).contiguous(memory_format=torch.channels_last)
        if references is None:
            references = self.golden.expand(len(images), -1, -1, -1)
        golden = (references - self.mean.mean()) / self.std.mean()  # (N, 1, H, W)
        contrast = _local_contrast(images, PART_MEAN_PX) / 2
        difference = (_standardised(_grey(images)) - _standardised(references)).abs()
        seen = torch.cat([colour, golden, contrast.clamp(-4, 4), difference.clamp(max=4)], dim=1)  # (N, 6, H, W)
        return seen.contiguous(memory_format=torch.channels_last)

    def neutral(self, images: Tensor, references: Tensor | None = None) -> Tensor:
        """What the backbone is given of a picture without a defect, (N or 1, channels, H, W): of the golden picture, of each
        reference; of a surface nothing. `plain` knows no such picture: there it is the mean colour of the training pictures.

        Raises ValueError where `reference` is given none.
        """
        if self.name in ("surface", "plain"):
            return torch.zeros_like(images[:, : self.channels])
        if self.name == "part":
            without = self.golden.expand(1 if references is None else len(images), 3, -1, -1)
        elif references is None:
            raise ValueError("a model that compares needs a reference for each picture")
        else:
            without = references.expand(-1, 3, -1, -1)
        seen: Tensor = self(without, references)
        return seen

    @staticmethod
    def _surface(images: Tensor) -> Tensor:
        u = _local_contrast(images, SURFACE_MEAN_PX)
        return torch.sign(u) * torch.clamp(u.abs() - CORE, min=0)


def _grey(images: Tensor) -> Tensor:
    """The mean of red, green and blue: (N, 1, H, W)."""
    red, green, blue = images.unbind(dim=1)  # a mean over an inner dimension takes six times as long
    return (red + green + blue).unsqueeze(1) / 3


def _standardised(grey: Tensor) -> Tensor:
    """Each picture (N, 1, H, W) less its mean, over its deviation: free of gain and offset of the lighting."""
    centred = grey - grey.mean(dim=(2, 3), keepdim=True)
    return centred / (centred.square().mean(dim=(2, 3), keepdim=True).sqrt() + 1e-3)


def _local_contrast(images: Tensor, window_px: int) -> Tensor:
    """Grey minus its local mean, over the picture's own mean absolute residual: (N, 1, H, W)."""
    grey = _grey(images)
    reach = window_px // 2
    padded = F.pad(grey, (reach, reach, reach, reach), mode="reflect")
    residual = grey - _run_sum(_run_sum(padded, window_px, dim=2), window_px, dim=3) / window_px**2
    typical = residual.abs().mean(dim=(1, 2, 3), keepdim=True)  # (N, 1, 1, 1)
    return residual / (typical + 1e-4)  # 1e-4: a constant picture stays at 0 instead of amplifying rounding


def _run_sum(values: Tensor, length: int, *, dim: int) -> Tensor:
    """The sum of each run of `length` neighbours along `dim`, which becomes shorter by length − 1.

    Sums of 1, 2, 4, … neighbours are added up to the length's binary digits: a few passes over memory, where pooling a single
    channel took longer than the network.
    """
    count = values.shape[dim] - length + 1
    total: Tensor | None = None
    start, width, runs = 0, 1, values
    while width <= length:
        if length & width:
            piece = runs.narrow(dim, start, count)
            total = piece if total is None else total + piece
            start += width
        if 2 * width <= length:
            kept = runs.shape[dim] - width
            runs = runs.narrow(dim, 0, kept) + runs.narrow(dim, width, kept)
        width *= 2
    assert total is not None
    return total
