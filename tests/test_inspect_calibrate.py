"""Temperature, thresholds and figures against hand-made cases and published values."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from kizu_inspect.decide import decide, most_log_odds, picture_probabilities, probabilities_of
from kizu_inspect.errors import DataError
from kizu_inspect.evaluation.pointing import explanation_figures, locate
from kizu_inspect.labelled.samples import Sample
from kizu_inspect.recipe import ClassRule
from kizu_inspect.results import Verdict
from kizu_inspect.sums.calibration import expected_calibration_error
from kizu_inspect.sums.intervals import clopper_pearson_upper, parts_needed
from kizu_inspect.training.calibrate import fit_picture_calibration, fit_temperature, halves_of, split_by_group
from kizu_inspect.training.thresholds import Scored, choose_thresholds, trade_off


@pytest.mark.parametrize(("rate", "parts"), [(0.05, 59), (0.02, 149), (0.01, 299)])
def test_how_many_defective_parts_a_promise_takes(rate: float, parts: int) -> None:
    assert parts_needed(rate) == parts
    assert clopper_pearson_upper(0, parts) <= rate < clopper_pearson_upper(0, parts - 1)


def test_the_pass_limit_is_the_largest_that_keeps_the_promise() -> None:
    bad, good = np.linspace(0.6, 1.0, 120), np.linspace(0.0, 0.7, 120)
    scored = Scored(np.concatenate([bad, good]), np.arange(240) < 120)
    choice = choose_thresholds(scored, promised_miss_rate=0.05, overkill_limit=0.01)
    assert choice.thresholds.promise is not None
    assert choice.thresholds.promise.missed == 1  # two among 120 have the bound 5.2 %
    assert bad[0] < choice.thresholds.pass_below <= bad[1]  # 0.6000 and 0.6034
    assert float((good >= choice.thresholds.reject_from).mean()) <= 0.01


def test_a_gap_between_good_and_defective_is_halved() -> None:
    """Good parts up to 0.2, defective ones from 0.9: odds of 1/4 and 9, whose middle is 1.5."""
    scored = Scored(np.concatenate([np.linspace(0.9, 1.0, 150), np.linspace(0.0, 0.2, 100)]), np.arange(250) < 150)
    choice = choose_thresholds(scored, promised_miss_rate=0.05, overkill_limit=0.01)  # which would allow three misses
    assert choice.thresholds.promise is not None
    assert choice.thresholds.promise.missed == 0
    assert choice.thresholds.pass_below == pytest.approx(1.5 / 2.5)
    assert choice.thresholds.reject_from == choice.thresholds.pass_below


def test_too_small_a_set_promises_nothing_and_says_how_many_are_needed() -> None:
    few = Scored(np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True]))
    choice = choose_thresholds(few, promised_miss_rate=0.05, overkill_limit=0.01)
    assert choice.thresholds.promise is None
    assert choice.thresholds.pass_below == choice.thresholds.reject_from == pytest.approx(0.5)
    assert "59 defective ones" in choice.said


def test_defects_that_all_score_one_do_not_push_the_limit_out_of_the_gap() -> None:
    certain = Scored(np.array([0.0, 0.2, 1.0, 1.0]), np.array([False, False, True, True]))
    choice = choose_thresholds(certain, promised_miss_rate=0.05, overkill_limit=0.01)
    assert choice.thresholds.pass_below == pytest.approx(odds_middle(0.2, 0.999))  # surer than 0.999 is no more defective


def odds_middle(low: float, high: float) -> float:
    """By hand: the score whose odds are the geometric mean of those of two scores."""
    odds = math.sqrt(low / (1 - low) * high / (1 - high))
    return odds / (1 + odds)


def test_both_limits_lie_in_the_middle_of_their_gaps_by_hand() -> None:
    """Of 100 defective pictures one may be missed, of 100 good ones two rejected.

    A defective one scores 0.02 and the others 0.3 or more; good ones score 0.05 at most, but for 0.1, 0.6, 0.8 and 0.9.
    The PASS limit may rise to 0.3, and lies between the highest good one that passes, 0.1, and 0.3; the REJECT limit above 0.6,
    before the next picture of either kind, 0.62.
    """
    bad = np.concatenate([[0.02, 0.3, 0.62], np.linspace(0.7, 0.99, 97)])
    good = np.concatenate([np.linspace(0.001, 0.05, 96), [0.1, 0.6, 0.8, 0.9]])
    scored = Scored(np.concatenate([bad, good]), np.arange(200) < 100)
    limits = choose_thresholds(scored, promised_miss_rate=0.05, overkill_limit=0.02).thresholds
    assert limits.promise is not None
    assert limits.promise.missed == 1
    assert limits.pass_below == pytest.approx(odds_middle(0.1, 0.3), rel=1e-12)
    assert limits.reject_from == pytest.approx(odds_middle(0.6, 0.62), rel=1e-12)


@pytest.mark.parametrize("seed", range(9))
def test_limits_decide_the_pictures_at_hand_as_the_edges_of_their_gaps_would(seed: int) -> None:
    """Against every limit that there is: no other that keeps the promise flags fewer good pictures, and none from there on
    that keeps the overkill rejects more; scores of 0, of 1, tied, and a last digit apart are among them."""
    rng = np.random.default_rng(seed)
    bad = np.round(1 / (1 + np.exp(-rng.normal(3, 2 + seed % 3, 70 + seed))), 2 + seed)
    good = np.round(1 / (1 + np.exp(-rng.normal(-3, 2, 60))), 2 + seed)
    bad[0], good[1:3] = np.nextafter(good[0], 1), (good[0], 0)
    if seed % 2:
        bad[1:3], good[3] = (1, 0), 1
    scored = Scored(np.concatenate([bad, good]), np.arange(len(bad) + 60) < len(bad))
    limits = choose_thresholds(scored, promised_miss_rate=0.08, overkill_limit=0.05).thresholds
    assert limits.promise is not None
    assert limits.promise.missed == (bad < limits.pass_below).sum()
    assert limits.promise.bound == clopper_pearson_upper(limits.promise.missed, len(bad)) <= 0.08
    every = np.unique([0, 1, *scored.scores, *np.nextafter(scored.scores, 2)])
    keep = [limit for limit in every if clopper_pearson_upper(int((bad < limit).sum()), len(bad)) <= 0.08]
    assert (good >= limits.pass_below).sum() == min((good >= limit).sum() for limit in keep)
    rejecting = [limit for limit in every if limit >= limits.pass_below and (good >= limit).mean() <= 0.05]
    assert limits.pass_below <= limits.reject_from
    assert (good >= limits.reject_from).mean() <= 0.05
    assert (scored.scores >= limits.reject_from).sum() == max((scored.scores >= limit).sum() for limit in rejecting)


def test_pictures_of_one_group_promise_nothing() -> None:
    """However many there are: what set the limits may show the parts that the weights were chosen on."""
    scored = Scored(np.concatenate([np.full(150, 0.9), np.full(100, 0.2)]), np.arange(250) < 150, apart=False)
    choice = choose_thresholds(scored, promised_miss_rate=0.05, overkill_limit=0.01)
    assert choice.thresholds.promise is None
    assert choice.thresholds.pass_below == choice.thresholds.reject_from == pytest.approx(0.6)
    assert choice.said.startswith("no promise: all validation pictures are of one group, so the 250 that set the limits")
    assert all(row.chosen is None for row in trade_off(scored, overkill_limit=0.01))


def test_what_a_promise_costs_in_good_parts() -> None:
    """160 defective and 100 good pictures; a stricter promise sends more good ones to REVIEW, and the strictest needs more."""
    scored = Scored(np.concatenate([np.linspace(0.3, 1.0, 160), np.linspace(0.0, 0.495, 100)]), np.arange(260) < 160)
    rows = trade_off(scored, overkill_limit=0.0, promises=(0.10, 0.05, 0.02, 0.01))
    assert [row.needed for row in rows] == [29, 59, 149, 299]
    assert rows[3].chosen is None
    costs = [row.reviewed for row in rows[:3] if row.reviewed is not None]
    assert costs == sorted(costs)
    assert rows[2].chosen is not None
    assert 0.295 < rows[2].chosen.pass_below < 0.3
    assert rows[2].reviewed == pytest.approx(0.40)  # 0.3 and more of 0, 0.005, …, 0.495
    assert rows[2].rejected == 0


def test_the_temperature_of_scaled_logits_is_found_again() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, (4000, 3))
    labels = np.array([generator.choice(3, p=row) for row in probabilities_of(logits, temperature=1.0)])
    assert fit_temperature(logits * 3, np.eye(3, dtype=bool)[labels]) == pytest.approx(3, rel=0.08)


def test_calibration_error_of_a_hand_made_case() -> None:
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    # Confidence 0.9 with half right, 0.6 with all right: (0.4 + 0.4) / 2.
    assert expected_calibration_error(p, np.array([0, 1, 0, 0])) == pytest.approx(0.4)


def test_groups_stay_together() -> None:
    groups = [f"g{i // 3}" for i in range(30)]
    first, second = split_by_group(groups, ["good"] * 30, seed=1)
    assert not {groups[i] for i in first} & {groups[i] for i in second}
    assert sorted([*first, *second]) == list(range(30))


def rows(*groups: str, tiles: int = 3) -> list[Sample]:
    """Three tiles of each of eight pictures, whose groups come in turn."""
    return [Sample(Path(f"{i}.png"), "good", "val", groups[i % len(groups)]) for i in range(8) for _ in range(tiles)]


@pytest.mark.parametrize("groups", [("a", "b", "c"), ("lot 7",)])
def test_halves_keep_groups_together_or_where_there_is_one_the_tiles_of_a_picture(groups: tuple[str, ...]) -> None:
    samples = rows(*groups)
    halves = halves_of(samples, seed=3)
    assert halves.apart == (len(groups) > 1)
    assert sorted([*halves.scheduling, *halves.limiting]) == list(range(len(samples)))
    assert [row for row, sample in enumerate(samples) if halves.limits(sample)] == list(halves.limiting)
    sides = [
        {samples[row].group if len(groups) > 1 else samples[row].path for row in half}
        for half in (halves.scheduling, halves.limiting)
    ]
    assert not sides[0] & sides[1]
    assert all(sides)


def test_one_picture_cannot_be_halved() -> None:
    with pytest.raises(DataError, match="too few groups to calibrate on: found 3 validation pictures of 1 group"):
        halves_of(rows("lot 7")[:3], seed=0)
    with pytest.raises(
        DataError, match=r"too few groups to calibrate on: found 6 validation pictures of 1 group; expected two"
    ):
        split_by_group(["lot 7"] * 6, ["good"] * 6, seed=0)


@pytest.mark.parametrize("seed", range(6))
def test_each_half_has_its_share_of_every_class(seed: int) -> None:
    labels = [*["good"] * 3, *["scratch"] * 4, *["dent"] * 2, "stain"]
    halves = split_by_group([f"g{number}" for number in range(10)], labels, seed=seed)
    counted = [[sum(labels[row] == name for row in half) for name in ("good", "scratch", "dent")] for half in halves]
    assert sorted(count[0] for count in counted) == [1, 2]
    assert [count[1:] for count in counted] == [[2, 1], [2, 1]]
    assert {len(half) for half in halves} == {5}


def test_the_halves_are_drawn_by_the_seed() -> None:
    groups, labels = [f"g{number}" for number in range(10)], ["good"] * 10
    drawn = [tuple(split_by_group(groups, labels, seed=seed)[0]) for seed in (1, 2, 1)]
    assert drawn[0] == drawn[2] != drawn[1]


@pytest.mark.parametrize(
    ("p", "verdict"),
    [
        ([0.9, 0.1], Verdict.PASS),
        ([0.6, 0.4], Verdict.REVIEW),
        ([0.1, 0.9], Verdict.REJECT),
        ([float("nan"), 0.5], Verdict.ERROR),
    ],
)
def test_verdicts(p: list[float], verdict: Verdict) -> None:
    judged = decide(np.array(p), ["good", "dent"], "good", pass_below=0.3, reject_from=0.7)
    assert judged.verdict is verdict


@pytest.mark.parametrize(
    ("p", "rules", "verdict", "said"),
    [
        ([0.6, 0.3, 0.1], {"crack": ClassRule(severity="critical")}, Verdict.REJECT, "critical: crack"),
        ([0.6, 0.1, 0.3], {"crack": ClassRule(severity="critical")}, Verdict.REVIEW, None),
        ([0.9, 0.08, 0.02], {"crack": ClassRule(severity="critical")}, Verdict.PASS, None),
        ([0.9, 0.08, 0.02], {"crack": ClassRule(reject_from=0.05)}, Verdict.REJECT, "its own reject limit 0.050"),
        ([0.1, 0.1, 0.8], {"stain": ClassRule(severity="minor")}, Verdict.REVIEW, "minor: stain"),
        ([0.1, 0.8, 0.1], {"stain": ClassRule(severity="minor")}, Verdict.REJECT, None),
        ([0.1, 0.1, 0.8], {"stain": ClassRule(severity="minor", reject_from=0.8)}, Verdict.REJECT, "its own reject limit"),
    ],
)
def test_a_class_is_judged_by_its_own_rule(
    p: list[float], rules: dict[str, ClassRule], verdict: Verdict, said: str | None
) -> None:
    judged = decide(np.array(p), ["good", "crack", "stain"], "good", pass_below=0.3, reject_from=0.7, rules=rules)
    assert judged.verdict is verdict
    assert ";" not in judged.reason if said is None else said in judged.reason


def test_a_part_with_minor_and_other_defects_is_rejected() -> None:
    judged = decide(
        np.array([0.0, 0.5, 0.5]), ["good", "crack", "stain"], "good", pass_below=0.3, reject_from=0.7,
        found=("stain", "crack"), rules={"stain": ClassRule(severity="minor")},
    )  # fmt: skip
    assert judged.verdict is Verdict.REJECT


def test_without_a_good_class_every_part_is_rejected_with_its_class() -> None:
    judged = decide(np.array([0.2, 0.8]), ["a", "b"], None, pass_below=0.5, reject_from=0.5)
    assert (judged.verdict, judged.target, judged.score) == (Verdict.REJECT, "b", 1.0)


def test_pointing_of_hand_made_maps() -> None:
    truth = np.zeros((20, 20), bool)
    truth[5:10, 5:10] = True
    hit, near, nothing = (np.zeros((20, 20), np.float32) for _ in range(3))
    hit[7, 7] = 1
    near[7, 12] = 1  # three pixels beside the edge column 9
    located = [locate(one, truth, cell_px=8, hot_from=0.5, seed=0) for one in (hit, near, nothing)]
    figures = explanation_figures(located, within_px=2)
    assert figures["pointing"].value == pytest.approx(1 / 3)
    assert figures["pointing_tolerant"].value == pytest.approx(2 / 3)
    assert figures["pointing_within"].value == pytest.approx(1 / 3)
    assert figures["energy"].value == pytest.approx(1 / 3)
    assert figures["iou"].value == pytest.approx(1 / 25 / 3)
    assert figures["enrichment"].value == pytest.approx(1 / 3 / (25 / 400))


def test_the_most_log_odds_of_views_against_a_hand_made_case() -> None:
    views = np.array([[0.8, 0.15, 0.05], [0.2, 0.1, 0.7]])
    assert most_log_odds(views, good=0, several=False) == pytest.approx([0, np.log(0.1 / 0.2 / 2), np.log(0.7 / 0.2 / 2)])
    assert most_log_odds(views, good=0, several=True) == pytest.approx([0, np.log(0.15 / 0.85 / 2), np.log(0.7 / 0.3 / 2)])
    sure = np.array([[0.0, 1.0]])
    assert np.isfinite(most_log_odds(sure, good=0, several=False)).all()
    assert most_log_odds(sure, good=0, several=True)[1] == pytest.approx(53 * np.log(2))  # the last double before 1


@pytest.mark.parametrize("several", [False, True])
def test_a_picture_is_as_sure_as_its_tiles_together_make_it(several: bool) -> None:
    """Forty tiles a picture, each overconfident by itself: the highest of them says "defective" of nearly every good part."""

    def pictures(seed: int, tiles: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        most, marks = [], []
        for number in range(600):
            odds = rng.normal(-3.0, 2.0, (tiles, 2))  # of two defect classes; the truth would be -5 and a deviation of 1
            if number % 2:
                odds[0, number % 4 // 2] += rng.normal(9.0, 2.0)
            views = probabilities_of(np.c_[np.zeros(tiles), odds], temperature=1.0, good=0, several=several)
            most.append(most_log_odds(views, good=0, several=several))
            marks.append([number % 2 == 0, number % 4 == 1, number % 4 == 3])
        return np.array(most), np.array(marks)

    def lost(p: np.ndarray, marks: np.ndarray) -> float:
        return float(-np.log(p[marks]).mean())

    fitted = fit_picture_calibration(*pictures(1, 40), good=0, several=several)
    assert fitted is not None
    for tiles in (40, 10):  # cut in fewer tiles, the same numbers hold
        most, marks = pictures(2, tiles)
        how = {"good": 0, "several": several}
        p = picture_probabilities(most, **how, temperature=fitted.temperature, offset=fitted.offset)
        worst = picture_probabilities(most + np.log(tiles), **how, temperature=1.0, offset=0.0)
        labels = marks.argmax(axis=1)
        assert expected_calibration_error(p, labels) < 0.08
        assert expected_calibration_error(p, labels) < expected_calibration_error(worst, labels) / 2
        assert (p.argmax(axis=1) == labels).mean() > (worst.argmax(axis=1) == labels).mean()
        assert lost(p, marks) < lost(worst, marks) / 2


def test_too_few_pictures_or_one_kind_alone_set_no_calibration_of_pictures() -> None:
    most, good = np.zeros((40, 2)), np.arange(40) < 20
    marks = np.c_[good, ~good]
    assert fit_picture_calibration(most[11:30], marks[11:30], good=0, several=False) is None
    assert fit_picture_calibration(most[:20], marks[:20], good=0, several=False) is None
    even = fit_picture_calibration(most, marks, good=0, several=False)
    assert even is not None
    assert even.offset == pytest.approx(0, abs=0.01)  # half of them are defective, whatever the tiles say
    separated = fit_picture_calibration(np.c_[np.zeros(40), np.where(good, -5.0, 5.0)], marks, good=0, several=False)
    assert separated is not None
    assert abs(separated.offset) < 1
