"""What a training step is given: which pictures, changed as the line might change them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kizu_inspect.network.profile import InputProfile
from kizu_inspect.picture.views import to_input
from kizu_inspect.training.augment import Augmentation
from kizu_inspect.training.pictures import Pictures

__all__ = ["Batch", "Batches"]

JITTER_PX = 1
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Batch:
    """What one training step learns from."""

    rows: npt.NDArray[np.int64]
    """(N,) which of the training pictures."""
    images: Tensor
    """(N, 3, H, W) in [0, 1]."""
    references: Tensor | None
    """(N, 1, H, W) in [0, 1], for a model that compares."""
    truths: Tensor | None
    """(N, H, W) uint8: what each pixel shows, as in `Pictures`."""
    labels: Tensor
    """(N,) class indices."""
    marks: Tensor
    """(N, C) all classes of each picture."""


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
        self._golden: npt.NDArray[np.uint8] | None = None
        if profile.name == "part":
            self._golden = np.rint(profile.golden[0].cpu().numpy() * 255).astype(np.uint8)
        self._waiting: list[int] = []
        self._losses = np.full(len(train), np.nan)
        self._summed, self._drawn = np.zeros(len(train)), np.zeros(len(train), np.int64)

    def draw(self) -> Batch:
        """The next batch."""
        chosen = self._choose()
        pictures, references, truths = zip(*(self._changed(int(row)) for row in chosen), strict=True)
        return Batch(
            chosen,
            to_input(np.stack(pictures), self._device),
            None if references[0] is None else self._on_device(np.stack(references))[:, None].float() / 255,
            None if truths[0] is None else self._on_device(np.stack(truths)),
            self._on_device(self._train.labels[chosen]),
            self._on_device(self._train.marks[chosen]),
        )

    def _changed(self, row: int) -> tuple[Bytes, Bytes | None, Bytes | None]:
        """A picture, its reference and its truth, changed together."""
        reference = self._golden
        if self._train.references is not None:
            # A reference that lies a pixel beside its picture is no defect.
            by = self._generator.integers(-JITTER_PX, JITTER_PX + 1, 2)
            reference = np.roll(self._train.references[row], by, axis=(0, 1))
        truth = None if self._train.truths is None else self._train.truths[row]
        picture, moved = self._augment(self._train.images[row], *(one for one in (reference, truth) if one is not None))
        return picture, None if reference is None else moved[0], None if truth is None else moved[-1]

    def _on_device(self, values: npt.NDArray[Any]) -> Tensor:
        return torch.from_numpy(values).to(self._device)

    def learned(self, rows: npt.NDArray[np.int64], losses: Tensor) -> None:
        """Tells the losses (N,) of a batch, by which later ones are drawn."""
        self._losses[rows] = losses.cpu().numpy()
        np.add.at(self._summed, rows, losses.cpu().numpy())
        np.add.at(self._drawn, rows, 1)

    @property
    def mean_losses(self) -> npt.NDArray[np.float64]:
        """The mean loss (N,) of each picture over every time that it was drawn; nan of one that never was."""
        return np.where(self._drawn > 0, self._summed / np.maximum(1, self._drawn), np.nan)

    def state(self) -> dict[str, Any]:
        """All that the next batches and the mean losses depend on: tensors and plain values."""
        return {
            "generator": self._generator.bit_generator.state,
            "augment": self._augment.state(),
            "waiting": list(self._waiting),
            "losses": torch.from_numpy(self._losses.copy()),
            "summed": torch.from_numpy(self._summed.copy()),
            "drawn": torch.from_numpy(self._drawn.copy()),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on as where the state was taken."""
        self._generator.bit_generator.state = state["generator"]
        self._augment.restore(state["augment"])
        self._waiting = list(state["waiting"])
        self._losses[:] = state["losses"].numpy()
        self._summed[:], self._drawn[:] = state["summed"].numpy(), state["drawn"].numpy()

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
