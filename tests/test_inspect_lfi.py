"""The LFI head and its map, against the paper's sums written out by hand in double precision."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from kizu_inspect.bundle import Bundle
from kizu_inspect.evaluation.evaluate import evaluate
from kizu_inspect.explain import EXPLAINERS, explainer
from kizu_inspect.labelled.dataset import read_labelled
from kizu_inspect.network.forward import Forward
from kizu_inspect.network.heads import EvidenceHead, LfiHead, LinearHead
from kizu_inspect.network.model import Architecture, Classifier, HeadSettings, build_classifier
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.results import MapStatus
from kizu_inspect.synth import KINDS, draw_part, write_set
from kizu_inspect.training.fit import FitSettings
from kizu_inspect.training.settings import TrainingSettings
from kizu_inspect.training.train import train
from precision import PRECISION

K, C = 5, 3


def head(**options: int | bool) -> LfiHead:
    torch.manual_seed(1)
    made = LfiHead(LinearHead(K, C), K, **options).double().eval()  # type: ignore[arg-type]
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 1.5)  # type: ignore[arg-type]
    return made


@pytest.fixture
def activations() -> Tensor:
    return torch.rand(2, K, 6, 7, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@pytest.fixture
def grey() -> Tensor:
    return torch.randn(2, 1, 6, 7, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def by_hand(lfi: LfiHead, a: Tensor, grey: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and attention of one picture (K, h, w), (1, h, w)."""
    scaled = torch.stack([(one - one.min()) / (one.max() - one.min()) for one in a]) * grey
    importance = lfi.importance(scaled[None])[0].mean(dim=(1, 2)).exp()
    importance = importance / importance.sum()
    attention = torch.clamp((importance[:, None, None] * a).sum(dim=0), min=0)
    normalised = (attention - attention.min()) / (attention.max() - attention.min())
    return lfi.readout((a * (1 + normalised))[None])[0], attention


def test_the_head_is_the_papers(activations: Tensor, grey: Tensor) -> None:
    lfi = head()
    logits, attention = lfi.judge(activations, grey)
    for index in range(2):
        expected_logits, expected = by_hand(lfi, activations[index], grey[index])
        assert torch.allclose(logits[index], expected_logits, atol=1e-12)
        assert torch.allclose(attention[index], expected, atol=1e-12)


def test_a_gated_readout_sees_nothing_beside_the_attention(activations: Tensor, grey: Tensor) -> None:
    added, gated = head(), head(gated=True)
    attention = added.attention(activations, grey)
    alone = added.attended(activations, attention) - activations
    assert torch.allclose(gated.attended(activations, attention), alone, atol=1e-12)


def test_a_coarse_importance_network_weighs_the_same_features(activations: Tensor, grey: Tensor) -> None:
    """The attention map stays as fine as A, with the weights of the strongest of each 2 × 2 cells."""
    lfi = head(coarse=2)
    attention = lfi.attention(activations, grey)
    strongest = nn.functional.max_pool2d(activations, 2, ceil_mode=True)
    light = nn.functional.interpolate(grey, size=(3, 4), mode="area")
    low, high = (edge(strongest, dim=(2, 3), keepdim=True) for edge in (torch.amin, torch.amax))
    importance = lfi.importance((strongest - low) / (high - low) * light).mean(dim=(2, 3)).softmax(dim=1)
    expected = torch.relu((importance[:, :, None, None] * activations).sum(dim=1))
    assert torch.allclose(attention, expected, atol=1e-12)


class Recorded(TorchDispatchMode):
    """Notes which of torch's operators run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(
        self, operator: Any, _types: Any, arguments: tuple[Any, ...] = (), named: dict[str, Any] | None = None
    ) -> Any:
        self.names.add(operator._schema.name)
        return operator(*arguments, **(named or {}))


def test_the_head_learns_by_operators_that_every_torch_derives(activations: Tensor, grey: Tensor) -> None:
    """aminmax has its gradient from torch 2.12 on only."""
    with Recorded() as seen:
        logits, _ = head().judge(activations.requires_grad_(), grey)
        torch.autograd.backward(logits.sum())
    assert activations.grad is not None
    assert bool(activations.grad.any())
    assert {"aten::amin", "aten::amax"} <= seen.names
    assert "aten::aminmax" not in seen.names


def test_cam_reads_what_the_lfi_head_reads(activations: Tensor, grey: Tensor) -> None:
    """The mean of a class's map over all cells, with its bias, is its logit: the readout is linear in A + A ∘ attention."""
    lfi = head()
    logits, attention = lfi.judge(activations, grey)
    forward = Forward(torch.zeros(2, 3, 6, 7), None, activations, logits, lfi, lambda _: None, grey, attention)  # type: ignore[arg-type,return-value]
    weights = lfi.readout.channel_weights(torch.tensor([1]))[0]
    signed = torch.einsum("k,nkhw->nhw", weights, lfi.attended(activations, attention))
    assert torch.allclose(signed.mean(dim=(1, 2)) + lfi.readout.linear.bias[1], logits[:, 1], atol=1e-12)  # type: ignore[union-attr,operator,index]
    assert torch.allclose(explainer("cam")(forward, torch.tensor([1, 1])).values, torch.relu(signed), atol=1e-12)


def test_without_attention_the_readout_sees_the_features_alone(activations: Tensor, grey: Tensor) -> None:
    lfi = head(attends=False)
    assert torch.equal(lfi(activations, grey), lfi.readout(activations))


def test_a_bottleneck_narrows_the_inner_layers() -> None:
    convolutions = [layer for layer in head(bottleneck=2).importance if isinstance(layer, nn.Conv2d)]
    assert [(one.in_channels, one.out_channels) for one in convolutions] == [(K, 2), (2, 2), (2, 2), (2, K)]


def test_constant_and_dead_channels_give_numbers(grey: Tensor) -> None:
    a = torch.zeros(2, K, 6, 7, dtype=torch.float64)
    a[:, 0] = 0.5
    logits, attention = head().judge(a, grey)
    assert bool(torch.isfinite(logits).all() and torch.isfinite(attention).all())


def test_a_flat_attention_map_is_not_stretched(grey: Tensor) -> None:
    """Where features are nearly the same everywhere, min-max would make noise of them, and its gradient would be huge."""
    noise = torch.rand(2, K, 6, 7, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    a = (1 + 1e-9 * noise).requires_grad_()
    a_dead = (noise - 2).requires_grad_()  # the attention map is 0 everywhere
    for features in (a, a_dead):
        lfi = head().train()
        logits = lfi(features, grey)
        assert torch.allclose(logits, lfi.readout(features), atol=1e-6)
        nn.functional.cross_entropy(logits, torch.tensor([0, 1])).backward()
        steps = [parameter.grad for parameter in lfi.parameters()]
        assert features.grad is not None
        assert float(features.grad.abs().max()) < 10
        assert all(step is not None and float(step.abs().max()) < 10 for step in steps)


def test_one_loss_trains_the_importance_network_too(activations: Tensor, grey: Tensor) -> None:
    lfi = head().train()
    nn.functional.cross_entropy(lfi(activations, grey), torch.tensor([0, 1])).backward()
    gradients = [parameter.grad for parameter in lfi.importance.parameters()]
    assert all(gradient is not None and float(gradient.abs().max()) > 0 for gradient in gradients[:-1])


@pytest.mark.parametrize("readout", ["evidence", "published"])
@pytest.mark.parametrize("backbone", ["local", "resnet18"])
def test_any_backbone_takes_the_head(backbone: str, readout: str) -> None:
    torch.manual_seed(0)
    settings = HeadSettings.model_validate({"kind": "lfi", "readout": readout, "bottleneck": 8})
    model = build_classifier(
        Architecture(backbone=backbone, width=8, head=settings), InputSettings(height_px=64, width_px=96), classes=C, good=0
    ).eval()
    assert isinstance(model.head, LfiHead)
    assert isinstance(model.head.readout, EvidenceHead if readout == "evidence" else LinearHead)
    images = torch.rand(2, 3, 64, 96)
    forward = model.explainable(images)
    assert torch.allclose(forward.logits, model(images), atol=1e-6)
    targets = torch.tensor([1, 2])
    maps = explainer("lfi-cam")(forward, targets)
    assert maps.values.shape == forward.activations[:, 0].shape
    assert forward.attention is not None
    assert torch.equal(maps.values, forward.attention)
    assert set(explainer("grad-cam")(forward, targets).status) <= {MapStatus.OK, MapStatus.ALL_NEGATIVE}


@pytest.fixture
def lfi_model() -> Classifier:
    torch.manual_seed(0)
    settings = Architecture(head=HeadSettings(kind="lfi"))
    model = build_classifier(settings, InputSettings(height_px=64, width_px=64), classes=C, good=0)
    with torch.no_grad():
        model.train()(drawn_parts())  # so that its batch norms know what pictures look like
    return model.eval()


def drawn_parts() -> Tensor:
    pictures = [draw_part(KINDS[seed % len(KINDS)], seed, size_px=64).image for seed in range(16)]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255


def test_a_batch_of_mixed_targets_gives_what_single_pictures_give(lfi_model: Classifier) -> None:
    images, targets = drawn_parts(), torch.arange(16) % C
    together = explainer("lfi-cam")(lfi_model.explainable(images), targets).values
    for index in range(16):
        alone = explainer("lfi-cam")(lfi_model.explainable(images[index : index + 1]), targets[index : index + 1]).values[0]
        assert torch.allclose(together[index], alone, atol=1e-5 * float(alone.max()))


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_half_precision_shows_the_same_place(lfi_model: Classifier, precision: torch.dtype) -> None:
    targets = torch.ones(16, dtype=torch.int64)
    exact = explainer("lfi-cam")(lfi_model.explainable(drawn_parts()), targets).values
    with torch.autocast("cpu", dtype=precision):
        half = explainer("lfi-cam")(lfi_model.explainable(drawn_parts()), targets).values
    correlations = [np.corrcoef(one.flatten(), other.flatten())[0, 1] for one, other in zip(exact, half, strict=True)]
    assert np.percentile(correlations, 1) >= 0.99


def test_features_that_are_no_numbers_are_told() -> None:
    model = build_classifier(
        Architecture(width=8, head=HeadSettings(kind="lfi")), InputSettings(height_px=64, width_px=64), classes=C, good=0
    ).eval()
    forward = model.explainable(torch.full((1, 3, 64, 64), float("nan")))
    maps = explainer("lfi-cam")(forward, torch.tensor([1]))
    assert maps.status == (MapStatus.NON_FINITE,)
    assert float(maps.values.abs().max()) == 0


def test_a_trained_bundle_has_all_methods_that_fit_it(tmp_path: Path) -> None:
    data = read_labelled(write_set(tmp_path / "parts", count=120, seed=2, size_px=64))
    architecture = Architecture(width=8, head=HeadSettings(kind="lfi"))
    settings = TrainingSettings(
        input=InputSettings(height_px=64, width_px=64),
        architecture=architecture,
        fit=FitSettings(steps=10, precision=PRECISION),
        device="cpu",
    )
    bundle = train(data, tmp_path / "bundle", settings).bundle
    assert set(Bundle.load(bundle.path).spec.explanation) == set(EXPLAINERS)
    samples = [replace(sample, split="test") for sample in data.samples[:12]]
    result = evaluate(bundle, samples, methods=("cam", "lfi-cam"), device="cpu")
    assert {"cam", "lfi-cam"} <= set(result.explanation)
    assert not result.skipped
