"""Are wrong labels found? Trains on drawn parts of which a share is labelled wrongly, and ranks all by how doubtful they are.

    python benchmarks/acceptance/wrong_labels.py OUT [--parts 600] [--steps 600] [--share 0.05] [--seed 5] [--json FILE]

Of the training pictures: `learned` ranks them by the mean loss of every time that they were drawn, as `training.png` does,
`after` by what the finished model says of them; `average_precision` of each (1: all wrong ones come first; by chance: their
share), and how many wrong and right ones are named aloud. `unseen`: how many wrong and right labels the model contradicts among
the pictures of the other splits, as `kizu data check --model` does, and how many wrong ones there are.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score

from kizu_inspect.labelled.dataset import read_labelled
from kizu_inspect.labelled.readers.manifest import write_rows
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.synth import KINDS, write_set
from kizu_inspect.training.contradictions import compare_labels
from kizu_inspect.training.fit import FitSettings
from kizu_inspect.training.judging import judged
from kizu_inspect.training.settings import TrainingSettings
from kizu_inspect.training.standard import standard_architecture
from kizu_inspect.training.train import train

SIDE_PX = 64
OVERLOOKED = 0.7
"""So large a share of the defects that are labelled wrongly is called good; the rest has another defect's name."""


def draw(out: Path, *, parts: int, share: float, seed: int) -> tuple[Path, set[Path]]:
    """A manifest with wrong labels in every split, without marks on them, and the pictures that have one."""
    with write_set(out / "parts", count=parts, seed=seed, size_px=SIDE_PX).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    generator = np.random.default_rng(seed)
    wrong = set()
    for split in ("train", "val", "test"):
        of_split = [row for row in rows if row["split"] == split]
        for number in generator.choice(len(of_split), round(share * len(of_split)), replace=False):
            row = of_split[number]
            others = [kind for kind in KINDS if kind != row["label"]]
            overlooked = row["label"] != KINDS[0] and generator.random() < OVERLOOKED
            row |= {"label": KINDS[0] if overlooked else str(generator.choice(others)), "mask": "", "boxes": ""}
            wrong.add(out / "parts" / row["path"])
    manifest = out / "parts" / "wrong.csv"
    write_rows(manifest, [tuple(row.values()) for row in rows])
    return manifest, wrong


def measure(out: Path, *, parts: int, steps: int, share: float, seed: int) -> dict[str, Any]:
    """The figures of one training."""
    manifest, wrong = draw(out, parts=parts, share=share, seed=seed)
    data = read_labelled(manifest)
    inputs = InputSettings(height_px=SIDE_PX, width_px=SIDE_PX)
    settings = TrainingSettings(
        input=inputs, architecture=standard_architecture("local", inputs.profile, branch=False, marked=True),
        fit=FitSettings(steps=steps, seed=seed), learn_places=True,
    )  # fmt: skip
    trained = train(data, out / "bundle", settings, methods=("grad-cam",))
    learned = data.split("train")
    truth = np.array([sample.path in wrong for sample in learned])
    after = [judgement.probabilities[sample.label] for sample, judgement, _ in judged(trained.bundle, learned, "auto")]
    doubted = [one.sample.path in wrong for one in trained.contradicted if one.doubted]
    compared = compare_labels(trained.bundle, data, "auto")
    found = [one.sample.path in wrong for one in compared.contradicted]
    return {
        "pictures": len(learned),
        "wrong": int(truth.sum()),
        "learned": {
            "average_precision": average_precision_score(truth, np.nan_to_num(trained.history.row_losses)),
            "named_wrong": sum(doubted),
            "named_right": len(doubted) - sum(doubted),
        },
        "after": {"average_precision": average_precision_score(truth, -np.array(after))},
        "unseen": {
            "pictures": compared.pictures,
            "wrong": len(wrong) - int(truth.sum()),
            "found_wrong": sum(found),
            "found_right": len(found) - sum(found),
        },
    }


def main(arguments: Sequence[str]) -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--parts", type=int, default=600)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(arguments)
    text = json.dumps(measure(asked.out, parts=asked.parts, steps=asked.steps, share=asked.share, seed=asked.seed), indent=2)
    print(text)
    if asked.json is not None:
        asked.json.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
