"""One drawn part with the truth about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kizu_inspect.errors import DataError
from kizu_inspect.results import ImageRGB
from kizu_inspect.synth.defects import MARKS
from kizu_inspect.synth.plate import RIM_PX, distance_to_hole, outline, photograph, place, surface

__all__ = ["KINDS", "SMALLEST_PX", "Box", "DrawnPart", "draw_part"]

KINDS = ("good", "scratch", "dent", "stain", "missing_hole")
"""What can be drawn: the sound part first, then its four defects."""

SMALLEST_PX = 64

Box = tuple[int, int, int, int, str]
"""(x1, y1, x2, y2, label) in pixels, right and lower edge exclusive."""


@dataclass(frozen=True)
class DrawnPart:
    """One drawn part and the truth about it."""

    image: ImageRGB
    """(S, S, 3) uint8, red first."""
    mask: npt.NDArray[np.bool_]
    """(S, S): the defect's pixels; for a missing hole, where it should be. All False on a sound part."""
    boxes: tuple[Box, ...]
    """(x1, y1, x2, y2, label) around the mask, right and lower edge exclusive; empty on a sound part."""
    label: str
    """One of `KINDS`."""


def draw_part(kind: str, seed: int, *, size_px: int = 160) -> DrawnPart:
    """One part of this kind, `size_px` high and wide. The same arguments give the same pixels.

    Raises DataError for a kind that is not in `KINDS`, a negative seed, or a picture under 64 px.
    """
    if kind not in KINDS:
        raise DataError("Unknown kind of part", found=repr(kind), expected=f"one of {', '.join(KINDS)}")
    if seed < 0:
        raise DataError("A drawn part's seed is negative", found=seed, expected="0 or more")
    if size_px < SMALLEST_PX:
        raise DataError(
            "A drawn part is too small to show a defect", found=f"{size_px} px", expected=f"at least {SMALLEST_PX} px"
        )
    rng = np.random.default_rng((seed, 0))
    defect_rng = np.random.default_rng((seed, KINDS.index(kind)))
    scene = place(rng, size_px)
    drilled = [True] * 4
    if kind == "missing_hole":
        drilled[int(defect_rng.integers(4))] = False

    metal = surface(rng, scene)  # (S, S)
    cover, shade = outline(rng, scene, drilled)  # (S, S) in [0, 1]: where metal is; (S, S): bevels and rims
    metal += shade
    colour = np.repeat(metal[:, :, None], 3, axis=2)  # (S, S, 3)
    if kind == "missing_hole":
        missing = drilled.index(False)
        mask = distance_to_hole(scene, missing) <= scene.hole_radii[missing] + RIM_PX * scene.scale
    elif kind == "good":
        mask = np.zeros(metal.shape, dtype=np.bool_)
    else:
        alpha = MARKS[kind](defect_rng, scene, colour)
        mask = (alpha > 0.25) & (cover > 0.5)
    image = photograph(rng, scene, colour, cover)
    return DrawnPart(image=image, mask=mask, boxes=_boxes(mask, kind), label=kind)


def _boxes(mask: npt.NDArray[np.bool_], label: str) -> tuple[Box, ...]:
    """The box around the mask, right and lower edge exclusive; none where the mask is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return ()
    return ((int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1, label),)
