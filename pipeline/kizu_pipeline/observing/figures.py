"""Sums over a running line: how long verdicts take, and how many there are a second. Not thread-safe by themselves."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

__all__ = ["LATENCY_BUCKETS_S", "Latencies", "Rate"]

LATENCY_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_LAST: Final = 1000
_RATE_OVER_S: Final = 60


class Latencies:
    """A histogram of all durations, and the last 1,000 themselves for quantiles."""

    def __init__(self) -> None:
        self.sum_s = 0.0
        self._counts = [0] * (len(LATENCY_BUCKETS_S) + 1)
        self._last: deque[float] = deque(maxlen=_LAST)

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self.sum_s += seconds
        self._counts[bisect_left(LATENCY_BUCKETS_S, seconds)] += 1
        self._last.append(seconds)

    @property
    def cumulative(self) -> list[tuple[float, int]]:
        """Each bucket's upper bound in seconds, the last infinite, with how many durations are at or below it."""
        return list(zip((*LATENCY_BUCKETS_S, math.inf), accumulate(self._counts), strict=True))

    def quantiles_s(self, shares: Sequence[float]) -> list[float | None]:
        """Of the last 1,000: the least duration that at least each of these shares (0 to 1) do not exceed; None without any."""
        ordered = sorted(self._last)
        return [ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None for share in shares]


@dataclass
class _Second:
    """What was counted within one second."""

    number: int
    count: int = 0


class Rate:
    """Events a second over the last minute, or since the start where that is less."""

    def __init__(self, started_s: float) -> None:
        """`started_s` is the monotonic time at which counting begins."""
        self._started_s = started_s
        self._seconds: deque[_Second] = deque(maxlen=_RATE_OVER_S + 1)

    def add(self, now_s: float) -> None:
        """Count one event at this monotonic time."""
        number = math.floor(now_s)
        if not self._seconds or self._seconds[-1].number < number:
            self._seconds.append(_Second(number))
        self._seconds[-1].count += 1

    def per_s(self, now_s: float) -> float:
        """As of this monotonic time."""
        first = math.floor(now_s) - _RATE_OVER_S
        over_s = min(_RATE_OVER_S + now_s - math.floor(now_s), max(now_s - self._started_s, 1.0))
        return sum(second.count for second in self._seconds if second.number >= first) / over_s
