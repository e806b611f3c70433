"""Parts of a batch side by side, a processor core each, instead of one after the other on all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

__all__ = ["Parallel"]

T = TypeVar("T")
R = TypeVar("R")


class Parallel:
    """Runs pieces of work in as many threads as torch has, each with one core.

    A layer that is shared out to several cores waits for the slowest at its end, dozens of times a forward pass: most of the
    time, beside decoders and records that want the cores too. Pieces that need nothing of each other never wait. The threads'
    setting is theirs alone but for MKL's, which is the program's: use it where nothing is trained.
    """

    def __init__(self, device: torch.device) -> None:
        self.threads = torch.get_num_threads() if device.type == "cpu" else 1
        self._pool = None
        if self.threads > 1:
            self._pool = ThreadPoolExecutor(self.threads, "kizu-judge", torch.set_num_threads, (1,))

    def map(self, work: Callable[[T], R], pieces: Iterable[T]) -> list[R]:
        """What `work` gives for each piece, in order; one piece alone has all cores."""
        several = list(pieces)
        if self._pool is None or len(several) < 2:
            return [work(piece) for piece in several]
        return list(self._pool.map(work, several))
