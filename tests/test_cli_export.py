"""kizu db export, on a plant with pictures, maps and reviews."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from dashboard_world import Plant, filled_plant
from kizu_inspect.errors import ConfigError, SchemaError
from whole_cli import app

run = CliRunner().invoke
BEFORE_MIDNIGHT = datetime(2026, 3, 2, 14, 55, tzinfo=UTC)
"""In Seoul: five of the plant's parts are judged on 2 March, seven on 3 March."""
DEFECTS = {"P-1002": "scratch", "=HYPERLINK(1)": "dent", "부품-1004": "stain", "P-1005": "missing_hole", "P-1008": "scratch"}


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """Three parts reviewed as good, five as defective, of which one has no map; four not reviewed."""
    folder = tmp_path_factory.mktemp("plant")
    with filled_plant(folder, start=BEFORE_MIDNIGHT) as plant:
        (folder / "kizu.yaml").write_text(yaml.safe_dump(plant.config.model_dump(mode="json")), encoding="utf-8")
        for part in ("P-1001", "P-1006", "P-1011"):
            plant.review(part, decision="accept")
        for part, defect in DEFECTS.items():
            plant.review(part, disposition="defective", defect_class=defect, decision="accept")
        yield plant


@pytest.fixture
def config(plant: Plant) -> list[str]:
    return ["--config", str(plant.config.images.path.parent / "kizu.yaml")]


def figures(out: Path, *options: str) -> dict[str, Any]:
    """What an export without a loss prints as JSON."""
    done = run(app, ["db", "export", str(out), *options, "--json", "-"])
    assert done.exit_code == 0, done.output
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_the_tables_hold_what_was_asked_for(config: list[str], tmp_path: Path) -> None:
    done = run(app, ["db", "export", str(tmp_path / "all"), "--kind", "parquet", *config])
    assert done.exit_code == 0, done.output
    assert done.output == f"{tmp_path / 'all'}: 12 inspections, 5 regions, 8 reviews, 0 boxes\n"
    parts = pd.read_parquet(tmp_path / "all" / "inspections.parquet")["part"].tolist()
    for number, (options, expected) in enumerate(
        (
            (["--until", "2026-03-02"], parts[:5]),
            (["--since", "2026-03-03", "--until", "2026-03-03"], parts[5:]),
            (["--verdict", "review", "--verdict", "ERROR"], ["부품-1004", "P-1007", "P-1010"]),
            (["--reviewed", "--verdict", "pass"], ["P-1001", "P-1006", "P-1011"]),
            (["--station", "press-3"], parts),
            (["--station", "press-4"], []),
        )
    ):
        out = tmp_path / str(number)
        assert figures(out, "--kind", "parquet", *config, *options)["written"]["inspections"] == len(expected)
        assert pd.read_parquet(out / "inspections.parquet")["part"].tolist() == expected


def test_csv_is_safe_to_open(config: list[str], tmp_path: Path) -> None:
    told = figures(tmp_path / "out", "--kind", "csv", *config)
    assert (told["kind"], told["out"], told["lost"], told["left_out"]) == ("csv", str(tmp_path / "out"), 0, {})
    with (tmp_path / "out" / "inspections.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert [row["part"] for row in rows][2:4] == ["'=HYPERLINK(1)", "부품-1004"]
    assert rows[0]["judged_at"] == "2026-03-02T14:55:01.000000+00:00"


def test_coco_and_class_folders_go_back_into_training(plant: Plant, config: list[str], tmp_path: Path) -> None:
    coco = figures(tmp_path / "coco", "--kind", "coco", *config)
    # A defective part without a map is none of them: without a box it would be read as good.
    assert coco["written"] == {"images": 7, "annotations": 4}
    assert coco["left_out"] == {"not_reviewed": 4, "no_region": 1}
    done = run(app, ["db", "export", str(tmp_path / "folders"), "--kind", "folders", *config])
    assert done.output.splitlines() == [
        f"{tmp_path / 'folders'}: 3 good, 2 scratch, 1 dent, 1 stain, 1 missing_hole",
        "inspections left out: 4 not reviewed",
    ]
    for name, pictures, scratches in (("coco", 7, 1), ("folders", 8, 2)):
        checked = run(app, ["data", "check", str(tmp_path / name), "--json", "-"])
        assert checked.exit_code == 0, checked.output
        told = json.loads(checked.stdout)
        assert (told["format"], told["good"], told["pictures"]) == (name, "good", pictures)
        counts = {label: sum(splits.values()) for label, splits in told["classes"].items()}
        assert counts == {"dent": 1, "good": 3, "missing_hole": 1, "scratch": scratches, "stain": 1}
    uid = plant.uids["P-1005"]
    assert plant.record("P-1005").row.image_sha256 is not None
    assert (tmp_path / "folders" / "missing_hole" / f"{uid}.png").read_bytes() == (
        tmp_path / "coco" / "images" / f"{uid}.png"
    ).read_bytes()


def test_the_reviewed_alone_leave_none_out_for_want_of_a_review(config: list[str], tmp_path: Path) -> None:
    assert figures(tmp_path / "out", "--kind", "folders", "--reviewed", *config)["left_out"] == {}


def test_a_lost_picture_ends_with_1_after_all_others(tmp_path: Path) -> None:
    with filled_plant(tmp_path) as plant:
        (tmp_path / "kizu.yaml").write_text(yaml.safe_dump(plant.config.model_dump(mode="json")), encoding="utf-8")
        for part in ("P-1001", "P-1006"):
            plant.review(part)
        sha256 = plant.record("P-1001").row.image_sha256
        assert sha256 is not None
        plant.room.images.path_of(sha256).unlink()
        arguments = ["db", "export", str(tmp_path / "out"), "--kind", "folders", "--config", str(tmp_path / "kizu.yaml")]
        done = run(app, [*arguments, "--json", str(tmp_path / "told.json")])
        assert done.exit_code == 1
        named = f"inspection {plant.uids['P-1001']}: The picture {sha256} is not in the image store {tmp_path / 'images'}"
        assert f"lost: {named}" in done.output
        assert done.output.splitlines()[-1] == "pictures lost, and left out: 1"
        told = json.loads((tmp_path / "told.json").read_text(encoding="utf-8"))
        assert (told["lost"], told["written"]) == (1, {"good": 1})
        assert told["lost_named"][0].startswith(named)
        assert [path.stem for path in (tmp_path / "out" / "good").iterdir()] == [plant.uids["P-1006"]]


def test_what_cannot_be_exported_is_named(config: list[str], tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine").touch()
    other = tmp_path / "other.yaml"
    other.write_text(f"database: {{url: 'sqlite:///{tmp_path / 'none.db'}'}}\n", encoding="utf-8")
    for arguments, kind, said in (
        (["there", *config], ConfigError, "would mix with what is there"),
        (["x", "--since", "2026-03-32", *config], ConfigError, "--since is not a day: found 2026-03-32"),
        (["x", "--since", "2026-03-03", "--until", "2026-03-02", *config], ConfigError, "the period is empty"),
        (["x", "--config", str(other)], SchemaError, "none.db"),
    ):
        with pytest.raises(kind, match=said):
            run(app, ["db", "export", str(tmp_path / arguments[0]), "--kind", "csv", *arguments[1:]], catch_exceptions=False)
    assert run(app, ["db", "export", str(tmp_path / "x"), "--kind", "xlsx", *config]).exit_code == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.yaml", "there"]
