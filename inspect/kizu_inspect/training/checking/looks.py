"""What each picture of a set is: its contents, its size, its look; and what is wrong with it, its boxes, its mask."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from kizu_inspect.errors import ImageError
from kizu_inspect.images import decode_image
from kizu_inspect.training.checking.alike import Floats, look_of
from kizu_inspect.training.findings import Finding
from kizu_inspect.training.readers.files import unreadable
from kizu_inspect.training.samples import Sample

__all__ = ["Look", "look_at", "read_mask"]


@dataclass(frozen=True)
class Look:
    """One picture, decoded once."""

    sha256: str
    look: Floats
    """What pictures are compared by."""


def look_at(
    samples: Sequence[Sample], *, good: str | None, progress: Callable[[int], None] | None = None
) -> tuple[list[Look | None], list[Finding]]:
    """Every sample's look, None where it cannot be read, and what was found wrong."""
    looks: list[Look | None] = []
    findings: list[Finding] = []
    with ThreadPoolExecutor() as pool:
        for look, found in pool.map(lambda sample: _look(sample, good), samples):
            looks.append(look)
            findings += found
            if progress is not None:
                progress(len(looks))
        references = sorted({sample.reference for sample in samples if sample.reference is not None})
        findings += [one for one in pool.map(_reference, references) if one is not None]
    return looks, findings


def _look(sample: Sample, good: str | None) -> tuple[Look | None, list[Finding]]:
    try:
        data = sample.path.read_bytes()
        picture = decode_image(data)
    except (OSError, ImageError) as error:
        return None, [unreadable("picture", sample.path, error)]
    height, width = picture.shape[:2]
    findings = [*_boxes(sample, width, height, good), *_mask(sample, width, height, good)]
    return Look(hashlib.sha256(data).hexdigest(), look_of(picture)), findings


def _reference(path: Path) -> Finding | None:
    try:
        decode_image(path.read_bytes())
    except (OSError, ImageError) as error:
        return unreadable("reference", path, error)
    return None


def _boxes(sample: Sample, width: int, height: int, good: str | None) -> list[Finding]:
    findings = []
    empty = [box for box in sample.boxes if box[0] >= box[2] or box[1] >= box[3]]
    if empty:
        findings.append(
            Finding(
                "empty_box", f"a box of {sample.path} is empty", found=_listed(empty),
                expected="x1 below x2, y1 below y2", pictures=(sample.path,),
            )
        )  # fmt: skip
    beyond = [
        box for box in sample.boxes
        if box not in empty and not (box[0] >= 0 and box[1] >= 0 and box[2] <= width and box[3] <= height)
    ]  # fmt: skip
    if beyond:
        findings.append(
            Finding(
                "box_outside", f"a box lies beyond its picture {sample.path}", found=_listed(beyond),
                expected=f"within {width} × {height} px", pictures=(sample.path,),
            )
        )  # fmt: skip
    if sample.boxes and sample.labels == (good,) and all(name == good for *_, name in sample.boxes):
        findings.append(
            Finding(
                "marked_good", f"good picture {sample.path} has boxes", found=_listed(sample.boxes),
                expected="boxes of defects", pictures=(sample.path,), severity="warning",
            )
        )  # fmt: skip
    return findings


def _listed(boxes: Sequence[object]) -> str:
    return ", ".join(str(list(box)) for box in boxes[:3] if isinstance(box, tuple)) + (", …" if len(boxes) > 3 else "")


def _mask(sample: Sample, width: int, height: int, good: str | None) -> list[Finding]:
    if sample.mask is None:
        return []
    mask = read_mask(sample.mask)
    if mask is None or mask.shape != (height, width):
        found = "not a picture" if mask is None else f"{mask.shape[1]} × {mask.shape[0]} px"
        return [
            Finding(
                "mask_does_not_fit", f"mask {sample.mask} does not fit its picture", found=found,
                expected=f"{width} × {height} px", pictures=(sample.path,),
            )
        ]  # fmt: skip
    marked = bool((mask > 127).any())
    if sample.label == good and marked:
        finding = Finding("marked_good", f"good picture {sample.path} has a mask", found="pixels of a defect", expected="none")
    elif good not in (None, sample.label) and not marked:
        finding = Finding(
            "empty_mask", f"mask {sample.mask} marks nothing", found=f"values up to {int(mask.max())}",
            expected="above 127 where the defect is", next_step="Multiply a mask of 0 and 1 by 255." if mask.any() else None,
        )  # fmt: skip
    else:
        return []
    return [Finding(finding.kind, finding.what, finding.found, finding.expected, finding.next_step, (sample.path,), "warning")]


def read_mask(path: Path) -> npt.NDArray[np.uint8] | None:
    """The mask (H, W) as training reads it, or None where it is no picture."""
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError:
        return None
    mask = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if len(data) else None
    return None if mask is None else np.asarray(mask, np.uint8)
