"""Figures that ask the model again, on a model whose answers are known by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from kizu_inspect.bundle import Bundle
from kizu_inspect.evaluation.faithfulness import (
    Answers,
    ask,
    faithfulness_figures,
    mean_correlation,
    median_rank_correlation,
    with_fresh_head,
)
from kizu_inspect.evaluation.pointing import comparison_maps, locate
from kizu_inspect.explain import explainer
from kizu_inspect.network.model import Architecture, HeadSettings, build_classifier
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.synth import draw_part

SIDE = 40
BLACK = torch.zeros(3, 1, 1)


def bright_corner(images: Tensor) -> Tensor:
    """Class 1 has the probability of the mean brightness of the upper left 8 × 8 pixels."""
    p = images[:, :, :8, :8].mean(dim=(1, 2, 3)).clamp(1e-6, 1 - 1e-6)
    return torch.stack([torch.zeros_like(p), torch.log(p / (1 - p))], dim=1)


@pytest.fixture
def image() -> Tensor:
    image = torch.zeros(3, SIDE, SIDE)
    image[:, :8, :8] = 0.9
    return image


def corner_map() -> np.ndarray:
    heat = np.zeros((SIDE, SIDE), np.float32)
    heat[:8, :8] = 3.0
    return heat


def test_a_map_on_the_evidence_drops_nothing_and_falls_at_once(image: Tensor) -> None:
    answers = ask(bright_corner, image, corner_map(), 1, mean=BLACK, seed=0)
    assert answers.whole == pytest.approx(0.9, abs=1e-5)
    assert answers.shown == pytest.approx(0.9, abs=1e-5)
    # 28 steps: the corner's 64 of 1,600 pixels are gone after two, so two trapezoids are all that is left of the curve.
    assert answers.deletion < 0.9 * 1.5 / 28
    assert answers.insertion > 0.9 * 26 / 28


def test_deletion_and_insertion_are_the_areas_of_a_plain_loop(image: Tensor) -> None:
    heat = np.random.default_rng(3).random((SIDE, SIDE), dtype=np.float32)
    answers = ask(bright_corner, image, heat, 1, mean=BLACK + 0.25, seed=0)
    order = np.argsort(-heat.ravel(), kind="stable")
    curve = []
    for edge in np.linspace(0, SIDE * SIDE, 29):
        changed = image.clone().reshape(3, -1)
        changed[:, order[: int(np.ceil(edge))]] = 0.25
        curve.append(float(bright_corner(changed.reshape(1, 3, SIDE, SIDE)).softmax(dim=1)[0, 1]))
    assert answers.deletion == pytest.approx(float(np.trapezoid(curve, dx=1 / 28)), abs=1e-5)


def test_an_empty_map_shows_nothing(image: Tensor) -> None:
    answers = ask(bright_corner, image, np.zeros((SIDE, SIDE), np.float32), 1, mean=BLACK, seed=0)
    assert answers.shown == pytest.approx(0, abs=1e-5)
    assert 0.2 < answers.deletion / answers.whole < 0.8


def test_the_sums_of_the_papers() -> None:
    answers = [Answers(0.8, 0.4, 0.1, 0.7), Answers(0.5, 0.6, 0.3, 0.5)]
    figures = faithfulness_figures(answers)
    assert figures["average_drop"].value == pytest.approx((0.5 + 0) / 2)
    assert figures["increase"].value == pytest.approx(0.5)
    assert figures["deletion"].value == pytest.approx(0.2)
    assert figures["insertion"].value == pytest.approx(0.6)


def test_intersection_over_union_by_hand() -> None:
    heat = np.zeros((10, 10), np.float32)
    heat[2:6, 2:6] = 1.0  # 16 pixels
    heat[6, 2:6] = 0.4
    truth = np.zeros((10, 10), np.bool_)
    truth[4:8, 2:6] = True  # 16 pixels, 8 of them hot
    assert locate(heat, truth, cell_px=1, hot_from=0.5, seed=0).iou == pytest.approx(8 / 24)
    assert locate(heat, truth, cell_px=1, hot_from=0.3, seed=0).iou == pytest.approx(12 / 24)


def test_maps_that_know_nothing() -> None:
    maps = comparison_maps(20, 30, seed=1)
    assert set(maps) == {"random", "centre", "empty", "ones"}
    assert np.unravel_index(maps["centre"].argmax(), (20, 30))[0] in (9, 10)
    truth = np.zeros((20, 30), np.bool_)
    truth[:5] = True
    assert locate(maps["empty"], truth, cell_px=8, hot_from=0.5, seed=0).distance_px == np.inf
    assert locate(maps["ones"], truth, cell_px=8, hot_from=0.5, seed=0).energy == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("kind", "method", "part"),
    [
        ("evidence", "grad-cam", "head."),
        ("linear", "cam", "head."),
        ("mlp", "grad-cam", "head."),
        ("lfi", "grad-cam", "head."),
        ("lfi", "lfi-cam", "head.importance."),
    ],
)
def test_a_fresh_head_is_a_copys(kind: str, method: str, part: str) -> None:
    torch.manual_seed(0)
    head = HeadSettings.model_validate({"kind": kind})
    model = build_classifier(
        Architecture(width=8, head=head), InputSettings(height_px=64, width_px=64), classes=3, good=0
    ).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fresh = with_fresh_head(model, method, seed=1)
    changed = {name for name, value in fresh.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith(part) for name in changed)
    assert any(name.startswith("head.readout.") for name in changed) == (kind == "lfi" and method == "grad-cam")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("method", ["cam", "grad-cam", "score-cam"])
def test_another_head_draws_other_maps(tiny_bundle: Path, method: str) -> None:
    """Adebayo et al., 2018: a map that stays the same when the head is drawn anew does not show what the head read.

    Grad-CAM++ and LFI-CAM weigh no channel negatively and do not always come below a half: docs/methods.md tells by how much.
    """
    bundle = Bundle.load(tiny_bundle)
    defects = [kind for kind in bundle.spec.classes if kind != bundle.spec.good]
    drawn = np.stack([draw_part(defects[seed % len(defects)], seed, size_px=64).image for seed in range(24)])
    images = torch.from_numpy(drawn).permute(0, 3, 1, 2).float() / 255
    targets = torch.tensor([bundle.spec.classes.index(defects[seed % len(defects)]) for seed in range(24)])
    own = explainer(method)(bundle.model.explainable(images), targets).values
    correlations = []
    for seed in range(5):  # of one head that is drawn the weights may point the same way by chance
        fresh = with_fresh_head(bundle.model, method, seed=seed)
        correlations.append(median_rank_correlation(own, explainer(method)(fresh.explainable(images), targets).values).value)
    assert np.median([one for one in correlations if one is not None]) < 0.5


def test_correlation_of_maps_leaves_out_what_has_nothing_to_keep() -> None:
    maps = torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(0))
    exact = torch.cat([maps, torch.zeros(1, 4, 4)])
    other = torch.cat([2 * maps[:2] + 1, torch.zeros(1, 4, 4), maps[:1]])
    assert mean_correlation(exact, exact).value == pytest.approx(1)
    figure = mean_correlation(exact, other)  # scaled, scaled, lost, and none to compare with
    assert (figure.value, figure.n) == (pytest.approx(2 / 3), 3)


def test_rank_correlation_of_equal_and_opposite_maps() -> None:
    maps = torch.rand(5, 4, 4)
    assert median_rank_correlation(maps, maps).value == pytest.approx(1)
    assert median_rank_correlation(maps, -maps).value == pytest.approx(-1)
    assert median_rank_correlation(maps, torch.ones(5, 4, 4)).n == 0
