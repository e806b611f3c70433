"""What makes one map comparable with the next: each method's display scale and region threshold, from the validation split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count, product

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kizu_inspect.bundle import ExplanationScales, Scale
from kizu_inspect.errors import MethodError
from kizu_inspect.explain import EXPLAINERS, Maps, explainer
from kizu_inspect.explain.refine import influence, map_cells, refined
from kizu_inspect.labelled.picture_files import read_picture
from kizu_inspect.labelled.places import UNSURE, truth_of
from kizu_inspect.network.forward import Predict
from kizu_inspect.network.model import Classifier
from kizu_inspect.network.profile import COMPARING
from kizu_inspect.picture.heatmap import sample_grid
from kizu_inspect.picture.images import CellGeometry, grid_geometry, place
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.recipe import ExplanationSettings, Refine, Target
from kizu_inspect.training.pictures import Pictures

__all__ = ["fit_region_threshold", "fit_scales"]

DEFAULT_THRESHOLD, REFINED_THRESHOLD = 0.4, 0.2
"""Where no validation picture says where its defect lies. Of refined maps a smaller share of the scale meets defects best: with
masks or boxes to fit it on it was 0.10 to 0.20 on drawn plates, drawn textures and magnetic tiles."""
THRESHOLDS = np.round(np.arange(0.1, 0.91, 0.05), 2)
KEPT_OVERLAP = 0.98
SCALED_PICTURES = 1024
"""So many pictures, or tiles, are enough for a percentile."""
MASKED_PICTURES = 24
"""On so many pictures Score-CAM's figures rest: a map takes it a forward pass a channel."""
REFINED_PICTURES = 48
"""The same of refined maps, which take twelve passes' time."""
LOCATED_PICTURES = 200
"""So many pictures with known places are enough for a threshold."""
_Key = tuple[str, str]
"""A method, and the variant of its options."""


def fit_scales(
    model: Classifier,
    val: Pictures,
    inputs: InputSettings,
    *,
    good: int | None,
    device: torch.device,
    methods: Sequence[str] = tuple(EXPLAINERS),
) -> dict[str, ExplanationScales]:
    """Per method of `methods` that fits the model: the 95th percentile of the map maxima of found defects, and a threshold.

    The region threshold is one whose regions meet masks or boxes about as well as any (mean intersection over union). The same
    for each variant of the method's options, whose raw values mean something else.
    """
    if len(val) > SCALED_PICTURES:  # evenly from all of them
        val = val.subset(np.linspace(0, len(val) - 1, SCALED_PICTURES).astype(np.int64))
    neutral = model.profile.name in COMPARING or model.masks_input
    choices = _choices(methods, good=good is not None, neutral=neutral)
    maps: dict[_Key, dict[int, npt.NDArray[np.float32]]] = {key: {} for key in choices}
    maps |= {_refined_key(one, neutral=neutral): {} for one in choices.values()}
    masked_before = refined_before = 0
    # Sets are often sorted by class, and a few are taken from the front: all classes must have their share of them.
    order = np.random.default_rng(0).permutation(len(val))
    for start in range(0, len(val), 64):
        rows_of_chunk = torch.from_numpy(order[start : start + 64]).to(device)
        chunk = val.subset(order[start : start + 64])
        labels = torch.from_numpy(chunk.labels).to(device)
        forward = model.explainable(*chunk.as_input(slice(None), device))
        found = torch.nonzero((forward.logits.argmax(dim=1) == labels) & (labels != (-1 if good is None else good))).flatten()
        masked = found[: max(0, MASKED_PICTURES - masked_before)]
        masked_before += len(masked)
        few_refined = found[: max(0, REFINED_PICTURES - refined_before)]
        refined_before += len(few_refined)
        answers: dict[str, _Answers] = {}
        some = forward.subset(few_refined)
        owed: dict[Target, Tensor] = {}
        for key, settings in list(choices.items()):
            method = key[0]
            few, forward_of_few = found, forward
            if method == "score-cam":
                few = masked
                asked_once = answers.setdefault(settings.masked, _Answers(forward.predictor))
                forward_of_few = replace(forward, predictor=asked_once.again)
            try:
                made = explainer(method, settings, good=good)(forward_of_few.subset(few), labels[few])
            except MethodError:
                del choices[key], maps[key], maps[_refined_key(settings, neutral=neutral)]
                continue
            _keep(maps[key], rows_of_chunk[few], made)
            if not len(few_refined):
                continue
            target: Target = "class" if method == "lfi-cam" else settings.target
            if target not in owed:
                owed[target] = influence(some, labels[few_refined], against=good if target == "margin" else None)
            both = min(len(few), len(few_refined))  # each of them begins as the other
            finer = refined(Maps(made.values[:both], made.status[:both]), owed[target][:both], model.cells)
            _keep(maps[_refined_key(settings, neutral=neutral)], rows_of_chunk[few[:both]], finer)
    found_rows = {row for found in maps.values() for row in found}
    rows = [row for row in order.tolist() if row in found_rows][:LOCATED_PICTURES]
    truths = {row: truth for row in rows if (truth := _truth(val, row)) is not None}
    scales = {
        key: _scale(model.cells, "none" if key in choices else "pixels", found, truths, inputs) for key, found in maps.items()
    }
    return {
        method: ExplanationScales(
            **scales[method, ""].model_dump(),
            variants={variant: one for (of, variant), one in scales.items() if of == method and variant},
        )
        for method, variant in scales
        if not variant
    }


def _refined_key(settings: ExplanationSettings, *, neutral: bool) -> _Key:
    return settings.method, settings.model_copy(update={"refine": "pixels"}).variant(neutral=neutral)


def _keep(found: dict[int, npt.NDArray[np.float32]], rows: Tensor, made: Maps) -> None:
    """Adds the maps that say something, by picture."""
    values = zip(rows.tolist(), made.values.cpu().numpy(), made.status, strict=True)
    found.update({row: value for row, value, status in values if status.has_map})


def _choices(methods: Sequence[str], *, good: bool, neutral: bool) -> dict[_Key, ExplanationSettings]:
    """The options of each method under which raw values differ, but for refining, by method and variant."""
    choices: dict[_Key, ExplanationSettings] = {}
    targets: tuple[Target, ...] = ("class", "margin") if good else ("class",)
    for method, target, alpha_norm, masked, softmax in product(
        methods, targets, (False, True), ("neutral", "black"), (False, True)
    ):
        settings = ExplanationSettings.model_validate(
            {"method": method, "target": target, "alpha_norm": alpha_norm, "masked": masked, "channel_softmax": softmax}
        )
        choices.setdefault((method, settings.variant(neutral=neutral)), settings)
    return choices


class _Answers:
    """What a model says of Score-CAM's masked pictures, asked once: its variants weigh the same answers in other ways."""

    def __init__(self, predictor: Callable[[torch.dtype | None], Predict]) -> None:
        self._predictor = predictor
        self._logits: list[Tensor] = []

    def again(self, precision: torch.dtype | None) -> Predict:
        """A predictor for one more variant, which shows the same pictures in the same order."""
        predict = self._predictor(precision)
        asked = count()

        def answer(images: Tensor, references: Tensor | None = None, masks: Tensor | None = None, /) -> Tensor:
            number = next(asked)
            if number == len(self._logits):
                self._logits.append(predict(images, references) if masks is None else predict(images, references, masks))
            return self._logits[number]

        return answer


def fit_region_threshold(
    maps: Sequence[npt.NDArray[np.float32]],
    truths: Sequence[npt.NDArray[np.bool_]],
    *,
    default: float = DEFAULT_THRESHOLD,
) -> float:
    """The highest threshold that keeps nearly the best mean intersection over union (`KEPT_OVERLAP` of it) of maps (H, W) on
    their fixed scale and the defects' pixels.

    The optimum is flat: a stricter threshold costs next to no overlap there, and draws fewer regions where nothing is.
    """
    if not maps:
        return default
    scores = np.zeros(len(THRESHOLDS))
    for on_scale, truth in zip(maps, truths, strict=True):
        hot = on_scale[None] >= THRESHOLDS[:, None, None]
        scores += (hot & truth).sum(axis=(1, 2)) / (hot | truth).sum(axis=(1, 2))
    if not scores.any():
        return default
    return float(THRESHOLDS[np.flatnonzero(scores >= KEPT_OVERLAP * scores.max())[-1]])


def _scale(
    cells: CellGeometry,
    refine: Refine,
    found: dict[int, npt.NDArray[np.float32]],
    truths: dict[int, npt.NDArray[np.bool_]],
    inputs: InputSettings,
) -> Scale:
    # Where no defect was found yet there is nothing to learn a scale from: 1 is as good as any, and stays valid.
    scale = float(np.percentile([value.max() for value in found.values()], 95)) if found else 1.0
    default = REFINED_THRESHOLD if refine == "pixels" else DEFAULT_THRESHOLD
    on_scale = []
    located = [row for row in found if row in truths]
    for row in located:
        height, width = truths[row].shape
        placed = place(width, height, input_px=(inputs.height_px, inputs.width_px), policy=inputs.resize)
        on_scale.append(sample_grid(found[row] / np.float32(scale), grid_geometry(map_cells(cells, refine), placed)))
    return Scale(
        scale=scale, region_threshold=fit_region_threshold(on_scale, [truths[row] for row in located], default=default)
    )


def _truth(val: Pictures, row: int) -> npt.NDArray[np.bool_] | None:
    if val.truths is not None:
        shown = (val.truths[row] > 0) & (val.truths[row] != UNSURE)
        return shown if shown.any() else None
    sample = val.samples[row]
    if not sample.masked and not sample.boxes:
        return None
    return truth_of(sample, read_picture(sample.path, bits=None).shape[:2])
