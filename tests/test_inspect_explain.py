"""CAM and Grad-CAM against double-precision references, and maps that must never be NaN."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from kizu_inspect.backbones import build_backbone, cell_geometry
from kizu_inspect.errors import MethodError
from kizu_inspect.explain import Forward, explainer
from kizu_inspect.heads import EvidenceHead, LinearHead, MlpHead
from kizu_inspect.results import MapStatus

N, K, C, GOOD = 4, 6, 3, 0
TARGETS = torch.tensor([1, 2, 1, 2])


def forward_of(head: nn.Module, activations: Tensor) -> Forward:
    head = head.to(activations.dtype)
    with torch.no_grad():
        logits = head(activations)
    return Forward(torch.rand(N, 3, 8, 8), None, activations, logits, head, lambda images: images)


def activations(h: int = 5, w: int = 7) -> Tensor:
    return torch.rand(N, K, h, w, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def by_autograd(head: nn.Module, a: Tensor, targets: Tensor) -> Tensor:
    """Grad-CAM as the paper writes it, one picture at a time."""
    maps = []
    for index, target in enumerate(targets.tolist()):
        leaf = a[index : index + 1].clone().requires_grad_()
        head(leaf)[0, target].backward()
        assert leaf.grad is not None
        weights = leaf.grad[0].mean(dim=(1, 2))
        maps.append(torch.relu((weights[:, None, None] * a[index]).sum(dim=0)))
    return torch.stack(maps)


@pytest.mark.parametrize("head", [EvidenceHead(K, C, good=GOOD, top_share=0.1), LinearHead(K, C), MlpHead(K, C)], ids=repr)
def test_grad_cam_is_the_papers_formula(head: nn.Module) -> None:
    a = activations()
    maps = explainer("grad-cam")(forward_of(head, a), TARGETS)
    expected = by_autograd(head, a, TARGETS)
    assert torch.allclose(maps.values.double(), expected, atol=1e-7)


@pytest.mark.parametrize("head", [EvidenceHead(K, C, good=GOOD, top_share=0.1), LinearHead(K, C)], ids=repr)
def test_on_a_linear_readout_grad_cam_is_cam_over_the_cells(head: nn.Module) -> None:
    forward = forward_of(head, activations())
    cam, grad_cam = explainer("cam")(forward, TARGETS), explainer("grad-cam")(forward, TARGETS)
    assert torch.allclose(cam.values / 35, grad_cam.values, rtol=1e-6)


def test_the_mean_of_the_raw_cam_and_the_bias_are_the_logit() -> None:
    head, a = LinearHead(K, C), activations()
    forward = forward_of(head, a)
    means = head.class_map(a, TARGETS).mean(dim=(1, 2)) + head.linear.bias[TARGETS]
    assert torch.allclose(means, forward.logits.gather(1, TARGETS[:, None])[:, 0], atol=1e-12)


def test_cam_on_an_mlp_head_names_the_method_that_works() -> None:
    with pytest.raises(MethodError, match=r"found MlpHead; expected an evidence or linear head\. Choose grad-cam"):
        explainer("cam")(forward_of(MlpHead(K, C), activations()), TARGETS)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("score-cam", "not built yet: found score-cam; expected one of those built: cam, grad-cam"),
        ("heat", "unknown explanation"),
    ],
)
def test_a_name_that_is_not_built_lists_those_that_are(name: str, said: str) -> None:
    with pytest.raises(MethodError, match=said):
        explainer(name)


def test_a_good_part_has_no_evidence_map() -> None:
    forward = forward_of(EvidenceHead(K, C, good=GOOD, top_share=0.1), activations())
    maps = explainer("cam")(forward, torch.full((N,), GOOD))
    assert maps.status == (MapStatus.NO_EVIDENCE_MAP,) * N
    assert float(maps.values.abs().max()) == 0


@pytest.mark.parametrize("method", ["cam", "grad-cam"])
@pytest.mark.parametrize(
    ("a", "status"),
    [
        (torch.zeros(N, K, 3, 3), MapStatus.FLAT),
        (torch.full((N, K, 3, 3), float("nan")), MapStatus.NON_FINITE),
        (torch.ones(N, K, 3, 3), MapStatus.FLAT),
    ],
    ids=["zero", "nan", "constant"],
)
def test_degenerate_maps_are_finite_and_say_what_they_are(method: str, a: Tensor, status: MapStatus) -> None:
    head = LinearHead(K, C)
    nn.init.ones_(head.linear.weight)
    maps = explainer(method)(forward_of(head, a), TARGETS)
    assert bool(torch.isfinite(maps.values).all())
    assert set(maps.status) == {status}


def test_a_map_without_positive_evidence_says_so() -> None:
    head = LinearHead(K, C)
    nn.init.constant_(head.linear.weight, -1.0)
    assert set(explainer("cam")(forward_of(head, activations()), TARGETS).status) == {MapStatus.ALL_NEGATIVE}


@pytest.mark.parametrize("method", ["cam", "grad-cam"])
def test_a_batch_without_pictures_gives_no_maps(method: str) -> None:
    none = forward_of(EvidenceHead(K, C, good=GOOD, top_share=0.1), activations()).subset(torch.zeros(0, dtype=torch.int64))
    maps = explainer(method)(none, TARGETS[:0])
    assert (tuple(maps.values.shape), maps.status) == ((0, 5, 7), ())


def test_explaining_changes_nothing_of_the_model() -> None:
    head = MlpHead(K, C).train()
    before = {name: value.clone() for name, value in head.state_dict().items()}
    explainer("grad-cam")(forward_of(head, activations()), TARGETS)
    assert head.training
    assert all(p.requires_grad and p.grad is None for p in head.parameters())
    assert all(torch.equal(before[name].double(), value.double()) for name, value in head.state_dict().items())


@pytest.mark.parametrize("name", ["local", "resnet18", "mobilenet_v3_small", "convnext_tiny"])
def test_cells_lie_where_the_input_gradient_says(name: str) -> None:
    """Centroid of the squared input gradient of inner cells of a 736 px picture, within 4 px."""
    torch.manual_seed(0)
    backbone, _ = build_backbone(name, 3)
    backbone.eval()
    cells = cell_geometry(backbone)
    image = torch.rand(1, 3, 736, 736, requires_grad=True)
    a = backbone(image)
    cell = a.shape[2] // 2
    (gradient,) = torch.autograd.grad(a[0, :, cell, cell].sum(), image)
    weight = gradient.square().sum(dim=(0, 1)).double()
    centre = float((weight.sum(dim=0) * torch.arange(736)).sum() / weight.sum())
    assert centre == pytest.approx(cells.start_px + cells.step_px * cell, abs=4)
