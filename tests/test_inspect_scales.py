"""Display scales and region thresholds from validation pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from kizu_inspect.bundle import Bundle
from kizu_inspect.errors import BundleError
from kizu_inspect.explain import explainer
from kizu_inspect.inspector import Inspector
from kizu_inspect.labelled.dataset import read_labelled
from kizu_inspect.recipe import ExplanationSettings, Recipe
from kizu_inspect.synth import draw_part, write_set
from kizu_inspect.training.pictures import load_pictures
from kizu_inspect.training.scales import fit_region_threshold, fit_scales

CPU = torch.device("cpu")


def disc(radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:60, :60]
    return np.hypot(rows - 30, columns - 30) <= radius


def test_the_threshold_is_where_regions_meet_the_defects() -> None:
    """A cone of height 0.9 crosses 0.6 at a third of its radius of 30 px."""
    rows, columns = np.mgrid[:60, :60]
    cone = (0.9 * (1 - np.hypot(rows - 30, columns - 30) / 30)).astype(np.float32)
    assert fit_region_threshold([cone, cone / 2], [disc(10), np.zeros((60, 60), np.bool_) | disc(1)]) == pytest.approx(0.6)
    assert fit_region_threshold([cone], [disc(20)]) == pytest.approx(0.3)


def test_of_thresholds_that_overlap_alike_the_strictest_is_taken() -> None:
    """A step of height 0.52 and a faint skirt of 1 px at 0.33: without the skirt as good as with it."""
    step = np.where(disc(10), np.float32(0.52), np.where(disc(10.4), np.float32(0.33), np.float32(0)))
    assert fit_region_threshold([step], [disc(10.4)]) == pytest.approx(0.3)  # the skirt is more than 2 % of the disc
    many = [np.where(disc(10), np.float32(0.52), np.float32(0))] * 9 + [step]
    assert fit_region_threshold(many, [disc(10)] * 9 + [disc(10.4)]) == pytest.approx(0.5)


def test_without_places_there_is_a_default() -> None:
    assert fit_region_threshold([], []) == 0.4
    assert fit_region_threshold([np.zeros((60, 60), np.float32)], [disc(10)]) == 0.4


def test_options_that_change_a_maps_values_have_a_scale_of_their_own(tiny_bundle: Path) -> None:
    bundle = Bundle.load(tiny_bundle)
    options = {"grad-cam++": {"alpha_norm": True}, "score-cam": {"channel_softmax": True, "masked": "black"}}
    for method, changed in options.items():
        scales = []
        for more in ({}, changed, {**changed, "target": "margin"}):
            settings = ExplanationSettings.model_validate({"method": method, **more})
            inspector = Inspector(bundle, Recipe(bundle=tiny_bundle, explanation=settings), device=CPU, max_batch=16)
            pictures = [draw_part("missing_hole", seed, size_px=64).image for seed in range(900, 924)]
            explained = inspector.explain(inspector.judge(pictures), range(24), checked=False)
            peaks = [one.heatmap.peak for one in explained if one.heatmap.status.has_map]
            assert 0.2 < np.median(peaks) < 1.5, (method, more)  # neither dark nor all at the end of the scale
            scales.append(explained[0].heatmap.scale)
        assert not 0.9 < scales[1] / scales[0] < 1.1
    # Of a model without variants nothing is known of these options.
    spec = bundle.spec.explanation["grad-cam++"].model_copy(update={"variants": {}})
    bundle.spec.explanation["grad-cam++"] = spec
    with pytest.raises(
        BundleError, match=r"has no display scale for grad-cam\+\+ with these options: found scales for the def"
    ):
        bundle.scale_of(ExplanationSettings(method="grad-cam++", alpha_norm=True))


def test_the_variants_are_scaled_as_if_each_were_asked_alone(tiny_bundle: Path, tmp_path: Path) -> None:
    """Score-CAM's variants share the model's answers: the maxima must be those of the method itself."""
    bundle = Bundle.load(tiny_bundle)
    good, inputs = bundle.spec.classes.index("good"), bundle.spec.input
    data = read_labelled(write_set(tmp_path / "parts", count=90, seed=5, size_px=64, share_good=0, splits={"val": 1.0}))
    val = load_pictures(data.samples, bundle.spec.classes, inputs, good=data.good)
    scales = fit_scales(bundle.model, val, inputs, good=good, device=CPU)["score-cam"]
    images = torch.from_numpy(val.images).permute(0, 3, 1, 2).float() / 255
    forward = bundle.model.explainable(images)
    found = torch.nonzero(forward.logits.argmax(dim=1) == torch.from_numpy(val.labels)).flatten()[:24]
    for variant, options in {
        "black": {"masked": "black"},
        "channel_softmax+margin": {"channel_softmax": True, "target": "margin"},
    }.items():
        settings = ExplanationSettings.model_validate({"method": "score-cam", **options})
        assert settings.variant(neutral=True) == variant
        maps = explainer("score-cam", settings, good=good)(forward.subset(found), torch.from_numpy(val.labels)[found])
        maxima = [float(one.max()) for one, status in zip(maps.values, maps.status, strict=True) if status.has_map]
        assert scales.variants[variant].scale == pytest.approx(np.percentile(maxima, 95), rel=1e-4)


def test_a_bundle_carries_a_scale_and_a_threshold_for_each_method(tiny_bundle: Path) -> None:
    scales = Bundle.load(tiny_bundle).spec.explanation
    assert set(scales) == {"cam", "grad-cam", "grad-cam++", "score-cam"}
    assert all(one.scale > 0 and 0.1 <= one.region_threshold <= 0.9 for one in scales.values())
