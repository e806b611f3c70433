"""Pictures that were judged together, and what is left of it to explain them from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kizu_inspect.network.forward import Forward
from kizu_inspect.picture.views import Sight
from kizu_inspect.results import Judgement

__all__ = ["JudgedBatch"]


@dataclass(frozen=True)
class JudgedBatch:
    """Judgements of some pictures, in their order, and what is needed to explain them."""

    judgements: tuple[Judgement, ...]
    sights: tuple[Sight | None, ...]
    """What the model saw of each picture; None where it could not be judged."""
    probabilities: npt.NDArray[np.float64]
    """(V, C) of every view, picture by picture."""
    starts: tuple[int, ...]
    """Each picture's first view."""
    chunks: tuple[Forward | None, ...]
    """The forward passes of `chunk_size` views each but the last; None for one that was not kept."""
    chunk_size: int

    def views_of(self, index: int) -> npt.NDArray[np.float64]:
        """The probabilities (V, C) of a judged picture's views."""
        sight = self.sights[index]
        assert sight is not None  # a picture that was not judged has no views
        return self.probabilities[self.starts[index] : self.starts[index] + sight.views]

    def view(self, number: int) -> tuple[Sight, int]:
        """The picture of a view, and the view's number within it."""
        picture = int(np.searchsorted(self.starts, number, side="right")) - 1
        sight = self.sights[picture]
        assert sight is not None  # a picture that was not judged has no views
        return sight, number - self.starts[picture]
