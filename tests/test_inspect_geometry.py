"""Where things lie: a picture in the network's input, a network's cells in it, and a map's cells in the picture again."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from kizu_inspect.network.backbones import BACKBONES, build_backbone, cell_geometry
from kizu_inspect.picture.heatmap import sample_grid
from kizu_inspect.picture.images import fit_image, grid_geometry, place


@pytest.mark.parametrize("size", [(120, 90), (33, 200), (64, 64), (500, 410)])
def test_a_spot_lies_where_the_placement_says(size: tuple[int, int]) -> None:
    height, width = size
    picture = np.zeros((height, width, 3), np.uint8)
    x, y = width // 3, height // 4
    cv2.circle(picture, (x, y), max(3, min(size) // 20), (255, 255, 255), -1)
    fitted = fit_image(picture, input_px=(128, 128), policy="letterbox")
    placed = place(width, height, input_px=(128, 128), policy="letterbox")
    inside = np.zeros((128, 128))
    top, left = placed.offset_y_px, placed.offset_x_px
    rows, columns = round(height * placed.scale_y), round(width * placed.scale_x)
    inside[top : top + rows, left : left + columns] = fitted[top : top + rows, left : left + columns, 0]
    found_y, found_x = (float(c) for c in np.average(np.indices((128, 128)).reshape(2, -1), axis=1, weights=inside.ravel()))
    assert found_x == pytest.approx((x + 0.5) * placed.scale_x - 0.5 + left, abs=0.3)
    assert found_y == pytest.approx((y + 0.5) * placed.scale_y - 0.5 + top, abs=0.3)


@cache
def backbone_of(name: str) -> nn.Module:
    """The network with random weights, which take longer to draw than some pictures to pass through; nobody changes it."""
    torch.manual_seed(0)
    return build_backbone(name, 3)[0].eval().requires_grad_(False)


@pytest.mark.parametrize("name", ["local", *BACKBONES])
def test_cells_lie_where_the_input_gradient_says(name: str) -> None:
    """Centroid of the squared input gradient of an inner cell of a 736 px picture, the mean of both axes, within 4 px."""
    backbone = backbone_of(name)
    cells = cell_geometry(backbone)
    torch.manual_seed(0)
    image = torch.rand(1, 3, 736, 736, requires_grad=True)
    a = backbone(image)
    cell = a.shape[2] // 2
    (gradient,) = torch.autograd.grad(a[0, :, cell, cell].sum(), image)
    weight = gradient.square().sum(dim=(0, 1)).double()
    across, down = (float((weight.sum(dim=axis) * torch.arange(736)).sum() / weight.sum()) for axis in (0, 1))
    centre = (across + down) / 2  # random weights scatter each by some px
    assert centre == pytest.approx(cells.start_px + cells.step_px * cell, abs=4)


@pytest.mark.parametrize("name", ["local", *BACKBONES])
def test_a_drawn_spot_is_found_where_it_was_drawn(name: str) -> None:
    """What a spot changes in the feature map, drawn over the letterboxed picture: its centroid lies on the spot, to a quarter
    of a cell of 32 px. Stretching the map over the picture instead draws most networks' 15.5 px away."""
    backbone = backbone_of(name)
    picture = np.random.default_rng(0).integers(90, 110, (300, 500, 3), dtype=np.uint8)
    marked = cv2.circle(picture.copy(), (x := 180, y := 210), 5, (255, 255, 255), -1)

    def features(image: npt.NDArray[np.uint8]) -> torch.Tensor:
        fitted = fit_image(image, input_px=(736, 736), policy="letterbox")
        with torch.no_grad():
            a: torch.Tensor = backbone(torch.from_numpy(fitted).permute(2, 0, 1)[None].float() / 255)
        return a

    changed = (features(marked) - features(picture)).square().sum(dim=1)[0].numpy()
    placed = place(500, 300, input_px=(736, 736), policy="letterbox")
    shown = sample_grid(changed, grid_geometry(cell_geometry(backbone), placed))
    rows, columns = np.indices(shown.shape)
    found_x, found_y = ((shown * places).sum() / shown.sum() for places in (columns, rows))
    assert found_x * placed.scale_x == pytest.approx(x * placed.scale_x, abs=8)
    assert found_y * placed.scale_y == pytest.approx(y * placed.scale_y, abs=8)
