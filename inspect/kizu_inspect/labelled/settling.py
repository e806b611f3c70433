"""From what annotations say to samples: on the pixels of the file, whatever the picture was when it was drawn on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import cv2
import numpy as np
from PIL import Image

from kizu_inspect.errors import ImageError
from kizu_inspect.labelled.annotated import Annotated, Mark
from kizu_inspect.labelled.findings import Finding, Report, a_few
from kizu_inspect.labelled.readers.files import unreadable
from kizu_inspect.labelled.samples import GOOD, Area, Box, Sample, outward
from kizu_inspect.labelled.shapes import Outline, around, fill, pixels_of, spans_of
from kizu_inspect.picture.decoding import TURNED_BACK, picture_size, picture_turn

__all__ = ["settle"]

QUARTER_TURNS: Final = (5, 6, 7, 8)
"""Orientations that make a lying picture stand."""
SAME_FACTOR_PX: Final = 1.0
BEYOND_PX: Final = 1.0
"""A tool's rounding puts an edge so far beyond the picture at most."""


@dataclass(frozen=True)
class _Fit:
    """How the file's pixels come from those drawn on."""

    width: int
    height: int
    how: Literal["same", "turned", "scaled", "unclear", "other"]
    turn: int = 1
    factor: float = 1.0


def settle(found: Sequence[Annotated], report: Report) -> list[Sample]:
    """The sample of each picture. What was drawn on the upright picture is turned to the file's pixels, where the file says so.

    What was drawn on a picture of another size is scaled where all pictures of the set agree on the factor. Whatever else
    contradicts the file goes to `report`, and is without its places then.
    """
    fits = [_fit(one, report) if one.marks and (one.unit != "stored" or _within_pixels(one)) else None for one in found]
    _report_fits(found, fits, report)
    agreed = _agree(found, fits)
    cut: list[Annotated] = []
    samples = []
    for one, fit in zip(found, fits, strict=True):
        usable = fit is not None and (fit.how in ("same", "turned") or (fit.how == "scaled" and agreed))
        boxes, areas = _places(one, fit, cut) if usable or one.unit == "stored" else ((), ())
        label, *others = one.classes or (GOOD,)
        samples.append(
            Sample(one.path, label, one.split, one.group, boxes, one.mask, one.reference, tuple(others), (*areas, *one.areas))
        )
    if cut:
        report(
            Finding(
                "box_cut", "boxes that end less than a pixel beyond their picture are cut to it",
                found=a_few([one.path for one in cut]), pictures=tuple(one.path for one in cut), severity="warning",
            )
        )  # fmt: skip
    return samples


def _within_pixels(one: Annotated) -> bool:
    """Whether an edge lies within a pixel: a tool's rounding may have put it beyond the picture."""
    return any(edge % 1 for mark in one.marks for edge in mark.box or ())


def _fit(one: Annotated, report: Report) -> _Fit | None:
    try:
        width, height = picture_size(one.path)
        turn = picture_turn(one.path)
    except (OSError, ImageError) as error:
        report(unreadable("picture", one.path, error))
        return None
    if one.drawn_on is None:
        return _Fit(width, height, "same" if turn == 1 or one.unit == "stored" else "unclear")
    stands = turn in QUARTER_TURNS and width != height
    if one.drawn_on == (width, height):
        return _Fit(width, height, "same" if turn == 1 or stands else "unclear")
    if stands and one.drawn_on == (height, width):
        return _Fit(width, height, "turned", turn)
    factor = width / one.drawn_on[0]
    fits = abs(one.drawn_on[1] * factor - height) < SAME_FACTOR_PX
    if one.unit == "shares" and fits:  # of a picture made smaller or larger they are the same; of one that was cut they are not
        return _Fit(width, height, "same" if turn == 1 else "unclear")
    if one.unit != "shares" and fits and turn == 1:
        return _Fit(width, height, "scaled", factor=factor)
    return _Fit(width, height, "other")


def _agree(found: Sequence[Annotated], fits: Sequence[_Fit | None]) -> bool:
    """Whether all pictures with marks are scaled, by one factor."""
    known = [(one, fit) for one, fit in zip(found, fits, strict=True) if fit is not None]
    if any(fit.how not in ("scaled", "unclear") for _, fit in known):
        return False
    factors = [fit.factor for _, fit in known if fit.how == "scaled"]
    longest = max((max(one.drawn_on) for one, _ in known if one.drawn_on is not None), default=0)
    return not factors or (max(factors) - min(factors)) * longest <= 2 * SAME_FACTOR_PX


def _report_fits(found: Sequence[Annotated], fits: Sequence[_Fit | None], report: Report) -> None:
    def those(how: str) -> list[tuple[Annotated, _Fit]]:
        return [(one, fit) for one, fit in zip(found, fits, strict=True) if fit is not None and fit.how == how]

    if turned := those("turned"):
        report(
            Finding(
                "turned", "labels drawn on the upright picture are turned to the pixels of the file, as its orientation says",
                found=a_few([one.path for one, _ in turned]), pictures=tuple(one.path for one, _ in turned), severity="warning",
            )
        )  # fmt: skip
    if unclear := those("unclear"):
        report(
            Finding(
                "orientation", "pictures are shown turned, and their labels do not tell whether they were drawn so",
                found=a_few([f"{one.path} (orientation {picture_turn(one.path)})" for one, _ in unclear]),
                expected="pictures without an orientation",
                next_step="Where labels were drawn in a viewer, turn the pictures upright (mogrify -auto-orient); where they "
                "were drawn on the camera's pixels, take the orientation out of the files.",
                pictures=tuple(one.path for one, _ in unclear),
            )
        )  # fmt: skip
    scaled = those("scaled")
    if scaled and _agree(found, fits):
        one, fit = scaled[0]
        became = f"{_size(one.drawn_on)} px as {fit.width} × {fit.height}, and so by {fit.factor:.4g}"
        report(
            Finding(
                "scaled", "labels were drawn on pictures of another size, and are scaled to the files",
                found=f"{len(scaled)} pictures: {became}",
                pictures=tuple(one.path for one, _ in scaled), severity="warning",
            )
        )  # fmt: skip
        scaled = []
    if wrong := [*those("other"), *scaled]:
        said = [f"{one.path} {_size(one.drawn_on)} as {fit.width} × {fit.height}" for one, fit in wrong]
        report(
            Finding(
                "drawn_on_other_size", "labels say another size in px than their pictures have", found=a_few(said),
                expected="the pictures that were drawn on, or all of them made smaller or larger by one factor",
                next_step="Bring back the pictures that were drawn on, or export the labels anew.",
                pictures=tuple(one.path for one, _ in wrong),
            )
        )  # fmt: skip


def _size(size: tuple[int, int] | None) -> str:
    return "of no size" if size is None else f"{size[0]} × {size[1]}"


def _places(one: Annotated, fit: _Fit | None, cut: list[Annotated]) -> tuple[tuple[Box, ...], tuple[Area, ...]]:
    boxes: list[Box] = []
    areas: list[Area] = []
    is_cut = False
    for mark in one.marks:
        fitted = mark if fit is None else _fitted(mark, one, fit)
        spans = fitted.spans
        if fitted.outlines and fit is not None:
            spans = fill(fitted.outlines, (fit.height, fit.width))
        if spans:
            areas.append((mark.name, spans))
        edges = _edges(fitted)
        if edges is None:
            continue
        x1, y1, x2, y2 = outward(*edges)
        if fit is not None and (kept := _cut(edges, (x1, y1, x2, y2), fit)) != (x1, y1, x2, y2):
            is_cut, (x1, y1, x2, y2) = True, kept
        boxes.append((x1, y1, x2, y2, mark.name))
    if is_cut:
        cut.append(one)
    return tuple(boxes), tuple(areas)


def _edges(mark: Mark) -> tuple[float, float, float, float] | None:
    if mark.box is not None:
        return mark.box
    corners = [corner for outline in mark.outlines for corner in outline]
    if corners:
        xs, ys = zip(*corners, strict=True)
        return min(xs), min(ys), max(xs), max(ys)
    return around(mark.spans) if mark.spans else None


def _cut(edges: tuple[float, float, float, float], box: tuple[int, int, int, int], fit: _Fit) -> tuple[int, int, int, int]:
    x1, y1, x2, y2 = edges
    within = min(x1, y1) > -BEYOND_PX and x2 < fit.width + BEYOND_PX and y2 < fit.height + BEYOND_PX
    if not within:
        return box
    return max(box[0], 0), max(box[1], 0), min(box[2], fit.width), min(box[3], fit.height)


def _fitted(mark: Mark, one: Annotated, fit: _Fit) -> Mark:
    """The mark in pixels of the file."""
    width, height = one.drawn_on or (fit.width, fit.height)
    if one.unit == "shares":
        if fit.how == "same":
            width, height = fit.width, fit.height
        mark = _moved(mark, lambda x, y: (x * width, y * height))
    if fit.how == "turned":
        turn = fit.turn
        spans: list[tuple[int, int, int]] = []
        if mark.spans:
            upright = Image.fromarray(pixels_of(mark.spans, (height, width)).astype(np.uint8))
            spans = list(spans_of(np.asarray(upright.transpose(TURNED_BACK[turn])) > 0))
        return replace(_moved(mark, lambda x, y: _turned_back(x, y, turn, fit)), spans=tuple(spans))
    if fit.how == "scaled":
        across, down = fit.width / width, fit.height / height
        spans = []
        if mark.spans:
            drawn = pixels_of(mark.spans, (height, width)).astype(np.float32)
            scaled = cv2.resize(drawn, (fit.width, fit.height), interpolation=cv2.INTER_AREA)
            spans = list(spans_of(scaled >= (0.5 if (scaled >= 0.5).any() else scaled.max())))
        return replace(_moved(mark, lambda x, y: (x * across, y * down)), spans=tuple(spans))
    return mark


def _moved(mark: Mark, move: Callable[[float, float], tuple[float, float]]) -> Mark:
    box = mark.box
    if box is not None:
        (x1, y1), (x2, y2) = move(box[0], box[1]), move(box[2], box[3])
        # What is inverted by mistake stays so; what a turn inverts does not.
        swap_x, swap_y = (x1 > x2) != (box[0] > box[2]), (y1 > y2) != (box[1] > box[3])
        box = (x2 if swap_x else x1, y2 if swap_y else y1, x1 if swap_x else x2, y1 if swap_y else y2)
    outlines: tuple[Outline, ...] = tuple(tuple(move(x, y) for x, y in outline) for outline in mark.outlines)
    return replace(mark, box=box, outlines=outlines)


def _turned_back(x: float, y: float, turn: int, fit: _Fit) -> tuple[float, float]:
    """From the upright picture to the file's, whose width and height `fit` has; by the orientations that exchange these."""
    width, height = fit.width, fit.height
    return {5: (y, x), 6: (y, height - x), 7: (width - y, height - x), 8: (width - y, x)}[turn]
