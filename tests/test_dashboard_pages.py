"""What each page shows and does, without a browser."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard_world import Plant, empty_plant, filled_plant
from kizu_dashboard.room import close_rooms
from kizu_dashboard.server import SCRIPT
from kizu_dashboard.settings import DashboardConfig
from kizu_dashboard.wording import SIZE_SENTENCE, size_texts


def open_page(config: DashboardConfig, page: str | None = None, **query: str) -> AppTest:
    """The page as it is first drawn."""
    test = AppTest.from_file(str(SCRIPT), default_timeout=30)
    test.secrets["kizu"] = {"config": config.model_dump_json()}
    if page is not None:
        test.run()
        test.switch_page(page)
    for name, value in query.items():
        test.query_params[name] = value
    return drawn(test.run())


def drawn(test: AppTest) -> AppTest:
    """The page, which must not have failed."""
    assert not test.exception, test.exception
    return test


def words(test: AppTest) -> str:
    """All that stands on the page outside of widgets."""
    kinds = (test.title, test.caption, test.markdown, test.html, test.warning, test.error, test.info)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with filled_plant(tmp_path, start=datetime.now(UTC) - timedelta(minutes=30)) as plant:
        yield plant


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[DashboardConfig]:
    yield empty_plant(tmp_path)
    close_rooms()


@pytest.mark.parametrize("page", [None, "part.py", "reports.py"])
def test_a_database_that_is_away_is_said_and_the_page_comes_back(plant: Plant, page: str | None) -> None:
    file = plant.room.records.file
    assert file is not None
    open_page(plant.config, page)
    away = file.rename(file.with_name("away.db"))
    said = words(open_page(plant.config, page))
    assert "The records do not answer" in said
    assert "is gone: found no file" in said
    away.rename(file)
    assert "do not answer" not in words(open_page(plant.config, page))


def part_page(plant: Plant, part: str) -> AppTest:
    return open_page(plant.config, "part.py", uid=plant.uids[part])


def shown_part(test: AppTest) -> str:
    """The id of the inspection that the address names."""
    value = test.query_params["uid"]
    return value if isinstance(value, str) else str(value[0])


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        (None, "No inspections yet"),
        ("part.py", "No part waits for a decision"),
        ("reports.py", "No flagged parts in this period"),
    ],
)
def test_an_empty_database_has_something_to_show(empty: DashboardConfig, page: str | None, sentence: str) -> None:
    assert sentence in words(open_page(empty, page))


def test_the_list_tells_counts_with_their_denominators(plant: Plant) -> None:
    text = words(open_page(plant.config))
    for figure in ("3 of 12 · 95 % 8.9–53.2 %", "of 12 · 50.0 %", "of 12 · 16.7 %", "of 12 · 8.3 %", "1 to 12, newest first"):
        assert figure in text


def test_a_filter_narrows_the_list_and_says_when_nothing_is_left(plant: Plant) -> None:
    test = open_page(plant.config)
    assert "1 to 2, newest first" in words(drawn(test.pills(key="verdict").set_value(["REVIEW"]).run()))
    assert "1 to 1, newest first" in words(drawn(test.text_input(key="search").set_value("1007").run()))
    assert "No inspection matches" in words(drawn(test.text_input(key="search").set_value("P-9").run()))


def test_maps_that_do_not_explain_their_verdict_can_be_listed_alone(plant: Plant) -> None:
    test = open_page(plant.config)
    assert "1 to 1, newest first" in words(drawn(test.toggle(key="conflicts").set_value(True).run()))
    assert "No inspection matches" in words(drawn(test.pills(key="verdict").set_value(["REVIEW"]).run()))


def test_a_part_says_whether_its_map_explains_its_verdict(plant: Plant) -> None:
    explained, conflict, unasked = (words(part_page(plant, part)) for part in ("P-1002", "P-1005", "부품-1004"))
    assert "Defect score without the heatmap's region 0.031, of the region alone 0.882." in explained
    assert "does not explain this verdict" not in explained
    assert "does not explain this verdict" in conflict
    assert "0.714" in conflict
    assert "region alone" not in unasked


def test_a_period_in_which_nothing_was_judged_says_so(tmp_path: Path) -> None:
    with filled_plant(tmp_path) as plant:
        test = open_page(plant.config)
        assert "No inspections in this period" in words(drawn(test.selectbox(key="period").select("Last hour").run()))


def test_pages_turn_to_older_inspections_and_back(plant: Plant) -> None:
    plant.add_unjudged(95)
    test = open_page(plant.config)

    def turn(label: str) -> str:
        return words(drawn(next(found for found in test.button if found.label == label).click().run()))

    assert "1 to 50, newest first" in words(test)
    assert "51 to 100, newest first" in turn("Older")
    assert "101 to 107, newest first" in turn("Older")
    assert next(found for found in test.button if found.label == "Older").disabled
    assert "51 to 100, newest first" in turn("Newer")
    turn("Older")
    assert "1 to 50, newest first" in turn("Newest")
    turn("Older")
    assert "1 to 3, newest first" in words(drawn(test.pills(key="verdict").set_value(["PASS"]).run()))


def test_a_part_shows_verdict_reason_limits_probabilities_and_record(plant: Plant) -> None:
    text = words(part_page(plant, "P-1002"))
    for piece in (
        "✕ REJECT", "Why REJECT", "Defect score <b>0.930</b> · PASS below 0.200 · REJECT from 0.600", "84.6 %", "Grad-CAM",
        "press-3, version 1", "decode 1.2 ms · judge 7.5 ms", "cpu", "promises no miss rate", "SHA-256 4b1d4b1d4b1d4b1d",
    ):  # fmt: skip
        assert piece in text
    assert "320 × 320 px" in text
    explanation = plant.record("P-1002").explanation
    assert explanation is not None
    (in_mm, in_px) = size_texts(explanation.regions[0], 0.05)
    assert f"<td>{in_mm[0]}<br>{in_px[0]}</td><td>{in_mm[1]}<br>{in_px[1]}</td>" in text
    assert SIZE_SENTENCE in text


def test_a_name_with_markup_stays_text(plant: Plant) -> None:
    text = words(part_page(plant, "<b>P-1012</b>"))
    assert "&lt;b&gt;P-1012&lt;/b&gt;" in text
    assert "<b>P-1012</b>" not in text


@pytest.mark.parametrize("uid", ["nonsense", "../../etc/passwd", "01890000-0000-7000-8000-000000000000"])
def test_an_unknown_inspection_says_so(plant: Plant, uid: str) -> None:
    assert "No such inspection" in words(open_page(plant.config, "part.py", uid=uid))


def test_without_an_id_the_newest_waiting_part_is_shown(plant: Plant) -> None:
    assert shown_part(open_page(plant.config, "part.py")) == plant.uids["<b>P-1012</b>"]


def fill(test: AppTest, part_uid: str, *, reviews: int = 0, decision: str, reviewer: str = "Kim") -> AppTest:
    """Name and decision in the form of this part."""
    drawn(test.text_input(key="reviewer").set_value(reviewer).run())
    return drawn(test.get_by_key(f"decision-{part_uid}-{reviews}").set_value(decision).run())


def test_accepting_stores_a_review_and_goes_to_the_next_part(plant: Plant) -> None:
    uid = plant.uids["P-1005"]
    test = part_page(plant, "P-1005")
    assert test.button(key=f"record-{uid}-0").disabled
    fill(test, uid, decision="accept")
    drawn(test.button(key=f"record-{uid}-0").click().run())
    (review,) = plant.record("P-1005").reviews
    assert (review.reviewer, review.decision, review.disposition, review.defect_class) == (
        "Kim", "accept", "defective", "missing_hole",
    )  # fmt: skip
    assert review.shown_ms is not None
    assert 0 <= review.shown_ms < 60_000
    assert shown_part(test) == plant.uids["부품-1004"]
    assert test.text_input(key="reviewer").value == "Kim"


def test_an_override_asks_for_class_and_reason(plant: Plant) -> None:
    uid = plant.uids["P-1005"]
    test = fill(part_page(plant, "P-1005"), uid, decision="override")
    assert test.button(key=f"record-{uid}-0").disabled
    options = test.selectbox(key=f"class-{uid}-0").options
    assert options[0] == "good"
    assert "defective: missing_hole" not in options
    drawn(test.selectbox(key=f"class-{uid}-0").set_value("good").run())
    drawn(test.button(key=f"record-{uid}-0").click().run())
    assert "Give a reason for overriding the verdict." in words(test)
    assert plant.record("P-1005").reviews == ()
    drawn(test.text_area(key=f"reason-{uid}-0").set_value("oil drop").run())
    drawn(test.button(key=f"record-{uid}-0").click().run())
    (review,) = plant.record("P-1005").reviews
    assert (review.decision, review.disposition, review.defect_class, review.reason) == ("override", "good", None, "oil drop")


def test_a_decision_without_a_name_is_not_stored(plant: Plant) -> None:
    uid = plant.uids["P-1005"]
    test = fill(part_page(plant, "P-1005"), uid, decision="accept", reviewer=" ")
    drawn(test.button(key=f"record-{uid}-0").click().run())
    assert "Enter your name." in words(test)
    assert plant.record("P-1005").reviews == ()
    assert shown_part(test) == uid


def test_who_was_overtaken_sees_the_next_part_and_changes_nothing(plant: Plant) -> None:
    uid = plant.uids["P-1005"]
    test = fill(part_page(plant, "P-1005"), uid, decision="accept")
    plant.review("P-1005", reviewer="Lee")
    drawn(test.button(key=f"record-{uid}-0").click().run())
    assert [review.reviewer for review in plant.record("P-1005").reviews] == ["Lee"]
    assert shown_part(test) != uid


def test_a_correction_supersedes_and_both_stay_readable(plant: Plant) -> None:
    plant.review("P-1005")
    (first,) = plant.record("P-1005").reviews
    uid = plant.uids["P-1005"]
    test = part_page(plant, "P-1005")
    assert "Correct the decision" in words(test)
    fill(test, uid, reviews=first.id, decision="accept", reviewer="Lee")
    drawn(test.button(key=f"record-{uid}-{first.id}").click().run())
    assert [review.supersedes for review in plant.record("P-1005").reviews] == [None, first.id]
    text = words(part_page(plant, "P-1005"))
    assert "override, good (corrected)" in text
    assert "accept, defective: missing_hole" in text
    assert "only dust" in text


def test_an_image_that_was_not_judged_has_no_verdict_to_accept(plant: Plant) -> None:
    test = part_page(plant, "P-1010")
    assert "there is no verdict to accept" in words(test)
    assert test.get_by_key(f"decision-{plant.uids['P-1010']}-0").options == ["Decide on the part"]
    assert "found 12 bytes missing" in test.code[0].value


def test_reports_are_made_on_request_and_offered_for_download(plant: Plant) -> None:
    test = open_page(plant.config, "reports.py")
    assert not test.download_button
    drawn(test.button(key="make-CSV").click().run())
    drawn(test.button(key="make-PDF").click().run())
    labels = [download.label for download in test.download_button]
    assert [label.split(" (")[0] for label in labels] == ["Download CSV", "Download PDF"]
    state, data = test.session_state["report-PDF"]
    assert data.startswith(b"%PDF-")
    assert sum(count for _, count in state[2]) == 12


def test_a_report_of_other_days_is_not_offered_for_these(plant: Plant) -> None:
    test = open_page(plant.config, "reports.py")
    drawn(test.button(key="make-CSV").click().run())
    day = datetime.now(plant.config.plant.zone).date() - timedelta(days=3)
    drawn(test.date_input(key="from").set_value(day).run())
    assert not test.download_button


def test_a_period_that_ends_before_it_starts_says_so(plant: Plant) -> None:
    test = open_page(plant.config, "reports.py")
    day = datetime.now(plant.config.plant.zone).date() - timedelta(days=30)
    drawn(test.date_input(key="to").set_value(day).run())
    assert "ends before it starts" in words(test)
