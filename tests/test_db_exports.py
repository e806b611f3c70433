"""Inspections, regions and reviews as Parquet and CSV, read back as other programs read them."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from db_examples import DENTED, NOON, SCRATCHED, explanation, inspection, model, review
from kizu_db.cells import safe_cell
from kizu_db.exports import pages, tables
from kizu_db.exports.columns import SCHEMAS
from kizu_db.exports.pages import each_record
from kizu_db.exports.tables import export_csv, export_parquet
from kizu_db.migrations import upgrade
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings
from kizu_db.values import InspectionRecord, NewSignal
from kizu_inspect.errors import ConfigError, RecordError
from kizu_inspect.results import RegionCheck, Verdict


@pytest.fixture
def told(records: Records) -> list[InspectionRecord]:
    """Records of every kind that the tables must hold, oldest first."""
    with records.unit() as unit:
        spec = {**model().spec, "thresholds": {"pass_below": 0.2, "reject_from": 0.6}}
        unit.models.register(replace(model(), spec=spec, promise={"miss_rate": 0.05}))
        content = {"bundle": "bundles/plates", "mm_per_px": 0.05, "pass_below": 0.3}
        recipe = unit.recipes.register("press-3", content, model().hash)
        full = inspection(
            part='=HYPERLINK("x")', view="top", lot="-L7", part_generated=True, image_sha256="cd" * 32, model_hash=model().hash,
            recipe_id=recipe.id, device="cpu", timings_ms={"decode": 0.1 + 0.2, "judge": 7.0},
            audit=True, audit_probability=0.01,
            captured_at=NOON + timedelta(microseconds=1), measured={"mean": 0.1 + 0.2},
        )  # fmt: skip
        uids = [unit.inspections.add(full)]
        unit.inspections.store_explanation(uids[0], explanation("cam"))
        unit.inspections.store_explanation(uids[0], replace(explanation(), check=RegionCheck(0.5, 0.25, conflict=True)))
        first = unit.reviews.add(
            review(uids[0], reason="a, \"b\"\nand\r\n'c' – 부품", shown_ms=None, boxes=(SCRATCHED, DENTED))
        )
        unit.reviews.add(review(uids[0], disposition="good", defect_class=None, decision="override", supersedes=first.id))
        uids.append(unit.inspections.add(inspection(Verdict.ERROR, error="\tcannot identify", image_name="+frame")))
        uids.append(unit.inspections.add(inspection(Verdict.PASS)))
        unit.inspections.fail_explanation(uids[2], "out of memory")
        unit.reviews.add(review(uids[2], reviewer="@kim", boxes=(replace(SCRATCHED, defect_class="=1+1"),)))
        unit.signals.add(
            [NewSignal(uid=uids[0], sent="NG", sent_at=NOON, acknowledged_at=None, late_ms=0.1 + 0.2, note="=late")]
        )
    found = list(each_record(records))
    assert [record.row.uid for record in found] == uids
    return found


def expected_rows(found: list[InspectionRecord]) -> dict[str, list[dict[str, Any]]]:
    """What the tables should hold, put down attribute by attribute."""
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in SCHEMAS}
    for record in found:
        row, one = record.row, record.explanation
        check = one.check if one is not None else None
        rows["inspections"].append(
            {name: value for source in (vars(record), vars(row)) for name, value in source.items()}
            | {
                "model": record.model.name if record.model else None,
                "recipe_version": record.recipe.version if record.recipe else None,
                "promise_holds": False if record.model else None,
                "method": one.heatmap.method if one else None,
                "map_status": one.heatmap.status if one else None,
                "map_peak_of_scale": one.heatmap.maximum / one.heatmap.scale if one else None,
                "score_without_regions": check.score_without if check else None,
                "score_of_regions_only": check.score_only if check else None,
                "defect_class": record.reviews[-1].defect_class if record.reviews else None,
                "measured": record.measured or {},
                "signal": record.signal.sent if record.signal else None,
                "signal_at": record.signal.sent_at if record.signal else None,
                "signal_late_ms": record.signal.late_ms if record.signal else None,
                "signal_note": record.signal.note if record.signal else None,
            }
        )
        rows["regions"] += [
            {
                "uid": row.uid,
                "method": each.heatmap.method,
                "standing": each is one,
                "target": each.heatmap.target,
                "ordinal": i,
            }
            | vars(region)
            | {"contour": str([list(corner) for corner in region.contour]) if region.contour else None}
            | {
                "length_mm": None if region.length_px is None else region.length_px * 0.05,
                "width_mm": None if region.width_px is None else region.width_px * 0.05,
                "area_mm2": None if region.area_px is None else region.area_px * 0.05**2,
            }
            for each in record.explanations
            for i, region in enumerate(each.regions)
        ]
        rows["reviews"] += [
            {name: value for name, value in vars(each).items() if name not in ("uid_inspection", "nonce", "boxes")}
            | {"uid": row.uid, "standing": each is record.reviews[-1]}
            for each in record.reviews
        ]
        rows["boxes"] += [
            {"review_id": each.id, "uid": row.uid, "standing": each is record.reviews[-1], "ordinal": i} | vars(box)
            for each in record.reviews
            for i, box in enumerate(each.boxes)
        ]
    return rows


def test_every_value_comes_back_from_parquet(
    told: list[InspectionRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "ROW_GROUP", 2)
    done = export_parquet(told, tmp_path / "out")
    assert done.written == {"inspections": 3, "regions": 4, "reviews": 3, "boxes": 3}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"{name}.parquet" for name in sorted(SCHEMAS)]
    for name, rows in expected_rows(told).items():
        file = pq.ParquetFile(tmp_path / "out" / f"{name}.parquet")
        table = file.read()
        assert table.schema == SCHEMAS[name]
        back = [
            row | {key: dict(row[key]) for key in ("probabilities", "timings_ms", "measured") if key in row}
            for row in table.to_pylist()
        ]
        assert back == [{key: row[key] for key in SCHEMAS[name].names} for row in rows]
        if name == "inspections":
            assert file.metadata.num_row_groups == 2
            assert list(back[0]["probabilities"]) == ["scratch", "good", "dent"]  # the model's order
            assert back[0]["captured_at"].tzinfo is not None
            types = {field.name: str(field.type) for field in table.schema}
            assert types["captured_at"] == "timestamp[us, tz=UTC]"
            assert types["probabilities"].startswith("map<string, double")


def test_pandas_reads_the_tables_with_their_types(told: list[InspectionRecord], tmp_path: Path) -> None:
    export_parquet(told, tmp_path / "out")
    inspections = pd.read_parquet(tmp_path / "out" / "inspections.parquet")
    reviews = pd.read_parquet(tmp_path / "out" / "reviews.parquet")
    assert str(inspections["judged_at"].dt.tz) == "UTC"
    assert [when.to_pydatetime() for when in inspections["judged_at"]] == [record.row.judged_at for record in told]
    assert inspections["score"].dtype == np.float64
    assert inspections["score"].isna().tolist() == [False, True, False]
    assert dict(inspections["probabilities"][0]) == told[0].probabilities
    latest = inspections.merge(reviews[reviews["standing"]], on="uid", suffixes=("", "_reviewed"))
    assert latest["disposition"].tolist() == latest["disposition_reviewed"].tolist() == ["good", "defective"]


def test_every_value_comes_back_from_csv(told: list[InspectionRecord], tmp_path: Path) -> None:
    export_csv(told, tmp_path / "out")
    for name, rows in expected_rows(told).items():
        path = tmp_path / "out" / f"{name}.csv"
        assert path.read_bytes().startswith(b"\xef\xbb\xbf")
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            back = list(reader)
        assert reader.fieldnames == SCHEMAS[name].names
        assert len(back) == len(rows)
        for line, row in zip(back, rows, strict=True):
            assert {field.name: from_cell(line[field.name], field) for field in SCHEMAS[name]} == {
                field.name: row[field.name] or None if pa.types.is_string(field.type) else row[field.name]
                for field in SCHEMAS[name]
            }
            assert not [cell for cell in line.values() if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))]
        if name == "reviews":
            assert back[2]["reviewer"] == "'@kim"
    assert [box["defect_class"] for box in back] == ["scratch", "dent", "'=1+1"]
    assert pd.read_csv(tmp_path / "out" / "inspections.csv")["score"].isna().tolist() == [False, True, False]


def from_cell(cell: str, field: pa.Field) -> Any:
    """The value that a cell of this column writes."""
    if pa.types.is_map(field.type):
        return json.loads(cell)
    if cell == "":
        return None
    if pa.types.is_boolean(field.type):
        return {"true": True, "false": False}[cell]
    if pa.types.is_timestamp(field.type):
        when = datetime.fromisoformat(cell)
        assert when.utcoffset() == timedelta(0)
        return when
    if pa.types.is_integer(field.type):
        return int(cell)
    return float(cell) if pa.types.is_floating(field.type) else cell.removeprefix("'")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@sum", "\tx", "\rx", "\nx"])
def test_risky_starts_get_an_apostrophe(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "P-1", "a=b", "부품"])
def test_other_cells_stay_as_they_are(text: str) -> None:
    assert safe_cell(text) == text


def test_no_records_make_empty_tables(tmp_path: Path) -> None:
    export_parquet([], tmp_path / "parquet")
    assert pd.read_parquet(tmp_path / "parquet" / "regions.parquet").columns.tolist() == SCHEMAS["regions"].names
    export_csv([], tmp_path / "csv")
    assert (tmp_path / "csv" / "reviews.csv").read_text(encoding="utf-8-sig").splitlines() == [
        ",".join(SCHEMAS["reviews"].names)
    ]


def test_pages_follow_the_order_of_recording(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "A_PAGE", 2)
    with records.unit() as unit:
        uids = [
            unit.inspections.add(
                inspection(list(Verdict)[i % 4], judged_at=NOON - timedelta(minutes=i), station=f"press-{i % 2}")
            )
            for i in range(9)
        ]

    def found(**chosen: Any) -> list[int]:
        return [uids.index(record.row.uid) for record in each_record(records, **chosen)]

    assert found() == list(range(9))  # though the clock went backwards
    assert found(station="press-1") == [1, 3, 5, 7]
    assert found(verdicts=[Verdict.PASS, Verdict.REVIEW]) == [0, 1, 4, 5, 8]
    assert found(verdicts=[]) == []
    assert found(since=NOON - timedelta(minutes=6), until=NOON - timedelta(minutes=2)) == [3, 4, 5, 6]
    assert found(since=NOON - timedelta(minutes=6), station="press-0", verdicts=[Verdict.ERROR]) == [2, 6]
    with records.unit(read_only=True) as unit:
        (third,) = unit.inspections.records_after(None, limit=4)[3:]
        assert [one.row.uid for one in unit.inspections.records_after(third.row.number, limit=3)] == uids[4:7]
        assert unit.inspections.records_after(10**9) == []


def test_the_line_records_while_an_export_reads(records: Records) -> None:
    with records.unit() as unit:
        first = unit.inspections.add(inspection())
    reading = each_record(records)
    assert next(reading).row.uid == first
    with records.unit() as unit:  # on SQLite the only writer: it would wait for a transaction that held the database
        second = unit.inspections.add(inspection())
    assert [record.row.uid for record in reading] == [second]


def test_an_empty_folder_is_taken_and_another_is_not(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    export_csv([], tmp_path / "empty")
    with pytest.raises(ConfigError, match=r"would mix with what is there: found .*empty; expected a new or empty folder"):
        export_parquet([], tmp_path / "empty")
    assert len(list((tmp_path / "empty").iterdir())) == len(SCHEMAS)
    file = tmp_path / "file"
    file.write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match="would mix"):
        export_csv([], file)
    with pytest.raises(ConfigError, match=r"the export .* cannot be made: found (Not a directory|File exists)"):
        export_csv([], file / "below")
    export_csv([], tmp_path / "new" / "deep")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file", "new"]


def test_what_fails_half_way_leaves_nothing(told: list[InspectionRecord], tmp_path: Path) -> None:
    def broken() -> Iterator[InspectionRecord]:
        yield told[0]
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "taken").touch()

    with pytest.raises(RecordError, match=r"could not be written: found Directory not empty"):
        export_parquet(broken(), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["taken"]
    assert not list(tmp_path.glob(".kizu*"))


FULL = """
import resource, sys
from pathlib import Path
from kizu_db.exports import tables
from kizu_db.exports.pages import each_record
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings
from kizu_inspect.errors import RecordError
with Records.open(DatabaseSettings(url=sys.argv[1])) as records:
    found = list(each_record(records)) * 400
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    getattr(tables, sys.argv[2])(found, Path(sys.argv[3]))
except RecordError as error:
    sys.exit(str(error))
"""


@pytest.mark.parametrize("export", ["export_csv", "export_parquet"])
def test_a_disk_that_takes_no_more_is_told(export: str, tmp_path: Path) -> None:
    settings = DatabaseSettings(url=f"sqlite:///{tmp_path / 'kizu.db'}")
    upgrade(settings)
    with Records.open(settings) as records, records.unit() as unit:
        for number in range(100):
            unit.inspections.add(inspection(part=f"{number}" * 20))
    command = [sys.executable, "-c", FULL, settings.url, export, str(tmp_path / "out")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert f"the export {tmp_path / 'out'} could not be written: found File too large. Nothing of it was kept." in done.stderr
    assert not list(tmp_path.glob("*out*")) + list(tmp_path.glob(".kizu*"))


KILLED = """
import sys
from pathlib import Path
from kizu_db.exports.tables import export_csv
def waiting():
    print("begun", flush=True)
    sys.stdin.read()
    yield
export_csv(waiting(), Path(sys.argv[1]))
"""


def test_a_kill_leaves_nothing_that_looks_finished(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path / "out")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as export:
        assert export.stdout is not None
        assert export.stdout.readline() == "begun\n"
        export.kill()
        assert export.wait(timeout=30) == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".kizu-export-")
