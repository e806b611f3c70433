"""CAM and Grad-CAM against double-precision references, and maps that must never be NaN."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kizu_inspect.errors import MethodError
from kizu_inspect.explain import EXPLAINERS, explainer
from kizu_inspect.explain.grad_cam_pp import grad_cam_pp
from kizu_inspect.explain.score_cam import score_cam
from kizu_inspect.network.forward import Forward
from kizu_inspect.network.heads import EvidenceHead, LinearHead, MlpHead
from kizu_inspect.network.model import Architecture, HeadSettings, build_classifier
from kizu_inspect.picture.heatmap import sample_grid
from kizu_inspect.picture.images import CellGeometry, input_geometry
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.recipe import ExplanationSettings
from kizu_inspect.results import MapStatus

torch.manual_seed(0)  # the heads below are drawn at import: an unlucky draw once left every class without positive evidence
N, K, C, GOOD = 4, 6, 3, 0
ON_ANY_HEAD = [method for method in EXPLAINERS if method != "lfi-cam"]
TARGETS = torch.tensor([1, 2, 1, 2])


def forward_of(head: nn.Module, activations: Tensor) -> Forward:
    head = head.to(activations.dtype)
    with torch.no_grad():
        logits = head(activations)
    return Forward(torch.rand(N, 3, 8, 8), None, activations, logits, head, lambda _: lambda images: images.mean(dim=(2, 3)))


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
    assert torch.allclose(maps.values, by_autograd(head, a, TARGETS), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("head", [EvidenceHead(K, C, good=GOOD, top_share=0.1), LinearHead(K, C)], ids=repr)
def test_on_a_linear_readout_grad_cam_is_cam_over_the_cells(head: nn.Module) -> None:
    forward = forward_of(head, activations())
    cam, grad_cam = explainer("cam")(forward, TARGETS), explainer("grad-cam")(forward, TARGETS)
    assert torch.allclose(cam.values / 35, grad_cam.values, rtol=1e-12, atol=1e-12)
    assert float(cam.values.max()) > 0


def pp_by_autograd(head: nn.Module, a: Tensor, targets: Tensor, *, alpha_norm: bool = False) -> Tensor:
    """Grad-CAM++ by the paper's own α = g² / (2 g² + g³ Σ A), one picture at a time."""
    maps = []
    for index, target in enumerate(targets.tolist()):
        leaf = a[index : index + 1].clone().requires_grad_()
        head(leaf)[0, target].backward()
        assert leaf.grad is not None
        g, sums = leaf.grad[0], a[index].sum(dim=(1, 2), keepdim=True)
        alpha = torch.where(g > 0, g**2 / (2 * g**2 + g**3 * sums), 0)
        if alpha_norm:
            alpha = alpha / alpha.sum(dim=(1, 2), keepdim=True).clamp(min=1e-300)
        weights = (alpha * torch.relu(g)).sum(dim=(1, 2))
        maps.append(torch.relu((weights[:, None, None] * a[index]).sum(dim=0)))
    return torch.stack(maps)


@pytest.mark.parametrize("alpha_norm", [False, True])
@pytest.mark.parametrize("head", [EvidenceHead(K, C, good=GOOD, top_share=0.1), LinearHead(K, C), MlpHead(K, C)], ids=repr)
def test_grad_cam_pp_is_the_papers_formula(head: nn.Module, alpha_norm: bool) -> None:
    a = activations()
    maps = grad_cam_pp(forward_of(head, a), TARGETS, alpha_norm=alpha_norm)
    assert torch.allclose(maps.values, pp_by_autograd(head, a, TARGETS, alpha_norm=alpha_norm), rtol=1e-12, atol=1e-12)


def test_channels_where_the_formula_does_not_apply_are_left_out_and_told() -> None:
    head, a = LinearHead(K, C).double(), -100 * activations()
    with torch.no_grad():
        head.linear.weight.fill_(1.0)
    maps = explainer("grad-cam++")(forward_of(head, a), TARGETS)
    assert set(maps.status) == {MapStatus.SIGNED_ACTIVATIONS}
    assert float(maps.values.abs().max()) == 0


@pytest.mark.parametrize("method", ["cam", "grad-cam", "grad-cam++"])
def test_a_margin_is_the_defect_less_the_good_class(method: str) -> None:
    head, a = LinearHead(K, C).double(), activations()
    shifted = LinearHead(K, C).double()
    with torch.no_grad():
        shifted.linear.weight.copy_(head.linear.weight - head.linear.weight[GOOD])
    margin = explainer(method, ExplanationSettings(method=method, target="margin"), good=GOOD)
    expected = explainer(method)(forward_of(shifted, a), TARGETS)
    assert torch.allclose(margin(forward_of(head, a), TARGETS).values, expected.values)


def test_a_margin_needs_a_good_class() -> None:
    with pytest.raises(MethodError, match="margin needs a good class"):
        explainer("cam", ExplanationSettings(target="margin"))


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (torch.tensor([1, 2]), r"targets do not fit the pictures: found torch.int64 \(2,\); expected 4 class indices below 3"),
        (torch.tensor([1.0, 2.0, 1.0, 2.0]), "found torch.float32"),
        (torch.tensor([1, 2, 3, 0]), "a target is no class of the model: found 3"),
        (torch.tensor([1, 2, -1, 0]), "a target is no class of the model: found -1"),
    ],
    ids=["too few", "no integers", "too large", "negative"],
)
@pytest.mark.parametrize("method", list(EXPLAINERS))
def test_targets_that_do_not_fit_are_told(method: str, targets: Tensor, said: str) -> None:
    with pytest.raises(MethodError, match=said):
        explainer(method)(forward_of(LinearHead(K, C), activations()), targets)


class Seen(nn.Module):
    """A model of one convolution, so that Score-CAM's masks and answers are easy to follow."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(6)
        self.backbone = nn.Sequential(nn.Conv2d(3, K, 4, stride=4), nn.ReLU())
        self.head = LinearHead(K, C)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone(images))
        return logits

    def explainable(self, images: Tensor) -> Forward:
        with torch.no_grad():
            a = self.backbone(images)
            return Forward(images, None, a, self.head(a), self.head, lambda _: self)


def naive_weights(model: Seen, forward: Forward, targets: Tensor) -> Tensor:
    """The paper's loop: one picture, one channel, one mask at a time. (N, K)"""
    weights = torch.zeros(forward.activations.shape[:2])
    with torch.no_grad():
        for n, (image, a, target) in enumerate(zip(forward.images, forward.activations, targets.tolist(), strict=True)):
            black = model(torch.zeros_like(image)[None]).softmax(dim=1)[0, target]
            for k, channel in enumerate(a):
                mask = F.interpolate(channel[None, None], size=image.shape[1:], mode="bilinear", align_corners=False)[0]
                if mask.max() > mask.min():
                    mask = (mask - mask.min()) / (mask.max() - mask.min())
                    weights[n, k] = model((image * mask)[None]).softmax(dim=1)[0, target] - black
    return weights


def naive_score_cam(model: Seen, forward: Forward, targets: Tensor) -> Tensor:
    return torch.relu(torch.einsum("nk,nkhw->nhw", naive_weights(model, forward, targets), forward.activations))


def pictures(n: int = N) -> Tensor:
    return torch.rand(n, 3, 24, 32, generator=torch.Generator().manual_seed(9))


@pytest.mark.parametrize("masks_at_once", [1, 7, 100])
def test_score_cam_is_the_papers_loop(masks_at_once: int) -> None:
    model = Seen()
    forward = model.explainable(pictures())
    maps = score_cam(forward, TARGETS, masks_at_once=masks_at_once)
    assert torch.allclose(maps.values, naive_score_cam(model, forward, TARGETS), atol=1e-6)


def test_masks_hide_behind_the_golden_picture_where_there_is_one() -> None:
    model = Seen()
    forward = model.explainable(pictures())
    golden = torch.rand(3, 24, 32)
    maps = score_cam(replace(forward, neutral=golden), TARGETS)
    # The same seen from the golden picture: a model of what is added to it, whose black is the golden picture.
    shifted = replace(forward, images=forward.images - golden, predictor=lambda _: lambda added: model(added + golden))
    assert torch.allclose(maps.values, score_cam(shifted, TARGETS).values, atol=1e-6)
    black = score_cam(replace(forward, neutral=golden), TARGETS, masked="black")
    assert torch.equal(black.values, score_cam(forward, TARGETS).values)


def test_aligned_masks_lie_where_the_cells_look() -> None:
    """The masks are those of a heatmap drawn over the input, and where cells lie evenly they are the paper's own."""
    model = Seen()  # its cells lie at 4·i + 1.5, where stretching the map over the picture puts them too
    forward = replace(model.explainable(pictures()), cells=CellGeometry(1.5, 4.0, 4.0))
    plain = score_cam(forward, TARGETS).values
    assert torch.allclose(score_cam(forward, TARGETS, aligned_masks=True).values, plain, atol=1e-6)

    shown: list[Tensor] = []

    def predict(images: Tensor) -> Tensor:
        shown.append(images)
        return model(images)

    shifted = replace(forward, images=torch.ones(N, 3, 24, 32), cells=CellGeometry(0.0, 4.0, 4.0), predictor=lambda _: predict)
    score_cam(shifted, TARGETS, aligned_masks=True, masks_at_once=1)
    drawn = sample_grid(forward.activations[0, 0].numpy(), input_geometry(CellGeometry(0.0, 4.0, 4.0), input_px=(24, 32)))
    mask = (drawn - drawn.min()) / (drawn.max() - drawn.min())
    assert np.abs(shown[1][0, 0].numpy() - mask).max() < 0.02  # OpenCV rounds places to 1/32 of a cell


def test_score_cam_on_a_linear_model_is_its_weights() -> None:
    """One pixel a cell and a model that adds up pixels: f(mask k) is known without any picture being shown."""
    a = torch.zeros(1, 3, 2, 2)
    a[0, 0, 0, 0], a[0, 1, 0, 1], a[0, 2, 1, 1] = 3.0, 1.0, 2.0  # each mask shows one pixel
    gain = torch.tensor([[0.4, 0.2], [0.1, 0.3]])

    def predict(images: Tensor) -> Tensor:
        p = (images[:, 0] * gain).sum(dim=(1, 2)).clamp(1e-7, 1)  # (N,): the probability of class 1
        return torch.stack([torch.log1p(-p), torch.log(p)], dim=1)

    forward = Forward(torch.ones(1, 3, 2, 2), None, a, torch.zeros(1, 2), LinearHead(3, 2), lambda _: predict)
    maps = score_cam(forward, torch.tensor([1]))
    assert torch.allclose(maps.values[0], torch.tensor([[0.4 * 3, 0.2 * 1], [0.0, 0.3 * 2]]), atol=1e-5)


@pytest.mark.parametrize("method", ON_ANY_HEAD)
def test_a_map_of_one_cell_is_a_map(method: str) -> None:
    head = LinearHead(K, C)
    nn.init.ones_(head.linear.weight)
    maps = explainer(method)(forward_of(head, torch.rand(N, K, 1, 1)), TARGETS)
    assert maps.values.shape == (N, 1, 1)
    assert bool(torch.isfinite(maps.values).all())
    expected = MapStatus.FLAT if method == "score-cam" else MapStatus.OK  # a mask of one cell is constant: its weight is 0
    assert set(maps.status) == {expected}


def test_score_cam_with_all_channels_chosen_is_exact_and_with_few_is_near() -> None:
    forward = Seen().explainable(pictures())
    exact = score_cam(forward, TARGETS).values
    assert torch.equal(score_cam(forward, TARGETS, channels=K).values, exact)
    weights_left_out = score_cam(forward, TARGETS, channels=2).values
    assert not torch.equal(weights_left_out, exact)


def test_few_channels_are_those_that_add_most_to_the_logit() -> None:
    """A channel that is hot all over the background speaks against the class, and no mask of it shows the defect."""
    head = EvidenceHead(2, 2, good=0, top_share=0.1)  # of 16 cells the top two
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[-0.1, 1.0]]))
    a = torch.full((1, 2, 4, 4), 9.0)
    a[0, 0, 1, 1:3] = 0
    a[0, 1] = 0
    a[0, 1, 1, 1:3] = torch.tensor([2.0, 3.0])
    asked: list[Tensor] = []

    def predict(images: Tensor) -> Tensor:
        asked.extend(images)
        return torch.zeros(len(images), 2)

    forward = Forward(torch.ones(1, 3, 4, 4), None, a, head(a), head, lambda _: predict)
    score_cam(forward, torch.tensor([1]), channels=1)
    black, shown = asked
    assert float(black.max()) == 0
    assert torch.allclose(shown[0], a[0, 1] / 3)


def test_a_constant_channel_costs_nothing_and_weighs_nothing() -> None:
    model = Seen()
    calls: list[int] = []

    def predict(images: Tensor) -> Tensor:
        calls.append(len(images))
        return model(images)

    forward = model.explainable(pictures())
    flat = forward.activations.clone()
    flat[:, 2:] = 0.5
    score_cam(replace(forward, activations=flat, predictor=lambda _: predict), TARGETS)
    assert sum(calls) == 1 + N * 2  # the black picture, and two channels of each picture


@pytest.mark.parametrize("method", ON_ANY_HEAD)
def test_a_batch_of_mixed_targets_gives_what_single_pictures_give(method: str) -> None:
    forward = Seen().explainable(pictures(16))
    targets = torch.arange(16) % C
    together = explainer(method)(forward, targets).values
    for index in range(16):
        row = torch.tensor([index])
        alone = explainer(method)(forward.subset(row), targets[row]).values[0]
        assert torch.allclose(together[index], alone, atol=1e-5 * float(alone.max()))


def test_the_mean_of_the_raw_cam_and_the_bias_are_the_logit() -> None:
    head, a = LinearHead(K, C), activations()
    forward = forward_of(head, a)
    means = torch.einsum("nk,nkhw->nhw", head.channel_weights(TARGETS), a).mean(dim=(1, 2)) + head.linear.bias[TARGETS]
    assert torch.allclose(means, forward.logits.gather(1, TARGETS[:, None])[:, 0], atol=1e-12)


def test_cam_on_an_mlp_head_names_the_method_that_works() -> None:
    with pytest.raises(MethodError, match=r"found MlpHead; expected an evidence, linear or lfi head\. Choose grad-cam"):
        explainer("cam")(forward_of(MlpHead(K, C), activations()), TARGETS)


def test_an_unknown_name_lists_those_that_are_known() -> None:
    said = r"unknown explanation method: found heat; expected one of cam, grad-cam, grad-cam\+\+, score-cam, lfi-cam"
    with pytest.raises(MethodError, match=said):
        explainer("heat")


def test_lfi_cam_on_another_head_says_how_to_train_one() -> None:
    with pytest.raises(MethodError, match=r"found LinearHead; expected LfiHead\. Train it again with `kizu train`"):
        explainer("lfi-cam")(forward_of(LinearHead(K, C), activations()), TARGETS)


def test_a_good_part_has_no_evidence_map() -> None:
    forward = forward_of(EvidenceHead(K, C, good=GOOD, top_share=0.1), activations())
    maps = explainer("cam")(forward, torch.full((N,), GOOD))
    assert maps.status == (MapStatus.NO_EVIDENCE_MAP,) * N
    assert float(maps.values.abs().max()) == 0


@pytest.mark.parametrize("method", ON_ANY_HEAD)
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


@pytest.mark.parametrize("method", ON_ANY_HEAD)
def test_a_batch_without_pictures_gives_no_maps(method: str) -> None:
    none = forward_of(EvidenceHead(K, C, good=GOOD, top_share=0.1), activations()).subset(torch.zeros(0, dtype=torch.int64))
    maps = explainer(method)(none, TARGETS[:0])
    assert (tuple(maps.values.shape), maps.status) == ((0, 5, 7), ())


@pytest.mark.parametrize("fails", [False, True], ids=["works", "fails midway"])
@pytest.mark.parametrize(
    ("method", "head"),
    [(method, head) for method in ON_ANY_HEAD for head in ("evidence", "mlp") if (method, head) != ("cam", "mlp")]
    + [("lfi-cam", "lfi"), ("grad-cam", "lfi")],
)
def test_explaining_changes_nothing_of_the_model(method: str, head: str, fails: bool) -> None:
    settings = Architecture(width=8, head=HeadSettings.model_validate({"kind": head}))
    model = build_classifier(settings, InputSettings(height_px=32, width_px=40), classes=C, good=GOOD).eval()
    first = next(model.parameters()).requires_grad_(False)
    forward = model.explainable(torch.rand(N, 3, 32, 40))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    if fails:
        asked = iter([forward.predictor(None)])  # Score-CAM's second question finds no one to answer
        broken = replace(
            forward, activations=forward.activations if method == "score-cam" else forward.activations[:, 1:],
            attention=torch.zeros(0), predictor=lambda _: lambda images: next(asked)(images),
        )  # fmt: skip
        with pytest.raises((RuntimeError, IndexError, StopIteration)):
            explainer(method)(broken, TARGETS)
    else:
        explainer(method)(forward, TARGETS)
    assert not any(module.training for module in model.modules())
    assert [p.requires_grad for p in model.parameters()] == [p is not first for p in model.parameters()]
    assert all(p.grad is None for p in model.parameters())
    assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())
    after = model.state_dict()
    assert all(torch.equal(before[name], value) for name, value in after.items())


def test_a_model_in_training_stays_in_training() -> None:
    head = MlpHead(K, C).train()
    explainer("grad-cam")(forward_of(head, activations()), TARGETS)
    assert all(module.training for module in head.modules())


def test_score_cam_of_a_margin_is_the_defect_less_the_good_class() -> None:
    """The paper's loop with p_c − p_good for f, which is the loop for p_c less the loop for p_good, before the ReLU."""
    model = Seen()
    forward = model.explainable(pictures())
    of_good = torch.full_like(TARGETS, GOOD)
    weighed = [naive_weights(model, forward, targets) for targets in (TARGETS, of_good)]
    expected = torch.relu(torch.einsum("nk,nkhw->nhw", weighed[0] - weighed[1], forward.activations))
    settings = ExplanationSettings(method="score-cam", target="margin")
    assert torch.allclose(explainer("score-cam", settings, good=GOOD)(forward, TARGETS).values, expected, atol=1e-6)


def test_score_cam_may_weigh_by_a_softmax_over_channels() -> None:
    model = Seen()
    forward = model.explainable(pictures())
    weights = naive_weights(model, forward, TARGETS).softmax(dim=1)
    expected = torch.relu(torch.einsum("nk,nkhw->nhw", weights, forward.activations))
    settings = ExplanationSettings(method="score-cam", channel_softmax=True)
    assert torch.allclose(explainer("score-cam", settings)(forward, TARGETS).values, expected, atol=1e-6)


@pytest.mark.parametrize("head", ["evidence", "lfi"])
@pytest.mark.parametrize("backbone", ["local", "resnet18", "mobilenet_v3_small", "efficientnet_b0", "convnext_tiny"])
def test_the_predictor_for_many_pictures_says_what_the_model_says(backbone: str, head: str) -> None:
    torch.manual_seed(0)
    settings = Architecture(backbone=backbone, head=HeadSettings.model_validate({"kind": head}))
    model = build_classifier(settings, InputSettings(height_px=64, width_px=96, profile="plain"), classes=3, good=GOOD)
    for module in model.modules():  # as after some training: a batch norm that does nothing would be folded in any order
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    model.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modules = dict(model.named_modules())
    forward = model.explainable(torch.rand(2, 3, 64, 96))
    said = forward.predictor(None)(forward.images)
    torch.testing.assert_close(said, forward.logits, rtol=1e-3, atol=1e-4)
    rough = forward.predictor(torch.bfloat16)(forward.images)
    assert rough.dtype == forward.logits.dtype
    assert (rough - forward.logits).abs().max() < 0.1 * max(1.0, float(forward.logits.abs().max()))
    now = model.state_dict()
    assert all(torch.equal(now[name], value) and now[name].dtype == value.dtype for name, value in before.items())
    assert dict(model.named_modules()) == modules
