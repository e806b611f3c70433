"""What makes one map comparable with the next: each method's display scale and region threshold, from the validation split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from kizu_inspect.bundle import ExplanationScales
from kizu_inspect.errors import MethodError
from kizu_inspect.explain import EXPLAINERS, explainer
from kizu_inspect.heatmap import sample_grid
from kizu_inspect.images import grid_geometry, place
from kizu_inspect.model import Classifier, InputSettings
from kizu_inspect.training.dataset import truth_of
from kizu_inspect.training.pictures import Pictures, read_picture

__all__ = ["fit_region_threshold", "fit_scales"]

DEFAULT_THRESHOLD = 0.4
"""Where no validation picture says where its defect lies."""
THRESHOLDS = np.round(np.arange(0.1, 0.91, 0.05), 2)
MASKED_PICTURES = 24
"""On so many pictures Score-CAM's figures rest: a map takes it a forward pass a channel."""
LOCATED_PICTURES = 200
"""So many pictures with known places are enough for a threshold."""


def fit_scales(
    model: Classifier, val: Pictures, inputs: InputSettings, *, good: int | None, device: torch.device
) -> dict[str, ExplanationScales]:
    """Per method that fits the model: the 95th percentile of the map maxima of correctly found defects, and a threshold.

    The region threshold is the one whose regions meet masks or boxes best (mean intersection over union).
    """
    maps: dict[str, dict[int, npt.NDArray[np.float32]]] = {method: {} for method in EXPLAINERS}
    for start in range(0, len(val), 64):
        images = torch.from_numpy(val.images[start : start + 64]).to(device).permute(0, 3, 1, 2).float() / 255
        labels = torch.from_numpy(val.labels[start : start + 64]).to(device)
        forward = model.explainable(images)
        found = torch.nonzero((forward.logits.argmax(dim=1) == labels) & (labels != (-1 if good is None else good))).flatten()
        for method in list(maps):
            few = found[: max(0, MASKED_PICTURES - len(maps[method]))] if method == "score-cam" else found
            try:
                made = explainer(method)(forward.subset(few), labels[few])
            except MethodError:
                del maps[method]
                continue
            for row, value, status in zip(few.tolist(), made.values.cpu().numpy(), made.status, strict=True):
                if status.has_map:
                    maps[method][start + row] = value
    rows = sorted({row for found in maps.values() for row in found})[:LOCATED_PICTURES]
    truths = {row: truth for row in rows if (truth := _truth(val, row)) is not None}
    return {method: _scales(model, found, truths, inputs) for method, found in maps.items()}


def fit_region_threshold(maps: Sequence[npt.NDArray[np.float32]], truths: Sequence[npt.NDArray[np.bool_]]) -> float:
    """The threshold of best mean intersection over union of maps (H, W) on their fixed scale and the defects' pixels."""
    if not maps:
        return DEFAULT_THRESHOLD
    scores = np.zeros(len(THRESHOLDS))
    for on_scale, truth in zip(maps, truths, strict=True):
        hot = on_scale[None] >= THRESHOLDS[:, None, None]
        scores += (hot & truth).sum(axis=(1, 2)) / (hot | truth).sum(axis=(1, 2))
    return float(THRESHOLDS[int(scores.argmax())])


def _scales(
    model: Classifier,
    found: dict[int, npt.NDArray[np.float32]],
    truths: dict[int, npt.NDArray[np.bool_]],
    inputs: InputSettings,
) -> ExplanationScales:
    # Where no defect was found yet there is nothing to learn a scale from: 1 is as good as any, and stays valid.
    scale = float(np.percentile([value.max() for value in found.values()], 95)) if found else 1.0
    on_scale = []
    located = [row for row in found if row in truths]
    for row in located:
        height, width = truths[row].shape
        placed = place(width, height, input_px=(inputs.height_px, inputs.width_px), policy=inputs.resize)
        on_scale.append(sample_grid(found[row] / np.float32(scale), grid_geometry(model.cells, placed)))
    return ExplanationScales(scale=scale, region_threshold=fit_region_threshold(on_scale, [truths[row] for row in located]))


def _truth(val: Pictures, row: int) -> npt.NDArray[np.bool_] | None:
    sample = val.samples[row]
    if sample.mask is None and not sample.boxes:
        return None
    return truth_of(sample, read_picture(sample.path).shape[:2])
