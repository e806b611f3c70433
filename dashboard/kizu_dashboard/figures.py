"""The sums of inspection, each with its denominator and interval."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from kizu_inspect.results import Verdict

__all__ = ["Share", "first_pass_yield", "share_of", "wilson_interval"]

Z_95 = 1.959963984540054
"""The normal distribution's 97.5 % quantile."""


def wilson_interval(hits: int, n: int) -> tuple[float, float]:
    """The two-sided 95 % Wilson score interval of hits/n, within [0, 1]; (0, 1) where n is 0.

    (p + z²/2n ± z·sqrt(p(1 − p)/n + z²/4n²)) / (1 + z²/n), Wilson 1927.
    """
    if not 0 <= hits <= n:
        raise ValueError(f"expected 0 ≤ hits ≤ n, found {hits} of {n}")
    if n == 0:
        return 0.0, 1.0
    p, z2 = hits / n, Z_95**2
    centre = p + z2 / (2 * n)
    half = Z_95 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    scale = 1 + z2 / n
    low = 0.0 if hits == 0 else (centre - half) / scale
    high = 1.0 if hits == n else (centre + half) / scale
    return low, high


@dataclass(frozen=True)
class Share:
    """hits of n, never shown without its denominator."""

    hits: int
    n: int

    @property
    def value(self) -> float | None:
        """hits / n, or None of nothing."""
        return self.hits / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval."""
        return wilson_interval(self.hits, self.n)

    @property
    def percent(self) -> str:
        """`93.1 %`, or a dash of nothing."""
        return "–" if self.value is None else f"{100 * self.value:.1f} %"

    @property
    def text(self) -> str:
        """`93.1 % (27 of 29; 95 % interval 78.0 to 98.1 %)`."""
        if self.value is None:
            return "– (0 of 0)"
        low, high = self.interval
        return f"{self.percent} ({self.hits:,} of {self.n:,}; 95 % interval {100 * low:.1f} to {100 * high:.1f} %)"


def share_of(verdict: Verdict, counts: Mapping[Verdict, int]) -> Share:
    """How many of all inspections got this verdict."""
    return Share(counts.get(verdict, 0), sum(counts.values()))


def first_pass_yield(counts: Mapping[Verdict, int]) -> Share:
    """Inspections that passed of all inspections; ERROR and REVIEW count as not passed."""
    return share_of(Verdict.PASS, counts)
