"""Shewhart's p chart, Laney's p′ chart, and what counts as a signal on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby, pairwise

from kizu_inspect.sums.intervals import Share

__all__ = ["ChartPoint", "ControlChart", "Rule", "Signal", "laney_chart", "p_chart"]

D2 = 1.128
"""The mean range of two draws from a normal distribution, in units of its σ."""
ONE_SIDE = 9
STEADY = 6


class Rule(StrEnum):
    """When a chart says that something other than chance is at work."""

    BEYOND_LIMITS = "a point beyond 3σ"
    ONE_SIDE = "9 points in a row on one side of the centre line"
    STEADY = "6 points in a row rising or falling"
    NEAR_LIMITS = "2 of 3 points beyond 2σ on one side"


@dataclass(frozen=True)
class Signal:
    """One rule's finding: a point, or a run as long as it lasts."""

    rule: Rule
    indices: tuple[int, ...]
    """Of the points that make it up, rising, from 0. For 2 of 3 those beyond 2σ, not one between them."""
    upward: bool
    """Above the centre line, or rising."""


@dataclass(frozen=True)
class ChartPoint:
    """One group of parts and its limits."""

    share: Share
    """Defective parts of the parts inspected."""
    low: float | None
    """The lower limit, 0 to 1; None where there are none."""
    high: float | None


@dataclass(frozen=True)
class ControlChart:
    """A chart of shares in the order of time."""

    centre: Share
    """p̄: all defective parts, of all parts."""
    points: tuple[ChartPoint, ...]
    sigma_z: float | None
    """Laney's σ_z: how many times as much the groups vary as binomial shares do. None on a p chart, or where unknown."""
    no_limits: str | None
    """Why there are no limits and so no signals; None where there are."""
    signals: tuple[Signal, ...]
    """By rule, then by their first point."""


def p_chart(groups: Sequence[Share]) -> ControlChart:
    """p̄ = Σd/Σn with limits p̄ ± 3·sqrt(p̄(1 − p̄)/n_i), cut to [0, 1]; `groups` are defective parts of parts, oldest first.

    Shewhart's chart as in Montgomery, Introduction to Statistical Quality Control, chapter 7. With n in the thousands nearly
    every point lies beyond its limits: `laney_chart`. Raises ValueError for a group without parts.
    """
    return _chart(groups, laney=False)


def laney_chart(groups: Sequence[Share]) -> ControlChart:
    """Laney's p′ chart: z_i = (p_i − p̄)/σ_i, σ_z = mean|z_i − z_{i−1}|/1.128, limits p̄ ± 3·σ_i·σ_z, cut to [0, 1].

    Laney, Improved control charts for attributes, Quality Engineering 14 (2002) 531-537. `groups` as for `p_chart`; also
    without limits where σ_z is 0 or there is one group only. Raises ValueError for a group without parts.
    """
    return _chart(groups, laney=True)


def _chart(groups: Sequence[Share], *, laney: bool) -> ControlChart:
    if any(group.n == 0 for group in groups):
        raise ValueError("expected one part or more in each group, found a group without parts; leave it out")
    defective, inspected = sum(group.hits for group in groups), sum(group.n for group in groups)
    centre = Share(defective, inspected)
    sigma_z, reason = None, _no_limits(centre)
    z: list[float] = []
    if reason is None:
        # (p_i − p̄)/σ_i over one denominator: whole numbers above the line, so that equal shares come out as equal, to 0.
        spread = defective * (inspected - defective)
        z = [(group.hits * inspected - defective * group.n) / math.sqrt(group.n * spread) for group in groups]
        if laney:
            sigma_z, reason = _sigma_z(z)
    if reason is not None or centre.value is None:
        return ControlChart(centre, tuple(ChartPoint(group, None, None) for group in groups), sigma_z, reason, ())
    factor = 1.0 if sigma_z is None else sigma_z
    points = []
    for group in groups:
        reach = 3 * factor * math.sqrt(centre.value * (1 - centre.value) / group.n)
        points.append(ChartPoint(group, max(0.0, centre.value - reach), min(1.0, centre.value + reach)))
    signals = _signals([group.hits / group.n for group in groups], [one / factor for one in z])
    return ControlChart(centre, tuple(points), sigma_z, None, signals)


def _no_limits(centre: Share) -> str | None:
    if centre.n == 0:
        return "no limits: nothing was inspected"
    if centre.hits in (0, centre.n):
        return f"no limits: {'none' if centre.hits == 0 else 'each'} of {centre.n:,} parts is defective"
    return None


def _sigma_z(z: Sequence[float]) -> tuple[float | None, str | None]:
    if len(z) < 2:
        return None, "no limits: the variation between groups takes two groups or more, there is 1"
    sigma_z = sum(abs(later - earlier) for earlier, later in pairwise(z)) / (len(z) - 1) / D2
    return sigma_z, None if sigma_z > 0 else f"no limits: σ_z is 0, each of {len(z)} groups has the same share"


def _signals(p: Sequence[float], z: Sequence[float]) -> tuple[Signal, ...]:
    """Of shares and the same in units of their σ, from the centre line."""
    signals = [Signal(Rule.BEYOND_LIMITS, (index,), one > 0) for index, one in enumerate(z) if abs(one) > 3]
    signals += [Signal(Rule.ONE_SIDE, run, upward) for run, upward in _runs(z) if len(run) >= ONE_SIDE]
    for run, upward in _runs([later - earlier for earlier, later in pairwise(p)]):
        if len(run) >= STEADY - 1:
            signals.append(Signal(Rule.STEADY, (*run, run[-1] + 1), upward))
    return tuple(signals + _near_limits(z))


def _runs(values: Sequence[float]) -> list[tuple[tuple[int, ...], bool]]:
    """The unbroken runs of values above 0, and of those below, as indices; 0 breaks a run."""
    signs = [(value > 0) - (value < 0) for value in values]
    grouped = [(sign, tuple(run)) for sign, run in groupby(range(len(signs)), key=lambda index: signs[index])]
    return [(run, sign > 0) for sign, run in grouped if sign != 0]


def _near_limits(z: Sequence[float]) -> list[Signal]:
    found = []
    for sign in (1, -1):
        beyond = [index for index, one in enumerate(z) if sign * one > 2]
        chain: list[int] = []
        for index in beyond:
            # Two among three neighbours lie at most two apart; chains of such pairs are one signal.
            if chain and index - chain[-1] > 2:
                found.append((chain, sign))
                chain = []
            chain.append(index)
        found.append((chain, sign))
    signals = [Signal(Rule.NEAR_LIMITS, tuple(chain), sign > 0) for chain, sign in found if len(chain) >= 2]
    return sorted(signals, key=lambda signal: signal.indices)
