"""The words under a map."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from db_examples import SCRATCH, explanation, inspection, model
from kizu_dashboard.markup import probability_bars, region_table
from kizu_dashboard.wording import map_name, map_subject, reason_text, recorded_class, signal_text, size_texts
from kizu_db.records import Records
from kizu_db.values import Signal
from kizu_inspect.results import Judgement, MapStatus, Region, Verdict


@pytest.mark.parametrize(
    ("method", "status", "said"),
    [
        ("grad-cam", MapStatus.OK, "evidence for scratch"),
        ("grad-cam++", MapStatus.SIGNED_ACTIVATIONS, "evidence for scratch (channels with negative activations left out)"),
        ("lfi-cam", MapStatus.OK, "where the network looked, whatever the class"),
    ],
)
def test_a_map_says_what_it_shows(method: str, status: MapStatus, said: str) -> None:
    assert map_subject(replace(explanation(method).heatmap, target="scratch", status=status)) == said


def test_a_refined_attention_map_hangs_on_a_class() -> None:
    heatmap = replace(explanation("lfi-cam").heatmap, target="scratch")
    assert map_subject(heatmap, refined=True) == "where the network looked, and scratch hangs on it"


@pytest.mark.parametrize(
    ("models", "asked", "said"),
    [
        ({}, {}, "Grad-CAM++"),
        ({"refine": "pixels"}, {}, "Grad-CAM++, refined to pixels"),
        ({"refine": "pixels"}, {"explanation": {"refine": "none"}}, "Grad-CAM++"),
        ({"refine": "pixels"}, {"explanation": {"refine": None}}, "Grad-CAM++, refined to pixels"),
        ({"refine": "none"}, {"explanation": {"refine": "pixels"}}, "Grad-CAM++, refined to pixels"),
    ],
)
def test_a_refined_map_is_named_so(records: Records, models: dict[str, str], asked: dict[str, object], said: str) -> None:
    with records.unit() as unit:
        judge = replace(model(), spec={**model().spec, **models})
        unit.models.register(judge)
        recipe = unit.recipes.register("press-3", asked, judge.hash)
        uid = unit.inspections.add(inspection(model_hash=judge.hash, recipe_id=recipe.id))
        record = unit.inspections.get(uid)
    assert record is not None
    assert map_name(record, "grad-cam++") == said


@pytest.mark.parametrize(
    ("mm_per_px", "said"),
    [
        (None, ()),
        (0.05, (("1.32 × 0.16 mm", "0.20 mm²"),)),
        (0.1, (("2.6 × 0.3 mm", "0.8 mm²"),)),
        (2.0, (("53 × 6 mm", "324 mm²"),)),
    ],
)
def test_sizes_are_told_in_mm_first_to_a_pixels_size(mm_per_px: float | None, said: tuple[tuple[str, str], ...]) -> None:
    assert size_texts(SCRATCH, mm_per_px) == (*said, ("26 × 3 px", "81 px²"))
    assert size_texts(Region(0, 0, 4, 5, "scratch", 0.3, 0.1), mm_per_px) == ()


def test_the_table_of_regions_has_dashes_where_the_record_has_no_sizes() -> None:
    table = region_table((SCRATCH, Region(0, 0, 4, 5, "<b>", 0.3, 0.1)), mm_per_px=0.1)
    first, second = table.split("<tr>")[2:]
    assert "<td>2.6 × 0.3 mm<br>26 × 3 px</td><td>0.8 mm²<br>81 px²</td>" in first
    assert "<td>&lt;b&gt;</td><td>0.30</td><td>10 %</td><td>–</td><td>–</td>" in second


def test_a_signal_says_what_the_control_was_told_and_whether_it_has_it() -> None:
    zone, at = ZoneInfo("Asia/Seoul"), datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
    given = Signal(sent="NG", sent_at=at, acknowledged_at=at, late_ms=None, note="")
    assert signal_text(given, zone) == "NG at 2026-03-01 12:00:00 KST · acknowledged"
    late = replace(given, acknowledged_at=None, late_ms=7.6, note="late: no verdict by the deadline")
    assert signal_text(late, zone) == (
        "NG at 2026-03-01 12:00:00 KST · not acknowledged · 8 ms after its deadline · late: no verdict by the deadline"
    )
    assert signal_text(Signal(sent="none", sent_at=None, acknowledged_at=None, late_ms=None, note="away"), zone) == (
        "nothing was sent · away"
    )


@pytest.mark.parametrize(
    ("verdict", "reason", "said"),
    [
        (Verdict.REJECT, "missing_hole: defect score 0.930", "missing hole: defect score 0.930"),
        (Verdict.ERROR, "plate_4.png: truncated", "plate_4.png: truncated"),
    ],
)
def test_a_reason_says_classes_as_people_read_them(records: Records, verdict: Verdict, reason: str, said: str) -> None:
    with records.unit() as unit:
        uid = unit.inspections.add(inspection(judgement=Judgement(verdict, reason)))
        (row,) = unit.inspections.rows([uid])
    assert reason_text(row) == said


def test_a_class_is_found_as_it_is_read() -> None:
    known = ["dent", "missing_hole", "other defect", "other_defect"]
    asked = ["missing hole", "missing_hole", "other defect", "other_defect", "no such_class"]
    assert [recorded_class(one, known) for one in asked] == ["missing_hole", *asked[1:]]


def test_of_many_classes_the_most_probable_have_bars() -> None:
    bars = probability_bars({f"class_{number}": number / 100 for number in range(12)})
    assert bars.count("kz-bar") - bars.count("kz-bars") == 8
    assert "class 11" in bars
    assert "class 3<" not in bars
    assert "and 4 classes below these" in bars
    assert "below these" not in probability_bars({"good": 0.9, "dent": 0.1})
