"""What a model remembers of its training, to tell what is unlike it."""

from __future__ import annotations

import numpy as np
import torch

from kizu_inspect.network.model import Classifier
from kizu_inspect.network.novelty import Novelty
from kizu_inspect.training.pictures import Pictures

__all__ = ["remember"]

PICTURES = 512
CELLS = 20_000
MEMORY = 1024
BATCH = 32


def remember(model: Classifier, train: Pictures, *, seed: int, device: torch.device) -> Novelty:
    """The cells of the training pictures, good and defective, that stand for all of theirs."""
    rows = np.linspace(0, len(train) - 1, min(len(train), PICTURES)).astype(np.int64)
    some = train.subset(rows)
    generator = torch.Generator().manual_seed(seed)
    a_picture = max(1, CELLS // len(some))
    kept = []
    for start in range(0, len(some), BATCH):
        activations = model.explainable(*some.as_input(slice(start, start + BATCH), device)).activations
        kept += [
            one[torch.randperm(len(one), generator=generator)[:a_picture].to(device)]
            for one in activations.flatten(2).transpose(1, 2)  # (Z, K) of each picture
        ]
    return Novelty.of(torch.cat(kept).float(), size=MEMORY, generator=generator)
