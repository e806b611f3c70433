"""Where a picture's defects lie, as boxes or masks say, and what is wrong with these."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from kizu_inspect.labelled.findings import Finding
from kizu_inspect.labelled.masks import read_mask
from kizu_inspect.labelled.samples import Box, Sample
from kizu_inspect.labelled.shapes import Pixels, around, pixels_of

__all__ = [
    "UNSURE",
    "Places",
    "box_findings",
    "defects_of",
    "listed",
    "marked_by",
    "mask_finding",
    "places_of",
    "truth_of",
]  # fmt: skip

UNSURE = 255
Places = npt.NDArray[np.uint8]
"""(H, W) what each pixel shows: 1 + its class, 0 without a defect, UNSURE near a defect's border or where it is not known."""


def defects_of(sample: Sample, size_px: tuple[int, int]) -> tuple[Box, ...]:
    """The sample's boxes, or those around its areas or the pieces of its mask, in a picture of (height, width).

    Raises DataError, also for a mask that marks nothing.
    """
    for finding in box_findings(sample, size_px):
        raise finding.as_error()
    marked = marked_by(sample, size_px)
    finding_of_mask = mask_finding(sample, marked, size_px)
    if finding_of_mask is not None:
        raise finding_of_mask.as_error()
    if sample.boxes or marked is None:
        return sample.boxes
    if sample.areas:
        return tuple((*around(spans), name) for name, spans in sample.areas)
    _, _, stats, _ = cv2.connectedComponentsWithStats(marked.astype(np.uint8), connectivity=8)
    return tuple(
        (int(x), int(y), int(x + width), int(y + height), sample.label) for x, y, width, height, _ in stats[1:].tolist()
    )


def places_of(
    sample: Sample, defects: Sequence[Box], classes: Sequence[str], size_px: tuple[int, int], *, ring_px: float
) -> Places:
    """What each pixel of the picture shows, for defects as `defects_of` gives them (none of a good picture). Raises DataError.

    Areas and a mask say it pixel by pixel. An area names its class; of a mask a box only names the class of what the mask
    shows in it; without either a box counts as filled. Within `ring_px` of a defect it is not sure what a pixel shows: no
    outline is exact. Nor is it anywhere outside the marks where one of the picture's classes has none: what nobody marked is
    not good for that.
    """
    places = np.zeros(size_px, np.uint8)
    if not defects:
        return places
    named = {name for *_, name in defects}
    by_size = sorted(defects, key=lambda box: (box[3] - box[1]) * (box[2] - box[0]), reverse=True)  # the smallest wins
    marked = marked_by(sample, size_px)
    if marked is None:
        for x1, y1, x2, y2, name in by_size:
            places[y1:y2, x1:x2] = classes.index(name) + 1
    elif sample.areas:
        for x1, y1, x2, y2, _ in by_size:
            if not marked[y1:y2, x1:x2].any():
                places[y1:y2, x1:x2] = UNSURE  # a box beside the areas: it does not say pixel by pixel where
        for name, spans in sorted(sample.areas, key=lambda area: sum(end - start for _, start, end in area[1]), reverse=True):
            places[pixels_of(spans, size_px)] = classes.index(name) + 1
    else:
        places[marked] = UNSURE if sample.others else classes.index(sample.label) + 1
        for x1, y1, x2, y2, name in by_size if sample.boxes else ():
            inside = marked[y1:y2, x1:x2]
            if inside.any():
                places[y1:y2, x1:x2][inside] = classes.index(name) + 1
            else:
                places[y1:y2, x1:x2] = UNSURE  # the box says that there is something, the mask does not say where
    shown = places > 0
    reach = int(np.ceil(ring_px))
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disk = (np.hypot(rows, columns) <= ring_px).astype(np.uint8)
    near = cv2.dilate(shown.astype(np.uint8), disk) > 0
    places[near & ~shown] = UNSURE
    if not named.issuperset(sample.labels):
        places[places == 0] = UNSURE
    return places


def truth_of(sample: Sample, size_px: tuple[int, int]) -> Pixels | None:
    """The defect's pixels (H, W) by areas, mask or boxes; None where the sample has none of them, or none in the picture."""
    truth = marked_by(sample, size_px)
    if truth is None:
        truth = np.zeros(size_px, np.bool_)
        for x1, y1, x2, y2, _ in sample.boxes if sample.mask is None else ():
            truth[max(0, y1) : y2, max(0, x1) : x2] = True
    return truth if truth.shape == size_px and truth.any() else None


def marked_by(sample: Sample, size_px: tuple[int, int]) -> Pixels | None:
    """The pixels (H, W) that the sample's areas or mask mark; None without these, or where the mask is no picture."""
    if sample.areas:
        marked = np.zeros(size_px, np.bool_)
        for _, spans in sample.areas:
            marked |= pixels_of(spans, size_px)
        return marked
    return None if sample.mask is None else read_mask(sample.mask)


def box_findings(sample: Sample, size_px: tuple[int, int]) -> list[Finding]:
    """What is wrong with the sample's boxes in a picture of (height, width)."""
    height, width = size_px
    empty = [box for box in sample.boxes if box[0] >= box[2] or box[1] >= box[3]]
    beyond = [
        box for box in sample.boxes
        if box not in empty and not (box[0] >= 0 and box[1] >= 0 and box[2] <= width and box[3] <= height)
    ]  # fmt: skip
    findings = []
    for kind, what, expected, wrong in (
        ("empty_box", f"a box of {sample.path} is empty", "x1 below x2, y1 below y2", empty),
        ("box_outside", f"a box lies beyond its picture {sample.path}", f"within {width} × {height} px", beyond),
    ):
        if wrong:
            found = listed(wrong)
            findings.append(Finding(kind, what, found, expected, next_step="Mend the labels.", pictures=(sample.path,)))
    return findings


def mask_finding(sample: Sample, marked: Pixels | None, size_px: tuple[int, int], *, good: str | None = None) -> Finding | None:
    """What is wrong with what `marked_by` gave of a defective sample, for a picture of (height, width).

    Of a picture of the class `good` only whether it fits.
    """
    if not sample.masked:
        return None
    what = f"of picture {sample.path}" if sample.mask is None else str(sample.mask)
    if marked is None or marked.shape != size_px:
        return Finding(
            "mask_does_not_fit", f"mask {what} does not fit its picture",
            found="not a picture" if marked is None else f"{marked.shape[1]} × {marked.shape[0]} px",
            expected=f"{size_px[1]} × {size_px[0]} px", next_step="Mend it, or leave it out.", pictures=(sample.path,),
        )  # fmt: skip
    beyond = [
        (row, start, end) for _, spans in sample.areas for row, start, end in spans
        if not (0 <= row < size_px[0] and 0 <= start < end <= size_px[1])
    ]  # fmt: skip
    if beyond:
        return Finding(
            "mask_does_not_fit", f"an area lies beyond its picture {sample.path}",
            found=f"row {beyond[0][0]} from {beyond[0][1]} to {beyond[0][2]}", expected=f"in {size_px[1]} × {size_px[0]} px",
            next_step="Mend the labels.", pictures=(sample.path,),
        )  # fmt: skip
    if sample.label == good or marked.any():
        return None
    return Finding(
        "empty_mask", f"mask {what} marks nothing", found="no pixel but 0", expected="pixels of the defect",
        next_step="Mark the defect in it, or leave the mask out.", pictures=(sample.path,),
    )  # fmt: skip


def listed(boxes: Sequence[Box]) -> str:
    """The first boxes, for a message."""
    return ", ".join(str(list(box)) for box in boxes[:3]) + (", …" if len(boxes) > 3 else "")
