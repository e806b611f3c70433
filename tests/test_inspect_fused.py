"""Fused maps: finer cells in their right place, seen through no wider a field than is told, and exact for every method."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from kizu_inspect.errors import ConfigError
from kizu_inspect.explain import EXPLAINERS, explainer
from kizu_inspect.network.backbones import BACKBONES, build_backbone, cell_geometry
from kizu_inspect.network.fused import FusedBackbone
from kizu_inspect.network.heads import EvidenceHead
from kizu_inspect.network.model import Architecture, HeadSettings, build_classifier
from kizu_inspect.picture.images import CellGeometry
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.results import MapStatus
from kizu_inspect.training.standard import standard_architecture


def fused(name: str, cell_px: int = 4) -> FusedBackbone:
    torch.manual_seed(0)
    made, channels = build_backbone(name, 3, cell_px=cell_px)
    assert isinstance(made, FusedBackbone)
    assert channels == 64
    return made.eval().requires_grad_(False)


@pytest.mark.parametrize("name", ["local", *BACKBONES])
def test_fused_cells_lie_where_the_input_gradient_says(name: str) -> None:
    """Centroid of the squared input gradient of an inner cell, mean of both axes: within a cell of 4 px."""
    backbone = fused(name)
    cells = cell_geometry(backbone)
    image = torch.rand(1, 3, 480, 480, generator=torch.Generator().manual_seed(0)).requires_grad_()
    a = backbone(image)
    assert a.shape[1:] == (64, 120, 120)
    (gradient,) = torch.autograd.grad(a[0, :, 60, 60].sum(), image)
    weight = gradient.square().sum(dim=(0, 1)).double()
    across, down = (float((weight.sum(dim=axis) * torch.arange(480)).sum() / weight.sum()) for axis in (0, 1))
    assert (across + down) / 2 == pytest.approx(cells.start_px + cells.step_px * 60, abs=4)


def test_the_local_networks_field_stays_bounded_and_is_told() -> None:
    backbone = fused("local")
    cells = cell_geometry(backbone)
    assert (cells.start_px, cells.step_px) == (1.5, 4.0)
    image = torch.rand(1, 3, 200, 200).requires_grad_()
    (gradient,) = torch.autograd.grad(backbone(image)[0, :, 25, 25].sum(), image)
    rows = torch.nonzero(gradient.abs().sum(dim=(0, 1, 3)))[:, 0]
    centre = cells.start_px + cells.step_px * 25
    assert max(centre - int(rows[0]), int(rows[-1]) - centre) <= cells.field_px / 2
    assert cells.field_px == 58


@pytest.mark.parametrize("late", [CellGeometry(3.5, 8.0, 50.0), CellGeometry(0.0, 16.0, 90.0)], ids=["centred", "shifted"])
def test_a_late_map_is_drawn_where_its_cells_look(late: CellGeometry) -> None:
    """A late map that is a ramp over the input's pixels comes out as that ramp at the early cells' centres."""

    class Ramp(nn.Module):
        def __init__(self, cells: CellGeometry) -> None:
            super().__init__()
            self.cells = cells

        def forward(self, _: torch.Tensor) -> torch.Tensor:
            side = int(240 / self.cells.step_px)
            along = self.cells.start_px + self.cells.step_px * torch.arange(side, dtype=torch.float32)
            down, across = torch.meshgrid(along, along, indexing="ij")
            return (down + 3 * across).expand(1, 1, -1, -1) if self.cells.step_px > 4 else 0 * down.expand(1, 1, -1, -1)

    early = CellGeometry(1.5 if late.start_px else 0.0, 4.0, 10.0)
    net = FusedBackbone([Ramp(early), Ramp(late)], [1, 1], [early, late], 1).eval()
    for lateral in net.laterals:
        nn.init.ones_(lateral[0].weight)  # type: ignore[index]
    drawn = net(torch.zeros(1))[0, 0].detach().numpy()
    along = early.start_px + early.step_px * np.arange(60)
    inner = slice(8, 48)  # at the border the map is clamped
    expected = along[:, None] + 3 * along[None]
    assert np.allclose(drawn[inner, inner], expected[inner, inner], rtol=1e-4)


def test_a_size_that_no_stage_has_is_told() -> None:
    with pytest.raises(ConfigError, match=r"local has no stage with cells of this size: found 16 px; expected 2, 4, 8"):
        build_backbone("local", 3, cell_px=16)


@pytest.mark.parametrize("backbone", ["local", "resnet18"])
def test_every_method_fits_a_fused_model_with_a_branch(backbone: str) -> None:
    torch.manual_seed(1)
    head = HeadSettings(branch=True, coarse=4, bottleneck=8)
    architecture = Architecture(backbone=backbone, width=8, cell_px=4, head=head)
    model = build_classifier(architecture, InputSettings(height_px=64, width_px=96), classes=4, good=0).eval()
    images, targets = torch.rand(3, 3, 64, 96), torch.tensor([1, 2, 3])
    forward = model.explainable(images)
    assert isinstance(model.head, EvidenceHead)
    assert torch.equal(forward.logits, model.head(forward.activations))  # the verdict is the head's alone
    for method in EXPLAINERS:
        maps = explainer(method)(forward, targets)
        assert maps.values.shape == (3, 16, 24)
        assert set(maps.status) <= {MapStatus.OK, MapStatus.ALL_NEGATIVE, MapStatus.FLAT}
    assert set(explainer("lfi-cam")(forward, targets).status) == {MapStatus.OK}
    again = forward.subset(torch.tensor([2, 0]))
    assert torch.allclose(
        explainer("lfi-cam")(again, targets[:2]).values, explainer("lfi-cam")(forward, targets).values[[2, 0]], atol=1e-6
    )


def test_a_folded_fused_model_says_the_same() -> None:
    torch.manual_seed(1)
    model = build_classifier(Architecture(backbone="resnet18", cell_px=4), InputSettings(profile="plain"), classes=3, good=0)
    images = torch.rand(2, 3, 160, 160)
    with torch.no_grad():
        model.train()(images)
        forward = model.eval().explainable(images)
        assert torch.allclose(forward.predictor(None)(images), forward.logits, atol=1e-4)


def test_a_detached_branch_does_not_change_the_features() -> None:
    torch.manual_seed(1)
    architecture = Architecture(width=8, cell_px=4, head=HeadSettings(branch=True, coarse=4, bottleneck=8))
    model = build_classifier(architecture, InputSettings(height_px=64, width_px=64), classes=3, good=0).train()
    images = torch.rand(4, 3, 64, 64)
    for detached in (True, False):
        model.zero_grad()
        answers = model.answers(images, detached=detached)
        assert answers.branch is not None
        nn.functional.cross_entropy(answers.branch, torch.tensor([0, 1, 2, 1])).backward()  # type: ignore[no-untyped-call]
        assert model.branch is not None
        assert all(p.grad is not None for p in model.branch.importance.parameters())
        reached = any(p.grad is not None and bool(p.grad.abs().max() > 0) for p in model.backbone.parameters())
        assert reached is not detached


def test_the_standard_network_suits_what_is_learned_from() -> None:
    labels, places = standard_architecture("local", "part"), standard_architecture("resnet18", "surface", marked=True)
    assert (labels.cell_px, labels.context, labels.masks) == (4, 3, "input")
    assert (places.cell_px, places.context, places.masks) == (4, 1, "input")
    assert labels.head.branch
    assert labels.head.gated  # nothing but the readout ties the attention to the defect
    assert not places.head.gated
    pooled = standard_architecture("resnet18", "plain", kind="linear")
    assert (pooled.cell_px, pooled.head.branch) == (None, False)
    judged = standard_architecture("local", "part", kind="lfi")
    assert (judged.cell_px, judged.head.branch, judged.head.coarse) == (4, False, 4)
