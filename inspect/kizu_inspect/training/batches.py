"""What a training step is given: which pictures, changed as the line might change them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kizu_inspect.profile import InputProfile
from kizu_inspect.training.augment import Augmentation
from kizu_inspect.training.pictures import Pictures

__all__ = ["Batches", "to_input"]


class Batches:
    """Endless batches of changed training pictures, the same for the same seed and the same losses.

    Pictures come in turn. With `hard_share`, once each was seen, so large a share of a batch is drawn in proportion to the root
    of each picture's last loss, and the rest evenly: what is learned already costs no more steps (Loshchilov and Hutter, 2015,
    https://arxiv.org/abs/1511.06343).
    """

    def __init__(
        self,
        profile: InputProfile,
        train: Pictures,
        *,
        size: int,
        shift_px: int,
        hard_share: float,
        seed: int,
        device: torch.device,
    ) -> None:
        height, width = train.images.shape[1:3]
        self._train = train
        self._size = size
        self._hard_share = hard_share
        self._device = device
        self._generator = np.random.default_rng(seed)
        self._augment = Augmentation(height_px=height, width_px=width, shift_px=shift_px, seed=seed)
        self._part = profile.name == "part"
        self._golden = np.zeros((height, width), np.uint8)
        if self._part:
            self._golden = np.rint(profile.golden[0].cpu().numpy() * 255).astype(np.uint8)
        self._waiting: list[int] = []
        self._losses = np.full(len(train), np.nan)

    def draw(self) -> tuple[npt.NDArray[np.int64], Tensor, Tensor | None, Tensor]:
        """The rows drawn (N,), their images (N, 3, H, W), references (N, 1, H, W) or None, and labels (N,)."""
        chosen = self._choose()
        changed = [self._augment(self._train.images[row], self._golden) for row in chosen]
        images = to_input(np.stack([image for image, _ in changed]), self._device)
        references = None
        if self._part:
            moved = np.stack([golden for _, golden in changed])  # (N, H, W)
            references = torch.from_numpy(moved).to(self._device)[:, None].float() / 255
        return chosen, images, references, torch.from_numpy(self._train.labels[chosen]).to(self._device)

    def learned(self, rows: npt.NDArray[np.int64], losses: Tensor) -> None:
        """Tells the losses (N,) of a batch, by which later ones are drawn."""
        self._losses[rows] = losses.cpu().numpy()

    def _choose(self) -> npt.NDArray[np.int64]:
        count = len(self._train)
        if self._hard_share > 0 and not np.isnan(self._losses).any():
            hardness = np.sqrt(self._losses)
            chance = self._hard_share * hardness / max(float(hardness.sum()), 1e-12) + (1 - self._hard_share) / count
            return self._generator.choice(count, self._size, replace=False, p=chance / chance.sum())
        while len(self._waiting) < self._size:
            self._waiting += self._generator.permutation(count).tolist()
        chosen, self._waiting = self._waiting[: self._size], self._waiting[self._size :]
        return np.array(chosen, np.int64)


def to_input(images: npt.NDArray[np.uint8], device: torch.device) -> Tensor:
    """(N, H, W, 3) uint8 as (N, 3, H, W) float32 in [0, 1], channels last in memory."""
    return torch.from_numpy(np.ascontiguousarray(images)).to(device).permute(0, 3, 1, 2).float() / 255
