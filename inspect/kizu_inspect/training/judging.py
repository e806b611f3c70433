"""Judging the whole pictures of a set as the line will, in tiles or beside references."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from kizu_inspect.bundle import Bundle
from kizu_inspect.errors import DataError
from kizu_inspect.inspector import Inspector
from kizu_inspect.labelled.picture_files import read_picture
from kizu_inspect.labelled.samples import Sample
from kizu_inspect.network.devices import pick_device
from kizu_inspect.recipe import UNGATED, Device, Recipe
from kizu_inspect.results import Judgement

__all__ = ["judged"]

BATCH = 32


def judged(
    bundle: Bundle, samples: Sequence[Sample], device: Device, *, progress: Callable[[int], None] | None = None
) -> Iterator[tuple[Sample, Judgement, npt.NDArray[np.float64]]]:
    """Each picture with its judgement and the probabilities (V, C) of its views.

    `progress` is told how many are judged. Raises DataError where one cannot be.
    """
    inspector = Inspector(bundle, Recipe(bundle=bundle.path, gates=UNGATED), device=pick_device(device), max_batch=BATCH)
    bits = bundle.spec.input.bits
    for start in range(0, len(samples), BATCH):
        some = samples[start : start + BATCH]
        references = [None if sample.reference is None else read_picture(sample.reference, bits=bits) for sample in some]
        batch = inspector.judge([read_picture(sample.path, bits=bits) for sample in some], references=references)
        for index, (sample, judgement) in enumerate(zip(some, batch.judgements, strict=True)):
            if judgement.score is None:
                raise DataError(f"picture {sample.path} cannot be judged", found=judgement.reason, expected="a verdict")
            yield sample, judgement, batch.views_of(index)
        if progress is not None:
            progress(start + len(some))
