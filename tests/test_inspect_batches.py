"""Which pictures a training step is given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from kizu_inspect.labelled.dataset import Sample
from kizu_inspect.network.profile import InputProfile
from kizu_inspect.training.batches import Batches
from kizu_inspect.training.pictures import Pictures

COUNT = 40


def batches(*, hard_share: float = 0.0, profile: str = "surface", size: int = 8) -> Batches:
    images = np.random.default_rng(0).integers(0, 256, (COUNT, 48, 64, 3), dtype=np.uint8)
    samples = tuple(Sample(Path(f"{row}.png"), "good", "train", str(row)) for row in range(COUNT))
    labels, marks = np.zeros(COUNT, np.int64), np.ones((COUNT, 1), bool)
    train = Pictures(images, labels, marks, tuple(str(row) for row in range(COUNT)), samples)
    seen_by = InputProfile(profile, height_px=48, width_px=64)  # type: ignore[arg-type]
    return Batches(seen_by, train, size=size, shift_px=2, hard_share=hard_share, seed=5, device=torch.device("cpu"))


@pytest.mark.parametrize("hard_share", [0.0, 0.75])
def test_each_picture_comes_once_before_any_comes_again(hard_share: float) -> None:
    drawn = batches(hard_share=hard_share)
    assert sorted(np.concatenate([drawn.draw().rows for _ in range(COUNT // 8)]).tolist()) == list(range(COUNT))


def test_what_is_not_learned_yet_comes_more_often() -> None:
    drawn = batches(hard_share=0.75)
    losses = torch.zeros(COUNT)
    losses[:2] = 1.0
    drawn.learned(np.arange(COUNT), losses)
    rows = np.concatenate([drawn.draw().rows for _ in range(100)])
    assert (rows < 2).sum() > 180  # nearly in each batch, which holds a picture once
    assert len(set(rows.tolist())) == COUNT  # and no other is forgotten
    evenly = batches()
    evenly.learned(np.arange(COUNT), losses)
    assert (np.concatenate([evenly.draw().rows for _ in range(100)]) < 2).sum() == 40


def test_nothing_left_to_learn_is_drawn_evenly() -> None:
    drawn = batches(hard_share=0.75)
    drawn.learned(np.arange(COUNT), torch.zeros(COUNT))
    assert len(set(np.concatenate([drawn.draw().rows for _ in range(60)]).tolist())) == COUNT


def test_a_reference_comes_with_the_picture_where_the_profile_has_one() -> None:
    drawn = batches(profile="part").draw()
    assert drawn.references is not None
    shapes = tuple(drawn.images.shape), tuple(drawn.references.shape), tuple(drawn.labels.shape)
    assert shapes == ((8, 3, 48, 64), (8, 1, 48, 64), (8,))
    assert batches().draw().references is None


def test_reference_and_truth_are_changed_as_the_picture_is() -> None:
    spots = np.zeros((COUNT, 48, 64), np.uint8)
    spots[:, 10:16, 30:38] = 200  # one spot in the picture, in its reference, and in what it shows
    samples = tuple(Sample(Path(f"{row}.png"), "spot", "train", str(row)) for row in range(COUNT))
    groups = tuple(str(row) for row in range(COUNT))
    labels, marks = np.zeros(COUNT, np.int64), np.ones((COUNT, 1), bool)
    train = Pictures(np.repeat(spots[..., None], 3, axis=3), labels, marks, groups, samples, spots, spots // 200)
    profile = InputProfile("reference", height_px=48, width_px=64)
    drawn = Batches(profile, train, size=8, shift_px=6, hard_share=0, seed=1, device=torch.device("cpu"))
    for _ in range(5):
        batch = drawn.draw()
        assert batch.references is not None
        assert batch.truths is not None
        assert torch.equal(batch.images[:, 0] > 0.4, batch.truths == 1)
        beside = [
            np.argwhere(one.numpy()).mean(axis=0) - np.argwhere(truth.numpy() == 1).mean(axis=0)
            for one, truth in zip(batch.references[:, 0] > 0.4, batch.truths, strict=True)
        ]
        assert np.abs(beside).max() <= 1  # a pixel of play, no more
