"""Our maps beside those of the libraries `grad-cam` and `torchcam`, on the same networks; where they differ, why."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from pytorch_grad_cam import GradCAM as PeerGradCAM
from pytorch_grad_cam import GradCAMPlusPlus as PeerGradCAMpp
from pytorch_grad_cam import ScoreCAM as PeerScoreCAM
from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn
from torchcam import methods as torchcam
from torchvision import models

from kizu_inspect.explain import explainer
from kizu_inspect.explain.score_cam import score_cam
from kizu_inspect.network.forward import Forward
from kizu_inspect.network.heads import LinearHead
from kizu_inspect.network.model import Architecture, Classifier, HeadSettings, build_classifier
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.results import MapStatus

TARGETS = torch.tensor([1, 2])
SIDE = 64
NETWORKS = [
    ("resnet18", "linear"),
    ("resnet18", "mlp"),
    ("mobilenet_v3_small", "linear"),
    ("convnext_tiny", "linear"),
    ("local", "evidence"),
    ("vgg11", "flattened"),
]


class Vgg(nn.Module):
    """VGG-11's features under a head as VGG has it: cells are told apart, by layers of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = models.vgg11(weights=None, num_classes=3).features
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * 512, 32), nn.ReLU(), nn.Linear(32, 3))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone(images))
        return logits

    def explainable(self, images: Tensor) -> Forward:
        with torch.no_grad():
            activations = self.backbone(images)
            return Forward(images, None, activations, self.head(activations), self.head, lambda _: self)


def network(backbone: str, head: str, *, gain: float = 1.0) -> Classifier | Vgg:
    """An untrained classifier of three classes whose last layer is `gain` times as steep."""
    torch.manual_seed(3)
    model = Vgg().eval() if backbone == "vgg11" else classifier(backbone, head)
    with torch.no_grad():
        last = [parameter for name, parameter in model.head.named_parameters() if name.endswith("weight")][-1]
        last.mul_(gain)
    return model


def classifier(backbone: str, head: str) -> Classifier:
    inputs = InputSettings(height_px=SIDE, width_px=SIDE, profile="plain")
    settings = Architecture(backbone=backbone, head=HeadSettings.model_validate({"kind": head}))
    return build_classifier(settings, inputs, classes=3, good=0).eval()


def drawn(maps: Tensor) -> npt.NDArray[np.float32]:
    """Raw maps (N, h, w) as `grad-cam` shows its own: scaled to [0, 1], resized, and scaled again."""
    resized = [cv2.resize(scaled(one), (SIDE, SIDE)) for one in maps.numpy()]
    return np.stack([scaled(one) for one in resized])


def scaled(one: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    lifted = one - one.min()
    return np.asarray(lifted / (1e-7 + lifted.max()), np.float32)


def explained(method: str, model: Classifier | Vgg, images: Tensor) -> Tensor:
    """Our raw maps."""
    return explainer(method)(model.explainable(images), TARGETS).values


def theirs(kind: type[BaseCAM], model: Classifier | Vgg, images: Tensor) -> npt.NDArray[np.float32]:
    """What `grad-cam` shows, on the same last feature map."""
    with kind(model=model, target_layers=[model.backbone]) as cam:
        return np.asarray(cam(images, [ClassifierOutputTarget(int(target)) for target in TARGETS]), np.float32)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(8))


@pytest.mark.parametrize(("backbone", "head"), NETWORKS)
def test_grad_cam_is_that_of_both(backbone: str, head: str, images: Tensor) -> None:
    model = network(backbone, head)
    assert np.abs(drawn(explained("grad-cam", model, images)) - theirs(PeerGradCAM, model, images)).max() < 1e-3
    ours = explained("grad-cam", model, images)
    with torchcam.GradCAM(model, model.backbone) as cam:
        (other,) = cam(TARGETS.tolist(), model(images), normalized=False)
    assert torch.allclose(ours, torch.relu(other), rtol=1e-3, atol=1e-6 * float(other.abs().max()))


@pytest.mark.parametrize("backbone", ["resnet18", "mobilenet_v3_small", "convnext_tiny"])
def test_cam_is_that_of_torchcam(backbone: str, images: Tensor) -> None:
    model = network(backbone, "linear")
    ours = explained("cam", model, images)
    with torchcam.CAM(model, model.backbone, fc_layer="head.linear") as cam, torch.no_grad():
        model(images)
        (other,) = cam(TARGETS.tolist(), normalized=False)
    assert torch.allclose(ours, torch.relu(other), rtol=1e-3, atol=1e-6 * float(other.abs().max()))


@pytest.mark.parametrize(("backbone", "head"), [network for network in NETWORKS if network[0] != "convnext_tiny"])
def test_grad_cam_pp_is_that_of_grad_cam_where_its_epsilon_is_small(backbone: str, head: str, images: Tensor) -> None:
    """`grad-cam` adds 1e-6 to a denominator of the order of g²: with steep logits that is nothing."""
    model = network(backbone, head, gain=1e4)
    assert np.abs(drawn(explained("grad-cam++", model, images)) - theirs(PeerGradCAMpp, model, images)).max() < 1e-2


def test_where_activations_are_negative_grad_cam_pp_says_that_its_formula_does_not_apply(images: Tensor) -> None:
    """ConvNeXt ends in a layer without ReLU: 2 g² + g³ Σ A passes through 0, and `grad-cam` divides by what is left there.

    Its map then hangs on a channel or two; ours leaves such channels out, and says so.
    """
    model = network("convnext_tiny", "linear", gain=1e4)
    maps = explainer("grad-cam++")(model.explainable(images), TARGETS)
    assert set(maps.status) == {MapStatus.SIGNED_ACTIVATIONS}
    assert float(maps.values.max()) > 0
    assert np.abs(drawn(maps.values) - theirs(PeerGradCAMpp, model, images)).max() > 0.05


def test_grad_cams_epsilon_changes_the_map_of_gentle_logits(images: Tensor) -> None:
    """g² is far below 1e-6 here: the epsilon is the denominator, and channels are weighed by g³ instead of g."""
    model = network("resnet18", "linear", gain=0.01)
    assert np.abs(drawn(explained("grad-cam++", model, images)) - theirs(PeerGradCAMpp, model, images)).max() > 0.02


def test_torchcams_grad_cam_pp_divides_a_copy(images: Tensor) -> None:
    """`alpha[idx][mask].div_(…)` changes a copy, so its α is g² alone and its weights are Σ ReLU(g)³."""
    model = network("resnet18", "mlp")
    forward = model.explainable(images)
    leaf = forward.activations.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model.head(leaf).gather(1, TARGETS[:, None]).sum(), leaf)
    undivided = torch.relu(torch.einsum("nk,nkhw->nhw", gradient.relu().pow(3).sum(dim=(2, 3)), forward.activations))
    with torchcam.GradCAMpp(model, model.backbone) as cam:
        (other,) = cam(TARGETS.tolist(), model(images), normalized=False)
    assert torch.allclose(torch.relu(other), undivided, rtol=1e-3, atol=1e-6 * float(undivided.max()))


class OnNormalised(nn.Module):
    """`grad-cam` masks the normalised tensor: what the classifier does after its input profile."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.backbone = model.backbone
        self.head = model.head

    def forward(self, seen: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone(seen))
        return logits


@pytest.mark.parametrize("profile", ["plain", "surface", "part"])
def test_score_cam_in_the_manner_of_grad_cam_is_its_map(profile: str, images: Tensor) -> None:
    """On a network that takes pictures as they are and normalises them itself, as a bundle's does."""
    torch.manual_seed(3)
    inputs = InputSettings.model_validate({"height_px": SIDE, "width_px": SIDE, "profile": profile})
    model = build_classifier(Architecture(head=HeadSettings(kind="linear")), inputs, classes=3, good=0).eval()
    with torch.no_grad():
        model.profile.mean.fill_(0.4)
        model.profile.std.fill_(0.3)
        model.profile.golden.fill_(0.5)
    ours = drawn(score_cam(model.explainable(images), TARGETS, compat="grad-cam").values)
    assert np.abs(ours - theirs(PeerScoreCAM, model, images)).max() < 1e-3


def test_so_it_is_on_pictures_that_were_normalised_before(images: Tensor) -> None:
    inner = network("local", "linear")
    assert isinstance(inner, Classifier)
    model = OnNormalised(inner).eval()
    with torch.no_grad():
        activations = model.backbone(images)
        forward = Forward(images, None, activations, model.head(activations), model.head, lambda _: model)
    ours = drawn(score_cam(forward, TARGETS, compat="grad-cam").values)
    with PeerScoreCAM(model=model, target_layers=[model.backbone]) as cam:
        other = cam(images, [ClassifierOutputTarget(int(target)) for target in TARGETS])
    assert np.abs(ours - other).max() < 1e-3


class RedNotGreen(nn.Module):
    """Class 1 is red, and less so where there is green; its feature map is the picture in cells of 8 px."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.AvgPool2d(8)
        self.head = LinearHead(3, 2)
        with torch.no_grad():
            self.head.linear.weight.copy_(torch.tensor([[0.0, 0.0, 0.0], [4.0, -4.0, 0.0]]))
            self.head.linear.bias.zero_()

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone(images))
        return logits


def test_a_softmax_over_channels_makes_evidence_of_what_speaks_against() -> None:
    """Both libraries weigh Score-CAM's channels by a softmax: no weight is negative, and the black picture cancels."""
    model = RedNotGreen().eval()
    picture = torch.zeros(1, 3, 32, 32)
    picture[:, 0, 8:24, :16] = 1.0  # red on the left
    picture[:, 1, 8:24, 16:] = 1.0  # green on the right
    targets = torch.tensor([1])
    with torch.no_grad():
        activations = model.backbone(picture)
        forward = Forward(picture, None, activations, model.head(activations), model.head, lambda _: model)
    ours = score_cam(forward, targets).values[0]
    assert float(ours[:, :2].sum()) > 0
    assert float(ours[:, 2:].sum()) == 0
    with PeerScoreCAM(model=model, target_layers=[model.backbone]) as cam:
        assert cam(picture, [ClassifierOutputTarget(1)])[0, :, 20:].max() > 0.1
    with torchcam.ScoreCAM(model, model.backbone) as cam, torch.no_grad():
        (other,) = cam([1], model(picture), normalized=False)
    assert float(other[0, :, 2:].max()) > 0.1


class Recorded(RedNotGreen):
    """Keeps what it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.shown.append(images.detach())
        return super().forward(images)


def test_grad_cam_masks_by_one_upsampling_and_draws_by_another() -> None:
    """Its masks put a map's corner cells on the picture's corners; its pictures put them half a cell inside."""
    model = Recorded().eval()
    ramp = torch.arange(32.0).expand(1, 3, 32, 32) / 31
    with PeerScoreCAM(model=model, target_layers=[model.backbone]) as cam:
        drawn_map = cam(ramp, [ClassifierOutputTarget(1)])[0]
    mask = model.shown[-1][0, 0] / ramp[0, 0].clamp(min=1e-6)  # (32, 32), of its first channel
    assert mask[0, 1] > 0.02  # it rises from the very edge
    assert np.ptp(drawn_map[0, :4]) < 1e-6  # while half a cell of 8 px is level on the map that it draws
