"""kizu calibrate: other limits for a trained model, and what they cost."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kizu_inspect.bundle import Bundle
from kizu_inspect.errors import ConfigError
from kizu_inspect.picture.decoding import decode_image
from kizu_inspect.synth import write_set
from whole_cli import app

RUN = CliRunner()


def test_another_promise_is_another_bundle_with_its_price(tiny_bundle: Path, tmp_path: Path) -> None:
    parts = tiny_bundle.parent / "parts"
    arguments = ["calibrate", str(tiny_bundle), str(parts), "--promise", "0.3", "--out", str(tmp_path / "loose"), "--json", "-"]
    done = RUN.invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    before, after = Bundle.load(tiny_bundle), Bundle.load(tmp_path / "loose")
    assert after.hash == said["model"] != before.hash
    assert after.spec.weights_sha256 == before.spec.weights_sha256
    assert after.spec.thresholds.promise is not None
    assert after.spec.thresholds.promise.miss_rate == 0.3
    assert after.spec.thresholds.promise.bound <= 0.3
    assert [row["promise"] for row in said["trade_off"]] == [0.1, 0.05, 0.02, 0.01, 0.005]
    assert said["trade_off"][2] == {"promise": 0.02, "needed": 149, "thresholds": None, "reviewed": None, "rejected": None}
    assert decode_image((tmp_path / "loose" / "trade_off.png").read_bytes()).std() > 5
    table = RUN.invoke(app, [*arguments[:-2], "--device", "cpu", "--replace"], catch_exceptions=False)
    assert "needs 149*" in table.output
    assert "promise kept:" in table.output


def test_the_limits_of_training_come_out_again(tiny_bundle: Path, tmp_path: Path) -> None:
    parts = tiny_bundle.parent / "parts"
    done = RUN.invoke(app, ["calibrate", str(tiny_bundle), str(parts), "--out", str(tmp_path / "same")], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    before, after = (Bundle.load(path).spec.thresholds for path in (tiny_bundle, tmp_path / "same"))
    assert (after.pass_below, after.reject_from) == pytest.approx((before.pass_below, before.reject_from), abs=1e-6)
    assert after.promise == before.promise


def test_a_bundle_is_never_overwritten_by_its_own_limits(tiny_bundle: Path) -> None:
    with pytest.raises(ConfigError, match="would overwrite the old one"):
        RUN.invoke(app, ["calibrate", str(tiny_bundle), ".", "--out", str(tiny_bundle), "--replace"], catch_exceptions=False)


@pytest.mark.parametrize(
    "arguments", [["calibrate", "{bundle}", "."], ["train", "."], ["adopt", "net.pth", ".", "--classes", "good,dent"]]
)
def test_no_command_writes_over_a_bundle_or_among_other_files_unasked(
    arguments: list[str], tiny_bundle: Path, tmp_path: Path
) -> None:
    given = [one.format(bundle=tiny_bundle) for one in arguments]
    old = tmp_path / "old"
    shutil.copytree(tiny_bundle, old)
    before = Bundle.load(old).hash
    with pytest.raises(ConfigError, match=r"a bundle lies there already: found .*old; .*name another .* by --replace"):
        RUN.invoke(app, [*given, "--out", str(old)], catch_exceptions=False)
    assert Bundle.load(old).hash == before
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "readme.txt").write_text("mine", encoding="utf-8")
    for more in ([], ["--replace"]):
        with pytest.raises(ConfigError, match=r"the bundle's folder holds other files: found readme.txt in .*notes"):
            RUN.invoke(app, [*given, "--out", str(tmp_path / "notes"), *more], catch_exceptions=False)
    assert [file.name for file in (tmp_path / "notes").iterdir()] == ["readme.txt"]


def test_a_bundle_that_is_given_away_is_replaced(tiny_bundle: Path, tmp_path: Path) -> None:
    parts, out = tiny_bundle.parent / "parts", tmp_path / "strict"
    arguments = ["calibrate", str(tiny_bundle), str(parts), "--out", str(out), "--promise"]
    assert RUN.invoke(app, [*arguments, "0.3"], catch_exceptions=False).exit_code == 0
    before = Bundle.load(out).hash
    assert RUN.invoke(app, [*arguments, "0.2", "--replace"], catch_exceptions=False).exit_code == 0
    assert Bundle.load(out).hash != before


def test_pictures_that_the_model_may_have_learned_are_told(tiny_bundle: Path, tmp_path: Path) -> None:
    others = write_set(tmp_path / "others", count=60, seed=3, size_px=64)
    table = others.read_text(encoding="utf-8").splitlines()
    at = table[0].split(",").index("split")
    rows = [",".join(field for place, field in enumerate(next(csv.reader([line]))[:4]) if place != at) for line in table]
    (others.parent / "manifest.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    done = RUN.invoke(app, ["calibrate", str(tiny_bundle), str(others), "--out", str(tmp_path / "new")], catch_exceptions=False)
    assert "these are not the pictures that the model was trained from" in " ".join(done.output.split())
