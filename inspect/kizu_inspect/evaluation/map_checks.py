"""Is the check of a map true? How often it marks a map that lies on the defect, and one that was moved elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from kizu_inspect.evaluation.figures import Figure, wilson
from kizu_inspect.evaluation.pointing import locate, map_of
from kizu_inspect.inspector import Inspector
from kizu_inspect.judged import JudgedBatch
from kizu_inspect.picture.heatmap import sample_grid
from kizu_inspect.picture_map import PictureMap

__all__ = ["CheckedMaps"]

Bools = npt.NDArray[np.bool_]


@dataclass
class CheckedMaps:
    """What the check said of one method's maps of flagged parts so far."""

    on_defect: list[bool] = field(default_factory=list)
    """Of maps whose maximum lies on the defect, or within half a cell: whether each was marked as a conflict."""
    moved: list[bool] = field(default_factory=list)
    """Of the same maps moved so that no region touches the defect."""

    def add(
        self, inspector: Inspector, batch: JudgedBatch, made: Mapping[int, PictureMap], truths: Mapping[int, Bools]
    ) -> None:
        """Checks the maps `made` of the flagged pictures of `batch` whose defects' pixels (H, W) `truths` knows, by index.

        Six forward passes a view. Nothing is added where no class is good.
        """
        if inspector.check is None:
            return
        maps = {index: made[index] for index in truths if batch.judgements[index].verdict.flagged}
        threshold = inspector.check.region_threshold
        lying = {index: one for index, one in maps.items() if _on(one, truths[index], threshold)}
        away = {index: moved for index, one in maps.items() if (moved := _moved(one, truths[index], threshold)) is not None}
        self.on_defect += [one.conflict for one in inspector.check.check(batch, lying).values()]
        self.moved += [one.conflict for one in inspector.check.check(batch, away).values()]

    def figures(self) -> dict[str, Figure]:
        """`conflict_false` and `conflict_true`: shares with Wilson intervals."""
        return {
            "conflict_false": wilson(sum(self.on_defect), len(self.on_defect)),
            "conflict_true": wilson(sum(self.moved), len(self.moved)),
        }


def _on(one: PictureMap, truth: Bools, threshold: float) -> bool:
    cell_px = max(one.heatmap.geometry.step_x_px, one.heatmap.geometry.step_y_px)
    found = locate(map_of(one.heatmap), truth, cell_px=cell_px, hot_from=threshold * one.heatmap.scale, seed=0)
    return found.distance_px <= found.tolerance_px


def _moved(one: PictureMap, truth: Bools, threshold: float) -> PictureMap | None:
    """The map turned about or moved by half of the picture so that its region lies off the defect; None where none does."""
    rows, columns = (side // 2 for side in one.whole.shape)
    for turned in (one.whole, one.whole[::-1], one.whole[:, ::-1], one.whole[::-1, ::-1]):
        for by in ((0, 0), (rows, 0), (0, columns), (rows, columns)):
            moved = np.ascontiguousarray(np.roll(turned, by, axis=(0, 1)))
            hot = sample_grid(moved / np.float32(one.heatmap.scale), one.heatmap.geometry) >= threshold
            if hot.any() and not (hot & truth).any():
                return replace(one, whole=moved)
    return None
