"""Agreement of judgements against published studies."""

from __future__ import annotations

import pytest

from kizu_inspect.sums.agreement import Agreement, Grade, attribute_agreement, cohen_kappa, fleiss_kappa, pair_agreement
from kizu_inspect.sums.intervals import Share

# AIAG, Measurement Systems Analysis (4th edition), chapter III C: 50 parts, 16 of them defective, judged three times each.
# Of each appraiser the parts judged right each time (defective, good), and the wrong judgements of the other parts.
APPRAISERS = {
    "A": (13, 29, [1, 1, 1], [1, 1, 1, 1, 1], "84 6.3 4.9"),
    "B": (13, 32, [1, 1, 1], [1, 1], "90 6.3 2.0"),
    "C": (12, 28, [1, 1, 2, 2], [1, 1, 1, 2, 2, 2], "80 12.5 8.8"),
}
# Fleiss, Measuring nominal scale agreement among many raters: 14 raters, 10 subjects, 5 categories, as in Wikipedia's example.
FLEISS = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip


def judgements(table: list[list[int]]) -> tuple[list[int], list[int]]:
    """Two judges' labels of a cross table: rows the first one's, columns the second one's."""
    pairs = [(row, column) for row, counts in enumerate(table) for column, n in enumerate(counts) for _ in range(n)]
    return [first for first, _ in pairs], [second for _, second in pairs]


@pytest.mark.parametrize("name", APPRAISERS)
def test_figures_of_the_aiags_appraisers(name: str) -> None:
    bad, good, misses, alarms, figures = APPRAISERS[name]
    judged = [[True] * 3] * bad + [[False] * n + [True] * (3 - n) for n in misses]
    judged += [[False] * 3] * good + [[True] * n + [False] * (3 - n) for n in alarms]
    found = attribute_agreement([True] * 16 + [False] * 34, judged)
    assert (found.effectiveness.n, found.miss_rate.n, found.false_alarm_rate.n) == (50, 48, 102)
    values = (found.effectiveness.value, found.miss_rate.value, found.false_alarm_rate.value)
    assert all(value is not None for value in values)
    assert [100 * (value or 0) for value in values] == pytest.approx([float(one) for one in figures.split()], abs=0.051)
    assert found.grade is Grade.UNACCEPTABLE  # each misses more than 5 %


@pytest.mark.parametrize(
    ("wrong", "grades"),
    [
        ((10, 2, 5), ["acceptable", "acceptable", "acceptable"]),
        ((11, 3, 6), ["marginal", "marginal", "marginal"]),
        ((20, 5, 10), ["marginal", "marginal", "marginal"]),
        ((21, 6, 11), ["unacceptable", "unacceptable", "unacceptable"]),
        ((0, 3, 0), ["acceptable", "marginal", "acceptable"]),
    ],
)
def test_limits_belong_to_the_better_grade_and_the_worst_figure_decides(wrong: tuple[int, int, int], grades: list[str]) -> None:
    found = Agreement(Share(100 - wrong[0], 100), Share(wrong[1], 100), Share(wrong[2], 100))
    assert found.grades == tuple(Grade(one) for one in grades)
    assert found.grade == max(grades, key=["acceptable", "marginal", "unacceptable"].index)


@pytest.mark.parametrize(
    ("defective", "judged", "said"),
    [
        ([True, False], [[True]], "found 1 for 2 parts"),
        ([True, False], [[True, True], [False]], r"found \[1, 2\]"),
        ([True, False], [[], []], r"found \[0\]"),
        ([], [], "found no parts"),
        ([True, True], [[True], [True]], "found 2 defective of 2"),
        ([False], [[False]], "found 0 defective of 1"),
    ],
)
def test_a_study_that_cannot_be_judged_is_refused(defective: list[bool], judged: list[list[bool]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        attribute_agreement(defective, judged)


@pytest.mark.parametrize(
    ("table", "kappa", "tolerance"),
    [
        ([[44, 6], [3, 97]], 0.86, 0.005),  # AIAG, appraisers A and B
        ([[42, 5], [9, 94]], 0.79, 0.005),  # B and C
        ([[43, 7], [8, 92]], 0.78, 0.005),  # A and C
        ([[20, 5], [10, 15]], 0.40, 1e-12),  # two readers of 50 proposals, Wikipedia's example of Cohen's kappa
        ([[0, 5], [5, 0]], -1.0, 1e-12),
    ],
)
def test_cohens_kappa_of_published_tables(table: list[list[int]], kappa: float, tolerance: float) -> None:
    first, second = judgements(table)
    assert cohen_kappa(first, second) == pytest.approx(kappa, abs=tolerance)
    assert cohen_kappa(["dent" if one else None for one in second], ["dent" if one else None for one in first]) == (
        pytest.approx(kappa, abs=tolerance)
    )


def test_fleiss_kappa_of_fourteen_raters() -> None:
    judged = [[category for category, n in enumerate(row) for _ in range(n)] for row in FLEISS]
    assert fleiss_kappa(judged) == pytest.approx(0.210, abs=5e-4)


def test_fleiss_kappa_of_full_agreement_is_one() -> None:
    assert fleiss_kappa([["good"] * 3, ["dent"] * 3, ["good"] * 3]) == pytest.approx(1)


def test_kappa_of_one_class_only_is_not_known() -> None:
    assert cohen_kappa(["good", "good"], ["good", "good"]) is None
    assert fleiss_kappa([["good", "good"], ["good", "good"]]) is None


def test_judgements_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="found 2 and 1"):
        cohen_kappa(["good", "dent"], ["good"])
    with pytest.raises(ValueError, match="found 0 and 0"):
        cohen_kappa([], [])
    with pytest.raises(ValueError, match="found 1"):
        fleiss_kappa([["good"], ["dent"]])
    with pytest.raises(ValueError, match=r"found \[1, 2\]"):
        fleiss_kappa([["good", "dent"], ["dent"]])
    with pytest.raises(ValueError, match="found no parts"):
        fleiss_kappa([])


def test_a_pair_is_told_by_share_kappa_and_grade() -> None:
    first, second = judgements([[20, 5], [10, 15]])  # Wikipedia's example of Cohen's kappa
    found = pair_agreement(first, second)
    assert found.alike == Share(35, 50)
    assert found.kappa == pytest.approx(0.4)
    assert found.grade is Grade.UNACCEPTABLE
    assert pair_agreement([1] * 10, [1] * 9 + [0]).grade is Grade.ACCEPTABLE
    assert pair_agreement([1] * 10, [1] * 8 + [0] * 2).grade is Grade.MARGINAL
    assert pair_agreement([1, 1], [1, 1]).kappa is None
    with pytest.raises(ValueError, match="found 0 and 0"):
        pair_agreement([], [])
