"""What training and calibration say of the limits that they set, of real trainings, however short."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kizu_inspect.bundle import Bundle
from kizu_inspect.errors import ConfigError
from kizu_inspect.labelled.dataset import read_as_trained
from kizu_inspect.labelled.samples import Sample
from kizu_inspect.picture.decoding import decode_image
from kizu_inspect.synth import write_set
from kizu_inspect.training.calibrate import halves_of
from kizu_inspect.training.thresholds import judge_samples
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
    assert "label of a training picture was contradicted" in flat or "look at these labels" in flat
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


def test_a_wrong_label_that_decides_a_limit_is_named_and_shown(tiny_bundle: Path, tmp_path: Path) -> None:
    """The small model knows missing holes: by these alone limits lie far from good parts, until a good one is called one."""
    parts, spec = tiny_bundle.parent / "parts", Bundle.load(tiny_bundle).spec

    def known_alone(row: dict[str, str]) -> None:
        row["path"] = str(parts / row["path"])
        row["mask"] = row["mask"] and str(parts / row["mask"])
        if row["label"] == "missing_hole":
            row["split"] = {"test": "train"}.get(row["split"], "val")  # all but a few set limits
        elif row["label"] != "good":
            row["split"] = "train"

    sound = tmp_path / "sound.csv"
    sound.write_bytes((parts / "manifest.csv").read_bytes())
    val = read_as_trained(rewritten(sound, known_alone), spec).split("val")

    def sets_limits(wrong: Sample) -> bool:
        """The halves share out every class, so also by the wrong label."""
        labelled = [replace(one, label="missing_hole") if one is wrong else one for one in val]
        return halves_of(labelled, seed=spec.provenance.seed).limits(wrong)

    good = [sample for sample in val if sample.label == "good" and sets_limits(sample)]
    wrong = good[int(judge_samples(Bundle.load(tiny_bundle), good, "cpu").scores.argmin())].path

    def mislabelled(row: dict[str, str]) -> None:
        if Path(row["path"]) == wrong:
            row["label"] = "missing_hole"

    odd = tmp_path / "odd.csv"
    odd.write_bytes(sound.read_bytes())
    rewritten(odd, mislabelled)
    figures, lines, heights = {}, {}, {}
    for data in (sound, odd):
        out, written = tmp_path / data.stem, tmp_path / f"{data.stem}.json"
        arguments = ["calibrate", str(tiny_bundle), str(data), "--promise", "0.25", "--out", str(out), "--json", str(written)]
        told = RUN.invoke(app, arguments, catch_exceptions=False)
        assert told.exit_code == 0, told.output
        figures[data.stem], lines[data.stem] = json.loads(written.read_text(encoding="utf-8")), told.output
        heights[data.stem] = decode_image((out / "trade_off.png").read_bytes()).shape[0]
    one = next(one for one in figures["odd"]["rests_on"] if one["picture"] == str(wrong))
    assert one["limit"].startswith("PASS")
    sound_limit = figures["sound"]["thresholds"]["pass_below"]
    assert one["without"] == pytest.approx(sound_limit, rel=0.5)  # 13 or 14 defective ones, none missed
    assert f"hangs on single ones: without {wrong} it would be {one['without']:.2g}" in lines["odd"]
    assert str(wrong) not in lines["sound"]
    assert "hangs on single ones" not in lines["sound"]
    assert figures["sound"]["thresholds"]["pass_below"] > 0.6 > figures["odd"]["thresholds"]["pass_below"]
    drawn = decode_image((tmp_path / "odd" / "trade_off.png").read_bytes())
    bottom = drawn[-drawn.shape[0] // 4 :].reshape(-1, 3).astype(int)
    assert (bottom.std(axis=1) > 20).any()  # a part with what is marked on it, not only black on white
    assert heights["odd"] > 600
