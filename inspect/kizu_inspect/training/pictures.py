"""The pictures of a labelled set at the network's input size, kept in one memory-mapped array."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kizu_inspect.errors import ConfigError
from kizu_inspect.labelled.dataset import Sample
from kizu_inspect.labelled.picture_files import read_picture, read_reference
from kizu_inspect.labelled.places import UNSURE, Places, defects_of, places_of
from kizu_inspect.picture.images import fit_image, place
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.picture.views import stacked, to_input

__all__ = ["Pictures", "load_pictures", "on_disk"]

COVERED = 0.3
"""A pixel of the input shows a defect that covers so large a share of it."""


@dataclass(frozen=True)
class Pictures:
    """Fitted pictures with their labels."""

    images: npt.NDArray[np.uint8]
    """(N, H, W, 3) RGB; a memory-mapped file, so that a set larger than the memory can be trained on."""
    labels: npt.NDArray[np.int64]
    """(N,) class indices; of a picture with several classes the first."""
    marks: npt.NDArray[np.bool_]
    """(N, C) all classes of each picture."""
    groups: tuple[str, ...]
    samples: tuple[Sample, ...]
    references: npt.NDArray[np.uint8] | None = None
    """(N, H, W) grey, laid over the pictures, for a model that compares."""
    truths: npt.NDArray[np.uint8] | None = None
    """(N, H, W) `Places`; None where only the pictures' labels are learned from."""

    @property
    def located(self) -> bool:
        """Whether any of them says where a defect lies, to learn from."""
        return self.truths is not None and any(bool(((one > 0) & (one != UNSURE)).any()) for one in self.truths)

    def __len__(self) -> int:
        return len(self.labels)

    def as_input(self, rows: slice, device: torch.device) -> tuple[Tensor, Tensor | None]:
        """Some of the pictures as the network takes them: (N, 3, H, W) and, where there are any, references (N, 1, H, W)."""
        if self.references is None:
            return to_input(self.images[rows], device), None
        return stacked(list(zip(self.images[rows], self.references[rows], strict=True)), device)

    def subset(self, indices: npt.NDArray[np.int64]) -> Pictures:
        """Some of the pictures, in the order of `indices`."""
        return Pictures(
            self.images[indices],
            self.labels[indices],
            self.marks[indices],
            tuple(self.groups[i] for i in indices),
            tuple(self.samples[i] for i in indices),
            None if self.references is None else self.references[indices],
            None if self.truths is None else self.truths[indices],
        )


def load_pictures(
    samples: Sequence[Sample],
    classes: Sequence[str],
    inputs: InputSettings,
    *,
    good: str | None,
    ring_px: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> Pictures:
    """Reads and fits the pictures of `samples`, with `ring_px` also where their defects lie.

    `ring_px` are the pixels of the network's input around a defect of which it is not sure what they show.
    Raises DataError naming the first that cannot be read, or whose boxes or mask do not fit.
    """
    images = on_disk((len(samples), *inputs.size_px, 3))
    truths = on_disk((len(samples), *inputs.size_px)) if ring_px is not None else None
    references = on_disk((len(samples), *inputs.size_px)) if inputs.profile == "reference" else None

    def read(index: int) -> None:
        picture = read_picture(samples[index].path, bits=inputs.bits)
        images[index] = fit_image(picture, input_px=inputs.size_px, policy=inputs.resize)
        if references is not None:
            reference = read_reference(samples[index], picture, inputs)
            references[index] = fit_image(reference, input_px=inputs.size_px, policy=inputs.resize)
        if truths is not None and ring_px is not None:
            truths[index] = _fitted_places(samples[index], picture.shape[:2], classes, inputs, good=good, ring_px=ring_px)

    with ThreadPoolExecutor() as pool:
        for done, _ in enumerate(pool.map(read, range(len(samples))), start=1):
            if progress is not None:
                progress(done)
    labels = np.array([classes.index(sample.label) for sample in samples], dtype=np.int64)
    marks = np.array([[name in sample.labels for name in classes] for sample in samples], dtype=bool)
    return Pictures(images, labels, marks, tuple(sample.group for sample in samples), tuple(samples), references, truths)


def _fitted_places(
    sample: Sample,
    size_px: tuple[int, ...],
    classes: Sequence[str],
    inputs: InputSettings,
    *,
    good: str | None,
    ring_px: float,
) -> Places:
    """What each pixel of the network's input shows; of a defective picture without boxes or mask that is not known."""
    size = (size_px[0], size_px[1])
    defects = () if sample.label == good else defects_of(sample, size)
    if sample.label != good and not defects:
        return np.full(inputs.size_px, UNSURE, np.uint8)
    placed = place(size[1], size[0], input_px=inputs.size_px, policy=inputs.resize)
    shrunk = min(placed.scale_x, placed.scale_y)
    places = places_of(sample, defects, classes, size, ring_px=ring_px / shrunk)
    fitted = np.array(fit_image(places, input_px=inputs.size_px, policy=inputs.resize, nearest=True))
    for value in np.unique(places) if shrunk < 1 else ():
        if value in (0, UNSURE):
            continue
        # What is thinner than a pixel of the input would come out as dots.
        covered = fit_image(np.where(places == value, 255, 0).astype(np.uint8), input_px=inputs.size_px, policy=inputs.resize)
        fitted[(covered > 0) & (fitted == 0)] = UNSURE
        fitted[covered >= COVERED * 255] = value
    return fitted


def on_disk(shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """An array of bytes that lies in a file instead of the memory. Raises ConfigError where there is no room for it."""
    size = max(1, int(np.prod(shape)))
    with tempfile.TemporaryFile() as file:  # unlinked at once: gone with the array, also after a kill
        try:
            os.posix_fallocate(file.fileno(), 0, size)  # a disk that is full later would end the process at a memory access
        except OSError as error:
            raise ConfigError(
                f"too little room for the pictures in {tempfile.gettempdir()}", found=str(error),
                expected=f"{size / 1e6:.0f} MB", next_step="Make room, or let TMPDIR name a folder on another disk.",
            ) from None  # fmt: skip
        return np.memmap(file, dtype=np.uint8, mode="r+", shape=shape)
