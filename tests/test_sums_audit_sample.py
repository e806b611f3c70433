"""What the audit sample says, against closed forms, exact enumeration and simulation."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import binom

from kizu_inspect.sums import audit_sample
from kizu_inspect.sums.audit_sample import Stratum, audit_estimates
from kizu_inspect.sums.intervals import clopper_pearson_upper


def test_without_an_escape_the_bound_is_its_closed_form() -> None:
    said = audit_estimates([Stratum(passes=30_000, probability=0.01, audited=300, escapes=0)], caught=50)
    share = 1 - 0.05 ** (1 / 300)
    assert said.exact
    assert said.outgoing.upper == pytest.approx(share)
    assert (said.escapes.value, said.escapes.upper) == (0.0, pytest.approx(30_000 * share))
    assert said.miss_rate.upper == pytest.approx(30_000 * share / (30_000 * share + 50))
    assert said.outgoing.dppm_text == "0 DPPM, at most 9,936 DPPM (95 % bound; 0 escapes among 300 audited)"
    assert said.miss_rate.text == "0.0 %, at most 85.6 % (95 % bound; 0 escapes among 300 audited)"


def test_escapes_are_weighted_by_their_probability() -> None:
    """Hand-made: 3 of 400 drawn with 2 %, 1 of 500 drawn with 10 %: 150 + 10 escapes of 25,000 PASS parts."""
    strata = [Stratum(20_000, 0.02, 400, 3), Stratum(5_000, 0.10, 500, 1)]
    said = audit_estimates(strata, caught=840)
    assert said.escapes.value == pytest.approx(160)
    assert said.outgoing.value == pytest.approx(160 / 25_000)
    assert said.miss_rate.value == pytest.approx(0.16)
    assert (said.passes, said.escapes.escapes, said.escapes.audited, said.exact) == (25_000, 4, 900, False)
    separate = 20_000 * clopper_pearson_upper(3, 400, confidence=0.975) + 5_000 * clopper_pearson_upper(
        1, 500, confidence=0.975
    )
    assert 20_000 * clopper_pearson_upper(3, 400) < said.escapes.upper < separate


def test_the_same_seed_draws_the_same_bound_in_any_order() -> None:
    strata = [Stratum(20_000, 0.02, 400, 3), Stratum(5_000, 0.10, 500, 1), Stratum(900, 0.5, 450, 0)]
    bound = audit_estimates(strata, caught=0).escapes.upper
    assert audit_estimates(reversed(strata), caught=0).escapes.upper == bound
    others = [audit_estimates(strata, caught=0, seed=seed).escapes.upper for seed in range(1, 6)]
    assert others == pytest.approx([bound] * 5, rel=0.01)
    assert bound not in others


def test_drawn_bounds_of_one_stratum_are_its_exact_one() -> None:
    """A second stratum that can bring nothing makes the first one's bound a drawn one."""
    for escapes in (0, 1, 8):
        said = audit_estimates([Stratum(30_000, 0.01, 300, escapes), Stratum(1, 1.0, 1, 0)], caught=0)
        assert not said.exact
        assert said.escapes.upper == pytest.approx(30_000 * clopper_pearson_upper(escapes, 300), rel=1e-3)


def test_no_escape_anywhere_does_not_promise_none() -> None:
    """Where a plain bootstrap would say 0; 60,000 parts of which 20 were audited weigh more than 1,000 of which 500 were."""
    said = audit_estimates([Stratum(60_000, 0.0003, 20, 0), Stratum(1_000, 0.5, 500, 0)], caught=10)
    assert said.escapes.value == 0
    assert said.escapes.upper == pytest.approx(60_000 * clopper_pearson_upper(0, 20), rel=1e-3)


def test_strata_of_one_probability_are_one() -> None:
    parts = [Stratum(10_000, 0.01, 110, 0), Stratum(20_000, 0.01, 190, 1)]
    together = audit_estimates([Stratum(30_000, 0.01, 300, 1)], caught=5)
    assert audit_estimates(parts, caught=5) == together
    assert together.exact


def test_when_all_passes_are_audited_nothing_is_left_to_estimate() -> None:
    said = audit_estimates([Stratum(200, 1.0, 200, 3)], caught=7)
    assert (said.escapes.value, said.escapes.upper) == (3, 3)
    assert (said.miss_rate.value, said.miss_rate.upper) == (0.3, 0.3)


def test_parts_that_could_not_be_drawn_or_are_not_reviewed_leave_no_estimate() -> None:
    never = audit_estimates([Stratum(1_000, 0.0, 0, 0), Stratum(1_000, 0.1, 100, 0)], caught=3)
    assert (never.escapes.value, never.outgoing.value, never.miss_rate.value) == (None, None, None)
    assert 1_000 < never.escapes.upper < 1_050
    waiting = audit_estimates([Stratum(1_000, 0.01, 0, 0, drawn=10)], caught=3)
    assert (waiting.escapes.value, waiting.outgoing.upper) == (None, 1.0)
    assert waiting.outgoing.text == "–, at most 100.0 % (95 % bound; 0 escapes among 0 audited)"
    unlucky = audit_estimates([Stratum(30, 0.01, 0, 0)], caught=0)  # nobody happened to be drawn
    assert (unlucky.escapes.value, unlucky.escapes.upper) == (None, 30)
    nothing = audit_estimates([], caught=0)
    assert (nothing.escapes.value, nothing.escapes.upper) == (None, 0)
    assert (nothing.outgoing.upper, nothing.miss_rate.upper) == (1.0, 1.0)


def test_draws_that_wait_for_their_review_count_like_those_reviewed() -> None:
    """Of 100 drawn 40 are reviewed and 2 of these escapes: 5 of the 100, 500 of all."""
    said = audit_estimates([Stratum(10_000, 0.01, 40, 2, drawn=100)], caught=0)
    assert said.escapes.value == pytest.approx(500)
    assert said.escapes.upper == pytest.approx(10_000 * clopper_pearson_upper(2, 40))


def test_an_unlikely_draw_neither_exceeds_the_parts_nor_its_bound() -> None:
    """2 escapes of 5 drawn where 1 was expected would weigh 200 of 100 parts."""
    said = audit_estimates([Stratum(100, 0.01, 5, 2)], caught=0)
    assert said.escapes.value == said.escapes.upper == 97


@pytest.mark.parametrize(
    "counts",
    [(100, 0.1, 10, 11, None), (100, 0.1, 101, 0, None), (100, 0.1, 10, 0, 9), (9, 0.1, 5, 0, 10), (100, 0.1, 10, -1, None)],
)
def test_counts_that_cannot_be_are_refused(counts: tuple[int, float, int, int, int | None]) -> None:
    with pytest.raises(ValueError, match="escapes ≤ audited ≤ drawn ≤ passes, found Stratum"):
        Stratum(*counts)


def test_probabilities_and_catches_that_cannot_be_are_refused() -> None:
    for probability, audited in ((1.5, 10), (-0.1, 0), (0.0, 1)):
        with pytest.raises(ValueError, match="expected a probability of 0 to 1"):
            Stratum(100, probability, audited, 0)
    with pytest.raises(ValueError, match="found -1"):
        audit_estimates([], caught=-1)


def test_combined_bounds_cover_in_every_case_of_two_small_strata(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly enumerated over a grid of rates: how often the bound lies below the truth, at worst."""
    monkeypatch.setattr(audit_sample, "DRAWS", 4_000)
    passes, audited = (12_000, 3_000), (8, 14)
    outcomes = list(product(range(audited[0] + 1), range(audited[1] + 1)))
    bounds = np.array(
        [
            audit_estimates(
                [Stratum(n, a / n, a, k) for n, a, k in zip(passes, audited, found, strict=True)], caught=0
            ).escapes.upper
            for found in outcomes
        ]
    )
    first, second = np.array(outcomes).T
    worst = 0.0
    for rates in product(np.linspace(0, 1, 41), repeat=2):
        truth = passes[0] * rates[0] + passes[1] * rates[1]
        weights = binom.pmf(first, audited[0], rates[0]) * binom.pmf(second, audited[1], rates[1])
        worst = max(worst, float(weights[bounds < truth - 1e-6].sum()))
    assert 0.001 < worst <= 0.05


def test_simulated_bounds_cover_where_a_plain_bootstrap_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three strata with few escapes, drawn 400 times; the plain bootstrap redraws the audited parts."""
    monkeypatch.setattr(audit_sample, "DRAWS", 2_000)
    generator = np.random.default_rng(0)
    truth = {(20_000, 0.01): 100, (5_000, 0.05): 50, (1_000, 0.2): 0}
    covered, plain = [], []
    for _ in range(400):
        strata = []
        for (passes, probability), escapes in truth.items():
            audited = int(generator.binomial(passes, probability))
            found = int(generator.hypergeometric(escapes, passes - escapes, audited))
            strata.append(Stratum(passes, probability, audited, found))
        covered.append(audit_estimates(strata, caught=0).escapes.upper >= 150)
        redrawn = sum(
            one.passes * generator.binomial(one.audited, one.escapes / one.audited, 500) / one.audited for one in strata
        )
        plain.append(np.quantile(redrawn, 0.95) >= 150)
    assert np.mean(covered) >= 0.95
    assert np.mean(plain) < 0.85
