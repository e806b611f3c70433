"""Scores as people can tell them apart: near 0 and 1, where limits of sure models lie, by their odds."""

from __future__ import annotations

import math

__all__ = ["log_odds", "probability_text", "standing_text"]

_SMALLEST = 1e-9
_FAR = 2.0
_CLEAR = 0.5


def probability_text(p: float) -> str:
    """A probability with three digits, or as many as tell it from 0 and 1: `0.409`, `0.0000136`, `0.999986`, `1.4e-12`."""
    if 0 < p < _SMALLEST:
        return f"{p:.1e}"
    if _SMALLEST <= p < 0.001:
        return f"{p:.{2 - math.floor(math.log10(p))}f}"
    if 0.999 < p < 1 - _SMALLEST:
        return f"{p:.{1 - math.floor(math.log10(1 - p))}f}"
    return f"{p:.3f}"


def log_odds(p: float, *, most: float = 6.0) -> float:
    """log₁₀(p / (1 − p)), cut to ± `most`: equal steps are equal factors of the odds."""
    if p <= 0 or p >= 1:
        return -most if p <= 0 else most
    return min(most, max(-most, math.log10(p) - math.log10(1 - p)))


def standing_text(score: float, *, pass_below: float, reject_from: float) -> str:
    """Where a score stands to the limits, in words: `far above the reject limit` is a hundred times its odds or more."""
    if pass_below <= score < reject_from:
        return "between the limits"
    above = score >= reject_from
    name, limit = ("reject", reject_from) if above else ("pass", pass_below)
    apart = abs(log_odds(score, most=12) - log_odds(limit, most=12))
    word = "far " if apart >= _FAR else "" if apart >= _CLEAR else "just "
    return f"{word}{'above' if above else 'below'} the {name} limit"
