"""Bundles: checked by hash, the same answer from any batch, the same weights from the same seed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from kizu_inspect.bundle import Bundle
from kizu_inspect.errors import BundleError, ConfigError, MethodError
from kizu_inspect.inspector import Inspector
from kizu_inspect.labelled.dataset import read_labelled
from kizu_inspect.network.devices import pick_device
from kizu_inspect.network.model import Architecture
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.recipe import ClassRule, ExplanationSettings, Recipe
from kizu_inspect.synth import KINDS, draw_part, write_set
from kizu_inspect.training.fit import FitSettings
from kizu_inspect.training.settings import TrainingSettings
from kizu_inspect.training.train import train
from precision import PRECISION

PARTS = [draw_part(KINDS[seed % len(KINDS)], seed, size_px=64).image for seed in range(21)]


def inspector(bundle: Path, *, method: str = "grad-cam", max_batch: int = 16) -> Inspector:
    return Inspector.load(
        Recipe(bundle=bundle, explanation=ExplanationSettings(method=method)), device="cpu", max_batch=max_batch
    )


@pytest.mark.parametrize("method", ["cam", "grad-cam"])
def test_the_batch_size_changes_nothing(tiny_bundle: Path, method: str) -> None:
    one, many = inspector(tiny_bundle, method=method, max_batch=1), inspector(tiny_bundle, method=method, max_batch=16)
    alone, together = one.judge(PARTS), many.judge(PARTS)
    for a, b in zip(alone.judgements, together.judgements, strict=True):
        assert a.verdict == b.verdict
        assert a.probabilities == pytest.approx(dict(b.probabilities), abs=1e-5)
    everything = range(len(PARTS))
    for a, b in zip(one.explain(alone, everything), many.explain(together, everything), strict=True):
        assert a.heatmap.maximum == pytest.approx(b.heatmap.maximum, rel=1e-4, abs=1e-5)
        assert np.abs(a.heatmap.grid.astype(float) - b.heatmap.grid.astype(float)).max() <= 1e-3  # float16's own step


def test_the_same_seed_and_threads_give_the_same_weights(tmp_path: Path) -> None:
    data = read_labelled(write_set(tmp_path / "parts", count=120, seed=5, size_px=64))
    settings = TrainingSettings(
        input=InputSettings(height_px=64, width_px=64),
        architecture=Architecture(width=8),
        fit=FitSettings(steps=12, precision=PRECISION),
        device="cpu",
    )
    weights = [(train(data, tmp_path / name, settings).bundle.path / "weights.safetensors").read_bytes() for name in "ab"]
    assert weights[0] == weights[1]


def test_a_changed_weight_file_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, copy)
    data = bytearray((copy / "weights.safetensors").read_bytes())
    data[-1] ^= 1
    (copy / "weights.safetensors").write_bytes(data)
    with pytest.raises(BundleError, match="are not those that the bundle describes: found SHA-256"):
        Bundle.load(copy)


def test_a_folder_that_is_no_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"model bundle is not there: found no file .*bundle\.yaml"):
        Bundle.load(tmp_path)


def test_an_unknown_key_in_the_description_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, copy)
    with (copy / "bundle.yaml").open("a", encoding="utf-8") as file:
        file.write("tresholds: {}\n")
    with pytest.raises(BundleError, match="tresholds: Extra inputs are not permitted"):
        Bundle.load(copy)


def test_wrong_recipes_are_told_at_once(tiny_bundle: Path) -> None:
    with pytest.raises(MethodError, match="unknown explanation method: found heat; expected one of cam, grad-cam"):
        inspector(tiny_bundle, method="heat")
    with pytest.raises(BundleError, match=r"has no display scale for lfi-cam: .* Choose one of those methods"):
        inspector(tiny_bundle, method="lfi-cam")
    with pytest.raises(ConfigError, match="pass_below lies above"):
        Inspector.load(Recipe(bundle=tiny_bundle, pass_below=0.9, reject_from=0.1), device="cpu")
    with pytest.raises(ConfigError, match=r"what is no defect class of the bundle: found good, rust; expected some of dent"):
        Inspector.load(Recipe(bundle=tiny_bundle, classes={"good": ClassRule(), "rust": ClassRule()}), device="cpu")


def test_a_device_that_is_none_is_told() -> None:
    with pytest.raises(ConfigError, match=r"unknown device: found gpu; expected auto, cpu, cuda"):
        pick_device("gpu")  # type: ignore[arg-type]
