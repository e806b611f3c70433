"""Tiles to train on: around each defect that boxes or masks show, and from where there is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from kizu_inspect.errors import DataError, ImageError
from kizu_inspect.labelled.dataset import Box, Sample
from kizu_inspect.labelled.picture_files import read_picture, read_reference
from kizu_inspect.labelled.places import defects_of, places_of
from kizu_inspect.labelled.readers.files import unreadable
from kizu_inspect.picture.decoding import picture_size
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.picture.tiles import Corner
from kizu_inspect.training.pictures import Pictures, on_disk

__all__ = ["cut_tiles"]

TILES_A_DEFECT = 2
GOOD_TILES = 4
"""From a picture without a defect; others give as many without as with one."""
TRIES = 20


@dataclass(frozen=True)
class _Plan:
    """The tiles of one picture, each with its class."""

    sample: Sample
    defects: tuple[Box, ...]
    tiles: tuple[tuple[Corner, str], ...]


def cut_tiles(
    samples: Sequence[Sample],
    classes: Sequence[str],
    inputs: InputSettings,
    *,
    good: str | None,
    ring_px: float,
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> Pictures:
    """Tiles of the input's size from pictures of any size, at random places by `seed`, with `ring_px` as `places_of` has it.

    Each defect gives two tiles that hold it and no defect of another class; as many are taken from where the picture shows
    none, four from a picture without defects. Raises DataError: a picture that cannot be read or is smaller than a tile, a box
    beyond its picture, a defective picture that does not say where its defect lies.
    """
    generator = np.random.default_rng(seed)
    plans = [_plan(sample, inputs.size_px, good=good, generator=generator) for sample in samples]
    count = sum(len(plan.tiles) for plan in plans)
    images = on_disk((count, *inputs.size_px, 3))
    truths = on_disk((count, *inputs.size_px))
    references = on_disk((count, *inputs.size_px)) if inputs.profile == "reference" else None
    starts = np.cumsum([0, *(len(plan.tiles) for plan in plans)])

    def cut(number: int) -> None:
        plan, row = plans[number], int(starts[number])
        if not plan.tiles:
            return
        picture = read_picture(plan.sample.path, bits=inputs.bits)
        places = places_of(plan.sample, plan.defects, classes, (picture.shape[0], picture.shape[1]), ring_px=ring_px)
        reference = read_reference(plan.sample, picture, inputs) if references is not None else None
        for offset, ((x, y), _) in enumerate(plan.tiles):
            inside = slice(y, y + inputs.height_px), slice(x, x + inputs.width_px)
            images[row + offset], truths[row + offset] = picture[inside], places[inside]
            if references is not None and reference is not None:
                references[row + offset] = reference[inside]

    with ThreadPoolExecutor() as pool:
        for done, _ in enumerate(pool.map(cut, range(len(plans))), start=1):
            if progress is not None:
                progress(done)
    tiles = [(plan.sample, label) for plan in plans for _, label in plan.tiles]
    labels = np.array([classes.index(label) for _, label in tiles], np.int64)
    return Pictures(
        images, labels, np.eye(len(classes), dtype=bool)[labels], tuple(sample.group for sample, _ in tiles),
        tuple(sample for sample, _ in tiles), references, truths,
    )  # fmt: skip


def _plan(sample: Sample, tile_px: tuple[int, int], *, good: str | None, generator: np.random.Generator) -> _Plan:
    try:
        width, height = picture_size(sample.path)
    except (OSError, ImageError) as error:
        raise unreadable("picture", sample.path, error).as_error() from None
    if height < tile_px[0] or width < tile_px[1]:
        raise DataError(
            f"picture {sample.path} is smaller than a tile", found=f"{width} × {height} px",
            expected=f"at least {tile_px[1]} × {tile_px[0]} px", next_step="Leave it out, or choose smaller tiles.",
        )  # fmt: skip
    defects = () if sample.label == good else defects_of(sample, (height, width))
    if sample.label != good and not defects:
        raise DataError(
            f"picture {sample.path} does not say where its defect lies", found=f"label {sample.label} without boxes or mask",
            expected="a box for each defect, or a mask", next_step="Mark it, or train on whole pictures (without --tile).",
        )  # fmt: skip
    tiles: list[tuple[Corner, str]] = []
    for defect in defects:
        for _ in range(TILES_A_DEFECT):
            place = _around(defect, defects, (height, width), tile_px, generator)
            if place is not None:
                tiles.append((place, defect[4]))
    if good is not None:
        for _ in range(len(tiles) if defects else GOOD_TILES):
            place = _beside(defects, (height, width), tile_px, generator)
            if place is not None:
                tiles.append((place, good))
    return _Plan(sample, defects, tuple(tiles))


def _around(
    defect: Box, defects: Sequence[Box], size_px: tuple[int, int], tile_px: tuple[int, int], generator: np.random.Generator
) -> Corner | None:
    """A tile that holds the defect (of a large one its middle) and shows none of another class; None where none is found."""
    for _ in range(TRIES):
        x = _start(defect[0], defect[2], size_px[1], tile_px[1], generator)
        y = _start(defect[1], defect[3], size_px[0], tile_px[0], generator)
        if all(other[4] == defect[4] for other in defects if _touches(other, (x, y), tile_px)):
            return x, y
    return None


def _start(low: int, high: int, side: int, tile: int, generator: np.random.Generator) -> int:
    """Where a tile may begin along one axis to hold low to high, or the middle of it."""
    if high - low > tile:
        low = high = (low + high) // 2
    return int(generator.integers(max(0, high - tile), min(low, side - tile) + 1))


def _beside(
    defects: Sequence[Box], size_px: tuple[int, int], tile_px: tuple[int, int], generator: np.random.Generator
) -> Corner | None:
    """A tile without any defect; None where none is found."""
    for _ in range(TRIES):
        x, y = (int(generator.integers(side - tile + 1)) for side, tile in zip(size_px[::-1], tile_px[::-1], strict=True))
        if not any(_touches(defect, (x, y), tile_px) for defect in defects):
            return x, y
    return None


def _touches(defect: Box, corner: Corner, tile_px: tuple[int, int]) -> bool:
    (x, y), (height, width) = corner, tile_px
    return defect[0] < x + width and defect[2] > x and defect[1] < y + height and defect[3] > y
