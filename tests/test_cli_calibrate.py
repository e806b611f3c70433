"""kizu calibrate: other limits for a trained model, and what they cost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kizu_inspect.bundle import Bundle
from kizu_inspect.errors import ConfigError
from kizu_inspect.picture.decoding import decode_image
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
    table = RUN.invoke(app, [*arguments[:-2], "--device", "cpu"], catch_exceptions=False)
    assert "needs 149*" in table.output
    assert "promise kept:" in table.output


def test_the_limits_of_training_come_out_again(tiny_bundle: Path, tmp_path: Path) -> None:
    parts = tiny_bundle.parent / "parts"
    done = RUN.invoke(app, ["calibrate", str(tiny_bundle), str(parts), "--out", str(tmp_path / "same")], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    before, after = (Bundle.load(path).spec.thresholds for path in (tiny_bundle, tmp_path / "same"))
    assert (after.pass_below, after.reject_from) == pytest.approx((before.pass_below, before.reject_from), abs=1e-6)
    assert after.promise == before.promise


def test_a_bundle_is_never_overwritten(tiny_bundle: Path) -> None:
    with pytest.raises(ConfigError, match="would overwrite the old one"):
        RUN.invoke(app, ["calibrate", str(tiny_bundle), ".", "--out", str(tiny_bundle)], catch_exceptions=False)
