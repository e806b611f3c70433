"""Where a picture's defects lie, as boxes or masks say, and what is wrong with these."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from kizu_inspect.labelled.findings import Finding
from kizu_inspect.labelled.samples import Box, Sample

__all__ = [
    "DEFECT_ABOVE", "UNSURE", "Places", "box_findings", "defects_of", "listed", "mask_finding", "places_of", "read_mask",
    "truth_of",
]  # fmt: skip

UNSURE = 255
DEFECT_ABOVE = 127
"""A mask's grey value above which a pixel is the defect's."""
Places = npt.NDArray[np.uint8]
"""(H, W) what each pixel shows: 1 + its class, 0 without a defect, UNSURE near a defect's border or where it is not known."""


def defects_of(sample: Sample, size_px: tuple[int, int]) -> tuple[Box, ...]:
    """The sample's boxes, or those around the pieces of its mask, in a picture of (height, width). Raises DataError."""
    for finding in box_findings(sample, size_px):
        raise finding.as_error()
    if sample.boxes or sample.mask is None:
        return sample.boxes
    _, _, stats, _ = cv2.connectedComponentsWithStats(_marked(sample, size_px).astype(np.uint8), connectivity=8)
    return tuple(
        (int(x), int(y), int(x + width), int(y + height), sample.label) for x, y, width, height, _ in stats[1:].tolist()
    )


def places_of(
    sample: Sample, defects: Sequence[Box], classes: Sequence[str], size_px: tuple[int, int], *, ring_px: float
) -> Places:
    """What each pixel of the picture shows, for defects as `defects_of` gives them (none of a good picture). Raises DataError.

    A mask says it pixel by pixel, and where there is one a box only names the class of what the mask shows in it; without a
    mask a box counts as filled. Within `ring_px` of a defect it is not sure what a pixel shows: no outline is exact. Nor is it
    anywhere outside the marks where one of the picture's classes has none: what nobody marked is not good for that.
    """
    places = np.zeros(size_px, np.uint8)
    if not defects:
        return places
    named = {name for *_, name in defects}
    by_size = sorted(defects, key=lambda box: (box[3] - box[1]) * (box[2] - box[0]), reverse=True)  # the smallest wins
    if sample.mask is None:
        for x1, y1, x2, y2, name in by_size:
            places[y1:y2, x1:x2] = classes.index(name) + 1
    else:
        marked = _marked(sample, size_px)
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


def truth_of(sample: Sample, size_px: tuple[int, int]) -> npt.NDArray[np.bool_] | None:
    """The defect's pixels (H, W) by mask or boxes; None where the sample has neither, or none in the picture."""
    truth = np.zeros(size_px, np.bool_)
    if sample.mask is not None:
        mask = read_mask(sample.mask)
        if mask is None or mask.shape != size_px:
            return None
        truth |= mask > DEFECT_ABOVE
    else:
        for x1, y1, x2, y2, _ in sample.boxes:
            truth[max(0, y1) : y2, max(0, x1) : x2] = True
    return truth if truth.any() else None


def read_mask(path: Path) -> npt.NDArray[np.uint8] | None:
    """The mask (H, W), or None where it is no picture."""
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError:
        return None
    mask = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if len(data) else None
    return None if mask is None else np.asarray(mask, np.uint8)


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


def mask_finding(sample: Sample, mask: npt.NDArray[np.uint8] | None, size_px: tuple[int, int]) -> Finding | None:
    """What is wrong with the sample's mask, as `read_mask` gives it, for a picture of (height, width)."""
    if mask is not None and mask.shape == size_px:
        return None
    return Finding(
        "mask_does_not_fit", f"mask {sample.mask} does not fit its picture",
        found="not a picture" if mask is None else f"{mask.shape[1]} × {mask.shape[0]} px",
        expected=f"{size_px[1]} × {size_px[0]} px", next_step="Mend it, or leave it out.", pictures=(sample.path,),
    )  # fmt: skip


def listed(boxes: Sequence[Box]) -> str:
    """The first boxes, for a message."""
    return ", ".join(str(list(box)) for box in boxes[:3]) + (", …" if len(boxes) > 3 else "")


def _marked(sample: Sample, size_px: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """The mask's pixels (H, W). Raises DataError."""
    assert sample.mask is not None
    mask = read_mask(sample.mask)
    finding = mask_finding(sample, mask, size_px)
    if finding is not None:
        raise finding.as_error()
    return np.asarray(mask) > DEFECT_ABOVE
