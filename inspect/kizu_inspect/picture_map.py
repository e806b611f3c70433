"""From the maps of a picture's views to the picture's one map with its regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from kizu_inspect.bundle import Scale
from kizu_inspect.explain.regions import find_regions
from kizu_inspect.picture.heatmap import sample_grid
from kizu_inspect.picture.images import CellGeometry, input_geometry
from kizu_inspect.picture.tiles import confined, merge_maps
from kizu_inspect.picture.views import Sight
from kizu_inspect.results import GridGeometry, Heatmap, MapStatus, Region

__all__ = ["PictureMap", "ViewMap", "picture_map"]

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ViewMap:
    """The raw map of one view for one class."""

    values: Floats
    """(h, w), non-negative."""
    status: MapStatus


@dataclass(frozen=True)
class PictureMap:
    """One picture's map, and what it is made of."""

    heatmap: Heatmap
    regions: tuple[Region, ...]
    _sight: Sight | None
    whole: Floats
    """The raw map: a view's own where the picture has one view, else the merged one on the fixed scale's unit."""
    _cells: CellGeometry

    def in_view(self, number: int) -> Floats:
        """The map on the fixed scale, not clipped, at every pixel of a view's input."""
        scale = np.float32(self.heatmap.scale)
        if self._sight is None:
            return self.whole / scale
        geometry = input_geometry(self._cells, input_px=self._sight.inputs.size_px)
        if self._sight.corners is None:
            return sample_grid(self.whole, geometry) / scale
        x, y = self._sight.corners[number]
        whole = self.heatmap.geometry
        moved = replace(geometry, origin_x_px=whole.origin_x_px - x, origin_y_px=whole.origin_y_px - y)
        return sample_grid(self.whole, moved) / scale


def picture_map(
    sight: Sight | None,
    views: Mapping[tuple[int, str], ViewMap],
    *,
    method: str,
    target: str | None,
    cells: CellGeometry,
    scale: Scale,
    size_px: tuple[int, int],
) -> PictureMap:
    """The map of a picture of `size_px` (height, width) from those of its views, by (view, class); `cells` are the maps'.

    The map shows at each place the strongest class; a region bears the name of the class that is strongest in it. A picture
    that was not judged (`sight` None) has an empty map.
    """
    if sight is None:
        nowhere = GridGeometry(0.0, 0.0, 1.0, 1.0, width_px=size_px[1], height_px=size_px[0])
        heatmap = Heatmap(method, target or "", MapStatus.NON_FINITE, np.zeros((1, 1), np.float16), 0.0, scale.scale, nowhere)
        return PictureMap(heatmap, (), None, np.zeros((1, 1), np.float32), cells)
    names = list(dict.fromkeys(name for _, name in views))
    if sight.corners is None:
        whole = np.max(np.stack([one.values for one in views.values()]), axis=0)
        parts = {name: confined(one.values, sight.geometry(0, cells), sight.inside) for (_, name), one in views.items()}
        by_class, geometry = {name: part for name, (part, _) in parts.items()}, parts[names[0]][1]
        grid = np.max(np.stack(list(by_class.values())), axis=0)
        status = _status([one.status for one in views.values()])
    else:
        height, width = sight.inputs.size_px
        assert sight.inputs.tiling is not None
        merged = {
            name: merge_maps(
                {sight.corners[view]: one.values for (view, of), one in views.items() if of == name},
                sight.inside, cells, tile_px=(height, width), overlap_px=min(height, width) - sight.inputs.tiling.stride_px,
                size_px=sight.size_px,
            )
            for name in names
        }  # fmt: skip
        geometry = merged[names[0]][1]
        inside = {name: confined(grid, geometry, sight.inside) for name, (grid, _) in merged.items()}
        by_class, geometry = {name: grid for name, (grid, _) in inside.items()}, inside[names[0]][1]
        grid = whole = np.max(np.stack(list(by_class.values())), axis=0)
        status = _status([one.status for one in views.values()])
    strongest = max(names, key=lambda name: (name == target, float(by_class[name].max())))
    maximum = float(grid.max())
    heatmap = Heatmap(
        method=method,
        target=", ".join([strongest, *(name for name in names if name != strongest and by_class[name].max() > 0)]),
        status=status,
        grid=(grid / maximum if maximum > 0 else np.zeros_like(grid)).astype(np.float16),
        maximum=maximum,
        scale=scale.scale,
        geometry=geometry,
    )
    regions = find_regions(heatmap, threshold=scale.region_threshold)
    named = tuple(replace(region, label=_name_of(region, by_class, geometry)) for region in regions)
    return PictureMap(heatmap, named, sight, whole, cells)


def _status(found: list[MapStatus]) -> MapStatus:
    """A picture has a map where one of its views has one."""
    return max(found, key=lambda status: (status is MapStatus.NON_FINITE, status.has_map))


def _name_of(region: Region, by_class: Mapping[str, Floats], geometry: GridGeometry) -> str:
    """The class whose evidence is strongest within a region's box."""
    left, right = ((edge - geometry.origin_x_px) / geometry.step_x_px for edge in (region.x1, region.x2 - 1))
    top, bottom = ((edge - geometry.origin_y_px) / geometry.step_y_px for edge in (region.y1, region.y2 - 1))
    rows = slice(max(0, int(np.floor(top))), max(1, int(np.ceil(bottom)) + 1))
    columns = slice(max(0, int(np.floor(left))), max(1, int(np.ceil(right)) + 1))
    return max(by_class, key=lambda name: float(by_class[name][rows, columns].max(initial=0)))
