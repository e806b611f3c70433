"""What limits rest on: one that a single odd picture decides is no limit to run a line by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from kizu_inspect.bundle import Thresholds
from kizu_inspect.training.gaps import log_odds

__all__ = ["RestsOn", "Support", "cautions_of", "said_of", "supports_of"]

MOST_MOVE: Final = 1.0
"""In log-odds: by so much no single picture may move a limit unnoticed."""
LEAST_MOVE: Final = 0.1
"""In log-odds: a smaller one is none, a tenth of the odds."""
EXTREME: Final = 1e-3
NAMED: Final = 3
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class RestsOn:
    """A picture, and where a limit would lie without it."""

    picture: int
    """Which of the pictures that set the limits."""
    without: float
    """The limit without it."""
    move: float
    """How far from the limit that is, in log-odds; above 0."""


@dataclass(frozen=True)
class Support:
    """What a limit rests on."""

    limit: str
    """PASS, REJECT, or both where they are one and rest on the same pictures."""
    value: float
    rests_on: tuple[RestsOn, ...]
    """Every picture without which it would lie elsewhere, the largest move first."""

    @property
    def odd(self) -> tuple[RestsOn, ...]:
        """Those without which it would lie elsewhere by 1 or more in log-odds."""
        return tuple(one for one in self.rests_on if one.move >= MOST_MOVE)

    @property
    def named(self) -> tuple[RestsOn, ...]:
        """Those to look at: the odd ones, at most three; without any the one that it rests on most, where there is one."""
        return self.odd[:NAMED] or (self.most if len(self.most) == 1 else ())

    @property
    def most(self) -> tuple[RestsOn, ...]:
        """Those without any one of which it would lie farthest away, by 0.1 or more in log-odds; all of one move."""
        largest = self.rests_on[0].move if self.rests_on else 0.0
        return tuple(one for one in self.rests_on if one.move == largest >= LEAST_MOVE)


def supports_of(
    scores: Floats, defective: Bools, limits_of: Callable[[Floats, Bools], tuple[float, float]]
) -> tuple[Support, ...]:
    """What the limits of pictures rest on, by leaving out one after the other.

    `limits_of` makes PASS and REJECT limit of scores (N,) and truths (N,).
    """
    here = limits_of(scores, defective)
    known: dict[tuple[float, bool], tuple[float, float]] = {}  # pictures of one score and kind are worth the same
    moved: tuple[list[RestsOn], list[RestsOn]] = [], []
    for index in range(len(scores)):
        kind = float(scores[index]), bool(defective[index])
        if kind not in known:
            known[kind] = limits_of(np.delete(scores, index), np.delete(defective, index))
        for rests, without, limit in zip(moved, known[kind], here, strict=True):
            move = abs(float(log_odds(without) - log_odds(limit)))
            if move > 0:
                rests.append(RestsOn(index, without, move))
    on_pass, on_reject = (tuple(sorted(rests, key=lambda one: -one.move)) for rests in moved)
    if here[0] == here[1] and on_pass == on_reject:
        return (Support("PASS and REJECT", here[0], on_pass),)
    return Support("PASS", here[0], on_pass), Support("REJECT", here[1], on_reject)


def said_of(supports: Sequence[Support], scores: Floats, names: Sequence[str]) -> tuple[str, ...]:
    """What each limit that does not hang on single pictures rests on, a line each."""
    return tuple(_said(support, scores, names) for support in supports if not support.odd)


def _said(support: Support, scores: Floats, names: Sequence[str]) -> str:
    if not support.most:
        line = "{limit} limit {value:.2g}: whichever picture were missing, it would hardly move"
        return line.format(limit=support.limit, value=support.value)
    most, count = support.most[0], len(support.most)
    if count > 1:  # which is missing is all the same: one fewer allows other misses, or less overkill
        line = "{limit} limit {value:.2g}: without any one of {count} pictures it would be {without:.2g}"
        return line.format(limit=support.limit, value=support.value, count=count, without=most.without)
    line = "{limit} limit {value:.2g} rests most on {name} (score {score:.2g}): without it, it would be {without:.2g}"
    return line.format(
        limit=support.limit, value=support.value, name=names[most.picture], score=scores[most.picture], without=most.without
    )


def cautions_of(thresholds: Thresholds, supports: Sequence[Support], names: Sequence[str]) -> tuple[str, ...]:
    """What to say of limits, a line each: the pictures that decide one of them alone, and limits that leave no room."""
    lines = []
    for support in supports:
        if not support.odd:
            continue
        without = "; ".join(f"without {names[one.picture]} it would be {one.without:.2g}" for one in support.named)
        moved = [one.without for one in support.odd]
        # Where one picture fewer changes how many may be missed, or whether anything can be promised, nearly all of them do.
        more = (
            f". In all {len(moved)} pictures do, each by itself, to between {min(moved):.2g} and {max(moved):.2g}: the set "
            "is too small to carry this limit"
            if len(moved) > NAMED
            else ""
        )
        lines.append(
            f"look at these pictures: the {support.limit} limit {support.value:.2g} hangs on single ones: {without}{more}. "
            "A wrong label, or too few validation pictures."
        )
    low, high = thresholds.pass_below, thresholds.reject_from
    if low == high and (low < EXTREME or low > 1 - EXTREME):
        everything = "rejects" if low < EXTREME else "passes"
        lines.append(f"PASS and REJECT limit are both {low:.2g}: a little drift of light or camera {everything} everything")
    return tuple(lines)
