"""How a network is fitted: what counts, what is kept, what it starts from."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torchvision import models

from kizu_inspect.errors import ConfigError
from kizu_inspect.labelled.dataset import read_labelled
from kizu_inspect.labelled.places import UNSURE, truth_of
from kizu_inspect.network.backbones import build_backbone, cell_geometry
from kizu_inspect.network.heads import build_head
from kizu_inspect.network.model import Architecture, build_classifier
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.synth import write_set
from kizu_inspect.training.fit import FitSettings, Standing, fit, logits_of, prepare_profile
from kizu_inspect.training.losses import class_weights, evidence_loss
from kizu_inspect.training.pictures import Pictures, load_pictures
from kizu_inspect.training.schedule import Pace
from precision import PRECISION

CPU = torch.device("cpu")
INPUT = InputSettings(height_px=64, width_px=64)


def test_a_rare_class_weighs_the_root_of_its_rarity() -> None:
    labels = np.array([0] * 90 + [1] * 10)
    counted = Pictures(np.zeros((100, 1, 1, 3), np.uint8), labels, np.eye(2, dtype=bool)[labels], ("",) * 100, ())
    weights = class_weights(counted, balanced=True)
    assert float(weights[1] / weights[0]) == pytest.approx(3.0)  # √(90 / 10)
    assert float(weights.mean()) == pytest.approx(1.0)
    assert class_weights(counted, balanced=False).tolist() == [1.0, 1.0]


def test_the_weights_kept_are_those_of_lowest_validation_loss(tmp_path: Path) -> None:
    data = read_labelled(write_set(tmp_path / "parts", count=80, seed=2, size_px=64, splits={"train": 0.6, "val": 0.4}))
    train, val = (load_pictures(data.split(name), data.classes, INPUT, good=data.good) for name in ("train", "val"))
    # Labels that say nothing: what is learned of them by heart makes validation worse, so that the last is not the best.
    told = np.random.default_rng(0).permutation(train.labels)
    train = Pictures(train.images, told, np.eye(len(data.classes), dtype=bool)[told], train.groups, train.samples)
    torch.manual_seed(0)
    model = build_classifier(Architecture(width=8), INPUT, classes=5, good=data.classes.index("good"))
    prepare_profile(model, train, good=data.classes.index("good"))
    settings = FitSettings(steps=60, batch_size=16, learning_rate=2e-2, class_weights="none", precision=PRECISION)
    history = fit(model, train, val, settings, good=data.classes.index("good"), several=False, device=CPU)
    best = int(np.argmin(history.val_loss))
    assert history.steps[-1] == 60
    assert history.best_step == history.steps[best] < 60
    kept = F.cross_entropy(logits_of(model, val, device=CPU), torch.from_numpy(val.labels))
    assert float(kept) == pytest.approx(history.val_loss[best], rel=1e-4)
    assert not model.training


def test_the_time_ends_a_fit_however_slow_its_steps_become(tmp_path: Path) -> None:
    data = read_labelled(write_set(tmp_path / "parts", count=60, seed=2, size_px=64, splits={"train": 0.6, "val": 0.4}))
    train, val = (load_pictures(data.split(name), data.classes, INPUT, good=data.good) for name in ("train", "val"))
    model = build_classifier(Architecture(width=8), INPUT, classes=5, good=data.classes.index("good"))
    prepare_profile(model, train, good=data.classes.index("good"))
    stood: list[Standing] = []
    at: list[float] = []

    def progress(standing: Standing) -> None:
        stood.append(standing)
        at.append(pace.elapsed)
        time.sleep(0.1)  # a machine that has got something else to do

    pace = Pace(1000, seconds=2.0)
    history = fit(
        model, train, val, FitSettings(steps=1000, batch_size=16, precision=PRECISION), good=data.classes.index("good"),
        several=False, device=CPU, pace=pace, progress=progress,
    )  # fmt: skip
    assert (history.taken, history.planned, history.ended_early) == (len(stood), 1000, False)
    assert 1 < history.taken <= 21
    longest = max(at[0], *(after - before for before, after in pairwise(at)))
    assert at[-1] < 2.0 + 2 * longest
    shares = [one.share for one in stood]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert shares[-2] > 10 * stood[-2].step / 1000  # by the clock, far ahead of the steps
    # The validation pictures are looked at by the share too: about ten times, and at the end.
    assert stood[-1].validation == (history.val_loss[-1], history.val_accuracy[-1])
    assert min(history.taken, 3) <= len(history.steps) <= 11


@pytest.mark.parametrize("optimiser", ["muon", "adamw"])
def test_kernels_take_the_steps_of_the_optimiser_that_is_named(tmp_path: Path, optimiser: str) -> None:
    """AdamW's first step moves every weight equally far; Muon's does not."""
    data = read_labelled(write_set(tmp_path / "parts", count=60, seed=2, size_px=64, splits={"train": 0.6, "val": 0.4}))
    train, val = (load_pictures(data.split(name), data.classes, INPUT, good=data.good) for name in ("train", "val"))
    torch.manual_seed(0)
    model = build_classifier(Architecture(width=8), INPUT, classes=5, good=data.classes.index("good"))
    prepare_profile(model, train, good=data.classes.index("good"))
    kernel = model.backbone.get_parameter("stem.weight")
    before = kernel.detach().clone()
    settings = FitSettings.model_validate(
        {"steps": 1, "batch_size": 16, "weight_decay": 0, "optimiser": optimiser, "learning_rate": 1e-2, "precision": PRECISION}
    )
    fit(model, train, val, settings, good=data.classes.index("good"), several=False, device=CPU)
    moved = (kernel.detach() - before).abs().flatten()
    moved = moved[moved > 0]  # channels that no defect's evidence reads yet stay
    least, most = (float(moved.quantile(share)) for share in (0.1, 0.9))
    assert moved.numel() > kernel.numel() / 2
    assert (most < 1.2 * least) == (optimiser == "adamw")


def test_a_network_starts_from_torchvisions_weights(tmp_path: Path) -> None:
    torch.manual_seed(3)
    net = models.resnet18(weights=None)
    published = tmp_path / "resnet18.safetensors"
    save_file({name: value.contiguous() for name, value in net.state_dict().items()}, published)
    torch.manual_seed(4)
    body, channels = build_backbone("resnet18", 6, weights=published)
    assert channels == 512
    first = body.get_parameter("0.weight")  # (64, 6, 7, 7): the known channels keep their weights, new ones start at 0
    assert torch.equal(first[:, :3], net.conv1.weight)
    assert not first[:, 3:].any()
    assert torch.equal(body.get_parameter("7.1.conv2.weight"), net.layer4[1].conv2.weight)


def test_weights_that_are_not_there_or_do_not_fit_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"weight file of resnet18 is missing: found .*Fetch torchvision's weights"):
        build_backbone("resnet18", 3, weights=tmp_path / "absent.pth")
    other = tmp_path / "other.safetensors"
    save_file({"features.0.weight": torch.zeros(1)}, other)
    with pytest.raises(ConfigError, match=r"weight file does not fit this backbone: found no conv1\.weight"):
        build_backbone("resnet18", 3, weights=other)


def test_a_late_stride_of_one_halves_the_cells_step() -> None:
    usual, _ = build_backbone("resnet18", 3)
    finer, _ = build_backbone("resnet18", 3, late_stride=1)
    assert (cell_geometry(usual).step_px, cell_geometry(finer).step_px) == (32, 16)
    assert finer(torch.zeros(1, 3, 64, 96)).shape == (1, 512, 4, 6)
    with pytest.raises(ConfigError, match="late_stride=1 is not known for this backbone: found mobilenet_v3_small"):
        build_backbone("mobilenet_v3_small", 3, late_stride=1)


def test_a_cell_learns_what_its_centre_shows() -> None:
    """By hand: 2 × 2 cells of which one shows class 1 of three, one is unsure, and two show nothing (good: class 0)."""
    model = build_classifier(Architecture(), InputSettings(height_px=32, width_px=32, profile="plain"), classes=3, good=0)
    cells = torch.zeros(1, 3, 4, 4)
    cells[0, 1, 0, 0] = 2.0  # e² / (e² + 2) for the right class
    truth = np.zeros((1, 32, 32), np.uint8)
    truth[0, :8, :8] = 2
    truth[0, 8:, 8:] = UNSURE
    shown = -np.log(np.exp(2) / (np.exp(2) + 2))
    assert float(evidence_loss(cells, torch.from_numpy(truth), model)) == pytest.approx((shown + np.log(3)) / 2, abs=1e-6)
    nothing = torch.full((1, 32, 32), UNSURE, dtype=torch.uint8)
    assert float(evidence_loss(cells, nothing, model)) == 0.0


def test_without_a_good_class_what_lies_outside_the_defects_has_no_class() -> None:
    """By hand: one cell shows class 1 of three, twelve show nothing, three are unsure."""
    model = build_classifier(Architecture(), InputSettings(height_px=32, width_px=32, profile="plain"), classes=3, good=None)
    cells = torch.zeros(1, 3, 4, 4)
    cells[0, 1, 0, 0] = 2.0
    cells[0, 2, 3, 3] = -1.0
    truth = np.zeros((1, 32, 32), np.uint8)
    truth[0, :8, :8] = 2
    truth[0, 24:, :24] = UNSURE
    inside = -np.log(np.exp(2) / (np.exp(2) + 2)) + np.log1p(np.exp(-2))
    outside = 2 * (11 * 3 * np.log(2) + 2 * np.log(2) + np.log1p(np.exp(-1))) / 12
    loss = evidence_loss(cells, torch.from_numpy(truth), model).detach()
    assert float(loss) == pytest.approx((inside + outside) / 2, abs=1e-6)


def test_a_map_that_is_hottest_beside_the_defect_costs() -> None:
    """By hand: the share of the softmax over the sure cells that lies on the two cells of class 1."""
    model = build_classifier(Architecture(), InputSettings(height_px=32, width_px=32, profile="plain"), classes=3, good=0)
    truth = np.zeros((1, 32, 32), np.uint8)
    truth[0, :8, :16] = 2
    truth[0, 24:] = UNSURE
    cells = torch.zeros(1, 3, 4, 4)
    cells[0, 1, 0, 0], cells[0, 1, 2, 2], cells[0, 1, 3, 3] = 3.0, 4.0, 9.0  # on it, beside it, where nobody knows
    plain, pointing = (
        float(evidence_loss(cells, torch.from_numpy(truth), model, pointing_weight=weight)) for weight in (0.0, 0.5)
    )
    share = (np.exp(3) + 1) / (np.exp(3) + 1 + np.exp(4) + 9)
    assert pointing - plain == pytest.approx(-0.5 * np.log(share), abs=1e-5)
    cells.requires_grad_()  # classes that a picture does not show have no share: they must not spoil the gradient
    evidence_loss(cells, torch.from_numpy(truth), model, pointing_weight=0.5).backward()  # type: ignore[no-untyped-call]
    assert cells.grad is not None
    assert bool(torch.isfinite(cells.grad).all())


def test_the_cells_own_logits_pool_to_the_heads() -> None:
    """With one cell in the pool the head's logit of a defect is that of its strongest cell."""
    torch.manual_seed(3)
    head = build_head("evidence", 8, 4, good=1, top_share=1e-6)
    activations = torch.rand(2, 8, 5, 6)
    _, cells = head.judge(activations)  # type: ignore[operator]
    assert torch.allclose(cells.flatten(2).amax(dim=2), head(activations), atol=1e-6)


def test_whole_pictures_may_show_where_their_defects_lie(tmp_path: Path) -> None:
    write_set(tmp_path, count=12, seed=3, size_px=64)
    data = read_labelled(tmp_path)
    inputs = InputSettings(height_px=32, width_px=48)
    unmarked = replace(next(one for one in data.samples if one.label != data.good), mask=None, boxes=())
    loaded = load_pictures([*data.samples, unmarked], data.classes, inputs, good=data.good, ring_px=3)
    assert loaded.truths is not None
    for sample, truth in zip(data.samples, loaded.truths, strict=False):
        shown = set(np.unique(truth)) - {UNSURE}
        assert shown <= {0, 1 + data.classes.index(sample.label)}
        assert (sample.label == data.good) == (not (truth > 0).any())
        if sample.label != data.good:
            whole = truth_of(sample, (64, 64))
            assert whole is not None
            named = truth[:, 8:40] == 1 + data.classes.index(sample.label)  # letterboxed: 32 × 32 in the middle
            assert named.mean() == pytest.approx(whole.mean(), abs=0.02)
    assert (loaded.truths[-1] == UNSURE).all()
