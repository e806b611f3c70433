"""Wrong labels are found: by hand, and among drawn parts of which a twentieth is labelled wrongly on purpose."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from kizu_inspect.labelled.dataset import read_labelled
from kizu_inspect.labelled.samples import Sample
from kizu_inspect.network.profile import InputProfile
from kizu_inspect.picture.decoding import decode_image
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.synth import write_set
from kizu_inspect.training.batches import Batches
from kizu_inspect.training.contradictions import contradicted_in_training, said_of
from kizu_inspect.training.fit import FitSettings
from kizu_inspect.training.pictures import Pictures
from kizu_inspect.training.report import write_report
from kizu_inspect.training.settings import TrainingSettings
from kizu_inspect.training.standard import standard_architecture
from kizu_inspect.training.train import Trained, train
from precision import PRECISION
from whole_cli import app

RUN = CliRunner()
KINDS = ("good", "missing_hole")
SHARE = 0.05


def sample(name: str) -> Sample:
    return Sample(Path(f"{name}.png"), "good", "train", name)


def test_the_worst_tile_counts_and_what_was_never_drawn_does_not() -> None:
    a, b, c, d = (sample(name) for name in "abcd")
    found = contradicted_in_training([a, b, a, c, d], [0.2, 1.0, 2.5, float("nan"), 0.0])
    assert [one.sample for one in found] == [a, b, d]
    assert [one.probability for one in found] == pytest.approx([np.exp(-2.5), np.exp(-1), 1])
    assert contradicted_in_training([], []) == ()
    assert contradicted_in_training([c], [float("nan")]) == ()


def test_labels_are_doubted_by_how_far_they_lie_out_of_their_own_set() -> None:
    """By hand: losses of 0 to 1 have quartiles of 0.25 and 0.75, so more than 1.75 is far out; twelve are shown at least."""
    samples = [sample(str(number)) for number in range(101)]
    spread = np.linspace(0, 1, 101)
    found = contradicted_in_training(samples, spread.tolist())
    assert len(found) == 12
    assert not any(one.doubted for one in found)
    assert said_of(found).startswith("no label of a training picture was contradicted far more than the others")
    odd = spread.copy()
    odd[[3, 8]] = 1.7, 1.9
    found = contradicted_in_training(samples, odd.tolist())
    assert [(one.sample, one.doubted) for one in found[:3]] == [(samples[8], True), (samples[3], False), (samples[100], False)]
    assert said_of(found).endswith("those of 1 training pictures were contradicted far more than the others: 8.png")
    many = contradicted_in_training(samples, [9.0] * 20 + [0.1] * 81)
    assert [one.doubted for one in many] == [True] * 20
    assert said_of(many).count(".png") == 5
    assert said_of(many).endswith("…")


def test_the_mean_loss_is_that_of_every_draw() -> None:
    images = np.zeros((3, 32, 32, 3), np.uint8)
    pictures = Pictures(images, np.zeros(3, np.int64), np.ones((3, 1), bool), ("a", "b", "c"), tuple(map(sample, "abc")))
    profile = InputProfile("plain", height_px=32, width_px=32)
    batches = Batches(profile, pictures, size=2, shift_px=0, hard_share=0.0, seed=0, device=torch.device("cpu"))
    batches.learned(np.array([0, 1]), torch.tensor([1.0, 4.0]))
    batches.learned(np.array([0, 0]), torch.tensor([2.0, 6.0]))  # a set smaller than two batches gives a picture twice
    assert batches.mean_losses[:2] == pytest.approx([3.0, 4.0])
    assert np.isnan(batches.mean_losses[2])
    again = Batches(profile, pictures, size=2, shift_px=0, hard_share=0.0, seed=1, device=torch.device("cpu"))
    again.restore(batches.state())  # a training that goes on from a checkpoint knows what came before
    again.learned(np.array([1, 2]), torch.tensor([2.0, 1.0]))
    assert again.mean_losses.tolist() == pytest.approx([3.0, 3.0, 1.0])


def mislabelled(manifest: Path) -> tuple[Path, dict[str, set[Path]]]:
    """A manifest in which a twentieth of each split is labelled wrongly, and those pictures by split."""
    with manifest.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["label"] in KINDS]
    wrong: dict[str, set[Path]] = {}
    for split in ("train", "val", "test"):
        of_split = [row for row in rows if row["split"] == split]
        chosen = np.random.default_rng(0).choice(len(of_split), max(2, round(SHARE * len(of_split))), replace=False)
        for row in (of_split[number] for number in chosen):
            row["label"], row["mask"], row["boxes"] = next(kind for kind in KINDS if kind != row["label"]), "", ""
        wrong[split] = {manifest.parent / of_split[number]["path"] for number in chosen}
    path = manifest.with_name("mislabelled.csv")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path, wrong


@dataclass(frozen=True)
class Noisy:
    """A training from a set with wrong labels."""

    data: Path
    wrong: dict[str, set[Path]]
    """By split."""
    trained: Trained
    bundle: Path


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Noisy:
    """Trained for some seconds: good parts and missing holes are soon told apart."""
    root = tmp_path_factory.mktemp("noise")
    data, wrong = mislabelled(write_set(root / "parts", count=520, seed=2, size_px=64))
    inputs = InputSettings(height_px=64, width_px=64)
    settings = TrainingSettings(
        input=inputs, architecture=standard_architecture("local", inputs.profile, branch=False, marked=True),
        fit=FitSettings(steps=150, precision=PRECISION), learn_places=True, device="cpu",
    )  # fmt: skip
    trained = train(read_labelled(data), root / "bundle", settings, methods=("grad-cam",))
    return Noisy(data, wrong, trained, root / "bundle")


def test_training_finds_the_wrong_labels_among_those_that_it_learns(noisy: Noisy) -> None:
    """A twentieth of the labels is wrong: so many of the most contradicted are wrong by chance, and nearly all are."""
    wrong, ranked = noisy.wrong["train"], [one.sample.path for one in noisy.trained.contradicted]
    assert len(wrong) > 10
    assert len(wrong.intersection(ranked[: len(wrong)])) / len(wrong) >= 0.8  # precision and recall
    doubted = [one.sample.path for one in noisy.trained.contradicted if one.doubted]
    assert len(doubted) >= 3
    assert len(wrong.intersection(doubted)) / len(doubted) >= 0.6  # of 30 that were named in a larger set 21 were wrong
    line = said_of(noisy.trained.contradicted)
    assert line.startswith(f"look at these labels: those of {len(doubted)} training pictures")
    assert str(doubted[0]) in line


def test_the_report_shows_them(noisy: Noisy, tmp_path: Path) -> None:
    without, with_row = (
        decode_image(write_report(trained, tmp_path).read_bytes())
        for trained in (replace(noisy.trained, contradicted=()), noisy.trained)
    )
    assert with_row.shape[0] > without.shape[0] + 200
    row = with_row[-200:].reshape(-1, 3).astype(int)
    assert (row.std(axis=1) > 5).mean() > 0.01  # parts are tinted, paper is not


def checked(*arguments: str) -> tuple[dict[str, Any], str]:
    """What a check tells programs, and people."""
    told = RUN.invoke(app, ["data", "check", *arguments, "--device", "cpu", "--json", "-"], catch_exceptions=False)
    shown = RUN.invoke(app, ["data", "check", *arguments, "--device", "cpu"], catch_exceptions=False)
    return json.loads(told.stdout), " ".join(shown.output.split())


def test_a_check_with_a_model_finds_the_wrong_labels_that_it_has_not_learned(noisy: Noisy, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    told, shown = checked(str(noisy.data), "--model", str(noisy.bundle), "--html", str(page))
    compared, wrong = told["compared"], noisy.wrong["val"] | noisy.wrong["test"]
    counted = told["classes"]
    assert compared["unseen"]
    assert compared["pictures"] == sum(of_class[split] for of_class in counted.values() for split in ("val", "test"))
    found = {Path(path) for path in compared["contradicted"]}
    assert found >= wrong
    assert len(found) <= len(wrong) + 3
    assert list(compared["contradicted"].values()) == sorted(compared["contradicted"].values())
    named = [finding["pictures"] for finding in told["findings"] if finding["kind"] == "contradicted"]
    assert named == [[path] for path in compared["contradicted"]]
    assert f"the model learned from this set: its other {compared['pictures']} pictures were compared" in shown
    assert "a model contradicts the label of" in shown
    assert page.read_text(encoding="utf-8").count("a model contradicts the label of") == len(found)


def test_pictures_of_another_set_are_all_compared_and_that_is_said(noisy: Noisy) -> None:
    """The same pictures but for one are no longer the set that the model learned from."""
    lines = noisy.data.read_text(encoding="utf-8").splitlines()
    other = noisy.data.with_name("other.csv")
    other.write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
    told, shown = checked(str(other), "--model", str(noisy.bundle))
    assert not told["compared"]["unseen"]
    assert told["compared"]["pictures"] == told["pictures"] == len(lines) - 2
    assert "the model did not learn from this set as it is: all" in shown
    broken = noisy.data.with_name("broken.csv")
    broken.write_text("\n".join([*lines, "gone.png,good,train,,,,"]) + "\n", encoding="utf-8")
    told, shown = checked(str(broken), "--model", str(noisy.bundle))
    assert told["compared"] is None
    assert "the labels are compared with the model once training would take the set" in shown
