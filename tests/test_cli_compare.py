"""kizu train --compare: several candidates, one recommended."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kizu_inspect.bundle import Bundle
from kizu_inspect.errors import ConfigError
from kizu_inspect.picture.decoding import decode_image
from kizu_inspect.synth import write_set
from whole_cli import app

run = CliRunner().invoke


def test_the_recommended_candidate_becomes_the_bundle_and_one_that_fails_is_named(tmp_path: Path) -> None:
    write_set(tmp_path / "parts", count=100, seed=7, size_px=64)
    out = tmp_path / "bundles" / "plates"
    arguments = [
        "train", str(tmp_path / "parts"), "--out", str(out), "--compare", "--backbone", "local", "--backbone", "resnet18",
        "--weights", str(tmp_path / "absent.pth"), "--profile", "part", "--profile", "surface", "--size", "32", "--steps", "5",
        "--device", "cpu", "--json", "-",
    ]  # fmt: skip
    done = run(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said == json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    assert list(said["candidates"]) == ["local/part", "local/surface"]
    for name in ("resnet18/part", "resnet18/surface"):
        assert said["failed"][name].startswith("weight file of resnet18 is missing")
    for one in said["candidates"].values():
        assert one["steps"] == 5
        assert one["accuracy"]["n"] == one["at_promise"]["defective"] + one["at_promise"]["good_flagged"]["n"]
        assert not one["at_promise"]["kept"]  # a handful of defective pictures promises nothing
        assert (
            one["maps"]["pointing"]["n"] == one["at_promise"]["defective"] == said["unknowing_maps"]["centre"]["pointing"]["n"]
        )
        assert one["forward_ms"]["alone"] > 0 < one["forward_ms"]["in_16s"]
    best = said["candidates"][said["recommended"]]
    spec = Bundle.load(out).spec
    assert (spec.input.profile, spec.architecture.backbone) == (best["profile"], best["backbone"])
    assert spec.provenance.figures["validation_loss"] == best["validation_loss"]
    # A candidate learns only the default's.
    assert set(spec.explanation) == {"cam", "grad-cam", "grad-cam++", "score-cam", "lfi-cam"}
    assert {path.name for path in out.iterdir()} == {"bundle.yaml", "weights.safetensors", "training.png", "comparison.json"}
    assert [path.name for path in out.parent.iterdir()] == ["plates"]
    assert decode_image((out / "training.png").read_bytes()).std() > 5
    shown = done.stderr
    assert "resnet18/part left out: weight file of resnet18 is missing" in shown
    assert re.search(rf"^\* local .*\n +{best['profile']}, 5 steps ", shown, re.MULTILINE)
    assert said["reason"] in shown
    assert ("and not ready for a line" in shown) == (best["at_promise"]["good_flagged"]["value"] > 0.5)
    assert "Fewer than 400 steps" not in shown  # the steps were asked for, not what fitted into a time


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--compare", "--backbone", "local"], "nothing to compare: found one candidate, local with the profile part"),
        (["--compare", "--backbone", "local", "--backbone", "vgg"], "unknown backbone: found vgg; expected local, resnet18"),
        (["--backbone", "local", "--backbone", "resnet18"], "several backbones without a comparison.*Add --compare"),
        (["--json", "-"], "nothing is compared that could be written.*Add --compare"),
        (["--compare", "--tile", "64", "--profile", "part"], "options are not understood: found input: .*tiles take surface"),
    ],
)
def test_a_comparison_that_cannot_be_is_refused_before_anything_is_trained(
    options: list[str], said: str, tmp_path: Path
) -> None:
    write_set(tmp_path / "parts", count=12, seed=7, size_px=64)
    with pytest.raises(ConfigError, match=said):
        run(app, ["train", str(tmp_path / "parts"), "--out", str(tmp_path / "b"), *options], catch_exceptions=False)
    assert not (tmp_path / "b").exists()
