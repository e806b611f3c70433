"""Maps refined to pixels: by hand, against scipy's Gaussian, and on trained bundles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from kizu_inspect.bundle import Bundle
from kizu_inspect.errors import BundleError, MethodError
from kizu_inspect.explain import explainer
from kizu_inspect.explain.contract import Maps
from kizu_inspect.explain.refine import influence, map_cells, refined
from kizu_inspect.inspector import Inspector
from kizu_inspect.labelled.dataset import Sample, read_labelled
from kizu_inspect.labelled.picture_files import read_picture
from kizu_inspect.network.forward import Entrance, Forward
from kizu_inspect.network.heads import HeadName, LinearHead
from kizu_inspect.network.model import Architecture, HeadSettings, build_classifier
from kizu_inspect.picture.images import CellGeometry
from kizu_inspect.picture.inputs import InputSettings, TilingSettings
from kizu_inspect.recipe import ExplanationSettings, Recipe, Refine
from kizu_inspect.results import MapStatus
from kizu_inspect.synth import write_set
from kizu_inspect.training.fit import FitSettings
from kizu_inspect.training.settings import TrainingSettings, pictures_of
from kizu_inspect.training.train import train

CPU = torch.device("cpu")
SIZE = (9, 12)
CELLS = CellGeometry(1.5, 4.0, 9.0)


def forward_of(judge: Callable[[Tensor], Tensor], images: Tensor, neutral: Tensor) -> Forward:
    """A network that is one formula of what it is given, which is the picture itself."""
    entrance = Entrance(lambda pictures, _: (pictures, neutral), judge)
    activations = torch.zeros(len(images), 1, 3, 4, dtype=images.dtype)
    return Forward(
        images, None, activations, judge(images), LinearHead(1, 2), lambda _: judge,  # type: ignore[arg-type,return-value]
        entrance=entrance,
    )  # fmt: skip


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, 3, *SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_of_a_linear_network_each_pixel_is_owed_what_it_adds(images: Tensor) -> None:
    weights = torch.randn(2, 3, *SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    neutral = torch.full((1, 3, *SIZE), 0.25, dtype=torch.float64)

    def judge(pictures: Tensor) -> Tensor:
        return torch.einsum("nchw,kchw->nk", pictures, weights)

    forward = forward_of(judge, images, neutral)
    targets = torch.tensor([0, 1])
    expected = torch.stack([(weights[k] * (images[n] - 0.25)).abs().sum(dim=0) for n, k in enumerate((0, 1))])
    assert torch.allclose(influence(forward, targets), expected, atol=1e-12)
    margin = (weights[1] - weights[0]) * (images[1] - 0.25)
    assert torch.allclose(influence(forward, targets, against=0)[1], margin.abs().sum(dim=0), atol=1e-12)


def test_pictures_that_do_not_fit_together_are_asked_one_after_another(images: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def judge(pictures: Tensor) -> Tensor:
        asked.append(len(pictures))
        return torch.stack([pictures.sum(dim=(1, 2, 3)), pictures.square().sum(dim=(1, 2, 3))], dim=1)

    forward = forward_of(judge, images, torch.zeros(1, 3, *SIZE, dtype=torch.float64))
    targets = torch.tensor([1, 0])
    together = influence(forward, targets)
    monkeypatch.setattr("kizu_inspect.explain.refine.PIXELS_AT_ONCE", SIZE[0] * SIZE[1] + 1)
    asked.clear()
    assert torch.equal(influence(forward, targets), together)
    assert asked == [1] * 8
    assert influence(forward.subset(targets[:0]), targets[:0]).shape == (0, *SIZE)


def test_of_a_curved_network_the_gradient_is_a_mean_of_four_points_on_the_way(images: Tensor) -> None:
    """Of x² from 0 they are at x/4, x/2, 3x/4 and x: 2x · 0.625, times x."""
    forward = forward_of(
        lambda pictures: torch.stack([pictures.sum(dim=(1, 2, 3)), pictures.square().sum(dim=(1, 2, 3))], dim=1),
        images, torch.zeros(1, 3, *SIZE, dtype=torch.float64),
    )  # fmt: skip
    assert torch.allclose(influence(forward, torch.tensor([1, 1])), 1.25 * images.square().sum(dim=1), atol=1e-12)


def test_a_refined_map_is_the_mean_of_map_and_influence() -> None:
    """√(map at the square's middle × what is owed to the square), with scipy's Gaussian; a last odd row is a square of less."""
    rng = np.random.default_rng(0)
    owed, raw = rng.random((1, *SIZE)), rng.random((1, 3, 4))
    found = refined(Maps(torch.from_numpy(raw), (MapStatus.OK,)), torch.from_numpy(owed), CELLS)
    assert found.status == (MapStatus.OK,)
    assert found.values.shape == (1, 5, 6)
    smooth = gaussian_filter(owed[0], 2.0, mode="mirror", radius=6)
    for i, j in np.ndindex(5, 6):
        square = smooth[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean() * 4
        y, x = (min(max((2 * index + 0.5 - 1.5) / 4, 0), count - 1) for index, count in ((i, 3), (j, 4)))
        top, left = min(int(y), 1), min(int(x), 2)
        v, u = y - top, x - left
        cell = raw[0, top : top + 2, left : left + 2]
        drawn = np.array([1 - v, v]) @ cell @ np.array([1 - u, u])
        assert float(found.values[0, i, j]) == pytest.approx(np.sqrt(drawn * square), rel=1e-9)


def test_a_map_that_says_nothing_still_says_so() -> None:
    statuses = (MapStatus.ALL_NEGATIVE, MapStatus.OK, MapStatus.OK, MapStatus.SIGNED_ACTIVATIONS)
    raw = torch.ones(4, 3, 4) * torch.tensor([0.0, 1.0, 1.0, 1.0])[:, None, None]
    owed = torch.ones(4, *SIZE) * torch.tensor([1.0, 0.0, torch.nan, 1.0])[:, None, None]
    found = refined(Maps(raw, statuses), owed, CELLS)
    assert found.status == (MapStatus.ALL_NEGATIVE, MapStatus.FLAT, MapStatus.NON_FINITE, MapStatus.SIGNED_ACTIVATIONS)
    assert bool(torch.isfinite(found.values).all())


def test_without_the_network_there_is_nothing_to_refine_by() -> None:
    forward = replace(
        forward_of(lambda x: x.sum(dim=(2, 3)), torch.zeros(1, 3, *SIZE), torch.zeros(1, 3, *SIZE)), entrance=None
    )
    with pytest.raises(MethodError, match="cannot be refined"):
        influence(forward, torch.tensor([0]))


@pytest.mark.parametrize("profile", ["part", "surface", "plain"])
def test_refining_leaves_the_network_as_it_was(profile: str) -> None:
    torch.manual_seed(0)
    inputs = InputSettings.model_validate({"height_px": 64, "width_px": 64, "profile": profile})
    model = build_classifier(Architecture(cell_px=4, masks="input"), inputs, classes=3, good=0).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.inference_mode():
        pictures = torch.rand(2, 3, 64, 64)
    forward = model.explainable(pictures)
    explain = explainer("cam", ExplanationSettings(method="cam", refine="pixels"))
    maps = explain(forward, torch.tensor([1, 2]))
    assert maps.values.shape == (2, 32, 32)
    assert not maps.values.requires_grad
    assert not model.training
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    alone = explain(model.explainable(pictures[1:]), torch.tensor([2])).values
    assert torch.allclose(maps.values[1:], alone, atol=1e-5 * float(alone.max()) + 1e-9)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts")
    write_set(folder, count=120, seed=5, size_px=96, splits={"train": 64, "val": 40, "test": 16})
    return folder / "manifest.csv"


def settings_of(*, places: bool, tiling: TilingSettings | None = None, head: HeadName = "evidence") -> TrainingSettings:
    side = 96 if tiling is None else 64
    return TrainingSettings(
        input=InputSettings(height_px=side, width_px=side, tiling=tiling, profile="part" if tiling is None else "surface"),
        architecture=Architecture(cell_px=4, masks="input", head=HeadSettings(kind=head)),
        fit=FitSettings(steps=12, batch_size=8, precision="float32"),
        learn_places=places,
        device="cpu",
    )


def trained(
    parts: Path, out: Path, *, places: bool, tiling: TilingSettings | None = None, head: HeadName = "evidence"
) -> Bundle:
    settings = settings_of(places=places, tiling=tiling, head=head)
    return train(read_labelled(parts), out, settings, methods=("cam", "grad-cam")).bundle


@pytest.fixture(scope="module")
def labels_only(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return trained(parts, tmp_path_factory.mktemp("labels") / "bundle", places=False)


def grid_shape(bundle: Bundle, picture: Path, refine: Refine | None) -> tuple[int, ...]:
    recipe = Recipe(bundle=bundle.path, explanation=ExplanationSettings(refine=refine))
    judge = Inspector(bundle, recipe, device=CPU, max_batch=4)
    (explanation,) = judge.explain(judge.judge([read_picture(picture)]), [0])
    geometry = explanation.heatmap.geometry
    cells = map_cells(bundle.model.cells, "pixels" if refine is None else refine)
    assert (geometry.origin_x_px, geometry.step_x_px) == (cells.start_px, cells.step_px)
    return explanation.heatmap.grid.shape


def test_boxes_and_masks_say_where_and_labels_do_not(parts: Path) -> None:
    data = read_labelled(parts)
    boxes = tuple(replace(sample, mask=None) for sample in data.samples)
    nothing = tuple(replace(sample, mask=None, boxes=()) for sample in data.samples)

    def located(samples: tuple[Sample, ...], *, places: bool = True) -> bool:
        return pictures_of(replace(data, samples=samples), "train", settings_of(places=places)).located

    assert located(data.samples)
    assert located(boxes)
    assert not located(data.samples, places=False)
    assert not located(nothing)


def test_where_no_places_were_learned_maps_are_refined_unless_the_recipe_says_otherwise(
    labels_only: Bundle, parts: Path, tmp_path: Path
) -> None:
    picture = read_labelled(parts).split("test")[0].path
    assert labels_only.spec.refine == "pixels"
    assert Bundle.load(labels_only.path).spec.refine == "pixels"
    assert grid_shape(labels_only, picture, None) == (48, 48)
    assert grid_shape(labels_only, picture, "none") == (24, 24)
    assert trained(parts, tmp_path / "masks", places=True).spec.refine == "none"
    deaf = trained(parts, tmp_path / "linear", places=True, head="linear")  # pools before it judges: no cell learns its place
    assert deaf.spec.refine == "pixels"


def test_the_scale_of_refined_maps_is_that_of_the_validation_pictures(tiny_bundle: Path) -> None:
    bundle = Bundle.load(tiny_bundle)
    samples = [sample for sample in read_labelled(tiny_bundle.parent / "parts").split("val") if sample.label != "good"]
    judge = Inspector(bundle, Recipe(bundle=tiny_bundle), device=CPU, max_batch=4)
    batch = judge.judge([read_picture(sample.path) for sample in samples])
    found = [index for index, one in enumerate(batch.judgements) if one.predicted == samples[index].label]
    maps = judge.maps(batch, found).values()
    highest = [one.heatmap.maximum for one in maps if one.heatmap.status.has_map]
    assert len(highest) > 2
    scale = bundle.scale_of(ExplanationSettings(refine="pixels")).scale
    assert scale == pytest.approx(np.percentile(highest, 95), rel=1e-3)
    assert scale != pytest.approx(bundle.scale_of(ExplanationSettings(refine="none")).scale, rel=0.1)


def test_a_bundle_of_before_draws_as_it_did_and_says_what_it_lacks(labels_only: Bundle) -> None:
    old = labels_only.spec.model_dump()
    del old["refine"]
    for scales in old["explanation"].values():
        scales["variants"] = {name: one for name, one in scales["variants"].items() if "pixels" not in name}
    spec = type(labels_only.spec).model_validate(old)
    bundle = Bundle(spec, labels_only.model, path=labels_only.path, spec_hash="")
    assert bundle.scale_of(ExplanationSettings()) == bundle.scale_of(ExplanationSettings(refine="none"))
    with pytest.raises(BundleError, match="pixels"):
        bundle.scale_of(ExplanationSettings(refine="pixels"))


def test_a_picture_in_tiles_has_one_refined_map(parts: Path, tmp_path: Path) -> None:
    bundle = trained(parts, tmp_path / "tiles", places=False, tiling=TilingSettings(stride_px=32))
    recipe = Recipe(bundle=bundle.path, explanation=ExplanationSettings(refine="pixels"))
    judge = Inspector(bundle, recipe, device=CPU, max_batch=4)
    sample = next(one for one in read_labelled(parts).split("test") if one.label != "good")
    (explanation,) = judge.explain(judge.judge([read_picture(sample.path)]), [0])
    heatmap = explanation.heatmap
    assert (heatmap.geometry.origin_x_px, heatmap.geometry.step_x_px, heatmap.geometry.step_y_px) == (0.5, 2.0, 2.0)
    assert heatmap.grid.shape == (48, 48)
    assert heatmap.maximum > 0
    # In the first tile's corner, where no other reaches, it is that tile's own.
    corner = torch.from_numpy(read_picture(sample.path)[:64, :64].copy()).permute(2, 0, 1)[None].float() / 255
    explain = explainer("grad-cam", ExplanationSettings(refine="pixels"))
    forward = bundle.model.explainable(corner)
    alone = torch.stack(
        [explain(forward, torch.tensor([bundle.spec.classes.index(one)])).values[0] for one in heatmap.target.split(", ")]
    )
    shown = heatmap.grid[:16, :16].astype(np.float32) * heatmap.maximum
    if shown.any():
        assert np.allclose(shown, alone.amax(dim=0)[:16, :16], atol=2e-3 * heatmap.maximum)
