"""A bundle on labelled pictures: classification and explanation figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from kizu_inspect.bundle import Bundle
from kizu_inspect.devices import pick_device
from kizu_inspect.errors import BundleError, MethodError
from kizu_inspect.evaluation.classification import classification_figures
from kizu_inspect.evaluation.figures import Figure, wilson
from kizu_inspect.evaluation.pointing import Located, centre_map, explanation_figures, locate, map_of, random_map
from kizu_inspect.explain import EXPLAINERS
from kizu_inspect.inspector import Inspector
from kizu_inspect.recipe import Device, ExplanationSettings, Recipe
from kizu_inspect.results import Judgement
from kizu_inspect.training.dataset import Sample
from kizu_inspect.training.pictures import read_picture

__all__ = ["Evaluation", "evaluate", "truth_of"]

QUARTER = 0.25


@dataclass(frozen=True)
class Evaluation:
    """Figures of one bundle on one set."""

    classification: dict[str, Figure]
    explanation: dict[str, dict[str, Figure]]
    """By method, and for the random and the centred map."""
    skipped: dict[str, str]
    """Methods that do not fit the bundle, with the reason."""
    pictures: int


def evaluate(
    bundle: Bundle,
    samples: Sequence[Sample],
    *,
    methods: Sequence[str] = tuple(EXPLAINERS),
    device: Device = "auto",
    max_batch: int = 16,
    within_px: float = 5.0,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Judges every sample; maps are compared with the truth where a defective sample has boxes or a mask.

    `cold` is the share of good pictures whose map's maximum (target: the most probable defect) stays below a quarter of the
    fixed scale. Raises KizuError for a picture that cannot be read.
    """
    judges: dict[str, Inspector] = {}
    skipped: dict[str, str] = {}
    for method in methods:
        try:
            recipe = Recipe(bundle=bundle.path, explanation=ExplanationSettings(method=method))
            judges[method] = Inspector(bundle, recipe, device=pick_device(device), max_batch=max_batch)
        except (BundleError, MethodError) as error:
            skipped[method] = str(error)
    judge = next(iter(judges.values()), None) or Inspector(
        bundle, Recipe(bundle=bundle.path), device=pick_device(device), max_batch=max_batch
    )
    judgements: list[Judgement] = []
    located: dict[str, list[Located]] = {name: [] for name in (*judges, "random", "centre")}
    cold: dict[str, list[bool]] = {name: [] for name in judges}
    for start in range(0, len(samples), max_batch):
        some = samples[start : start + max_batch]
        pictures = [read_picture(sample.path) for sample in some]
        batch = judge.judge(pictures)
        judgements += batch.judgements
        truths = [truth_of(sample, picture.shape[:2]) for sample, picture in zip(some, pictures, strict=True)]
        cell_px = 0.0
        for name, one in judges.items():
            for offset, explanation in enumerate(one.explain(batch, range(len(some)))):
                heatmap, truth = explanation.heatmap, truths[offset]
                cell_px = max(heatmap.geometry.step_x_px, heatmap.geometry.step_y_px)
                if some[offset].label == bundle.spec.good:
                    cold[name].append(heatmap.peak < QUARTER)
                elif truth is not None:
                    located[name].append(locate(map_of(heatmap), truth, cell_px=cell_px, seed=start + offset))
        for offset, truth in enumerate(truths):
            if truth is None or some[offset].label == bundle.spec.good:
                continue
            size = truth.shape[0], truth.shape[1]
            drawn = random_map(*size, seed=start + offset)
            located["random"].append(locate(drawn, truth, cell_px=cell_px, seed=start + offset))
            located["centre"].append(locate(centre_map(*size), truth, cell_px=cell_px, seed=start + offset))
        if progress is not None:
            progress(start + len(some))
    figures = {name: explanation_figures(found, within_px=within_px) for name, found in located.items()}
    for name, is_cold in cold.items():
        figures[name]["cold"] = wilson(sum(is_cold), len(is_cold))
    labels = [sample.label for sample in samples]
    return Evaluation(classification_figures(judgements, labels, bundle.spec.good), figures, skipped, len(samples))


def truth_of(sample: Sample, size_px: tuple[int, int]) -> npt.NDArray[np.bool_] | None:
    """The defect's pixels (H, W) by mask or boxes; None where the sample has neither, or none in the picture."""
    truth = np.zeros(size_px, np.bool_)
    if sample.mask is not None:
        mask = cv2.imread(str(sample.mask), cv2.IMREAD_GRAYSCALE)
        if mask is None or mask.shape != size_px:
            return None
        truth |= mask > 127
    else:
        for x1, y1, x2, y2, _ in sample.boxes:
            truth[max(0, y1) : y2, max(0, x1) : x2] = True
    return truth if truth.any() else None
