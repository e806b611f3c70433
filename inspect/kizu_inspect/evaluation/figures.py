"""One figure with its interval and what it rests on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kizu_inspect.sums.intervals import wilson_interval

__all__ = ["Figure", "bootstrap", "wilson"]

DRAWS = 1000


@dataclass(frozen=True)
class Figure:
    """A value with its 95 % interval from n observations; all None where there was nothing to measure.

    The interval alone is None where the observations are too few to tell one.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int

    def as_json(self) -> dict[str, float | int | None]:
        """value, low, high, n."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}

    def __str__(self) -> str:
        if self.value is None:
            return f"– (n = {self.n})"
        if self.low is None or self.high is None:
            return f"{self.value:.3f} (n = {self.n})"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}] (n = {self.n})"


def wilson(successes: int, n: int) -> Figure:
    """A rate with its Wilson score interval."""
    if n == 0:
        return Figure(None, None, None, 0)
    low, high = wilson_interval(successes, n)
    return Figure(successes / n, low, high, n)


def bootstrap(n: int, statistic: Callable[[npt.NDArray[np.int64]], float], *, seed: int = 0) -> Figure:
    """`statistic` of all n observations, given as indices, with its percentile bootstrap interval (1,000 draws)."""
    if n == 0:
        return Figure(None, None, None, 0)
    value = statistic(np.arange(n))
    if not np.isfinite(value):
        return Figure(None, None, None, n)
    generator = np.random.default_rng(seed)
    drawn = np.array([statistic(generator.integers(0, n, n)) for _ in range(DRAWS)])
    low, high = np.quantile(drawn[np.isfinite(drawn)], [0.025, 0.975])
    return Figure(float(value), float(low), float(high), n)
