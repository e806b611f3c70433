"""The input profiles against another library's filters in double precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import uniform_filter
from scipy.stats import zscore

from kizu_inspect.explain import explainer
from kizu_inspect.network.model import Architecture, build_classifier
from kizu_inspect.network.profile import InputProfile
from kizu_inspect.picture.inputs import InputSettings, ProfileName
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


@pytest.mark.parametrize("name", ["part", "surface", "reference", "plain"])
def test_score_cam_masks_what_the_network_is_given(name: ProfileName) -> None:
    """Against the formula written out; a batch gives what its pictures give alone, and a model of before masks the picture."""
    torch.manual_seed(0)
    inputs = InputSettings(height_px=48, width_px=64, profile=name)
    good = None if name == "surface" else 0
    model = build_classifier(Architecture(width=4, cell_px=4, masks="input"), inputs, classes=3, good=good).eval()
    if name == "part":
        model.profile.golden.copy_(torch.rand(1, 48, 64))
    model.profile.mean.fill_(0.4)
    images, targets = torch.rand(3, 3, 48, 64), torch.tensor([0 if good is None else 1, 1, 2])
    references = torch.rand(3, 1, 48, 64) if name == "reference" else None
    forward = model.explainable(images, references)
    softmax = name == "reference"  # an untrained network's weights there are all negative, and its map empty
    options = ExplanationSettings(method="score-cam", channel_softmax=softmax)
    explain = explainer("score-cam", options)
    together = explain(forward, targets).values
    for index, target in enumerate(targets.tolist()):
        one = slice(index, index + 1)
        beside = None if references is None else references[one]
        alone = explain(model.explainable(images[one], beside), targets[one]).values[0]
        assert torch.allclose(together[index], alone, atol=1e-5 * float(together.max()))
        with torch.no_grad():
            seen = model.profile(images[one], beside)
            without = torch.zeros_like(seen)  # of a texture nothing, and of a plain picture the mean colour
            if name == "part":
                without = model.profile(model.profile.golden.expand(1, 3, -1, -1))
            elif beside is not None:
                without = model.profile(beside.expand(-1, 3, -1, -1), beside)
            weights, channels = [], []
            for channel in model.backbone(seen)[0]:
                channels.append(channel)
                if channel.min() == channel.max():
                    weights.append(torch.tensor(0.0))  # its mask hides all
                    continue
                mask = F.interpolate(channel[None, None], size=(48, 64), mode="bilinear")
                mask = (mask - mask.min()) / (mask.max() - mask.min())
                shown, hidden = (
                    model.head(model.backbone(given))[0].softmax(dim=0)[target]
                    for given in (mask * seen + (1 - mask) * without, without)
                )
                weights.append(shown - hidden)
            weight = torch.stack(weights).softmax(dim=0) if softmax else torch.stack(weights)
            expected = (weight[:, None, None] * torch.stack(channels)).sum(dim=0)
        assert torch.allclose(together[index], expected.clamp(min=0), atol=1e-4 * float(expected.abs().max()))
    black = explainer("score-cam", options.model_copy(update={"masked": "black"}))(forward, targets).values
    assert not torch.allclose(together, black)
    model.masks_input = False
    before = explain(model.explainable(images, references), targets).values
    assert torch.allclose(before, black) == (name in ("surface", "plain"))
    # A reference's difference to the picture fades alike wherever the mask lies.
    assert torch.allclose(before, together) == (name == "reference")
