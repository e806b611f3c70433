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
from torchcam.methods import GradCAM as OtherGradCAM
from torchcam.methods import GradCAMpp as OtherGradCAMpp

from kizu_inspect.explain import Forward, explainer
from kizu_inspect.explain.score_cam import score_cam
from kizu_inspect.model import Architecture, Classifier, HeadSettings, InputSettings, build_classifier

TARGETS = torch.tensor([1, 2])
SIDE = 64
NETWORKS = [
    ("resnet18", "linear"),
    ("resnet18", "mlp"),
    ("mobilenet_v3_small", "linear"),
    ("convnext_tiny", "linear"),
    ("local", "evidence"),
]


def network(backbone: str, head: str, *, gain: float = 1.0) -> Classifier:
    """An untrained classifier of three classes whose last layer is `gain` times as steep."""
    torch.manual_seed(3)
    inputs = InputSettings(height_px=SIDE, width_px=SIDE, profile="plain")
    model = build_classifier(
        Architecture(backbone=backbone, head=HeadSettings.model_validate({"kind": head})), inputs, classes=3, good=0
    ).eval()
    with torch.no_grad():
        last = [parameter for name, parameter in model.head.named_parameters() if name.endswith("weight")][-1]
        last.mul_(gain)
    return model


def drawn(maps: Tensor) -> npt.NDArray[np.float32]:
    """Raw maps (N, h, w) as `grad-cam` shows its own: scaled to [0, 1], resized, and scaled again."""
    resized = [cv2.resize(scaled(one), (SIDE, SIDE)) for one in maps.numpy()]
    return np.stack([scaled(one) for one in resized])


def scaled(one: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    lifted = one - one.min()
    return np.asarray(lifted / (1e-7 + lifted.max()), np.float32)


def explained(method: str, model: Classifier, images: Tensor) -> Tensor:
    """Our raw maps."""
    return explainer(method)(model.explainable(images), TARGETS).values


def theirs(kind: type[BaseCAM], model: Classifier, images: Tensor) -> npt.NDArray[np.float32]:
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
    with OtherGradCAM(model, model.backbone) as cam:
        (other,) = cam(TARGETS.tolist(), model(images), normalized=False)
    assert torch.allclose(ours, torch.relu(other), rtol=1e-3, atol=1e-6 * float(other.abs().max()))


@pytest.mark.parametrize(("backbone", "head"), [("resnet18", "linear"), ("resnet18", "mlp"), ("local", "evidence")])
def test_grad_cam_pp_is_that_of_grad_cam_where_its_epsilon_is_small(backbone: str, head: str, images: Tensor) -> None:
    """`grad-cam` adds 1e-6 to a denominator of the order of g²: with steep logits that is nothing."""
    model = network(backbone, head, gain=1e4)
    assert np.abs(drawn(explained("grad-cam++", model, images)) - theirs(PeerGradCAMpp, model, images)).max() < 1e-2


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
    with OtherGradCAMpp(model, model.backbone) as cam:
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


def test_score_cam_in_the_manner_of_grad_cam_is_its_map(images: Tensor) -> None:
    model = OnNormalised(network("local", "linear")).eval()
    with torch.no_grad():
        activations = model.backbone(images)
        forward = Forward(images, None, activations, model.head(activations), model.head, lambda _: model)
    ours = drawn(score_cam(forward, TARGETS, compat="grad-cam").values)
    with PeerScoreCAM(model=model, target_layers=[model.backbone]) as cam:
        other = cam(images, [ClassifierOutputTarget(int(target)) for target in TARGETS])
    assert np.abs(ours - other).max() < 1e-3
