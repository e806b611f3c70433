"""What is measured of a picture before it is judged, and why one is stopped: no broken picture passes as a good part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["MEASURES", "Limits", "Measure", "fault_of"]

Limits = Mapping[str, tuple[float | None, float | None]]
"""By measure its least and its most; None where there is no such limit."""


@dataclass(frozen=True)
class Measure:
    """One thing that is measured of every picture."""

    shown: str
    """How its value is told."""
    room: float
    """By how much a picture may leave the range of the training pictures at least."""
    below: str
    """What to look at where the value is too small."""
    above: str
    """The same where it is too great."""
    scales: bool = False
    """Whether twice as much is as far away as half as much; its room is then a share."""


MEASURES: Final[dict[str, Measure]] = {
    "width_px": Measure("{:.0f} px wide", 0.1, "the camera's format", "the camera's format", scales=True),
    "height_px": Measure("{:.0f} px high", 0.1, "the camera's format", "the camera's format", scales=True),
    "blank": Measure("{:.1%} of the rows or columns are of one value", 0.02, "", "the transfer: rows are missing"),
    "level": Measure("mean level {:.1f} of 255", 0.1, "lamp, exposure, bit depth", "lamp, exposure", scales=True),
    "spread": Measure("standard deviation {:.1f} of 255", 0.1, "lamp, lens cap, bit depth", "lamp, exposure", scales=True),
    "black": Measure("{:.1%} of the pixels are black", 0.01, "", "lamp, exposure, black level"),
    "white": Measure("{:.1%} of the pixels are saturated", 0.01, "", "lamp, exposure, gain"),
    "tones": Measure("{:.0f} of 256 levels occur", 0.1, "bit depth, a threshold in the camera", "bit depth", scales=True),
    "noise": Measure("noise {:.2f} of 255", 0.2, "focus, a smoothing filter", "gain, light, cable", scales=True),
    "sharpness": Measure("sharpness {:.2f}", 0.1, "focus, dirt on the lens, movement", "noise, a sharpening filter"),
    "red_over_blue": Measure("red {:.1f} over blue", 3, "white balance, order of colours", "white balance, order of colours"),
    "green_over_others": Measure(
        "green {:.1f} over red and blue", 3, "white balance, pixel format", "white balance, pixel format"
    ),
}
"""In the order in which they are told."""


def fault_of(measured: Mapping[str, float], limits: Limits) -> str | None:
    """Why this is no picture of a part, with values and limits, and what to look at; None where all lie within `limits`.

    A picture of a single value shows no part whatever the limits are.
    """
    if measured["blank"] == 1 and measured["spread"] == 0:
        return f"no picture of a part: all its pixels have one value, {measured['level']:.0f}. Check the camera and its light."
    found, look = [], []
    for name, one in MEASURES.items():
        low, high = limits.get(name, (None, None))
        value = measured[name]
        if low is not None and value < low:
            found.append(f"{one.shown.format(value)}, limit ≥ {_number(one, low)}")
            look.append(one.below)
        elif high is not None and value > high:
            found.append(f"{one.shown.format(value)}, limit ≤ {_number(one, high)}")
            look.append(one.above)
    if not found:
        return None
    ways = ", ".join(dict.fromkeys(way for ways in look for way in ways.split(", ") if way))
    return f"no picture like those of the training: {'; '.join(found)}. Check {ways}; recipe.gates moves these limits."


def _number(one: Measure, limit: float) -> str:
    """A limit in the form of its measure's values."""
    start, end = one.shown.index("{"), one.shown.index("}") + 1
    return one.shown[start:end].format(limit)
