"""What COCO's segmentation marks: a list of outlines, or run lengths in numbers or text."""

from __future__ import annotations

from typing import Any

from kizu_inspect.labelled.findings import Finding, Report
from kizu_inspect.labelled.readers.drawn import finite
from kizu_inspect.labelled.samples import Spans
from kizu_inspect.labelled.shapes import Outline, pixels_of_runs, runs_of_text, spans_of

__all__ = ["drawn_shapes", "outline_of", "size_of_runs"]


def drawn_shapes(segmentation: Any, size_px: tuple[int, int], where: str, report: Report) -> tuple[tuple[Outline, ...], Spans]:
    """Outlines, or the pixels of run lengths, which must be those of the picture of (height, width) where this is known.

    Some tools leave out the last run, of what lies outside; nobody can tell that from a file that lost its end, so it is
    reported. Raises ValueError, TypeError or LookupError where it is neither.
    """
    if not segmentation:
        return (), ()
    if isinstance(segmentation, dict):
        height, width = (int(side) for side in segmentation["size"])
        if min(size_px) > 0 and (height, width) != size_px:
            raise ValueError(f"run lengths of {width} × {height} px for a picture of {size_px[1]} × {size_px[0]} px")
        counts = segmentation["counts"]
        numbers = runs_of_text(counts) if isinstance(counts, str) else [int(count) for count in counts]
        missing = height * width - sum(numbers)
        if missing > 0 and min(numbers, default=-1) >= 0:
            report(
                Finding(
                    "short_runs", f"{where}: run lengths end before the picture does, and the rest counts as outside",
                    found=f"{missing} px less", expected=f"{height * width} px", severity="warning",
                )
            )  # fmt: skip
            numbers += [missing] if len(numbers) % 2 == 0 else [0, missing]
        return (), spans_of(pixels_of_runs(numbers, (height, width)))
    flat = isinstance(segmentation[0], int | float)
    return tuple(outline_of(outline) for outline in ([segmentation] if flat else segmentation)), ()


def size_of_runs(segmentation: Any) -> tuple[int, int] | None:
    """Width and height of the picture that run lengths speak of; None of anything else."""
    try:
        height, width = (int(side) for side in segmentation["size"])
    except (TypeError, ValueError, LookupError, OverflowError):
        return None
    return (width, height) if min(width, height) > 0 else None


def outline_of(numbers: Any) -> Outline:
    """x, y, x, y, … of three corners or more. Raises ValueError or TypeError."""
    values = finite(*numbers)
    if len(values) < 6 or len(values) % 2:
        raise ValueError("an outline that has not x and y of three corners or more")
    return tuple(zip(values[0::2], values[1::2], strict=True))
