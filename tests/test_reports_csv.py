"""The defect report as CSV, read back as a spreadsheet reads it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from dashboard_world import MODEL_HASH, START, Plant, filled_plant
from kizu_dashboard.reports.content import gather_report
from kizu_dashboard.reports.csv import COLUMNS, csv_report
from kizu_inspect.errors import ConfigError

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    with filled_plant(tmp_path_factory.mktemp("plant")) as plant:
        plant.review("P-1002", reason='=cmd|" /C calc"!A0', reviewer="@kim")
        yield plant


@pytest.fixture(scope="module")
def rows(plant: Plant) -> dict[str, dict[str, str]]:
    data = csv_report(gather_report(plant.room.records, plant.config, since=START, until=START + DAY))
    assert data.startswith(b"\xef\xbb\xbf")
    return {row["part"]: row for row in csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""))}


def test_each_flagged_part_is_one_row_oldest_first(rows: dict[str, dict[str, str]]) -> None:
    assert list(rows) == [
        "P-1002", "'=HYPERLINK(1)", "부품-1004", "P-1005", "P-1007", "P-1008", "P-1009", "P-1010", "<b>P-1012</b>",
    ]  # fmt: skip
    assert all(set(row) == set(COLUMNS) for row in rows.values())


def test_a_row_says_what_was_found_by_whom_and_with_what(plant: Plant, rows: dict[str, dict[str, str]]) -> None:
    row, record = rows["P-1002"], plant.record("P-1002")
    assert row["inspection"] == record.row.uid
    assert (row["verdict"], row["target"], float(row["score"])) == ("REJECT", "scratch", 0.93)
    assert (row["model_hash"], row["recipe_version"], row["image_sha256"]) == (MODEL_HASH, "1", record.row.image_sha256)
    assert (row["method"], row["map_status"], float(row["map_peak_of_scale"])) == ("grad-cam", "ok", 1.2)
    assert row["regions"].startswith("scratch [")
    assert record.explanation is not None
    (region,) = record.explanation.regions
    assert region.length_px is not None
    assert float(row["regions_length_px"]) == pytest.approx(region.length_px, rel=1e-5)
    assert float(row["regions_length_mm"]) == pytest.approx(region.length_px * 0.05, rel=1e-5)
    assert (int(row["regions_area_px"]), row["mm_per_px"]) == (region.area_px, "0.05")
    assert float(row["regions_area_mm2"]) == pytest.approx(int(row["regions_area_px"]) * 0.05**2, rel=1e-5)
    assert tuple(tuple(map(int, corner.split(","))) for corner in row["regions_contour"].split()) == region.contour
    assert {rows["<b>P-1012</b>"][f"regions_{name}"] for name in ("length_px", "area_mm2", "contour")} == {""}
    assert (float(row["score_without_regions"]), float(row["score_of_regions_only"])) == (0.031, 0.882)
    assert [rows[part]["explanation_conflict"] for part in ("P-1002", "P-1005", "P-1007")] == ["no", "yes", ""]
    assert row["captured_at"] == "2026-03-02T14:01:00.000+09:00"
    assert datetime.fromisoformat(row["captured_at"]) == record.row.captured_at
    assert (row["disposition"], row["decision"], row["reviews"]) == ("good", "override", "1")


def test_what_people_and_file_names_say_never_becomes_a_formula(rows: dict[str, dict[str, str]]) -> None:
    assert rows["P-1002"]["review_reason"] == '\'=cmd|" /C calc"!A0'
    assert rows["P-1002"]["reviewer"] == "'@kim"
    assert not [cell for row in rows.values() for cell in row.values() if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_an_error_row_says_what_went_wrong(rows: dict[str, dict[str, str]]) -> None:
    row = rows["P-1010"]
    assert (row["verdict"], row["score"], row["model_hash"]) == ("ERROR", "", "")
    assert row["error"] == "picture is truncated or broken: found 12 bytes missing"


def test_the_period_ends_before_its_end(plant: Plant) -> None:
    first = START + timedelta(minutes=1, seconds=1)
    report = gather_report(plant.room.records, plant.config, since=first, until=first + timedelta(minutes=1))
    assert [record.row.part for record in report.flagged] == ["P-1002"]


def test_a_station_that_is_mistyped_gives_no_empty_report(plant: Plant) -> None:
    with pytest.raises(ConfigError, match="there is no such station: found press-33; expected one of press-3"):
        gather_report(plant.room.records, plant.config, since=START, until=START + timedelta(days=1), station="press-33")


@pytest.mark.parametrize(
    ("since", "until", "message"),
    [(START, START, "the period is empty"), (START.replace(tzinfo=None), START, "the period needs a time zone")],
)
def test_a_period_that_is_none_is_refused(plant: Plant, since: datetime, until: datetime, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        gather_report(plant.room.records, plant.config, since=since, until=until)
