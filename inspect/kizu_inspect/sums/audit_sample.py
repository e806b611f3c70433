"""How many defective parts passed, as far as the audit sample can tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import betaincinv

from kizu_inspect.sums.intervals import CONFIDENCE, clopper_pearson_upper

__all__ = ["AuditEstimates", "Estimate", "Stratum", "audit_estimates"]

DRAWS = 20_000


@dataclass(frozen=True)
class Stratum:
    """PASS parts that were drawn for the audit with one and the same probability.

    Raises ValueError unless 0 ≤ escapes ≤ audited ≤ drawn ≤ passes and 0 ≤ probability ≤ 1, without a draw at 0.
    """

    passes: int
    """All PASS parts, drawn or not."""
    probability: float
    """π, of each of them to be drawn."""
    audited: int
    """Those drawn and reviewed since."""
    escapes: int
    """Defective ones among the audited."""
    drawn: int | None = None
    """Where some still wait for their review; None: all that were drawn are reviewed."""

    def __post_init__(self) -> None:
        if not 0 <= self.escapes <= self.audited <= self.all_drawn <= self.passes:
            raise ValueError(f"expected 0 ≤ escapes ≤ audited ≤ drawn ≤ passes, found {self}")
        if not 0 <= self.probability <= 1 or (self.probability == 0 and self.all_drawn > 0):
            raise ValueError(f"expected a probability of 0 to 1, above 0 where parts were drawn, found {self}")

    @property
    def all_drawn(self) -> int:
        """Reviewed or waiting."""
        return self.audited if self.drawn is None else self.drawn

    @property
    def most(self) -> int:
        """More escapes there cannot be: all that were not found good."""
        return self.passes - self.audited + self.escapes

    @property
    def estimate(self) -> float | None:
        """Escapes weighted by 1/π (Horvitz and Thompson, 1952), at most `most`; None where nothing could be or was reviewed.

        Of draws that still wait, as large a share is taken to be defective as of those that were reviewed.
        """
        if self.passes == 0 or (self.probability > 0 and self.all_drawn == 0):
            return 0.0
        if self.audited == 0:
            return None
        return min(float(self.most), self.escapes / self.probability * (self.all_drawn / self.audited))


@dataclass(frozen=True)
class Estimate:
    """A figure that rests on the audit sample, never shown without the number of parts audited."""

    value: float | None
    """None where the sample says nothing."""
    upper: float
    """Its one-sided 95 % upper bound."""
    escapes: int
    """Found in the sample."""
    audited: int
    """n: parts in the sample."""

    @property
    def text(self) -> str:
        """Of a rate: `0.2 %, at most 0.9 % (95 % bound; 1 escape among 500 audited)`."""
        value = "–" if self.value is None else f"{100 * self.value:.1f} %"
        return f"{value}, at most {100 * self.upper:.1f} % ({self._sample})"

    @property
    def dppm_text(self) -> str:
        """Of a rate: `2,000 DPPM, at most 9,452 DPPM (95 % bound; 1 escape among 500 audited)`."""
        value = "–" if self.value is None else f"{1e6 * self.value:,.0f} DPPM"
        return f"{value}, at most {1e6 * self.upper:,.0f} DPPM ({self._sample})"

    @property
    def _sample(self) -> str:
        return f"95 % bound; {self.escapes:,} escape{'' if self.escapes == 1 else 's'} among {self.audited:,} audited"


@dataclass(frozen=True)
class AuditEstimates:
    """What the audit sample says of a period."""

    passes: int
    caught: int
    """Defective parts that did not pass."""
    escapes: Estimate
    """In parts: all that passed and are defective, audited or not."""
    outgoing: Estimate
    """Escapes of the parts that passed, 0 to 1; times 10⁶ the outgoing DPPM."""
    miss_rate: Estimate
    """Escapes of escapes and caught, 0 to 1."""
    exact: bool
    """Whether the bound is that of one stratum; else it is drawn."""


def audit_estimates(strata: Iterable[Stratum], *, caught: int, seed: int = 0) -> AuditEstimates:
    """Escapes, outgoing share and miss rate with bounds; `caught` are the defective parts that did not pass.

    Strata of one probability whose draws are all reviewed are one stratum. In one stratum the bound is exact (or above it:
    drawing without replacement says more): the draw's Clopper-Pearson bound times its PASS count, without an escape among n
    1 − 0.05^(1/n) of it. It is never below the estimate, and never above what the parts found good leave possible.

    Across strata it is the 95 % quantile of a parametric bootstrap: 20,000 times each stratum's rate is drawn from the
    distribution whose quantiles are its Clopper-Pearson upper bounds, Beta(k + 1, n − k), and the escapes are added up.
    Redrawing the audited parts themselves would find 0 in every stratum without an escape, however few were audited; here
    such a stratum brings its exact bound's whole distribution, and one without any audited part all its parts. It is how Fay,
    Proschan and Brittain (Biometrics 71 (2015) 146-156) combine exact bounds; that it holds with 95 % or more is shown by
    enumeration and simulation, not proven. The same `seed` gives the same bound, another one within about 1 %.

    The estimate is None where a stratum's passes could not be drawn or were not reviewed, or nobody was audited at all.
    Raises ValueError for a negative `caught`.
    """
    if caught < 0:
        raise ValueError(f"expected a count of caught parts from 0, found {caught}")
    pooled = _pooled(strata)
    passes, audited = sum(one.passes for one in pooled), sum(one.audited for one in pooled)
    found = sum(one.escapes for one in pooled)
    parts = [one.estimate for one in pooled if one.estimate is not None]
    value = sum(parts) if audited > 0 and len(parts) == len(pooled) else None
    escapes = Estimate(value, max(_upper(pooled, seed), value or 0.0), found, audited)
    outgoing, miss_rate = _rate(escapes, lambda _: passes), _rate(escapes, lambda escaped: escaped + caught)
    return AuditEstimates(passes, caught, escapes, outgoing, miss_rate, exact=len(pooled) <= 1)


def _rate(escapes: Estimate, whole: Callable[[float], float]) -> Estimate:
    """Escapes of a whole that may grow with them."""
    value, upper = (
        None if count is None or whole(count) == 0 else count / whole(count) for count in (escapes.value, escapes.upper)
    )
    return replace(escapes, value=value, upper=1.0 if upper is None else upper)


def _pooled(strata: Iterable[Stratum]) -> list[Stratum]:
    """Without empty strata, and those of one probability as one where no draw waits."""
    kept: list[Stratum] = []
    by_probability: dict[float, list[Stratum]] = {}
    for one in strata:
        if one.all_drawn > one.audited:
            kept.append(one)
        elif one.passes > 0:
            by_probability.setdefault(one.probability, []).append(one)
    for probability, alike in by_probability.items():
        sums = [sum(counts) for counts in zip(*((one.passes, one.audited, one.escapes) for one in alike), strict=True)]
        kept.append(Stratum(sums[0], probability, sums[1], sums[2]))
    return sorted(kept, key=lambda one: (one.probability, one.passes, one.all_drawn, one.audited, one.escapes))


def _upper(strata: Sequence[Stratum], seed: int) -> float:
    if len(strata) <= 1:
        return sum(min(one.most, one.passes * clopper_pearson_upper(one.escapes, one.audited)) for one in strata)
    generator = np.random.default_rng(seed)
    total = np.zeros(DRAWS)
    for one in strata:
        # A Latin hypercube: each stratum's distribution evenly, only how the strata meet is drawn.
        levels = (generator.permutation(DRAWS) + 0.5) / DRAWS
        good = one.audited - one.escapes
        rates = betaincinv(one.escapes + 1, good, levels) if good > 0 else np.ones(DRAWS)
        total += np.minimum(one.most, one.passes * rates)
    return float(np.quantile(total, CONFIDENCE))
