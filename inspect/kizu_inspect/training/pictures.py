"""The pictures of a labelled set at the network's input size, kept in one memory-mapped array."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kizu_inspect.errors import DataError, ImageError
from kizu_inspect.images import decode_image, fit_image
from kizu_inspect.model import InputSettings
from kizu_inspect.training.dataset import Sample

__all__ = ["Pictures", "load_pictures"]


@dataclass(frozen=True)
class Pictures:
    """Fitted pictures with their labels."""

    images: npt.NDArray[np.uint8]
    """(N, H, W, 3) RGB; a memory-mapped file, so that a set larger than the memory can be trained on."""
    labels: npt.NDArray[np.int64]
    """(N,) class indices."""
    groups: tuple[str, ...]
    samples: tuple[Sample, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: npt.NDArray[np.int64]) -> Pictures:
        """Some of the pictures, in the order of `indices`."""
        return Pictures(
            self.images[indices],
            self.labels[indices],
            tuple(self.groups[i] for i in indices),
            tuple(self.samples[i] for i in indices),
        )


def load_pictures(
    samples: Sequence[Sample],
    classes: Sequence[str],
    inputs: InputSettings,
    *,
    progress: Callable[[int], None] | None = None,
) -> Pictures:
    """Reads and fits the pictures of `samples`. Raises DataError naming the first that cannot be read."""
    shape = (len(samples), inputs.height_px, inputs.width_px, 3)
    with tempfile.TemporaryFile() as file:  # unlinked at once: gone with the array, also after a kill
        file.truncate(max(1, int(np.prod(shape))))
        images: npt.NDArray[np.uint8] = np.memmap(file, dtype=np.uint8, mode="r+", shape=shape)

    def read(index: int) -> None:
        images[index] = fit_image(
            read_picture(samples[index].path), input_px=(inputs.height_px, inputs.width_px), policy=inputs.resize
        )

    with ThreadPoolExecutor() as pool:
        for done, _ in enumerate(pool.map(read, range(len(samples))), start=1):
            if progress is not None:
                progress(done)
    labels = np.array([classes.index(sample.label) for sample in samples], dtype=np.int64)
    return Pictures(images, labels, tuple(sample.group for sample in samples), tuple(samples))


def read_picture(path: Path) -> npt.NDArray[np.uint8]:
    """The picture in the file, (H, W, 3) RGB. Raises DataError."""
    try:
        return decode_image(path.read_bytes())
    except (OSError, ImageError) as error:
        raise DataError(
            f"picture {path} cannot be read", found=str(error), expected="a picture",
            next_step="Mend or remove it, then train again.",
        ) from None  # fmt: skip
