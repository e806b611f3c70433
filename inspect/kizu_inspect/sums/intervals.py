"""Shares with their denominators, and what a share of a sample says of the rate behind it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import betaincinv

__all__ = [
    "CONFIDENCE", "Share", "clopper_pearson", "clopper_pearson_lower", "clopper_pearson_upper", "parts_needed",
    "wilson_interval",
]  # fmt: skip

CONFIDENCE = 0.95
"""Of every interval and of every one-sided bound that is promised."""
Z_95 = 1.959963984540054
"""The normal distribution's 97.5 % quantile."""


def wilson_interval(hits: int, n: int) -> tuple[float, float]:
    """The two-sided 95 % Wilson score interval of hits/n, within [0, 1]; (0, 1) where n is 0. For display.

    (p + z²/2n ± z·sqrt(p(1 − p)/n + z²/4n²)) / (1 + z²/n), Wilson 1927. Raises ValueError unless 0 ≤ hits ≤ n.
    """
    _check(hits, n)
    if n == 0:
        return 0.0, 1.0
    p, z2 = hits / n, Z_95**2
    centre = p + z2 / (2 * n)
    half = Z_95 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    scale = 1 + z2 / n
    low = 0.0 if hits == 0 else (centre - half) / scale
    high = 1.0 if hits == n else (centre + half) / scale
    return low, high


def clopper_pearson(hits: int, n: int, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The two-sided exact interval of hits/n, within [0, 1]; (0, 1) where n is 0 (Clopper and Pearson, 1934).

    `confidence` lies between 0 and 1, both excluded. Raises ValueError unless 0 ≤ hits ≤ n.
    """
    one_sided = (1 + confidence) / 2
    low = clopper_pearson_lower(hits, n, confidence=one_sided)
    return low, clopper_pearson_upper(hits, n, confidence=one_sided)


def clopper_pearson_upper(hits: int, n: int, *, confidence: float = CONFIDENCE) -> float:
    """The one-sided exact upper bound of a rate, 0 to 1: the rate at which `hits` or fewer of n come with 1 − confidence.

    Without a hit it is 1 − (1 − confidence)^(1/n), about 3/n for 95 %; 1 where n is 0. Raises ValueError unless 0 ≤ hits ≤ n.
    """
    _check(hits, n)
    # What scipy.stats.beta.ppf comes down to, without its 40 µs a call: thresholds ask for thousands.
    return 1.0 if hits == n else float(betaincinv(hits + 1, n - hits, confidence))


def clopper_pearson_lower(hits: int, n: int, *, confidence: float = CONFIDENCE) -> float:
    """The one-sided exact lower bound of a rate, 0 to 1; 0 where n is 0. Raises ValueError unless 0 ≤ hits ≤ n."""
    _check(hits, n)
    return 0.0 if hits == 0 else float(betaincinv(hits, n - hits + 1, 1 - confidence))


@dataclass(frozen=True)
class Share:
    """hits of n, never shown without its denominator. Raises ValueError unless 0 ≤ hits ≤ n."""

    hits: int
    n: int

    def __post_init__(self) -> None:
        _check(self.hits, self.n)

    @property
    def value(self) -> float | None:
        """hits / n, or None of nothing."""
        return self.hits / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval."""
        return wilson_interval(self.hits, self.n)

    @property
    def upper_bound(self) -> float:
        """The one-sided 95 % Clopper-Pearson upper bound: what may be promised."""
        return clopper_pearson_upper(self.hits, self.n)

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

    @property
    def dppm(self) -> float | None:
        """Hits in a million, or None of nothing."""
        return None if self.value is None else 1e6 * self.value

    @property
    def dppm_text(self) -> str:
        """`1,000 DPPM (1 of 1,000; 95 % interval 177 to 5,643 DPPM)`."""
        if self.value is None:
            return "– (0 of 0)"
        low, high = self.interval
        return f"{self.dppm:,.0f} DPPM ({self.hits:,} of {self.n:,}; 95 % interval {1e6 * low:,.0f} to {1e6 * high:,.0f} DPPM)"


def _check(hits: int, n: int) -> None:
    if not 0 <= hits <= n:
        raise ValueError(f"expected 0 ≤ hits ≤ n, found {hits} of {n}")


def parts_needed(miss_rate: float) -> int:
    """Defective parts, none of them missed, that a promise of `miss_rate` takes: 59 for 5 %, 149 for 2 %, 299 for 1 %."""
    return math.ceil(math.log(1 - CONFIDENCE) / math.log(1 - miss_rate))
