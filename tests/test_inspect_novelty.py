"""What is unlike anything in training does not pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.spatial.distance import cdist

from kizu_inspect.bundle import Bundle
from kizu_inspect.decide import decide
from kizu_inspect.errors import BundleError
from kizu_inspect.inspector import Inspector
from kizu_inspect.network.novelty import Novelty
from kizu_inspect.recipe import UNGATED, Recipe
from kizu_inspect.results import Verdict
from kizu_inspect.synth import draw_part


def test_novelty_is_the_farthest_cells_distance_to_its_nearest_neighbour() -> None:
    rng = np.random.default_rng(0)
    seen, asked = rng.normal(0, [1, 5, 0.1], (40, 3)), rng.normal(0, 3, (4, 3, 5, 6))
    novelty = Novelty.of(torch.tensor(seen), size=100, generator=torch.Generator().manual_seed(0))
    spread = seen.std(axis=0, ddof=1)
    cells = asked.transpose(0, 2, 3, 1).reshape(-1, 3)
    expected = cdist(cells / spread, seen / spread).min(axis=1).reshape(4, 30).max(axis=1)
    assert novelty(torch.tensor(asked)).numpy() == pytest.approx(expected, rel=1e-4)


def test_the_memory_keeps_what_is_rare() -> None:
    common = np.random.default_rng(0).normal(0, 0.01, (500, 2))
    rare = np.array([[10.0, 0.0], [0.0, 10.0]])
    novelty = Novelty.of(torch.tensor(np.concatenate([common, rare])), size=3, generator=torch.Generator().manual_seed(0))
    kept = (novelty.memory * novelty.spread).numpy()
    assert len(kept) == 3
    assert cdist(rare, kept).min(axis=1) == pytest.approx([0, 0], abs=1e-6)


def test_copies_are_kept_once_and_a_dead_channel_that_awakes_is_novel() -> None:
    novelty = Novelty.of(torch.tensor([[1.0, 0.0], [2.0, 0.0]] * 9), size=8, generator=torch.Generator().manual_seed(0))
    assert len(novelty.memory) == 2
    seen, awake = torch.tensor([1.0, 0.0])[None, :, None, None], torch.tensor([1.0, 0.5])[None, :, None, None]
    assert float(novelty(seen)) == pytest.approx(0, abs=1e-3)
    assert float(novelty(awake)) > 100


@pytest.mark.parametrize(
    ("p_good", "novelty", "verdict"),
    [(0.99, 2.1, Verdict.REVIEW), (0.99, 2.0, Verdict.PASS), (0.01, 2.1, Verdict.REJECT), (0.99, float("nan"), Verdict.ERROR)],
)  # fmt: skip
def test_a_novel_part_does_not_pass_and_the_reason_says_why(p_good: float, novelty: float, verdict: Verdict) -> None:
    p = np.array([p_good, 1 - p_good])
    judged = decide(p, ["good", "dent"], "good", pass_below=0.3, reject_from=0.7, novelty=novelty, novelty_limit=2.0)
    assert judged.verdict is verdict
    # A known defect is less like the rest than good parts are, and no stranger for that.
    assert ("unlike the training pictures: novelty 2.10 > limit 2.00" in judged.reason) == (verdict is Verdict.REVIEW)


def test_without_a_good_class_the_reason_tells_a_stranger() -> None:
    judged = decide(
        np.array([0.2, 0.8]), ["a", "b"], None, pass_below=0.5, reject_from=0.5, novelty=2.1, novelty_limit=2.0
    )  # fmt: skip
    assert judged.verdict is Verdict.REJECT
    assert judged.reason.startswith("unlike the training pictures: novelty 2.10 > limit 2.00; no class is good")


def test_a_trained_model_passes_nothing_that_is_no_part(tiny_bundle: Path) -> None:
    bundle = Bundle.load(tiny_bundle)
    assert bundle.spec.novelty is not None
    inspector = Inspector(bundle, Recipe(bundle=tiny_bundle, gates=UNGATED), device=torch.device("cpu"), max_batch=16)
    parts = [draw_part("good", 900 + seed, size_px=64).image for seed in range(30)]
    like = [one.novelty <= bundle.spec.novelty.limit for one in inspector.judge(parts).judgements if one.novelty is not None]
    assert len(like) == 30
    # The limit is near the greatest of some 18 good validation parts: a share of fresh ones above it follows Beta(1, 18), above
    # 0.3 once in 600 models, above 0.1 in every seventh.
    assert np.mean(like) >= 0.7
    rows, columns = np.indices((64, 64))
    strangers: list[npt.NDArray[np.uint8]] = [
        np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8),
        np.repeat(((rows // 4 + columns // 4) % 2 * 255).astype(np.uint8)[:, :, None], 3, axis=2),
    ]
    for judged in inspector.judge(strangers).judgements:
        assert judged.verdict.flagged
        assert judged.novelty is not None
        assert judged.novelty > bundle.spec.novelty.limit


def test_a_limit_without_a_memory_is_told(tiny_bundle: Path, tmp_path: Path) -> None:
    bundle = Bundle.load(tiny_bundle)
    bundle.model.novelty = None
    with pytest.raises(BundleError, match="lack what the novelty limit needs"):
        Bundle.save(tmp_path / "forgetful", bundle.spec, bundle.model)
