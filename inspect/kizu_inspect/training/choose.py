"""Trying several ways of training on one set, and keeping the one that does best on its validation split."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from kizu_inspect.bundle import Bundle
from kizu_inspect.training.dataset import LabelledSet
from kizu_inspect.training.train import Trained, TrainingSettings, train

__all__ = ["train_best"]


def train_best(
    data: LabelledSet,
    out: Path,
    candidates: Mapping[str, TrainingSettings],
    *,
    on_steps: Callable[[int, float], None] | None = None,
    progress: Callable[[int, float], None] | None = None,
    on_trained: Callable[[str, Trained], None] | None = None,
) -> tuple[str, Trained]:
    """Trains each candidate and writes the one of lowest validation loss into `out`; returns its name and what came of it.

    `on_trained` gets each candidate as it is ready; the rest is as for `train`. Raises what `train` raises.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    trained: dict[str, Trained] = {}
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as folder:
        for name, settings in candidates.items():
            trained[name] = train(data, Path(folder) / name, settings, on_steps=on_steps, progress=progress)
            if on_trained is not None:
                on_trained(name, trained[name])
    best = min(trained, key=lambda name: min(trained[name].history.val_loss))
    kept = trained[best].bundle
    return best, replace(trained[best], bundle=Bundle.save(out, kept.spec, kept.model))
