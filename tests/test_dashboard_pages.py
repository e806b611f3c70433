"""What each page shows and does, without a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard_world import Plant, empty_plant, filled_plant, session_cookie
from kizu_dashboard.room import close_rooms
from kizu_dashboard.settings import DashboardConfig
from kizu_dashboard.wording import SIZE_SENTENCE, size_texts
from kizu_db.permissions import Role
from kizu_db.values import NewInspection
from kizu_inspect.results import Judgement, Verdict
from pages_world import drawn, open_page, words


@pytest.fixture
def plant(tmp_path: Path, cookies: dict[str, str]) -> Iterator[Plant]:
    """Kim looks at it."""
    with filled_plant(tmp_path, start=datetime.now(UTC) - timedelta(minutes=30)) as plant:
        cookies |= session_cookie(plant.config, "Kim")
        yield plant


@pytest.fixture
def empty(tmp_path: Path, cookies: dict[str, str]) -> Iterator[DashboardConfig]:
    config = empty_plant(tmp_path)
    cookies |= session_cookie(config, "Kim")
    yield config
    close_rooms()


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
        ("part.py", "No part is chosen"),
        ("review.py", "No part waits for your decision"),
        ("live.py", "No station is recording"),
        ("quality.py", "No inspections in this period"),
        ("agreement.py", "No inspections in this period"),
        ("reports.py", "No flagged parts in this period"),
    ],
)
def test_an_empty_database_has_something_to_show(empty: DashboardConfig, page: str | None, sentence: str) -> None:
    assert sentence in words(open_page(empty, page))


@pytest.mark.parametrize("page", [None, "part.py", "review.py", "quality.py", "agreement.py", "reports.py"])
def test_where_the_records_are_away_the_page_says_so_and_tries_again(plant: Plant, page: str | None) -> None:
    test = open_page(plant.config, page)
    file = plant.room.records.file
    assert file is not None
    away = file.rename(file.with_name("away"))
    text = words(drawn(test.run()))
    assert "The records cannot be reached at the moment." in text
    assert str(file.parent) not in text
    away.rename(file)
    assert "cannot be reached" not in words(drawn(test.run()))


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
    assert "Without the heatmap&#x27;s region the defect score is 0.031, of the region alone 0.882: the heatmap" in explained
    assert "does not explain the verdict" not in explained
    assert "is 0.714, of the region alone 0.523: the part would not pass without it either, so the heatmap does not" in conflict
    assert "region alone" not in unasked


def test_a_period_in_which_nothing_was_judged_says_so(tmp_path: Path, cookies: dict[str, str]) -> None:
    with filled_plant(tmp_path) as plant:
        cookies |= session_cookie(plant.config, "Kim")
        test = open_page(plant.config)
        assert "No inspections in this period" in words(drawn(test.selectbox(key="period").select("Last hour").run()))


def test_pages_turn_to_older_inspections_and_back(plant: Plant) -> None:
    plant.add_unjudged(195)
    test = open_page(plant.config)

    def turn(label: str) -> str:
        return words(drawn(next(found for found in test.button if found.label == label).click().run()))

    assert "1 to 100, newest first" in words(test)
    assert "101 to 200, newest first" in turn("Older")
    assert "201 to 207, newest first" in turn("Older")
    assert next(found for found in test.button if found.label == "Older").disabled
    assert "101 to 200, newest first" in turn("Newer")
    turn("Older")
    assert "1 to 100, newest first" in turn("Newest")
    turn("Older")
    assert "1 to 3, newest first" in words(drawn(test.pills(key="verdict").set_value(["PASS"]).run()))


def test_a_part_shows_verdict_reason_limits_probabilities_and_record(plant: Plant) -> None:
    text = words(part_page(plant, "P-1002"))
    for piece in (
        "✕ REJECT", "Why REJECT",
        "Defect score <b>0.930</b>, above the reject limit · PASS below 0.200 · REJECT from 0.600", "84.6 %", "Grad-CAM",
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


def test_a_role_that_was_taken_meanwhile_stores_nothing(plant: Plant) -> None:
    reports = open_page(plant.config, "reports.py")
    with plant.room.records.unit() as unit:
        unit.users.change("Kim", by="Ana", role=Role.VIEWER)
    reports.button(key="make-CSV").click().run()
    assert not reports.download_button
    with plant.room.records.unit(read_only=True) as unit:
        assert unit.reports.latest() == []


def test_a_part_stands_beside_its_other_inspections_and_its_lot(plant: Plant) -> None:
    with plant.room.records.unit() as unit:
        again = unit.inspections.add(
            NewInspection(
                source="camera", source_key="again", station="press-3", part="P-1002", lot="L7", view="side",
                captured_at=datetime.now(UTC), judged_at=datetime.now(UTC), judgement=Judgement(Verdict.ERROR, "no light"),
                image_name="frame 1",
            )
        )  # fmt: skip
    plant.review("P-1005")
    shown = part_page(plant, "P-1002")
    (same,) = [str(one.value) for one in shown.html if again in str(one.value)]
    assert f'href="/part?uid={again}">P-1002' in same
    assert "<td>side</td>" in same
    assert "<td>waits</td>" in same
    (lot,) = [str(one.value) for one in shown.html if f'href="/part?uid={plant.uids["P-1005"]}"' in str(one.value)]
    assert "<td>missing hole</td><td>good</td>" in lot
    assert "P-1002" not in lot
    assert lot.count("/part?uid=") == 10
    assert "Lot L7" in words(shown)
    alone = words(part_page(plant, "P-1011"))
    assert "The same part" not in alone
    assert "&lt;b&gt;P-1012&lt;/b&gt;</a>" in alone


def test_a_viewer_sees_all_and_decides_nothing(plant: Plant, cookies: dict[str, str]) -> None:
    plant.review("P-1002", reviewer="Lee")
    cookies |= session_cookie(plant.config, "Vera")
    test = part_page(plant, "P-1002")
    text = words(test)
    assert "<b>Vera</b>" in text
    assert "viewer" in text
    assert "✕ REJECT" in text
    assert "only dust" in text
    assert "You may look, and not decide" in words(open_page(plant.config, "review.py"))
    assert [one.key for one in test.button if one.key and not one.key.startswith("dismiss-")] == []
    reports = open_page(plant.config, "reports.py")
    assert "the role inspector or one above" in words(reports)
    assert not [one.key for one in reports.button if one.key and not one.key.startswith("dismiss-")]


def test_without_a_session_a_page_says_so_and_nothing_else(plant: Plant, cookies: dict[str, str]) -> None:
    cookies.clear()
    for page in (None, "part.py", "review.py", "reports.py"):
        text = words(open_page(plant.config, page))
        assert "Your sign-in has ended" in text
        assert "P-10" not in text
        assert "Werk" not in text


def test_a_correction_supersedes_and_both_stay_readable(plant: Plant) -> None:
    plant.review("P-1005")
    (first,) = plant.record("P-1005").reviews
    plant.review(
        "P-1005", reviewer="Lee", disposition="defective", defect_class="missing_hole", decision="accept", treatment="scrap",
        supersedes=first.id,
    )  # fmt: skip
    text = words(part_page(plant, "P-1005"))
    assert "override, good (corrected)" in text
    assert "accept, defective: missing hole" in text
    assert "only dust" in text
    assert "<dt>Then</dt><dd>scrap</dd>" in text


def test_an_image_that_was_not_judged_says_what_went_wrong(plant: Plant) -> None:
    text = words(part_page(plant, "P-1010"))
    assert "Why ERROR" in text
    assert "found 12 bytes missing" in text


def test_the_review_page_takes_the_oldest_part_that_waits(plant: Plant) -> None:
    test = open_page(plant.config, "review.py")
    assert shown_part(test) == plant.uids["P-1002"]
    assert re.search(r"0 judged by you in this shift, since (06|14|22):00 · 10 wait", words(test))
    with plant.room.records.unit(read_only=True) as unit:
        assert [(claim.uid_inspection, claim.reviewer) for claim in unit.queue.claims()] == [(plant.uids["P-1002"], "Kim")]
    drawn(test.selectbox(key="class").select("stain").run())
    assert shown_part(test) == plant.uids["부품-1004"]


def test_a_part_of_the_audit_sample_is_shown_without_what_the_system_thinks(plant: Plant) -> None:
    for part in plant.uids:
        if part != "P-1006" and plant.record(part).row.verdict.value != "PASS":
            plant.review(part)
    text = words(open_page(plant.config, "review.py"))
    assert "P-1006" in text
    assert "judged blind" in text
    for told in ("PASS", "score", "Why"):
        assert told not in text.split("P-1006")[1]


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
