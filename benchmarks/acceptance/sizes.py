"""How far the sizes of a map's regions lie from those of the defects: on drawn parts, whose masks are the truth.

    python benchmarks/acceptance/sizes.py BUNDLE [--parts 100] [--size 160] [--method grad-cam] [--json FILE]

For each defect class: `parts`; `one_region`, those in which exactly one region touches the defect, and of these the region's
length, width and area divided by the mask's, measured alike: the median, and between which values 80 % lie.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from kizu_inspect.explain.measuring import measure
from kizu_inspect.inspector import Inspector
from kizu_inspect.recipe import UNGATED, ExplanationSettings, Recipe
from kizu_inspect.synth import KINDS, draw_part

FIRST_SEED = 7_000_000
SIZES = ("length_px", "width_px", "area_px")


def compare(inspector: Inspector, kind: str, *, parts: int, size_px: int) -> dict[str, Any]:
    """The figures of one class."""
    ratios: list[list[float]] = []
    for seed in range(FIRST_SEED, FIRST_SEED + parts):
        drawn = draw_part(kind, seed, size_px=size_px)
        (explanation,) = inspector.explain(inspector.judge([drawn.image]), [0])
        touching = [one for one in explanation.regions if drawn.mask[one.y1 : one.y2, one.x1 : one.x2].any()]
        in_one_piece = cv2.connectedComponents(drawn.mask.astype(np.uint8))[0] == 2  # itself and the ground
        if len(touching) == 1 and in_one_piece:
            truth = measure(drawn.mask)
            ratios.append([getattr(touching[0], name) / getattr(truth, name) for name in SIZES])
    figures: dict[str, Any] = {"parts": parts, "one_region": len(ratios)}
    if ratios:
        low, middle, high = np.quantile(ratios, (0.1, 0.5, 0.9), axis=0).round(3).tolist()
        for place, name in enumerate(SIZES):
            figures[name.removesuffix("_px")] = [middle[place], [low[place], high[place]]]
    return figures


def main(arguments: Sequence[str]) -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--parts", type=int, default=100)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--method", default="grad-cam")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(arguments)
    explanation = ExplanationSettings(method=asked.method)
    recipe = Recipe(bundle=asked.bundle, explanation=explanation, gates=UNGATED, allow_no_promise=True)
    inspector = Inspector.load(recipe, device="auto")
    kinds = [kind for kind in KINDS if kind != "good" and kind in inspector.model.classes]
    found = {kind: compare(inspector, kind, parts=asked.parts, size_px=asked.size) for kind in kinds}
    text = json.dumps(found, indent=2)
    print(text)
    if asked.json is not None:
        asked.json.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
