"""How unlike anything in training a picture is, on the network's own features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Novelty"]

CELLS_AT_ONCE = 16384
LEAST_SPREAD = 1e-3
"""A channel that training hardly ever moves still counts, at this share of the mean spread."""


class Novelty(nn.Module):
    """The distance of a picture's strangest cell to the nearest one of training (PatchCore, Roth et al., 2022).

    https://arxiv.org/abs/2106.08265, on the last feature map A, each channel in units of its spread. The memory keeps cells of
    good and known defective pictures, chosen so that every cell of theirs lies near one (greedy k-center, as there).
    """

    memory: Tensor
    spread: Tensor

    def __init__(self, memory: Tensor, spread: Tensor) -> None:
        """`memory` (M, K) in units of `spread` (K,)."""
        super().__init__()
        self.register_buffer("memory", memory)
        self.register_buffer("spread", spread)

    @classmethod
    def of(cls, cells: Tensor, *, size: int, generator: torch.Generator) -> Novelty:
        """What remembers `size` of the cells (n, K), or all of them."""
        deviation = cells.std(dim=0)
        spread = deviation.clamp(min=float(deviation.mean()) * LEAST_SPREAD + torch.finfo(cells.dtype).tiny)
        scaled = cells / spread
        chosen = int(torch.randint(len(scaled), (1,), generator=generator))
        far = torch.full((len(scaled),), torch.inf, device=scaled.device)
        kept = []
        for _ in range(min(size, len(scaled))):
            kept.append(chosen)
            far = torch.minimum(far, (scaled - scaled[chosen]).square().sum(dim=1))
            chosen = int(far.argmax())
            if far[chosen] == 0:
                break  # the rest are copies
        return cls(scaled[kept], spread)

    def forward(self, activations: Tensor) -> Tensor:
        """The novelty (N,) of A (N, K, h, w)."""
        cells = (activations / self.spread[None, :, None, None]).permute(0, 2, 3, 1).reshape(-1, len(self.spread))
        nearest = [
            torch.cdist(some, self.memory).amin(dim=1) for some in torch.split(cells.to(self.memory.dtype), CELLS_AT_ONCE)
        ]
        return torch.cat(nearest).reshape(len(activations), -1).amax(dim=1)
