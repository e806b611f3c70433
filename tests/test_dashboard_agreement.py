"""The Agreement page: its figures by hand, what it does not know, and cells that open the parts behind them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect

from dashboard_world import served, session_cookie
from db_examples import review
from floor_world import Floor, browsing, empty_floor
from kizu_dashboard.agreement import as_judged, at_limits, by_class, calibration, gather_agreement, pairs_of
from kizu_dashboard.periods import named_period
from kizu_dashboard.thresholds import Limits
from kizu_dashboard.wording import bound_text, estimate_text
from kizu_db.values import Opinion
from kizu_inspect.results import Verdict
from kizu_inspect.sums.intervals import Share, clopper_pearson_upper
from kizu_inspect.sums.outcomes import outcomes
from pages_world import drawn, open_page, words

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


@pytest.fixture
def floor(tmp_path: Path, cookies: dict[str, str]) -> Iterator[Floor]:
    """Kim looks at it."""
    with empty_floor(tmp_path) as floor:
        cookies |= session_cookie(floor.config, "Kim")
        yield floor


def fill(floor: Floor, *, audited: int = 20) -> None:
    """100 PASS parts, 20 drawn at 0.2, of them `audited` reviewed, one defective; 10 REVIEW; 20 REJECT, 16 reviewed."""
    with floor.room.records.unit() as unit:

        def add(verdict: Verdict, number: int, **told: object) -> str:
            return floor.add(2 * HOUR - number * SECOND, verdict, unit=unit, **told)

        def decide(uid: str, *, defective: bool, name: str = "scratch", **told: object) -> None:
            decided = (
                {"disposition": "defective", "defect_class": name}
                if defective
                else {"disposition": "good", "defect_class": None}
            )
            unit.reviews.add(review(uid, **decided, **told))

        for number in range(100):
            uid = add(Verdict.PASS, number, audit=number < 20, audit_probability=0.2, score=0.15 if number == 0 else 0.05)
            if number < audited:
                decide(uid, defective=number == 0)
        for number in range(10):
            decide(add(Verdict.REVIEW, number, score=0.301 + number / 50), defective=number >= 6, reviewer="Mina")
        for number in range(20):
            uid = add(Verdict.REJECT, number, target="dent" if number < 8 else "scratch", score=0.701 + number / 100)
            if number < 16:
                decide(uid, defective=number >= 4, name="dent" if number < 10 else "scratch")
        add(Verdict.ERROR, 0)


def test_figures_are_those_of_the_reviews(floor: Floor) -> None:
    fill(floor)
    agreed = gather_agreement(floor.room, named_period("Last 24 hours", floor.now), station=None)
    assert agreed.reviewed == {
        (Verdict.PASS, "good"): 19, (Verdict.PASS, "defective"): 1,
        (Verdict.REVIEW, "good"): 6, (Verdict.REVIEW, "defective"): 4,
        (Verdict.REJECT, "good"): 4, (Verdict.REJECT, "defective"): 12,
    }  # fmt: skip
    found = outcomes(as_judged(agreed))
    assert found.parts == 130
    assert found.escapes.value == 1 / 0.2
    assert found.escapes.upper == pytest.approx(100 * clopper_pearson_upper(1, 20))
    assert found.miss_rate.value == 5 / (5 + 4 + 15)
    assert found.overkill.value == 5
    assert found.overkill_rate.value == 5 / (5 + 95 + 6)
    assert by_class(agreed.parts) == {
        ("scratch", "good"): 6, ("scratch", "scratch"): 4 + 6, ("dent", "good"): 4, ("dent", "dent"): 4, ("scratch", "dent"): 2,
    }  # fmt: skip
    bins = calibration(agreed.parts)
    assert [(one.low, one.defective) for one in bins] == [
        (0.0, Share(0, 19)), (0.1, Share(1, 1)), (0.3, Share(0, 5)), (0.4, Share(4, 5)),
        (0.7, Share(6, 10)), (0.8, Share(6, 6)),
    ]  # fmt: skip


def test_the_limits_of_the_line_give_its_own_figures_and_others_give_others(floor: Floor) -> None:
    fill(floor)
    agreed = gather_agreement(floor.room, named_period("Last 24 hours", floor.now), station=None)
    then, same = outcomes(as_judged(agreed)), outcomes(at_limits(agreed, Limits(0.2, 0.6)))
    assert same.miss_rate.value == pytest.approx(then.miss_rate.value)
    assert same.overkill.value == then.overkill.value
    assert same.review_rate.value == pytest.approx(10 / 130)
    stricter = outcomes(at_limits(agreed, Limits(0.1, 0.6)))
    assert stricter.escapes.value == 0
    assert stricter.escapes.upper >= 100 * clopper_pearson_upper(0, 20)  # none in 20 is not none
    milder = outcomes(at_limits(agreed, Limits(0.5, 1.0)))
    assert (milder.escapes.value, milder.overkill.value) == (5 + 4, 0)


def test_a_pass_part_that_somebody_chose_says_nothing_of_the_others(floor: Floor) -> None:
    fill(floor, audited=0)
    with floor.room.records.unit() as unit:
        chosen = floor.add(HOUR, unit=unit, audit=False, audit_probability=0.2, score=0.1)
        unit.reviews.add(review(chosen))
    agreed = gather_agreement(floor.room, named_period("Last 24 hours", floor.now), station=None)
    assert agreed.reviewed[Verdict.PASS, "defective"] == 1
    assert agreed.waiting == {0.2: 20}
    flagged = 10 + 16  # reviewed, and might pass by other limits
    for judged, audited in ((as_judged(agreed), 0), (at_limits(agreed, Limits(0.2, 0.6)), flagged)):
        found = outcomes(judged)
        assert (found.escapes.value, found.escapes.audited, found.miss_rate.value) == (None, audited, None)
    assert calibration(agreed.parts)[0].low == 0.3


def test_reviewers_are_paired_by_the_parts_that_both_judged() -> None:
    said = [(1, "Mina", "good"), (1, "Kim", "good"), (2, "Kim", "defective"), (2, "Mina", "good"), (3, "Kim", "good"),
            (3, "Mina", "good"), (3, "Ana", "defective")]  # fmt: skip
    pairs = pairs_of([Opinion(inspection=n, reviewer=who, disposition=what) for n, who, what in said])  # type: ignore[arg-type]
    assert {names: found.alike for names, found in pairs.items()} == {
        ("Kim", "Mina"): Share(2, 3), ("Ana", "Kim"): Share(0, 1), ("Ana", "Mina"): Share(0, 1),
    }  # fmt: skip
    assert next(iter(pairs)) == ("Kim", "Mina")
    assert pairs["Kim", "Mina"].kappa == pytest.approx(0.0)


def test_the_page_tells_each_figure_with_what_it_rests_on(floor: Floor) -> None:
    fill(floor)
    text = words(open_page(floor.config, "agreement.py"))
    found = outcomes(as_judged(gather_agreement(floor.room, named_period("Last 7 days", floor.now), station=None)))
    for piece in (
        "20.8 %", bound_text(found.miss_rate), "1 of 20 audited PASS parts defective", "4.7 %", "4 of 16 reviewed rejects good",
        "26 of 31", "Misses are estimated from the audit sample", "75.0 %", "55.6 % of 18", "judged by two people on their own",
        "46 reviewed parts", "Of 130 inspections",
    ):  # fmt: skip
        assert piece in text, piece
    cell = r'<a href="/\?period=From[^"]*&amp;verdict=%E2%9C%95\+REJECT&amp;decision=good">4</a>'
    assert re.search(cell, text), re.findall("<a href=.*?</a>", text)


def test_without_an_audit_sample_it_says_that_misses_are_unknown(floor: Floor) -> None:
    with floor.room.records.unit() as unit:
        for number in range(5):
            uid = floor.add(HOUR + number * SECOND, Verdict.REJECT, unit=unit)
            unit.reviews.add(review(uid))
            floor.add(HOUR + number * SECOND, unit=unit)
    text = words(open_page(floor.config, "agreement.py"))
    assert "Misses are unknown: no PASS part of this period was drawn" in text
    assert "unknown" in text
    assert "at most 100.0 % (95 %)" in text
    fill(floor, audited=0)
    assert "none was reviewed yet. They wait: 20." in words(open_page(floor.config, "agreement.py"))


def test_what_nobody_reviewed_says_so(floor: Floor) -> None:
    assert "No inspections in this period" in words(open_page(floor.config, "agreement.py"))
    floor.add(HOUR, Verdict.REJECT)
    assert "Nothing was reviewed in this period" in words(open_page(floor.config, "agreement.py"))


def test_moved_limits_move_the_figures(floor: Floor) -> None:
    fill(floor)
    test = open_page(floor.config, "agreement.py")
    agreed = gather_agreement(floor.room, named_period("Last 7 days", floor.now), station=None)
    moved = outcomes(at_limits(agreed, Limits(0.5, 0.9)))
    text = words(drawn(test.slider(key="limits").set_value((0.5, 0.9)).run()))
    assert estimate_text(moved.miss_rate) in text
    assert bound_text(moved.overkill_rate) in text
    assert moved.overkill.value == 0


def test_a_cell_opens_its_parts_and_a_slider_moves_only_its_card(floor: Floor) -> None:
    fill(floor)
    with served(floor.config) as address, browsing(floor.config, address) as page:
        page.goto("/agreement")
        card = page.locator(".st-key-card-verdicts")
        card.get_by_role("row", name="✓ PASS").get_by_role("link", name="1", exact=True).click()
        expect(page.get_by_text("Only decided defective")).to_be_visible()
        expect(page.locator("tr[data-uid]")).to_have_count(1)
        expect(page.locator("tr[data-uid]")).to_contain_text("✓ PASS")
        page.goto("/agreement")
        what_if = page.locator(".st-key-card-what-if")
        review_load = what_if.locator(".kz-value").nth(2)
        expect(review_load).to_have_text("7.7 %")
        what_if.get_by_role("slider").first.focus()
        page.keyboard.press("End")
        expect(review_load).to_have_text("0.00 %")
        page.goto("/agreement")
        page.locator(".st-key-card-classes").get_by_role("row", name="dent").get_by_role("link", name="4").last.click()
        expect(page.get_by_text("Only suspected dent · decided defective: dent")).to_be_visible()
        expect(page.locator("tr[data-uid]")).to_have_count(4)
