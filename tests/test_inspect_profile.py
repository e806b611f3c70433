"""The input profiles against another library's filters in double precision."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import torch
from scipy.ndimage import uniform_filter
from scipy.stats import zscore

from kizu_inspect.explain import explainer
from kizu_inspect.network.model import Architecture, build_classifier
from kizu_inspect.network.profile import InputProfile, local_mean
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.recipe import ExplanationSettings


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(3, 3, 48, 64, generator=torch.Generator().manual_seed(4))


def local_contrast(image: np.ndarray[tuple[int, ...], np.dtype[np.float32]], window_px: int) -> np.ndarray:
    """Grey minus its mean over a window, over the mean absolute residual: (H, W) of an image (3, H, W)."""
    grey = image.astype(np.float64).mean(axis=0)
    residual = grey - uniform_filter(grey, window_px, mode="mirror")
    return residual / np.abs(residual).mean()


def test_surface_is_the_cored_local_contrast(images: torch.Tensor) -> None:
    seen = InputProfile("surface", height_px=48, width_px=64)(images)
    for row, image in zip(seen, images.numpy(), strict=True):
        contrast = local_contrast(image, 25)
        cored = np.sign(contrast) * np.maximum(np.abs(contrast) - 0.5, 0)
        assert row[0].numpy() == pytest.approx(cored, abs=5e-3)  # the guard against constant pictures costs 1e-4 of the scale


def test_part_is_colour_golden_picture_contrast_and_difference(images: torch.Tensor) -> None:
    profile = InputProfile("part", height_px=48, width_px=64)
    profile.mean.fill_(0.4)
    profile.std.fill_(0.2)
    profile.golden.copy_(torch.rand(1, 48, 64))
    seen = profile(images)
    assert seen.shape == (3, 6, 48, 64)
    assert torch.allclose(seen[:, :3], (images - 0.4) / 0.2)
    assert torch.allclose(seen[:, 3], ((profile.golden - 0.4) / 0.2).expand(3, -1, -1))
    golden = zscore(profile.golden[0].numpy().astype(np.float64), axis=None)
    for row, image in zip(seen, images.numpy(), strict=True):
        assert row[4].numpy() == pytest.approx(np.clip(local_contrast(image, 11) / 2, -4, 4), abs=5e-3)
        difference = np.abs(zscore(image.astype(np.float64).mean(axis=0), axis=None) - golden)
        assert row[5].numpy() == pytest.approx(np.minimum(difference, 4), abs=0.05)  # 1e-3 guards constant pictures


def test_a_reference_takes_the_golden_pictures_place(images: torch.Tensor) -> None:
    profile = InputProfile("part", height_px=48, width_px=64)
    reference = torch.rand(3, 1, 48, 64)
    assert torch.allclose(profile(images, reference)[:, 3:4], reference)


@pytest.mark.parametrize("name", ["part", "surface"])
def test_a_constant_picture_has_no_contrast(name: str) -> None:
    profile = InputProfile(name, height_px=48, width_px=64)  # type: ignore[arg-type]
    contrast = profile(torch.full((1, 3, 48, 64), 0.7))[:, {"part": 4, "surface": 0}[name]]
    assert float(contrast.abs().max()) < 0.01


@pytest.mark.parametrize("name", ["part", "surface", "plain"])
def test_light_that_is_doubled_changes_no_surface(name: str, images: torch.Tensor) -> None:
    profile = InputProfile(name, height_px=48, width_px=64)  # type: ignore[arg-type]
    dark, bright = profile(images / 2), profile(images)
    assert torch.allclose(dark, bright, atol=5e-3) == (name == "surface")


def test_the_local_mean_is_that_of_a_box() -> None:
    images = torch.rand(2, 3, 40, 60, dtype=torch.float64)
    expected = scipy.ndimage.uniform_filter(images.numpy(), (0, 0, 25, 25), mode="mirror")
    assert np.allclose(local_mean(images).numpy(), expected, atol=1e-12)


def test_score_cam_hides_each_texture_behind_its_own_local_mean() -> None:
    """A batch gives what its pictures give alone, black is another map, and a model of before has black."""
    torch.manual_seed(0)
    inputs = InputSettings(height_px=48, width_px=64, profile="surface")
    model = build_classifier(Architecture(width=4, cell_px=4, soft_masks=True), inputs, classes=3, good=None).eval()
    images, targets = torch.rand(3, 3, 48, 64), torch.tensor([0, 1, 2])
    forward = model.explainable(images)
    assert forward.neutral is None  # what the check of a region is filled with stays as it was
    assert forward.hidden is not None
    assert torch.allclose(forward.hidden, local_mean(images))
    together = explainer("score-cam")(forward, targets).values
    for index in range(3):
        alone = explainer("score-cam")(model.explainable(images[index : index + 1]), targets[index : index + 1]).values[0]
        assert torch.allclose(together[index], alone, atol=1e-5 * float(together.max()))
    black = explainer("score-cam", ExplanationSettings(method="score-cam", masked="black"))(forward, targets).values
    assert not torch.allclose(together, black)
    model.soft_masks = False
    assert torch.allclose(explainer("score-cam")(model.explainable(images), targets).values, black)
