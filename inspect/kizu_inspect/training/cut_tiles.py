"""Tiles to train on: around each defect that boxes or masks show, and from where there is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from kizu_inspect.errors import DataError
from kizu_inspect.model import InputSettings
from kizu_inspect.tiles import Corner
from kizu_inspect.training.dataset import Box, Sample
from kizu_inspect.training.pictures import UNSURE, Pictures, on_disk, read_picture, read_reference

__all__ = ["cut_tiles"]

TILES_A_DEFECT = 2
GOOD_TILES = 4
"""From a picture without a defect; others give as many without as with one."""
TRIES = 20
BORDER_PX = 8
"""So far beside a defect's box it is not sure what a pixel shows."""
Truth = npt.NDArray[np.uint8]


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
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> Pictures:
    """Tiles of the input's size from pictures of any size, at random places by `seed`.

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
        picture = read_picture(plan.sample.path)
        truth = _truth(plan, classes, picture.shape[:2])
        reference = read_reference(plan.sample, picture, inputs.alignment) if references is not None else None
        for offset, ((x, y), _) in enumerate(plan.tiles):
            inside = slice(y, y + inputs.height_px), slice(x, x + inputs.width_px)
            images[row + offset], truths[row + offset] = picture[inside], truth[inside]
            if references is not None and reference is not None:
                references[row + offset] = reference[inside]

    with ThreadPoolExecutor() as pool:
        for done, _ in enumerate(pool.map(cut, range(len(plans))), start=1):
            if progress is not None:
                progress(done)
    tiles = [(plan.sample, label) for plan in plans for _, label in plan.tiles]
    labels = np.array([classes.index(label) for _, label in tiles], np.int64)
    return Pictures(
        images, labels, tuple(sample.group for sample, _ in tiles), tuple(sample for sample, _ in tiles), references, truths
    )


def _plan(sample: Sample, tile_px: tuple[int, int], *, good: str | None, generator: np.random.Generator) -> _Plan:
    height, width = _size_of(sample)
    if height < tile_px[0] or width < tile_px[1]:
        raise DataError(
            f"picture {sample.path} is smaller than a tile", found=f"{width} × {height} px",
            expected=f"at least {tile_px[1]} × {tile_px[0]} px", next_step="Leave it out, or choose smaller tiles.",
        )  # fmt: skip
    defects = _defects(sample, (height, width))
    if sample.label == good:
        defects = ()
    elif not defects:
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


def _size_of(sample: Sample) -> tuple[int, int]:
    try:
        with Image.open(sample.path) as picture:
            return picture.height, picture.width
    except OSError:
        height, width = read_picture(sample.path).shape[:2]  # tells what is wrong with it, or knows more formats
        return height, width


def _defects(sample: Sample, size_px: tuple[int, int]) -> tuple[Box, ...]:
    """The sample's boxes, or those around the pieces of its mask."""
    height, width = size_px
    for x1, y1, x2, y2, name in sample.boxes:
        if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
            raise DataError(
                f"a box lies beyond its picture {sample.path}", found=f"{[x1, y1, x2, y2, name]}",
                expected=f"within {width} × {height} px", next_step="Mend the manifest.",
            )  # fmt: skip
    if sample.boxes or sample.mask is None:
        return sample.boxes
    _, _, stats, _ = cv2.connectedComponentsWithStats(_mask(sample, size_px).astype(np.uint8), connectivity=8)
    return tuple(
        (int(x), int(y), int(x + width), int(y + height), sample.label) for x, y, width, height, _ in stats[1:].tolist()
    )


def _mask(sample: Sample, size_px: tuple[int, int]) -> npt.NDArray[np.bool_]:
    mask = cv2.imread(str(sample.mask), cv2.IMREAD_GRAYSCALE)
    if mask is None or mask.shape != size_px:
        found = "not a picture" if mask is None else f"{mask.shape[1]} × {mask.shape[0]} px"
        raise DataError(
            f"mask {sample.mask} does not fit its picture", found=found, expected=f"{size_px[1]} × {size_px[0]} px",
        )  # fmt: skip
    return np.asarray(mask > 127)


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


def _truth(plan: _Plan, classes: Sequence[str], size_px: tuple[int, int]) -> Truth:
    """What each pixel of the picture shows (H, W), as in `Pictures`."""
    truth = np.zeros(size_px, np.uint8)
    for x1, y1, x2, y2, _ in plan.defects:
        truth[max(0, y1 - BORDER_PX) : y2 + BORDER_PX, max(0, x1 - BORDER_PX) : x2 + BORDER_PX] = UNSURE
    if plan.sample.boxes or not plan.defects:
        for x1, y1, x2, y2, name in plan.defects:
            truth[y1:y2, x1:x2] = classes.index(name) + 1
    else:
        truth[_mask(plan.sample, size_px)] = classes.index(plan.sample.label) + 1
    return truth
