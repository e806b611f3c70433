"""Does the region that a map names carry the verdict? The picture with the region taken away, and with nothing else left."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kizu_inspect.explain.smoothing import blurred, grown

__all__ = ["TakenAway", "elsewhere"]


class TakenAway:
    """Pictures (N, 3, H, W), and what shows where something of them is taken away.

    `field_px`: the receptive field of a cell; `neutral` (3, H, W), or one for each picture: in which the model finds nothing,
    if there is one. What shows is the picture's own light, which is what a Gaussian of half a field leaves of it, and the
    details of `neutral`. A blur where the model expects details is a defect to a model of good parts: then nothing could ever
    be taken away. A field larger than a third of the picture counts as a third: its outer part hardly matters (Luo et al.,
    NeurIPS 2016, https://arxiv.org/abs/1701.04128), and a region grown over the whole picture would check nothing.
    """

    def __init__(self, images: Tensor, *, field_px: float, neutral: Tensor | None) -> None:
        self._images = images.contiguous()  # channel by channel, as matrices are multiplied
        self._field = min(field_px, min(images.shape[2:]) / 3)
        details = torch.zeros_like(images[:1]) if neutral is None else neutral
        self._filling = details + blurred(self._images - details, self._field / 2)

    def without_and_only(self, hot: Tensor) -> tuple[Tensor, Tensor]:
        """The pictures without their region, and their region alone: both (N, 3, H, W).

        `hot` (N, H, W) bool: where the map reaches the region threshold. It is grown by a quarter of the field and fades out
        over an eighth: a sharp border is a defect to a model of good parts.
        """
        region = grown(hot[:, None].to(self._images.dtype), round(self._field / 4))  # (N, 1, H, W)
        # The blur of a straight border is a half on it.
        soft = torch.maximum(region, (2 * blurred(region, self._field / 8)).clamp(max=1))
        return torch.lerp(self._images, self._filling, soft), torch.lerp(self._filling, self._images, soft)


def elsewhere(hot: npt.NDArray[np.bool_], seen: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """As much of the picture as `hot` (H, W), where the map `seen` (H, W) is coldest: the region moved by a half of the picture
    along one side or both, and turned about. What leaves on one side comes in on the other, so that the area is the same;
    only of a region that leaves no room for that it is what lies beside it."""
    height, width = hot.shape
    moved = [
        np.roll(hot[::down, ::across], (rows, columns), axis=(0, 1))
        for down, across in ((1, 1), (-1, 1), (1, -1), (-1, -1))
        for rows in (0, height // 2)
        for columns in (0, width // 2)
    ]
    best = min(moved, key=lambda one: (int((one & hot).sum()), float(seen[one].sum())))
    return np.asarray(best & ~hot)
