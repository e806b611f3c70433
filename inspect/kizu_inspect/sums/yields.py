"""Yields of stations, and the rates of parts whose truth is known."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kizu_inspect.results import Verdict
from kizu_inspect.sums.intervals import CONFIDENCE, Share, clopper_pearson

__all__ = ["Reviewed", "RolledYield", "first_pass_yield", "first_verdicts", "reviewed", "share_of"]


def share_of(verdict: Verdict, counts: Mapping[Verdict, int]) -> Share:
    """How many of all that were counted, inspections or parts, got this verdict."""
    return Share(counts.get(verdict, 0), sum(counts.values()))


def first_pass_yield(counts: Mapping[Verdict, int]) -> Share:
    """What passed of all that was started; ERROR and REVIEW count as not passed.

    By parts where `counts` are those of `first_verdicts`; by inspections where they count every picture.
    """
    return share_of(Verdict.PASS, counts)


def first_verdicts(inspections: Iterable[tuple[str, str | None, Verdict]]) -> Counter[Verdict]:
    """How many parts got which verdict the first time, of (part, view, verdict) in the order of judging.

    The first inspection of each view counts, whatever came later; a part's verdict is the worst of its views.
    """
    seen: set[tuple[str, str | None]] = set()
    worst: dict[str, Verdict] = {}
    for part, view, verdict in inspections:
        if (part, view) in seen:
            continue
        seen.add((part, view))
        worst[part] = max(worst.get(part, Verdict.PASS), verdict, key=lambda one: one.severity)
    return Counter(worst.values())


@dataclass(frozen=True)
class RolledYield:
    """The share of parts that pass every station the first time, if stations fail independently.

    Raises ValueError where there is no station.
    """

    stations: tuple[Share, ...]
    """The first-pass yield of each."""

    def __post_init__(self) -> None:
        if not self.stations:
            raise ValueError("expected the first-pass yield of one station or more, found none")

    @property
    def value(self) -> float | None:
        """The product over the stations, or None where one of them started nothing."""
        values = [station.value for station in self.stations if station.value is not None]
        return math.prod(values) if len(values) == len(self.stations) else None

    @property
    def interval(self) -> tuple[float, float]:
        """At least 95 %: the products of the stations' Clopper-Pearson limits, the 5 % shared out evenly among them.

        A product of shares has no binomial interval; these limits hold for all stations at once (Bonferroni).
        """
        each = 1 - (1 - CONFIDENCE) / len(self.stations)
        limits = [clopper_pearson(station.hits, station.n, confidence=each) for station in self.stations]
        return math.prod(low for low, _ in limits), math.prod(high for _, high in limits)

    @property
    def text(self) -> str:
        """`90.2 % (3 stations, 200 or more parts at each; 95 % interval 79.8 to 96.2 %)`."""
        stations = f"{len(self.stations)} station{'s' if len(self.stations) > 1 else ''}"
        fewest = f"{min(station.n for station in self.stations):,} or more parts at each"
        if self.value is None:
            return f"– ({stations}, {fewest})"
        low, high = self.interval
        return f"{100 * self.value:.1f} % ({stations}, {fewest}; 95 % interval {100 * low:.1f} to {100 * high:.1f} %)"


@dataclass(frozen=True)
class Reviewed:
    """Parts whose truth is known, all of a period or a random draw of them; positive means defective.

    Where PASS parts were only drawn for the audit, `audit_sample` has the sums. Raises ValueError for a count below 0.
    """

    tp: int
    """Defective, and not passed."""
    fp: int
    """Good, and rejected: overkill."""
    tn: int
    """Good, and not rejected."""
    fn: int
    """Defective, and passed: escapes."""

    def __post_init__(self) -> None:
        if min(self.tp, self.fp, self.tn, self.fn) < 0:
            raise ValueError(f"expected counts from 0, found {self}")

    @property
    def miss_rate(self) -> Share:
        """FN of FN + TP: escapes among the defective parts."""
        return Share(self.fn, self.fn + self.tp)

    @property
    def overkill(self) -> Share:
        """FP of FP + TN: rejected among the good parts."""
        return Share(self.fp, self.fp + self.tn)

    @property
    def outgoing(self) -> Share:
        """FN of FN + TN: defective among the parts that go out; its `dppm` is the outgoing DPPM."""
        return Share(self.fn, self.fn + self.tn)


def reviewed(judged: Iterable[tuple[Verdict, bool]]) -> Reviewed:
    """Counts (verdict, whether the part is defective); REVIEW is neither miss nor overkill, ERROR stays out."""
    counts = Counter(judged)
    passed, held, rejected = Verdict.PASS, Verdict.REVIEW, Verdict.REJECT
    return Reviewed(
        tp=counts[held, True] + counts[rejected, True],
        fp=counts[rejected, False],
        tn=counts[passed, False] + counts[held, False],
        fn=counts[passed, True],
    )
