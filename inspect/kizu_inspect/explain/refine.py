"""A map refined to pixels by what its logit owes to each of them, along the way from a picture without a defect."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from kizu_inspect.errors import MethodError
from kizu_inspect.explain.cells import sampled
from kizu_inspect.explain.contract import Maps
from kizu_inspect.explain.gradients import target_score
from kizu_inspect.explain.smoothing import blurred
from kizu_inspect.network.forward import Entrance, Forward
from kizu_inspect.picture.images import CellGeometry
from kizu_inspect.recipe import Refine
from kizu_inspect.results import MapStatus

__all__ = ["influence", "map_cells", "refined"]

STEPS = 4
STEP_PX = 2
"""A refined map has a cell for each square of so many pixels."""
PIXELS_AT_ONCE = 8 * 224 * 224
"""A backward pass keeps every layer's features: so many pixels of input together, so that memory stays bounded."""
BLUR_PX = 2.0
"""Gradients by pixel are rough: a Gaussian of this deviation is laid over them."""


def map_cells(cells: CellGeometry, refine: Refine | None) -> CellGeometry:
    """Where the cells of a map lie in the network's input; `cells` are the last feature map's. A refined one sees no less."""
    return cells if refine != "pixels" else CellGeometry((STEP_PX - 1) / 2, float(STEP_PX), cells.field_px)


def influence(forward: Forward, targets: Tensor, *, against: int | None = None) -> Tensor:
    """What the logit of `targets` (N,) owes to each pixel of what the backbone is given: (N, H, W), not negative.

    Σ_channels |(x − x₀) · mean of ∂y_c/∂x over four points from x₀ to x|, y_c − y_against where `against` is given: integrated
    gradients (Sundararajan et al., ICML 2017, https://arxiv.org/abs/1703.01365) without their sign. x is what the input profile
    makes of the picture, x₀ what it makes of a picture without a defect. Four forward and backward passes. Raises MethodError
    where the forward pass left no way into the network.
    """
    if forward.entrance is None:
        raise MethodError(
            "a map cannot be refined", found="a forward pass without the network's entrance", expected="a Classifier's"
        )
    height, width = forward.images.shape[2:]
    together = max(1, PIXELS_AT_ONCE // (height * width))
    rows = torch.arange(len(targets), device=targets.device)
    owed = [_owed(forward.entrance, forward.subset(some), targets[some], against) for some in torch.split(rows, together)]
    return torch.cat(owed)


def _owed(entrance: Entrance, forward: Forward, targets: Tensor, against: int | None) -> Tensor:
    with torch.no_grad():
        seen, neutral = entrance.shown(forward.images, forward.references)
    total = torch.zeros_like(seen)
    for step in range(1, STEPS + 1):
        with torch.enable_grad():
            between = torch.lerp(neutral.expand_as(seen), seen, step / STEPS).requires_grad_()
            (gradient,) = torch.autograd.grad(target_score(entrance.judge(between), targets, against=against), between)
        total += gradient
    return ((seen - neutral) * total / STEPS).abs().sum(dim=1)


def refined(maps: Maps, owed: Tensor, cells: CellGeometry) -> Maps:
    """√(map · S), with a cell for each 2 × 2 px: S is what the logit owes to that square, smoothed; `owed` as of
    `influence`, `cells` where those of the maps lie.

    The geometric mean of where the cells say that the evidence lies and which pixels it hangs on, as Guided Grad-CAM multiplies
    the two. A map that says nothing is left saying so; one that no pixel bears out is flat.
    """
    smooth = blurred(owed[:, None], BLUR_PX)
    squares = F.avg_pool2d(smooth, STEP_PX, ceil_mode=True, count_include_pad=False) * STEP_PX**2
    drawn = sampled(maps.values[:, None].to(squares.dtype), cells, map_cells(cells, "pixels"), squares.shape[2:])
    values = torch.sqrt(drawn * squares)[:, 0]
    finite = values.flatten(1).isfinite().all(dim=1)
    values = torch.where(finite[:, None, None], values, 0)
    status = [
        old if not old.has_map else MapStatus.NON_FINITE if not sound else old if peak > 0 else MapStatus.FLAT
        for old, sound, peak in zip(maps.status, finite.tolist(), values.flatten(1).amax(dim=1).tolist(), strict=True)
    ]
    return Maps(values, tuple(status))
