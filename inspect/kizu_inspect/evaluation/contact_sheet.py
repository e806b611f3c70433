"""Pictures, truth and maps side by side, on the fixed scale."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from kizu_inspect.bundle import Bundle
from kizu_inspect.inspector import Inspector
from kizu_inspect.labelled.dataset import Sample
from kizu_inspect.labelled.picture_files import read_picture
from kizu_inspect.labelled.places import truth_of
from kizu_inspect.network.devices import pick_device
from kizu_inspect.picture.heatmap import overlay
from kizu_inspect.recipe import UNGATED, Device, ExplanationSettings, Recipe

__all__ = ["write_contact_sheet"]

ROWS = 8


def write_contact_sheet(
    bundle: Bundle,
    samples: Sequence[Sample],
    path: Path,
    *,
    methods: Sequence[str],
    options: ExplanationSettings | None = None,
    device: Device = "auto",
) -> None:
    """Draws up to eight defective samples, the classes in turn, each with its truth and the map of every method, as PNG."""
    options = options or ExplanationSettings()
    chosen = _in_turn([sample for sample in samples if sample.label != bundle.spec.good])[:ROWS]
    bits = bundle.spec.input.bits
    pictures = [read_picture(sample.path, bits=bits) for sample in chosen]
    beside = [None if sample.reference is None else read_picture(sample.reference, bits=bits) for sample in chosen]
    figure = Figure(figsize=(1.9 * (len(methods) + 2), 2.05 * max(1, len(chosen))), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(max(1, len(chosen)), len(methods) + 2, squeeze=False)
    for row, (sample, picture) in enumerate(zip(chosen, pictures, strict=True)):
        truth = truth_of(sample, picture.shape[:2])
        axes[row, 0].imshow(picture)
        axes[row, 0].set_ylabel(sample.label, parse_math=False)  # a dollar in a name is a dollar
        axes[row, 1].imshow(picture if truth is None else np.where(truth[..., None], picture, picture // 3))
    for column, method in enumerate(methods, start=2):
        recipe = Recipe(bundle=bundle.path, gates=UNGATED, explanation=options.model_copy(update={"method": method}))
        inspector = Inspector(bundle, recipe, device=pick_device(device), max_batch=ROWS)
        explanations = inspector.explain(inspector.judge(pictures, references=beside), range(len(pictures)))
        for row, (picture, explanation) in enumerate(zip(pictures, explanations, strict=True)):
            axes[row, column].imshow(overlay(picture, explanation.heatmap))
            hottest = f"{explanation.heatmap.target}: {explanation.heatmap.peak:.2f}"
            axes[row, column].set_xlabel(hottest, fontsize=7, parse_math=False)
    for column, title in enumerate(["picture", "truth", *methods]):
        axes[0, column].set_title(title, fontsize=9)
    for one in axes.flat:
        one.set_xticks([])
        one.set_yticks([])
    figure.savefig(path, dpi=90)


def _in_turn(samples: Sequence[Sample]) -> list[Sample]:
    """The samples with their classes in turn, so that a few show all."""
    seen: dict[str, int] = {}
    turns = []
    for sample in samples:
        seen[sample.label] = seen.get(sample.label, 0) + 1
        turns.append(seen[sample.label])
    return [sample for _, sample in sorted(zip(turns, samples, strict=True), key=lambda pair: pair[0])]
