"""What training and calibration say of the limits that they set, of real trainings, however short."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kizu_inspect.bundle import Bundle
from kizu_inspect.errors import ConfigError
from kizu_inspect.picture.decoding import decode_image
from kizu_inspect.synth import write_set
from whole_cli import app

RUN = CliRunner()


def rewritten(manifest: Path, change: Callable[[dict[str, str]], None]) -> Path:
    """The manifest with each row changed."""
    with manifest.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        change(row)
    with manifest.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return manifest


@pytest.fixture(scope="module")
def one_group(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A bundle trained on parts whose validation pictures are all of lot 7, and what was said; its parts lie beside it."""
    root = tmp_path_factory.mktemp("lot")

    def of_lot(row: dict[str, str]) -> None:
        row["group"] = "lot 7" if row["split"] == "val" else row["group"]

    parts = rewritten(write_set(root / "parts", count=72, seed=3, size_px=64), of_lot)
    arguments = ["train", str(parts), "--out", str(root / "bundle"), "--steps", "3", "--profile", "plain", "--device", "cpu"]
    done = RUN.invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return root / "bundle", done.output


def test_one_validation_group_is_taken_with_a_warning_and_no_promise(one_group: tuple[Path, str], tmp_path: Path) -> None:
    bundle, said = one_group
    flat = " ".join(said.split())
    assert "warning: all validation pictures are of one group, so no miss rate can be promised: found " in flat
    assert "no promise: all validation pictures are of one group, so the " in flat
    made = Bundle.load(bundle)
    assert made.spec.thresholds.promise is None
    assert made.spec.thresholds.pass_below == made.spec.thresholds.reject_from
    # Two parts without a miss would be enough for this promise, were they others than those that the weights were chosen on.
    loose = ["calibrate", str(bundle), str(bundle.parent / "parts"), "--promise", "0.8", "--out", str(tmp_path / "loose")]
    calibrated = RUN.invoke(app, loose, catch_exceptions=False)
    assert "no promise: all validation pictures are of one group" in calibrated.output
    assert Bundle.load(tmp_path / "loose").spec.thresholds.promise is None
    line = tmp_path / "kizu.yaml"
    line.write_text(
        f"database: {{url: 'sqlite:///{tmp_path / 'kizu.db'}'}}\nimages: {{path: {tmp_path / 'images'}}}\n"
        f"station: {{id: a, source: {{kind: folder, path: {tmp_path / 'in'}}}, recipe: {{bundle: {bundle}}}}}\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigError, match="promise"):  # a line does not run by it unless it is told to
        RUN.invoke(app, ["run", "--config", str(line), "--once"], catch_exceptions=False)


def test_the_report_shows_the_pictures_that_limits_rest_on(one_group: tuple[Path, str], tmp_path: Path) -> None:
    bundle, said = one_group
    parts = bundle.parent / "parts"
    figures = tmp_path / "figures.json"
    arguments = ["calibrate", str(bundle), str(parts), "--out", str(tmp_path / "same"), "--json", str(figures)]
    calibrated = RUN.invoke(app, arguments, catch_exceptions=False)
    rests = json.loads(figures.read_text(encoding="utf-8"))["rests_on"]
    assert {one["limit"] for one in rests} == {"PASS and REJECT"}  # without a promise they are one
    for one in rests:  # both commands name the same pictures, and what the limit would be without each
        for output in (said, calibrated.output):
            assert one["picture"] in output
            assert f"it would be {one['without']:.2g}" in output
    for path in (bundle / "training.png", tmp_path / "same" / "trade_off.png"):
        picture = decode_image(path.read_bytes())
        rows = picture.astype(int).std(axis=(1, 2))
        assert rows[-len(rows) // 3 :].max() > 20  # there is more below than white paper
