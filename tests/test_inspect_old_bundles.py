"""A bundle that was trained before maps had finer cells loads, and gives what it gave then.

`first_bundle/` holds a small one (240 drawn parts of 64 px, 80 steps) and, in answers.json, what the code of that day said of
five drawn parts: verdicts, and by method each map's maximum, its grid and its regions.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kizu_inspect.bundle import Bundle
from kizu_inspect.errors import BundleError
from kizu_inspect.inspector import Inspector
from kizu_inspect.recipe import ExplanationSettings, Recipe
from kizu_inspect.synth import KINDS, draw_part

FIRST = Path(__file__).parent / "first_bundle"
ANSWERS = json.loads((FIRST / "answers.json").read_text(encoding="utf-8"))
PARTS = [draw_part(KINDS[seed], seed, size_px=64).image for seed in range(5)]


def judge(method: str) -> Inspector:
    recipe = Recipe(bundle=FIRST, explanation=ExplanationSettings(method=method))
    return Inspector.load(recipe, device="cpu")


def test_verdicts_are_those_of_then() -> None:
    batch = judge("grad-cam").judge(PARTS)
    for judgement, (verdict, score, novelty, probabilities) in zip(batch.judgements, ANSWERS["verdicts"], strict=True):
        assert judgement.verdict == verdict
        assert judgement.score == pytest.approx(score, abs=1e-5)
        assert judgement.novelty == pytest.approx(novelty, rel=1e-4)
        assert dict(judgement.probabilities) == pytest.approx(probabilities, abs=1e-5)


@pytest.mark.parametrize("method", ["cam", "grad-cam", "grad-cam++", "score-cam"])
def test_maps_and_regions_are_those_of_then(method: str) -> None:
    inspector = judge(method)
    explained = inspector.explain(inspector.judge(PARTS), range(5), checked=False)
    for explanation, (maximum, grid, regions) in zip(explained, ANSWERS[method], strict=True):
        assert explanation.heatmap.grid.shape == (8, 8)
        assert explanation.heatmap.maximum == pytest.approx(maximum, rel=1e-3, abs=1e-6)
        assert np.allclose(explanation.heatmap.grid.astype(float).ravel(), grid, atol=2e-3)
        assert [[one.x1, one.y1, one.x2, one.y2, one.label] for one in explanation.regions] == regions


def test_a_method_that_it_was_not_trained_for_is_told() -> None:
    with pytest.raises(BundleError, match="no display scale for lfi-cam"):
        Bundle.load(FIRST).scale_of(ExplanationSettings(method="lfi-cam"))
