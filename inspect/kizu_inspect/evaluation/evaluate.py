"""A bundle on labelled pictures: classification and explanation figures."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from kizu_inspect.bundle import Bundle
from kizu_inspect.errors import BundleError, MethodError
from kizu_inspect.evaluation.classification import classification_figures
from kizu_inspect.evaluation.detection import Detected, compare, detection_figures
from kizu_inspect.evaluation.faithfulness import (
    Answers,
    ask,
    faithfulness_figures,
    mean_correlation,
    median_rank_correlation,
    with_fresh_head,
)
from kizu_inspect.evaluation.figures import Figure, wilson
from kizu_inspect.evaluation.map_checks import CheckedMaps
from kizu_inspect.evaluation.pixels import PixelScores
from kizu_inspect.evaluation.pointing import Located, comparison_maps, explanation_figures, locate, map_of
from kizu_inspect.explain import EXPLAINERS, Explainer, explainer
from kizu_inspect.inspector import Inspector
from kizu_inspect.labelled.dataset import Sample
from kizu_inspect.labelled.picture_files import read_picture
from kizu_inspect.labelled.places import truth_of
from kizu_inspect.network.devices import clock, pick_device
from kizu_inspect.network.forward import Forward
from kizu_inspect.network.model import Classifier
from kizu_inspect.recipe import UNGATED, Device, ExplanationSettings, Recipe
from kizu_inspect.results import Heatmap, Judgement

__all__ = ["Evaluation", "evaluate"]

QUARTER = 0.25
COST_ROUNDS = 5
BUDGETS = (16, 32, 64)


@dataclass(frozen=True)
class Evaluation:
    """Figures of one bundle on one set."""

    classification: dict[str, Figure]
    explanation: dict[str, dict[str, Figure]]
    """By method, and for the maps that know nothing: random, centre, empty, ones."""
    skipped: dict[str, str]
    """Methods that do not fit the bundle, with the reason."""
    judgements: tuple[Judgement, ...]
    """Of each picture, in their order, whatever the gates say of it."""
    faults: tuple[str | None, ...]
    """Of each picture, why the line's gates would stop it; None where they would not."""

    @property
    def pictures(self) -> int:
        """How many were judged."""
        return len(self.judgements)


@dataclass
class _Tally:
    """What was found of one method's maps so far."""

    located: list[Located] = field(default_factory=list)
    detected: list[Detected] = field(default_factory=list)
    cold: list[bool] = field(default_factory=list)
    answers: list[Answers] = field(default_factory=list)
    checked: CheckedMaps = field(default_factory=CheckedMaps)
    pixels: PixelScores | None = None
    """None where no picture has a mask."""

    def figures(self, within_px: float) -> dict[str, Figure]:
        figures = explanation_figures(self.located, within_px=within_px)
        if self.cold:
            figures["cold"] = wilson(sum(self.cold), len(self.cold))
        if self.detected:
            figures |= detection_figures(self.detected)
        if self.pixels is not None:
            figures |= self.pixels.figures()
        if self.checked.on_defect or self.checked.moved:
            figures |= self.checked.figures()
        return figures | (faithfulness_figures(self.answers) if self.answers else {})


def evaluate(
    bundle: Bundle,
    samples: Sequence[Sample],
    *,
    methods: Sequence[str] = tuple(EXPLAINERS),
    device: Device = "auto",
    max_batch: int = 16,
    within_px: float = 5.0,
    faithful: int = 0,
    checked: int = 0,
    options: ExplanationSettings | None = None,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Judges every sample; maps are compared with the truth where a defective sample has boxes or a mask.

    Also what the line's gates would stop is judged, and `stopped_by_gates` tells how many that are.
    `cold` is the share of good pictures whose map's maximum (target: the most probable defect) stays below a quarter of the
    fixed scale. Where there are masks, `pixel_ap` and `aupro` hold every pixel of the masked and the good pictures against the
    maps on their fixed scale. The first `faithful` defective samples also give the figures for which the model is asked again
    (some sixty forward passes a map): average_drop, increase, deletion, insertion, and sanity and cost; and how much of
    Score-CAM's map a budget of channels keeps. The maps of the first `checked` defective samples that say where their defect
    lies are checked as on the line, as they are and moved elsewhere: `conflict_false` and `conflict_true`. `options` are those
    of the methods; its own method plays no part.

    Raises KizuError for a picture that cannot be read.
    """
    judges: dict[str, Inspector] = {}
    explainers: dict[str, Explainer] = {}
    skipped: dict[str, str] = {}
    options = bundle.options(options or ExplanationSettings())
    for method in methods:
        settings = options.model_copy(update={"method": method})
        try:
            explainers[method] = explainer(method, settings, good=bundle.good_index)
            recipe = Recipe(bundle=bundle.path, gates=UNGATED, explanation=settings)
            judges[method] = Inspector(bundle, recipe, device=pick_device(device), max_batch=max_batch)
        except (BundleError, MethodError) as error:
            skipped[method] = str(error)
    judge = next(iter(judges.values()), None) or Inspector(
        bundle, Recipe(bundle=bundle.path, gates=UNGATED), device=pick_device(device), max_batch=max_batch
    )
    tiled = bundle.spec.input.tiling is not None
    judgements: list[Judgement] = []
    faults: list[str | None] = []
    tallies: defaultdict[str, _Tally] = defaultdict(_Tally)
    asked: list[tuple[Forward, int, int]] = []
    with_truth = 0
    masked = any(sample.masked for sample in samples)
    bits = bundle.spec.input.bits
    for start in range(0, len(samples), max_batch):
        some = samples[start : start + max_batch]
        pictures = [read_picture(sample.path, bits=bits) for sample in some]
        beside = [None if sample.reference is None else read_picture(sample.reference, bits=bits) for sample in some]
        batch = judge.judge(pictures, references=beside)
        judgements += batch.judgements
        faults += [judge.fault_of(picture) for picture in pictures]
        made = {name: one.maps(batch, range(len(some))) for name, one in judges.items()}
        truths: dict[int, npt.NDArray[np.bool_]] = {}
        for offset, sample in enumerate(some):
            heatmaps = {name: maps[offset].heatmap for name, maps in made.items()}
            seed, size_px = start + offset, pictures[offset].shape[:2]
            good = sample.label == bundle.spec.good
            truth = None if good else truth_of(sample, size_px)
            if masked and (good or (truth is not None and sample.masked)):
                _add_pixels(tallies, heatmaps, truth, size_px, seed=seed)
            if good:
                for name, heatmap in heatmaps.items():
                    tallies[name].cold.append(heatmap.peak < QUARTER)
                continue
            if sample.boxes:
                for name, maps in made.items():
                    tallies[name].detected.append(compare(maps[offset].regions, sample.boxes))
            if truth is not None:
                truths[offset] = truth
                thresholds = {
                    name: bundle.scale_of(options.model_copy(update={"method": name})).region_threshold for name in heatmaps
                }
                _compare(tallies, thresholds, heatmaps, truth, seed=seed)
            target = batch.judgements[offset].target
            kept = batch.chunks[0]
            if len(asked) < faithful and target is not None and kept is not None and not tiled:
                forward = kept.subset(torch.tensor([batch.starts[offset]], device=kept.logits.device))
                asked.append((forward, bundle.spec.classes.index(target), seed))
                drawn = {name: maps[offset].in_view(0) for name, maps in made.items()}
                _ask(tallies, bundle.model, drawn, *asked[-1])
        wanted = dict(list(truths.items())[: max(0, checked - with_truth)])
        with_truth += len(truths)
        for name, one in judges.items() if wanted else ():
            tallies[name].checked.add(one, batch, made[name], wanted)
        if progress is not None:
            progress(start + len(some))
    figures = {name: tally.figures(within_px) for name, tally in tallies.items()}
    for name in judges if asked else ():
        explain = explainers[name]
        figures[name] |= {"sanity": _sanity(bundle.model, name, explain, asked), "cost": _cost(bundle.model, explain, asked)}
    if asked and "score-cam" in judges:
        figures["score-cam"] |= _budgets(options, bundle.good_index, asked)
    # Of a picture with defects of several classes, each is right.
    labels = [
        str(one.predicted) if one.predicted in sample.labels else sample.label
        for one, sample in zip(judgements, samples, strict=True)
    ]
    several = [sample.labels for sample in samples] if bundle.spec.architecture.head.labels == "several" else None
    classification = classification_figures(judgements, labels, bundle.spec.good, several=several)
    classification["stopped_by_gates"] = wilson(sum(fault is not None for fault in faults), len(faults))
    return Evaluation(classification, figures, skipped, tuple(judgements), tuple(faults))


def _compare(
    tallies: defaultdict[str, _Tally],
    thresholds: dict[str, float],
    heatmaps: dict[str, Heatmap],
    truth: npt.NDArray[np.bool_],
    *,
    seed: int,
) -> None:
    """Locates each method's map of one picture, and the maps that know nothing."""
    cell_px, threshold = 0.0, 0.5
    for name, heatmap in heatmaps.items():
        cell_px = max(heatmap.geometry.step_x_px, heatmap.geometry.step_y_px)
        threshold = thresholds[name]
        hot_from = threshold * heatmap.scale
        tallies[name].located.append(locate(map_of(heatmap), truth, cell_px=cell_px, hot_from=hot_from, seed=seed))
    for name, drawn in comparison_maps(*truth.shape, seed=seed).items():
        tallies[name].located.append(locate(drawn, truth, cell_px=cell_px, hot_from=threshold, seed=seed))


def _add_pixels(
    tallies: defaultdict[str, _Tally],
    heatmaps: dict[str, Heatmap],
    truth: npt.NDArray[np.bool_] | None,
    size_px: tuple[int, int],
    *,
    seed: int,
) -> None:
    """Holds each map on its fixed scale, and the maps that know nothing, pixel by pixel; `truth` None: a good part."""
    on_scale = {name: map_of(heatmap) / np.float32(heatmap.scale) for name, heatmap in heatmaps.items()}
    for name, drawn in (on_scale | comparison_maps(*size_px, seed=seed)).items():
        tally = tallies[name]
        tally.pixels = tally.pixels or PixelScores()
        tally.pixels.add(drawn, truth)


def _ask(
    tallies: defaultdict[str, _Tally],
    model: Classifier,
    maps: dict[str, npt.NDArray[np.float32]],
    forward: Forward,
    target: int,
    seed: int,
) -> None:
    """Asks the model about one picture through each method's map (H, W), and through the maps that know nothing."""
    height, width = forward.images.shape[2:]
    whole, references = forward.predictor(None), forward.references

    def predict(images: torch.Tensor) -> torch.Tensor:
        return whole(images, None if references is None else references.expand(len(images), -1, -1, -1))

    for name, drawn in (maps | comparison_maps(height, width, seed=seed)).items():
        tallies[name].answers.append(ask(predict, forward.images[0], drawn, target, mean=model.profile.mean, seed=seed))


def _sanity(model: Classifier, method: str, explain: Explainer, asked: Sequence[tuple[Forward, int, int]]) -> Figure:
    """Rank correlation of a method's maps with the model's own weights and with a head drawn anew: low is right."""
    fresh = with_fresh_head(model, method, seed=0)
    pairs = []
    for forward, target, _ in asked:
        targets = torch.tensor([target], device=forward.logits.device)
        again = fresh.explainable(forward.images, forward.references)
        own, other = (explain(one, targets).values for one in (forward, again))
        pairs.append((own, other))
    return median_rank_correlation(*(torch.cat(maps) for maps in zip(*pairs, strict=True)))


def _budgets(options: ExplanationSettings, good: int | None, asked: Sequence[tuple[Forward, int, int]]) -> dict[str, Figure]:
    """`channels_<n>`: the mean correlation of Score-CAM's map from only n channels with the exact one."""

    def maps(channels: int | None) -> torch.Tensor:
        explain = explainer(
            "score-cam", options.model_copy(update={"method": "score-cam", "channels": channels, "refine": "none"}), good=good
        )
        return torch.cat(
            [explain(forward, torch.tensor([target], device=forward.logits.device)).values for forward, target, _ in asked]
        )

    exact = maps(None)
    budgets = [channels for channels in BUDGETS if channels < asked[0][0].activations.shape[1]]
    return {f"channels_{channels}": mean_correlation(exact, maps(channels)) for channels in budgets}


def _cost(model: Classifier, explain: Explainer, asked: Sequence[tuple[Forward, int, int]]) -> Figure:
    """Forward pass and map over the forward pass alone, of up to 16 pictures together: median, least and most of five."""
    images = torch.cat([forward.images for forward, _, _ in asked[:16]])
    beside = [forward.references for forward, _, _ in asked[:16] if forward.references is not None]
    references = torch.cat(beside) if beside else None
    targets = torch.tensor([target for _, target, _ in asked[:16]], device=images.device)
    ratios = []
    for _ in range(COST_ROUNDS):
        begun = clock(images.device)
        forward = model.explainable(images, references)
        passed = clock(images.device)
        explain(forward, targets).values.cpu()
        ratios.append((clock(images.device) - begun) / (passed - begun))
    return Figure(statistics.median(ratios), min(ratios), max(ratios), COST_ROUNDS)
