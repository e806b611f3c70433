"""What each picture of a set is: its contents, its size, its look; and what is wrong with it, its boxes, its mask."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from kizu_inspect.errors import ImageError
from kizu_inspect.labelled.checking.alike import Floats, look_of
from kizu_inspect.labelled.defect_widths import Defect, defects_in
from kizu_inspect.labelled.findings import Finding
from kizu_inspect.labelled.places import box_findings, listed, marked_by, mask_finding
from kizu_inspect.labelled.readers.files import unreadable
from kizu_inspect.labelled.samples import Sample
from kizu_inspect.labelled.shapes import Pixels
from kizu_inspect.picture.decoding import decode_image
from kizu_inspect.recipe import Bits

__all__ = ["Look", "look_at"]


@dataclass(frozen=True)
class Look:
    """One picture, decoded once."""

    sha256: str
    look: Floats
    """What pictures are compared by."""
    size_px: tuple[int, int]
    """(height, width) of the picture."""
    defects: tuple[Defect, ...]
    """Those that are marked; none of a good picture."""


def look_at(
    samples: Sequence[Sample], *, good: str | None, bits: Bits | None, progress: Callable[[int], None] | None = None
) -> tuple[list[Look | None], list[Finding]]:
    """Every sample's look, None where it cannot be read, and what was found wrong."""
    looks: list[Look | None] = []
    findings: list[Finding] = []
    with ThreadPoolExecutor() as pool:
        for look, found in pool.map(lambda sample: _look(sample, good, bits), samples):
            looks.append(look)
            findings += found
            if progress is not None:
                progress(len(looks))
        references = sorted({sample.reference for sample in samples if sample.reference is not None})
        findings += [one for one in pool.map(lambda path: _reference(path, bits), references) if one is not None]
    return looks, findings


def _look(sample: Sample, good: str | None, bits: Bits | None) -> tuple[Look | None, list[Finding]]:
    try:
        data = sample.path.read_bytes()
        picture = decode_image(data, bits=bits)
    except (OSError, ImageError) as error:
        return None, [unreadable("picture", sample.path, error)]
    size_px = picture.shape[0], picture.shape[1]
    marked = marked_by(sample, size_px)
    findings = [*_boxes(sample, size_px, good), *_mask(sample, marked, size_px, good)]
    defects = () if sample.label == good else tuple(defects_in(sample, size_px, marked))
    return Look(hashlib.sha256(data).hexdigest(), look_of(picture), size_px, defects), findings


def _reference(path: Path, bits: Bits | None) -> Finding | None:
    try:
        decode_image(path.read_bytes(), bits=bits)
    except (OSError, ImageError) as error:
        return unreadable("reference", path, error)
    return None


def _boxes(sample: Sample, size_px: tuple[int, int], good: str | None) -> list[Finding]:
    findings = box_findings(sample, size_px)
    if sample.boxes and sample.labels == (good,) and all(name == good for *_, name in sample.boxes):
        findings.append(
            Finding(
                "marked_good", f"good picture {sample.path} has boxes", found=listed(sample.boxes),
                expected="boxes of defects", pictures=(sample.path,), severity="warning",
            )
        )  # fmt: skip
    return findings


def _mask(sample: Sample, marked: Pixels | None, size_px: tuple[int, int], good: str | None) -> list[Finding]:
    wrong = mask_finding(sample, marked, size_px, good=good)
    if wrong is not None:
        return [wrong]
    if sample.label != good or marked is None or not marked.any():
        return []
    return [
        Finding(
            "marked_good", f"good picture {sample.path} has a mask", found="pixels of a defect", expected="none",
            pictures=(sample.path,), severity="warning",
        )
    ]  # fmt: skip
