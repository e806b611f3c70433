"""Maps as rows and back: what comes out is what went in, cell by cell."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from kizu_db.recordable import require_finite
from kizu_db.tables import HeatmapTable, RegionTable
from kizu_inspect.errors import RecordError
from kizu_inspect.results import Explanation, GridGeometry, Heatmap, Region, RegionCheck

__all__ = ["explanation_value", "heatmap_values", "region_values"]

_CELL = np.dtype("<f2")


def heatmap_values(inspection_id: int, explanation: Explanation) -> dict[str, Any]:
    """The columns of one map and its check.

    Raises RecordError for a grid that is not (h, w) float16 and for numbers that are none.
    """
    heatmap, check = explanation.heatmap, explanation.check
    grid, geometry = heatmap.grid, heatmap.geometry
    if grid.ndim != 2 or grid.dtype != np.float16 or grid.size == 0:
        raise RecordError(
            f"A {heatmap.method} map cannot be recorded", found=f"{grid.shape} {grid.dtype}", expected="(h, w) float16"
        )
    numbers = {
        "maximum": float(heatmap.maximum),
        "scale": float(heatmap.scale),
        "origin_x_px": float(geometry.origin_x_px),
        "origin_y_px": float(geometry.origin_y_px),
        "step_x_px": float(geometry.step_x_px),
        "step_y_px": float(geometry.step_y_px),
    }
    if check is not None:
        numbers |= {"score_without": float(check.score_without), "score_only": float(check.score_only)}
    require_finite(numbers, f"A {heatmap.method} map")
    return numbers | {
        "inspection_id": inspection_id,
        "method": heatmap.method,
        "target": heatmap.target,
        "status": heatmap.status,
        "grid": grid.astype(_CELL, copy=False).tobytes(order="C"),
        "grid_rows": grid.shape[0],
        "grid_columns": grid.shape[1],
        "width_px": int(geometry.width_px),
        "height_px": int(geometry.height_px),
        "conflict": check is not None and check.conflict,
        "made_at": datetime.now(UTC),
    }


def region_values(heatmap_id: int, regions: Sequence[Region]) -> list[dict[str, Any]]:
    """The columns of a map's regions, in their order."""
    rows: list[dict[str, Any]] = []
    for ordinal, region in enumerate(regions):
        box = {"x1": int(region.x1), "y1": int(region.y1), "x2": int(region.x2), "y2": int(region.y2)}
        numbers = {"score": float(region.score), "share": float(region.share)}
        sizes = {
            name: None if size is None else float(size)
            for name, size in (("length_px", region.length_px), ("width_px", region.width_px))
        }
        require_finite({**numbers, **sizes}, "A region")
        outline = {
            "contour": [[int(x), int(y)] for x, y in region.contour] or None,
            "area_px": None if region.area_px is None else int(region.area_px),
        }
        rows.append({"heatmap_id": heatmap_id, "ordinal": ordinal, "label": region.label, **box, **numbers, **sizes, **outline})
    return rows


def explanation_value(heatmap: HeatmapTable) -> Explanation:
    """The map and its regions as plain values."""
    grid = np.frombuffer(heatmap.grid, dtype=_CELL).reshape(heatmap.grid_rows, heatmap.grid_columns)
    geometry = GridGeometry(
        origin_x_px=heatmap.origin_x_px,
        origin_y_px=heatmap.origin_y_px,
        step_x_px=heatmap.step_x_px,
        step_y_px=heatmap.step_y_px,
        width_px=heatmap.width_px,
        height_px=heatmap.height_px,
    )
    value = Heatmap(
        method=heatmap.method,
        target=heatmap.target,
        status=heatmap.status,
        grid=grid.astype(np.float16),
        maximum=heatmap.maximum,
        scale=heatmap.scale,
        geometry=geometry,
    )
    check = None
    if heatmap.score_without is not None and heatmap.score_only is not None:
        check = RegionCheck(heatmap.score_without, heatmap.score_only, heatmap.conflict)
    return Explanation(heatmap=value, regions=tuple(_region_value(region) for region in heatmap.regions), check=check)


def _region_value(region: RegionTable) -> Region:
    return Region(
        x1=region.x1,
        y1=region.y1,
        x2=region.x2,
        y2=region.y2,
        label=region.label,
        score=region.score,
        share=region.share,
        contour=tuple((x, y) for x, y in region.contour or ()),
        length_px=region.length_px,
        width_px=region.width_px,
        area_px=region.area_px,
    )
