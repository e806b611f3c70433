"""Maps in half precision, against those of the same model in float32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from kizu_inspect.bundle import Bundle
from kizu_inspect.explain import Maps, explainer
from kizu_inspect.results import MapStatus
from kizu_inspect.synth import draw_part


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("method", ["cam", "grad-cam", "grad-cam++", "score-cam"])
def test_half_precision_shows_the_same_place(tiny_bundle: Path, method: str, precision: torch.dtype) -> None:
    bundle = Bundle.load(tiny_bundle)
    model = bundle.model.eval()
    size = bundle.spec.input.height_px
    drawn = [draw_part("missing_hole", seed, size_px=size).image for seed in range(40)]
    images = torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2).float() / 255
    targets = torch.full((40,), bundle.spec.classes.index("missing_hole"))

    def maps(kind: torch.dtype | None) -> Maps:
        with torch.autocast("cpu", dtype=kind, enabled=kind is not None):
            forward = model.explainable(images)
            return explainer(method)(forward, targets)

    exact, half = maps(None), maps(precision)
    assert half.values.dtype == torch.float32
    predicted = model.explainable(images).logits.argmax(dim=1) == targets
    # A map that stays below a hundredth of the fixed scale is drawn as nothing, and its shape is rounding.
    seen = exact.values.flatten(1).amax(dim=1) >= 0.01 * bundle.spec.explanation[method].scale
    shown = [index for index, status in enumerate(exact.status) if status is MapStatus.OK and predicted[index] and seen[index]]
    assert len(shown) > 20
    correlations = [np.corrcoef(exact.values[i].flatten(), half.values[i].flatten())[0, 1] for i in shown]
    assert np.percentile(correlations, 1) >= 0.99
