"""Parts that carry defects of several classes at once, each judged for itself."""

from __future__ import annotations

import csv
import json
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from kizu_inspect.bundle import Bundle
from kizu_inspect.decide import decide, likely, probabilities_of
from kizu_inspect.evaluation.evaluate import evaluate
from kizu_inspect.inspector import Inspector
from kizu_inspect.labelled.dataset import read_labelled
from kizu_inspect.labelled.picture_files import read_picture
from kizu_inspect.network.model import Architecture, HeadSettings
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.picture.tiles import merge_probabilities
from kizu_inspect.recipe import Recipe
from kizu_inspect.results import Verdict
from kizu_inspect.training.fit import FitSettings
from kizu_inspect.training.settings import TrainingSettings
from kizu_inspect.training.train import train
from precision import PRECISION

SIDE = 48


def test_each_defect_has_its_own_probability_and_good_what_they_leave() -> None:
    p = probabilities_of(np.array([[2.0, 2 + 2 * np.log(3), 2 - 2 * np.log(3)]]), temperature=2.0, good=0, several=True)
    assert p[0] == pytest.approx([0.25 * 0.75, 0.75, 0.25])
    assert likely(p, good=0, several=True).tolist() == [[False, True, False]]
    judged = decide(p[0], ["good", "hole", "stain"], "good", pass_below=0.3, reject_from=0.7, found=["hole"], exclusive=False)
    assert judged.score == pytest.approx(1 - 0.1875)
    assert judged.verdict is Verdict.REJECT
    assert judged.reason.startswith("hole: ")


def test_tiles_keep_what_each_finds() -> None:
    tiles = np.array([[0.1, 0.9, 0.05], [0.3, 0.02, 0.7]])
    assert merge_probabilities(tiles, good=0, exclusive=False) == pytest.approx([0.1, 0.9, 0.7])


def write_spots(out: Path, *, count: int) -> Path:
    """Grey pictures with a dark spot, a light one, both, or none."""
    rng = np.random.default_rng(0)
    (out / "pictures").mkdir(parents=True)
    with (out / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "boxes"))
        for number, (dark, light) in zip(range(count), list(product((False, True), repeat=2)) * count, strict=False):
            picture = 128 + 6 * rng.normal(size=(SIDE, SIDE))
            boxes = []
            for name, is_there, shade, half in (("dark", dark, -70, 0), ("light", light, 70, SIDE // 2)):
                x, y = int(rng.integers(half + 2, half + 12)), int(rng.integers(2, SIDE - 12))
                if is_there:
                    picture[y : y + 8, x : x + 8] += shade
                    boxes.append((x, y, x + 8, y + 8, name))
            cv2.imwrite(str(out / "pictures" / f"{number}.png"), np.clip(picture, 0, 255).astype(np.uint8))
            writer.writerow((f"pictures/{number}.png", "|".join(box[4] for box in boxes) or "good", json.dumps(boxes)))
    return out / "manifest.csv"


def test_a_model_finds_all_defects_of_a_part_and_shows_each(tmp_path: Path) -> None:
    data = read_labelled(write_spots(tmp_path / "spots", count=160))
    settings = TrainingSettings(
        input=InputSettings(height_px=SIDE, width_px=SIDE, profile="surface"),
        architecture=Architecture(width=8, context=1, head=HeadSettings(labels="several", top_share=0.06)),
        fit=FitSettings(steps=60, batch_size=16, precision=PRECISION),
        learn_places=True,
        device="cpu",
    )
    trained = train(data, tmp_path / "bundle", settings)
    bundle = Bundle.load(trained.bundle.path)
    assert bundle.spec.provenance.figures["validation_accuracy"] >= 0.9
    test = data.split("test")
    figures = evaluate(bundle, test, methods=["cam"], device="cpu")
    exact = figures.classification["exact"]
    assert (exact.n, exact.value >= 0.9) == (len(test), True)

    both = next(one for one in test if one.others)
    inspector = Inspector(bundle, Recipe(bundle=bundle.path), device=torch.device("cpu"), max_batch=4)
    batch = inspector.judge([read_picture(both.path)])
    assert min(batch.judgements[0].probabilities[name] for name in ("dark", "light")) > 0.5
    assert all(name in batch.judgements[0].reason for name in ("dark", "light"))
    (explained,) = inspector.explain(batch, [0])
    assert {region.label for region in explained.regions} == {"dark", "light"}
    assert explained.check is not None
    left = {region.label for region in explained.regions if region.x2 <= SIDE // 2 + 4}
    assert left == {"dark"}
