"""Escapes, overkill and review load of all parts, as far as a random draw of them was reviewed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from kizu_inspect.results import Verdict
from kizu_inspect.sums.audit_sample import AuditEstimates, Estimate, Stratum, audit_estimates

__all__ = ["Drawn", "Outcome", "Outcomes", "outcomes"]

Outcome = tuple[Verdict, bool]
"""The verdict of a part, and whether it is defective."""


@dataclass(frozen=True)
class Drawn:
    """Parts that a person was to review with one and the same chance. Counts as in `Stratum`, and as it raises."""

    total: int
    """All of them, drawn or not."""
    probability: float
    """π: of PASS parts that of the audit sample, 0 where none was drawn; 1 of parts that are all to be reviewed."""
    drawn: int
    """Reviewed or still waiting."""
    reviewed: Mapping[Outcome, int]
    verdict: Verdict | None = None
    """That of them all; None where it may be any, as with other limits than those that judged."""

    @property
    def known(self) -> int:
        """How many were reviewed."""
        return sum(self.reviewed.values())


@dataclass(frozen=True)
class Outcomes:
    """Each figure with its one-sided 95 % upper bound, and as unknown where no draw tells."""

    parts: int
    escapes: Estimate
    """Defective parts that pass."""
    outgoing: Estimate
    """Of the parts that pass, 0 to 1."""
    miss_rate: Estimate
    """Of the defective parts, 0 to 1."""
    overkill: Estimate
    """Good parts that are rejected."""
    overkill_rate: Estimate
    """Of the good parts, 0 to 1."""
    review_rate: Estimate
    """Parts that go to REVIEW, of all, 0 to 1."""


def outcomes(strata: Sequence[Drawn]) -> Outcomes:
    """What the reviewed parts say of all. Bounds are those of `audit_estimates`, with the same care for draws without a hit.

    A rate's bound takes the rest of its denominator (the defective parts that did not pass, the good ones that were not
    rejected, the parts that pass) for as many as estimated.
    """
    escapes = _count(strata, Verdict.PASS, lambda verdict, bad: verdict is Verdict.PASS and bad)
    passing = _estimated(strata, lambda verdict, _: verdict is Verdict.PASS)
    caught = _estimated(strata, lambda verdict, bad: verdict is not Verdict.PASS and bad)
    spared = _estimated(strata, lambda verdict, bad: verdict is not Verdict.REJECT and not bad)
    overkill = _count(strata, Verdict.REJECT, lambda verdict, bad: verdict is Verdict.REJECT and not bad)
    review = _count(strata, Verdict.REVIEW, lambda verdict, _: verdict is Verdict.REVIEW)
    parts = sum(one.total for one in strata)
    return Outcomes(
        parts,
        escapes.escapes,
        _rate(escapes.escapes, lambda _: passing),
        _rate(escapes.escapes, lambda hits: None if caught is None else hits + caught),
        overkill.escapes,
        _rate(overkill.escapes, lambda hits: None if spared is None else hits + spared),
        _rate(review.escapes, lambda _: float(parts)),
    )


def _count(strata: Sequence[Drawn], verdict: Verdict, hit: Callable[[Verdict, bool], bool]) -> AuditEstimates:
    """How many parts are such a hit, which only parts of this verdict can be."""
    able = [one for one in strata if one.verdict in (None, verdict)]
    return audit_estimates([_stratum(one, hit) for one in able], caught=0)


def _estimated(strata: Sequence[Drawn], hit: Callable[[Verdict, bool], bool]) -> float | None:
    """The same without a bound; None where a stratum cannot tell."""
    counts = [_estimate(one, hit) for one in strata if one.verdict is None or hit(one.verdict, True) or hit(one.verdict, False)]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _estimate(one: Drawn, hit: Callable[[Verdict, bool], bool]) -> float | None:
    if one.verdict is not None and hit(one.verdict, False) and not hit(one.verdict, True):
        # Good ones of a known number: what is left of it is surer than a weighted count of its own.
        defective = _stratum(one, lambda _, bad: bad).estimate
        return None if defective is None else one.total - defective
    return _stratum(one, hit).estimate


def _stratum(one: Drawn, hit: Callable[[Verdict, bool], bool]) -> Stratum:
    if one.verdict is not None and hit(one.verdict, True) and hit(one.verdict, False):
        return Stratum(one.total, 1.0, one.total, one.total)  # whatever they are: known without a review
    hits = sum(n for (verdict, bad), n in one.reviewed.items() if hit(verdict, bad))
    return Stratum(one.total, one.probability, one.known, hits, one.drawn)


def _rate(count: Estimate, whole: Callable[[float], float | None]) -> Estimate:
    """The count of a whole that may grow with it; unknown where the whole is, and then at most 1."""

    def share(hits: float | None) -> float | None:
        of = None if hits is None else whole(hits)
        return None if hits is None or not of else min(1.0, hits / of)

    upper = share(count.upper)
    return replace(count, value=share(count.value), upper=1.0 if upper is None else upper)
