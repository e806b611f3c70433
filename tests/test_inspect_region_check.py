"""What is taken away and what is left: the pictures with which the model is asked whether a map explains its verdict."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import torch

from kizu_inspect.explain.region_check import without_and_only
from kizu_inspect.inspector import Inspector
from kizu_inspect.network.backbones import build_backbone, cell_geometry
from kizu_inspect.recipe import Recipe
from kizu_inspect.synth import KINDS, draw_part

FIELD = 24.0


def spot(size: int = 96) -> torch.Tensor:
    hot = torch.zeros(1, size, size, dtype=torch.bool)
    hot[0, 40:52, 40:52] = True
    return hot


def test_nothing_hot_takes_nothing_away() -> None:
    images = torch.rand(2, 3, 96, 96)
    nothing = torch.zeros(2, 96, 96, dtype=torch.bool)
    without, only = without_and_only(images, nothing, field_px=FIELD, neutral=None)
    assert torch.equal(without, images)
    without_all, only_all = without_and_only(images, ~nothing, field_px=FIELD, neutral=None)
    assert torch.equal(only_all, images)
    torch.testing.assert_close(without_all, only)  # the filling, once for all and once for nothing


def test_the_region_is_taken_and_the_rest_is_as_it_was() -> None:
    images = torch.rand(1, 3, 96, 96)
    without, only = without_and_only(images, spot(), field_px=FIELD, neutral=None)
    light = scipy.ndimage.gaussian_filter(images.double().numpy(), (0, 0, FIELD / 2, FIELD / 2), mode="mirror", truncate=3)
    region = (slice(None), slice(None), slice(34, 58), slice(34, 58))  # grown by a quarter of the field
    assert np.abs(without.numpy()[region] - light[region]).max() < 1e-3
    assert torch.equal(only[region], images[region])
    far = torch.ones(96, 96, dtype=torch.bool)
    far[20:72, 20:72] = False  # a quarter, and three times the eighth over which it fades
    assert torch.equal(without[..., far], images[..., far])
    assert np.abs(only[..., far].numpy() - light[..., far.numpy()]).max() < 1e-3


def test_what_is_taken_shows_the_golden_picture_in_the_light_of_this_one() -> None:
    golden = torch.rand(3, 96, 96)
    brighter = (golden + 0.25)[None]
    marked = brighter.clone()
    marked[..., 44:48, 44:48] = 1.5
    without, _ = without_and_only(marked, spot(), field_px=FIELD, neutral=golden)
    assert (without - brighter).abs().max() < 0.1  # of the mark of more than 0.25 only its share of the light is left
    assert (without - brighter)[..., 42:50, 42:50].mean() < 0.1 * (marked - brighter)[..., 44:48, 44:48].mean()


def test_a_field_larger_than_the_picture_leaves_something_to_compare() -> None:
    images = torch.rand(1, 3, 96, 96)
    without, _ = without_and_only(images, spot(), field_px=435, neutral=None)
    assert torch.equal(without[..., :8, :8], images[..., :8, :8])


@pytest.mark.parametrize(("name", "context", "field"), [("local", 1, 34), ("local", 3, 50), ("resnet18", 3, 435)])
def test_a_cell_knows_its_receptive_field(name: str, context: int, field: int) -> None:
    backbone, _ = build_backbone(name, 3, context=context)
    assert cell_geometry(backbone).field_px == field  # ResNet-18: Araujo et al., Distill 2019


@pytest.mark.parametrize(("context", "field"), [(1, 34), (3, 50)])
def test_no_pixel_beyond_the_field_matters(context: int, field: int) -> None:
    torch.manual_seed(0)
    backbone, _ = build_backbone("local", 3, width=4, context=context)
    for module in backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)
    images = torch.rand(1, 3, 160, 160, requires_grad=True)
    backbone.eval()(images)[0, :, 10, 10].sum().backward()
    assert images.grad is not None
    rows = images.grad[0].abs().sum(dim=(0, 2)).nonzero()[:, 0]
    centre = cell_geometry(backbone).start_px + 8 * 10
    assert rows.min() >= centre - field / 2
    assert rows.max() <= centre + field / 2
    assert rows.max() - rows.min() >= field - 8


def test_an_explanation_says_what_the_model_says_without_its_region(tiny_bundle: Path) -> None:
    limits = {"pass_below": 0.3, "reject_from": 0.7}
    inspector = Inspector.load(Recipe(bundle=tiny_bundle, **limits), device="cpu")
    pictures = [draw_part(KINDS[seed % len(KINDS)], seed, size_px=64).image for seed in range(20)]
    batch = inspector.judge(pictures)
    explained = inspector.explain(batch, range(len(pictures)))
    assert all(one.check is None for one in inspector.explain(batch, range(len(pictures)), checked=False))
    changed = 0
    for judgement, explanation in zip(batch.judgements, explained, strict=True):
        check = explanation.check
        assert check is not None
        assert judgement.score is not None
        assert 0 <= check.score_without <= 1
        assert 0 <= check.score_only <= 1
        assert check.conflict == (judgement.verdict.flagged and check.score_without >= limits["pass_below"])
        if explanation.heatmap.peak < inspector.bundle.spec.explanation["grad-cam"].region_threshold:
            assert check.score_without == pytest.approx(judgement.score, abs=1e-5)  # nothing was taken away
        changed += abs(check.score_without - judgement.score) > 1e-3
    assert changed


@pytest.mark.parametrize("max_batch", [16, 2])
def test_a_check_is_two_forward_passes(tiny_bundle: Path, max_batch: int) -> None:
    inspector = Inspector.load(Recipe(bundle=tiny_bundle), device="cpu", max_batch=max_batch)  # 2: they lie in two batches
    batch = inspector.judge([draw_part("dent", seed, size_px=64).image for seed in range(3)])
    seen: list[int] = []
    backbone = inspector._network.backbone
    handle = backbone.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    inspector.explain(batch, [0, 2])
    handle.remove()
    assert sum(seen) == 2 * 2
