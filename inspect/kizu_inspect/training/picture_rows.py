"""Pictures that somebody should look at, as a row of a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.figure import FigureBase

from kizu_inspect.labelled.checking.page import thumbnail
from kizu_inspect.labelled.samples import Sample
from kizu_inspect.recipe import Bits
from kizu_inspect.training.limit_support import Support

__all__ = ["ROW_INCHES", "Shown", "draw_row", "limiting_pictures"]

ROW_INCHES: Final = 2.4
"""Height of a row with its title and captions."""
NAME: Final = 26
"""Characters of a file's name that fit over its picture; of a longer one its end tells more."""


@dataclass(frozen=True)
class Shown:
    """A picture and what is said below it, a few short lines."""

    sample: Sample
    said: str


def limiting_pictures(
    supports: Sequence[Support], samples: Sequence[Sample], scores: npt.NDArray[np.float64]
) -> tuple[Shown, ...]:
    """The pictures that limits rest on, of `samples` with their `scores` (N,)."""
    said = "{label}, score {score:.2g}\n{limit} limit {value:.2g},\nwithout it {without:.2g}"
    return tuple(
        Shown(
            samples[one.picture],
            said.format(
                label=samples[one.picture].label, score=scores[one.picture], limit=support.limit, value=support.value,
                without=one.without,
            ),
        )
        for support in supports
        for one in support.named
    )  # fmt: skip


def draw_row(figure: FigureBase, title: str, shown: Sequence[Shown], bits: Bits | None, *, places: int) -> None:
    """Draws the first of them, up to `places`, from the left, with what is marked on each."""
    figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    for axes, one in zip_longest(figure.subplots(1, places, squeeze=False).flat, shown[:places]):
        axes.set_axis_off()
        axes.set_anchor("N")  # close to the row's title, however narrow the pictures are
        if one is None:
            continue
        small = thumbnail(one.sample, bits)
        if small is None:
            axes.text(0.5, 0.5, "cannot be read", ha="center", va="center")
        else:
            axes.imshow(small)
        name = one.sample.path.name
        axes.set_title(name if len(name) <= NAME else f"…{name[-NAME:]}", fontsize=7, parse_math=False)
        axes.text(0.5, -0.04, one.said, ha="center", va="top", fontsize=7, transform=axes.transAxes, parse_math=False)
