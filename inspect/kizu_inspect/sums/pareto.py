"""Which defects are the many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kizu_inspect.sums.intervals import Share

__all__ = ["ParetoBar", "pareto"]


@dataclass(frozen=True)
class ParetoBar:
    """One defect class."""

    name: str
    share: Share
    """Its count, of all defects."""
    cumulative: Share
    """The count of it and of every class before it, of all defects."""


def pareto(counts: Mapping[str, int]) -> tuple[ParetoBar, ...]:
    """The classes by falling count, ties by name; a class without a defect is left out.

    Raises ValueError for a count below 0.
    """
    if any(count < 0 for count in counts.values()):
        raise ValueError(f"expected counts from 0, found {dict(counts)}")
    total, so_far, bars = sum(counts.values()), 0, []
    for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if count:
            so_far += count
            bars.append(ParetoBar(name, Share(count, total), Share(so_far, total)))
    return tuple(bars)
