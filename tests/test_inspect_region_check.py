"""What is taken away and what is left: the pictures with which the model is asked whether a map explains its verdict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import torch
from torch import Tensor

from kizu_inspect.bundle import Bundle
from kizu_inspect.decide import defect_log_odds, probabilities_of
from kizu_inspect.evaluation.evaluate import evaluate
from kizu_inspect.explain.region_check import TakenAway, elsewhere
from kizu_inspect.inspector import Inspector
from kizu_inspect.judged import JudgedBatch
from kizu_inspect.labelled.dataset import read_labelled
from kizu_inspect.map_check import Removed
from kizu_inspect.network.backbones import build_backbone, cell_geometry
from kizu_inspect.network.forward import Predict
from kizu_inspect.network.model import Architecture
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.recipe import ExplanationSettings, Recipe, Refine
from kizu_inspect.results import Verdict
from kizu_inspect.synth import KINDS, draw_part, write_set
from kizu_inspect.training.fit import FitSettings
from kizu_inspect.training.settings import TrainingSettings
from kizu_inspect.training.train import train
from precision import PRECISION

FIELD = 24.0


def spot(size: int = 96) -> torch.Tensor:
    hot = torch.zeros(1, size, size, dtype=torch.bool)
    hot[0, 40:52, 40:52] = True
    return hot


def test_nothing_hot_takes_nothing_away() -> None:
    images = torch.rand(2, 3, 96, 96)
    nothing = torch.zeros(2, 96, 96, dtype=torch.bool)
    without, only = TakenAway(images, field_px=FIELD, neutral=None).without_and_only(nothing)
    assert torch.equal(without, images)
    without_all, only_all = TakenAway(images, field_px=FIELD, neutral=None).without_and_only(~nothing)
    assert torch.equal(only_all, images)
    torch.testing.assert_close(without_all, only)  # the filling, once for all and once for nothing


def test_the_region_is_taken_and_the_rest_is_as_it_was() -> None:
    images = torch.rand(1, 3, 96, 96)
    without, only = TakenAway(images, field_px=FIELD, neutral=None).without_and_only(spot())
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
    without, _ = TakenAway(marked, field_px=FIELD, neutral=golden).without_and_only(spot())
    assert (without - brighter).abs().max() < 0.1  # of the mark of more than 0.25 only its share of the light is left
    assert (without - brighter)[..., 42:50, 42:50].mean() < 0.1 * (marked - brighter)[..., 44:48, 44:48].mean()


def test_a_field_larger_than_the_picture_leaves_something_to_compare() -> None:
    images = torch.rand(1, 3, 96, 96)
    without, _ = TakenAway(images, field_px=435, neutral=None).without_and_only(spot())
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


@pytest.mark.parametrize("seed", range(4))
def test_as_much_is_taken_elsewhere_where_the_map_is_cold(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, x = rng.integers(5, 40, 2)
    hot = np.zeros((60, 80), np.bool_)
    hot[y : y + 9, x : x + 14] = True
    hot[y, x] = False
    seen = rng.random((60, 80), dtype=np.float32) * 0.1 + hot
    cold = elsewhere(hot, seen)
    assert cold.sum() == hot.sum()
    assert not (cold & hot).any()
    assert seen[cold].max() < 0.2


def test_a_region_without_room_beside_it_has_less_elsewhere() -> None:
    hot = np.zeros((40, 40), np.bool_)
    hot[:30] = True
    cold = elsewhere(hot, hot.astype(np.float32))
    assert not (cold & hot).any()
    assert 0 < cold.sum() <= (~hot).sum()
    assert not elsewhere(~np.zeros((4, 4), np.bool_), np.ones((4, 4), np.float32)).any()


ODDS = {"score_without": 0.5, "score_only": 0.5}


@pytest.mark.parametrize(
    ("before", "without", "other", "explained"),
    [
        (8.0, -5.0, 7.9, True),  # the region carries the verdict
        (8.0, 7.5, 8.0, False),  # it carries hardly anything
        (8.0, 4.0, 8.2, True),  # half of the evidence: there is more of it elsewhere, and it is still evidence
        (8.0, 4.0, 4.1, False),  # as much went elsewhere: the model minds the filling, not the place
        (0.2, -0.5, 0.2, True),  # near even odds a quarter of a nat is asked
        (0.2, 0.1, 0.2, False),
        (-11.0, -16.0, -11.0, True),  # flagged by a PASS limit of 1e-5
        (-11.0, -11.2, -11.0, False),
    ],
)
def test_a_map_explains_where_its_region_carries_the_evidence(
    before: float, without: float, other: float, explained: bool
) -> None:
    assert Removed(before, without, other, **ODDS).explained is explained


def test_the_evidence_of_a_sure_verdict_does_not_run_into_one() -> None:
    """Two classes, by hand: their log-odds are the difference of logits, however sure."""
    for several in (False, True):
        for margin in (-700.0, -40.0, -1.0, 0.0, 3.0, 40.0, 700.0):
            p = probabilities_of(np.array([[0.0, margin]]), temperature=1.0, good=0, several=several)
            assert float(defect_log_odds(p, good=0, several=several)[0]) == pytest.approx(margin, abs=1e-9)
    p = probabilities_of(np.array([[0.0, 2.0, -30.0]]), temperature=1.0, good=0, several=True)
    assert float(defect_log_odds(p, good=0, several=True)[0]) == pytest.approx(2.0, abs=1e-6)


@pytest.fixture(scope="module")
def knowing_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learned from masks to find missing holes and dents, so that its maps lie on them."""
    folder = tmp_path_factory.mktemp("knowing")
    data = read_labelled(write_set(folder / "parts", count=300, seed=4, size_px=64))
    settings = TrainingSettings(
        input=InputSettings(height_px=64, width_px=64),
        architecture=Architecture(width=8, cell_px=4),
        fit=FitSettings(steps=120, batch_size=16, precision=PRECISION),
        learn_places=True,
        device="cpu",
    )
    return train(data, folder / "bundle", settings).bundle.path


def found_parts(inspector: Inspector, kind: str) -> tuple[JudgedBatch, list[int]]:
    """Drawn parts of a kind, and which of them the model rejects for it."""
    batch = inspector.judge([draw_part(kind, seed, size_px=64).image for seed in range(500, 530)])
    sure = [i for i, one in enumerate(batch.judgements) if one.verdict is Verdict.REJECT and one.predicted == kind]
    return batch, sure


def test_a_tiny_limit_makes_no_conflict_of_a_true_map(knowing_bundle: Path) -> None:
    """A PASS limit of 1e-9 once marked every part: no filling scores below it."""
    inspector = Inspector.load(Recipe(bundle=knowing_bundle, pass_below=1e-9, reject_from=1e-9), device="cpu")
    batch, sure = found_parts(inspector, "missing_hole")
    assert len(sure) >= 20
    checks = [one.check for one in inspector.explain(batch, sure)]
    assert sum(check is not None and check.conflict for check in checks) <= 1
    assert all(check is not None and check.score_without >= 1e-9 for check in checks)


def test_a_map_that_lies_elsewhere_is_in_conflict(knowing_bundle: Path) -> None:
    inspector = Inspector.load(Recipe(bundle=knowing_bundle, pass_below=0.5, reject_from=0.5), device="cpu")
    batch, sure = found_parts(inspector, "missing_hole")
    maps = inspector.maps(batch, sure)
    moved = {index: replace(one, whole=np.ascontiguousarray(one.whole[::-1])) for index, one in maps.items()}
    assert inspector.check is not None
    marked = [one.conflict for one in inspector.check.check(batch, moved).values()]
    assert np.mean(marked) >= 0.9


def test_evaluation_measures_the_check(knowing_bundle: Path, tmp_path: Path) -> None:
    """Of the first twenty defective pictures, as many as are flagged: their maps as they are, and moved off the defect."""
    samples = read_labelled(write_set(tmp_path / "parts", count=60, seed=9, size_px=64, splits={"test": 1})).samples
    bundle = Bundle.load(knowing_bundle)
    figures = evaluate(bundle, samples, methods=("cam",), device="cpu", checked=20).explanation["cam"]
    assert 10 <= figures["conflict_true"].n <= 20
    assert 10 <= figures["conflict_false"].n <= 20
    assert figures["conflict_true"].value is not None
    assert figures["conflict_false"].value is not None
    assert figures["conflict_true"].value >= 0.9
    assert figures["conflict_false"].value <= 0.2
    assert "conflict_true" not in evaluate(bundle, samples[:8], methods=("cam",), device="cpu").explanation["cam"]


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
        assert judgement.verdict.flagged or not check.conflict
        if explanation.heatmap.peak < inspector.check.region_threshold:
            assert check.score_without == pytest.approx(judgement.score, abs=1e-5)  # nothing was taken away
        changed += abs(check.score_without - judgement.score) > 1e-3
    assert changed


@pytest.mark.parametrize("max_batch", [16, 2])  # 2: they lie in two batches
@pytest.mark.parametrize(("refine", "passes"), [("none", 3), ("pixels", 3 + 4)])
def test_a_check_is_three_forward_passes_and_refining_four(
    tiny_bundle: Path, max_batch: int, refine: Refine, passes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe(bundle=tiny_bundle, explanation=ExplanationSettings(refine=refine))
    inspector = Inspector.load(recipe, device="cpu", max_batch=max_batch)
    batch = inspector.judge([draw_part("dent", seed, size_px=64).image for seed in range(3)])
    seen: list[int] = []
    network = inspector._network
    handle = network.backbone.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))

    def counting(precision: torch.dtype | None) -> Predict:
        predict = predictor(precision)

        def counted(images: Tensor, references: Tensor | None = None, masks: Tensor | None = None, /) -> Tensor:
            seen.append(len(images))
            return predict(images, references, masks)

        return counted

    predictor = network.predictor
    monkeypatch.setattr(network, "predictor", counting)
    inspector.explain(batch, [0, 2])
    handle.remove()
    assert sum(seen) == passes * 2
