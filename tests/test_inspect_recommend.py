"""Which of several candidates is recommended, and why."""

from __future__ import annotations

import numpy as np
import pytest

from kizu_inspect.comparing.recommend import Measured, at_promise, recommend
from kizu_inspect.evaluation.figures import wilson
from kizu_inspect.training.thresholds import Scored

GOOD = 60
BAD = 60


def scored(*, flagged: int = 0, faintest: float | None = None, defective: int = BAD) -> Scored:
    """Good parts of which `flagged` score above every defect, and defective ones; the faintest may score lower."""
    good = np.linspace(0.1, 0.3, GOOD)
    good[:flagged] = 0.95
    bad = np.linspace(0.8, 0.9, defective)
    if faintest is not None:
        bad[0] = faintest
    return Scored(np.concatenate([good, bad]), np.repeat([False, True], [GOOD, defective]))


def candidate(
    of: Scored | None = None, *, right: int = 60, hits: int | None = 50, ms: float = 1.0, loss: float = 0.1
) -> Measured:
    """One that scores as given, names the first `right` of 60 pictures right and hits the defect in `hits` of 60."""
    maps = {} if hits is None else {"pointing": wilson(hits, 60), "enrichment": wilson(hits, 60)}
    return Measured(np.arange(60) < right, of, loss, maps, 1000, 400, 0.1, ms, ms)


CASES = {
    "whoever flags many good parts is out, whatever its maps": (
        {"exact": candidate(scored(), hits=10, ms=9), "cheap": candidate(scored(flagged=20), hits=60)},
        "exact is recommended: all others flag significantly more good parts (it: 0.000).",
    ),
    "two good parts are no difference, maps are": (
        {"blind": candidate(scored(), hits=20), "sharp": candidate(scored(flagged=2), hits=50, ms=9)},
        "sharp is recommended: both flag about as many good parts; no other points at the defect nearly as often (0.833).",
    ),
    "a limit that hangs on one faint defect is no difference": (
        {"blind": candidate(scored(), hits=20), "sharp": candidate(scored(faintest=0.05), hits=50)},
        "sharp is recommended: both flag about as many good parts; no other points at the defect nearly as often (0.833).",
    ),
    "maps within the interval are no difference, cost is": (
        {"slow": candidate(scored(), hits=50, ms=3.1), "fast": candidate(scored(), hits=46, ms=2.0)},
        "fast is recommended: both flag about as many good parts; both point at the defect about as often; every other "
        "costs more than 1.5 times as much (it: 2.00 ms).",
    ),
    "last counts the validation loss": (
        {"a": candidate(scored(), loss=0.2), "b": candidate(scored(), loss=0.1, ms=1.4), "c": candidate(scored(flagged=30))},
        "b is recommended: 2 of 3 flag about as few good parts as the best (b, 0.000); among these both point at the "
        "defect about as often; both cost about as much; its validation loss is the lowest (0.100).",
    ),
    "a loss that is no number is the highest": (
        {"lost": candidate(scored(), loss=float("nan")), "kept": candidate(scored(), loss=5.0)},
        "kept is recommended: both flag about as many good parts; both point at the defect about as often; both cost "
        "about as much; its validation loss is the lowest (5.000).",
    ),
    "without known places maps do not count": (
        {"slow": candidate(scored(), hits=None, ms=3), "fast": candidate(scored(), hits=None)},
        "fast is recommended: both flag about as many good parts; every other costs more than 1.5 times as much "
        "(it: 1.00 ms).",
    ),
    "without a good class counts how many are named right": (
        {"fast": candidate(right=40), "right": candidate(right=58, ms=9)},
        "right is recommended: all others name significantly fewer pictures right (0.967).",
    ),
    "two names are no difference": (
        {"fast": candidate(right=58), "right": candidate(right=60, ms=9)},
        "fast is recommended: both name about as many pictures right; both point at the defect about as often; every other "
        "costs more than 1.5 times as much (it: 1.00 ms).",
    ),
    "the only one left": ({"only": candidate()}, "only is recommended: no other candidate could be trained."),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_recommendation_follows_its_rule_and_says_why(case: str) -> None:
    measured, said = CASES[case]
    found = recommend(measured, promised_miss_rate=0.05)
    assert found.reason == said
    assert found.name == said.split()[0]
    backwards = recommend(dict(reversed(measured.items())), promised_miss_rate=0.05)
    assert backwards.name == found.name


def test_a_promise_costs_what_its_limit_flags_and_without_one_the_same_share_is_missed() -> None:
    kept = at_promise(scored(flagged=6, defective=59), 0.05)
    assert (kept.kept, kept.missed, kept.defective) == (True, 0, 59)
    assert kept.bound == pytest.approx(1 - 0.05 ** (1 / 59))
    assert kept.good_flagged == wilson(6, GOOD)
    # One in twenty of 20 may be missed: the faintest is, and good parts do not pay for it.
    few = at_promise(scored(faintest=0.05, defective=20), 0.05)
    assert (few.kept, few.missed, few.good_flagged.value) == (False, 1, 0.0)
    assert few.bound > 0.05
    # One in twenty of 19 is none.
    fewer = at_promise(scored(faintest=0.05, defective=19), 0.05)
    assert (fewer.kept, fewer.missed, fewer.good_flagged.value) == (False, 0, 1.0)
