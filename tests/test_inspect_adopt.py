"""A torchvision classifier that a plain torch loop trained becomes a bundle: its own logits, true maps, limits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torchvision import models
from typer.testing import CliRunner

from kizu_inspect.bundle import Bundle
from kizu_inspect.errors import BundleError, ConfigError, DataError
from kizu_inspect.explain import EXPLAINERS
from kizu_inspect.inspector import Inspector
from kizu_inspect.labelled.dataset import LabelledSet, read_labelled
from kizu_inspect.labelled.picture_files import read_picture
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.recipe import ExplanationSettings, Recipe
from kizu_inspect.synth import write_set
from kizu_inspect.training.adopt import IMAGENET_MEAN, IMAGENET_STD, adopt, adopted_classifier, architecture_of
from kizu_inspect.training.settings import TrainingSettings, pictures_of
from whole_cli import app

SIDE = 64
CPU = torch.device("cpu")
RUN = CliRunner()


def settings(backbone: str = "resnet18") -> TrainingSettings:
    return TrainingSettings(
        name="theirs",
        input=InputSettings(height_px=SIDE, width_px=SIDE, resize="stretch", profile="plain"),
        architecture=architecture_of(backbone),
        device="cpu",
        promised_miss_rate=0.2,
    )


@dataclass(frozen=True)
class Theirs:
    """What the owner has: a network, its classes in an order of their own, its pictures."""

    net: torch.nn.Module
    classes: tuple[str, ...]
    weights: Path
    parts: Path
    data: LabelledSet


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Theirs:
    """A ResNet-18 that a plain torch loop trained on drawn parts, as its owner would write it, normalised as for ImageNet."""
    folder = tmp_path_factory.mktemp("theirs")
    write_set(folder / "parts", count=220, seed=4, splits={"train": 120, "val": 80, "test": 20})
    data = read_labelled(folder / "parts")
    classes = tuple(sorted(data.classes, reverse=True))  # as ImageFolder would not have them
    pixels = [read_picture(sample.path) for sample in data.split("train")]
    images = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255
    images = F.interpolate(images, size=(SIDE, SIDE), mode="area")
    images = (images - torch.tensor(IMAGENET_MEAN)[:, None, None]) / torch.tensor(IMAGENET_STD)[:, None, None]
    labels = torch.tensor([classes.index(sample.label) for sample in data.split("train")])
    torch.manual_seed(0)
    net = models.resnet18(weights=None, num_classes=len(classes))
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3)
    for _ in range(6):
        for rows in torch.randperm(len(images)).split(30):
            optimiser.zero_grad()
            F.cross_entropy(net(images[rows]), labels[rows]).backward()
            optimiser.step()
    torch.save(net.state_dict(), folder / "net.pth")
    return Theirs(net.eval(), classes, folder / "net.pth", folder / "parts", data)


@pytest.fixture(scope="module")
def bundle(theirs: Theirs, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """As the command makes it."""
    out = tmp_path_factory.mktemp("adopted") / "bundle"
    done = RUN.invoke(app, [*command(theirs), "--promise", "0.2", "--device", "cpu", "--out", str(out)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "its maps: cam, grad-cam, grad-cam++, score-cam" in done.output
    return Bundle.load(out)


def command(theirs: Theirs) -> list[str]:
    return ["adopt", str(theirs.weights), str(theirs.parts), "--classes", ",".join(theirs.classes), "--size", str(SIDE)]


def test_the_logits_are_their_own_and_the_maps_follow_from_their_weights(theirs: Theirs, bundle: Bundle) -> None:
    images, _ = pictures_of(theirs.data, "test", settings()).as_input(slice(None), CPU)
    normalised = (images - torch.tensor(IMAGENET_MEAN)[:, None, None]) / torch.tensor(IMAGENET_STD)[:, None, None]
    net: Any = theirs.net
    with torch.no_grad():
        expected = net(normalised)
        body = torch.nn.Sequential(*list(net.children())[:-2])(normalised)
    forward = bundle.model.explainable(images)
    assert (forward.logits - expected).abs().max() < 1e-5
    targets = torch.arange(len(images)) % len(theirs.classes)
    maps = EXPLAINERS["cam"](forward, targets).values
    by_hand = torch.einsum("nk,nkhw->nhw", net.fc.weight.detach()[targets], body).clamp(min=0)
    assert (maps - by_hand).abs().max() < 1e-4 * by_hand.max()


def test_limits_and_temperature_are_set_and_every_method_but_lfi_cam_explains(theirs: Theirs, bundle: Bundle) -> None:
    spec = bundle.spec
    assert spec.classes == theirs.classes
    assert spec.good == "good"
    assert spec.provenance.steps == 0
    assert set(spec.explanation) == {"cam", "grad-cam", "grad-cam++", "score-cam"}
    assert spec.thresholds.promise is not None
    assert spec.thresholds.promise.bound <= 0.2
    assert spec.novelty is not None
    sample = next(one for one in theirs.data.split("test") if one.label != "good")
    for method in spec.explanation:
        recipe = Recipe(bundle=bundle.path, explanation=ExplanationSettings(method=method, refine="none"))
        judge = Inspector(bundle, recipe, device=CPU, max_batch=4)
        batch = judge.judge([read_picture(sample.path)])
        (explanation,) = judge.explain(batch, [0])
        assert explanation.heatmap.grid.shape == (2, 2)
        assert batch.judgements[0].score is not None


@pytest.mark.parametrize("kept", ["safetensors", "checkpoint", "parallel"])
def test_weights_are_taken_as_people_keep_them(theirs: Theirs, tmp_path: Path, kept: str) -> None:
    state = theirs.net.state_dict()
    path = tmp_path / ("net.safetensors" if kept == "safetensors" else "net.pt")
    if kept == "safetensors":
        save_file(state, path)
    elif kept == "checkpoint":
        torch.save({"epoch": 3, "state_dict": {f"model.{key}": value for key, value in state.items()}}, path)
    else:
        torch.save({f"module.{key}": value for key, value in state.items()}, path)
    model = adopted_classifier(path, settings(), classes=theirs.classes, good="good")
    images = torch.rand(2, 3, SIDE, SIDE)
    same = adopted_classifier(theirs.weights, settings(), classes=theirs.classes, good="good")
    assert torch.equal(model(images), same(images))


def test_an_efficientnet_fits_too(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = models.efficientnet_b0(weights=None, num_classes=3).eval()
    torch.save(net.state_dict(), tmp_path / "net.pth")
    model = adopted_classifier(
        tmp_path / "net.pth", settings("efficientnet_b0"), classes=("a", "b", "c"), good=None, mean=(0, 0, 0), std=(1, 1, 1)
    )
    images = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        assert (model(images) - net(images)).abs().max() < 1e-5


class Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("run",))


def test_what_does_not_fit_is_refused_with_its_reason(
    theirs: Theirs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(weights: Path, *, classes: tuple[str, ...] = theirs.classes, backbone: str = "resnet18") -> str:
        with pytest.raises((BundleError, ConfigError, DataError)) as caught:
            adopt(weights, theirs.data, tmp_path / "never", settings(backbone), classes=classes)
        return str(caught.value)

    assert "weight file is missing" in refused(tmp_path / "no.pth")
    assert "other classes" in refused(theirs.weights, classes=(*theirs.classes, "crack"))
    assert "does not know" in refused(theirs.weights, classes=theirs.classes[1:])
    assert "do not fit torchvision's resnet34" in refused(theirs.weights, backbone="resnet34")
    assert "a hidden layer before its classes" in refused(theirs.weights, backbone="mobilenet_v3_small")
    state = theirs.net.state_dict()
    torch.save({key: value for key, value in state.items() if key != "bn1.weight"}, tmp_path / "less.pth")
    assert "bn1.weight" in refused(tmp_path / "less.pth")
    torch.save({"net": Code()}, tmp_path / "code.pth")
    assert "cannot be read" in refused(tmp_path / "code.pth")
    assert "run" not in capsys.readouterr().out
    (tmp_path / "text.pth").write_text("not weights", encoding="utf-8")
    assert "cannot be read" in refused(tmp_path / "text.pth")
    (tmp_path / "empty.pth").touch()
    assert "cannot be read" in refused(tmp_path / "empty.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    assert "no state dict" in refused(tmp_path / "list.pth")
    assert not (tmp_path / "never").exists()


def test_the_line_judges_with_it(theirs: Theirs, bundle: Bundle) -> None:
    picture = theirs.data.split("test")[0].path
    judged = RUN.invoke(app, ["inspect", str(bundle.path), str(picture)], catch_exceptions=False)
    assert any(verdict in judged.output for verdict in ("PASS", "REVIEW", "REJECT")), judged.output


@pytest.mark.parametrize(("option", "wrong"), [("--size", "big"), ("--resize", "crop"), ("--mean", "a,b,c"), ("--std", "1,1")])
def test_options_that_are_not_understood_are_named(theirs: Theirs, tmp_path: Path, option: str, wrong: str) -> None:
    with pytest.raises(ConfigError):
        RUN.invoke(app, [*command(theirs), option, wrong, "--out", str(tmp_path / "wrong")], catch_exceptions=False)
