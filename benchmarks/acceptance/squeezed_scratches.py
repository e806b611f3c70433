"""What does squeezing leave of thin scratches? Trains on drawn textures, squeezed into one input from ever larger pictures.

    python benchmarks/acceptance/squeezed_scratches.py OUT [--squeezes 1 2 4] [--contrast 14] [--steps 250] [--json FILE]

Half of 300 pictures have a scratch of 3 px, `--contrast` grey values from its ground, whose grain has a deviation of 8 at full
resolution. By how often a picture is squeezed: `width_px` of the scratch in the input of 96 px, and `auroc` of good against
scratched among 80 pictures that training did not see. Where it falls, faint scratches are lost: `kizu train` takes tiles there.
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
from sklearn.metrics import roc_auc_score

from kizu_inspect.labelled.dataset import read_labelled
from kizu_inspect.labelled.readers.manifest import write_rows
from kizu_inspect.picture.images import encode_png
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.training.fit import FitSettings
from kizu_inspect.training.settings import TrainingSettings
from kizu_inspect.training.standard import standard_architecture
from kizu_inspect.training.thresholds import judge_samples
from kizu_inspect.training.train import train

INPUT_PX = 96
SCRATCH_PX = 3
SPLITS = {"train": 180, "val": 40, "test": 80}


def draw(out: Path, *, squeeze: int, contrast: float) -> Path:
    """The manifest of textures that are `squeeze` times as large a side as the input."""
    out.mkdir(parents=True)
    side, rows = INPUT_PX * squeeze, []
    splits = [split for split, count in SPLITS.items() for _ in range(count)]
    for number, split in enumerate(splits):
        rng = np.random.default_rng((squeeze, number))
        coarse = cv2.resize(_grain(rng, INPUT_PX), (side, side), interpolation=cv2.INTER_CUBIC)
        plate = 128 + 6 * _grain(rng, side) + 6 * coarse  # of the same look in the input and in the picture
        name, mask = f"{number}.png", ""
        if number % 2:
            scratched = _scratch(rng, side, squeeze)
            plate[scratched] += contrast * rng.choice([-1, 1])
            mask = f"mask-{number}.png"
            (out / mask).write_bytes(encode_png(scratched.astype(np.uint8) * 255))
        picture = np.repeat(np.clip(plate, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
        (out / name).write_bytes(encode_png(picture))
        rows.append((name, "scratch" if number % 2 else "good", split, name, "", mask))
    write_rows(out / "manifest.csv", rows)
    return out / "manifest.csv"


def _grain(rng: np.random.Generator, side: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """(S, S) of deviation 1, whose pixels resemble their neighbours."""
    blurred = cv2.GaussianBlur(rng.normal(0, 1, (side, side)), (0, 0), 1.0)
    return np.asarray(blurred / blurred.std(), np.float64)


def _scratch(rng: np.random.Generator, side: int, squeeze: int) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """The pixels (S, S) of a straight scratch, in the input 20 to 50 px long."""
    length, angle = rng.uniform(20, 50) * squeeze, rng.uniform(0, np.pi)
    middle = rng.uniform(0.3, 0.7, 2) * side
    y, x = np.mgrid[:side, :side]
    right, down = x - middle[0], y - middle[1]
    along, across = right * np.cos(angle) + down * np.sin(angle), down * np.cos(angle) - right * np.sin(angle)
    return np.asarray((np.abs(along) <= length / 2) & (np.abs(across) <= SCRATCH_PX / 2), np.bool_)


def measure(manifest: Path, bundle: Path, *, squeeze: int, steps: int) -> dict[str, Any]:
    """The figures of one set."""
    data = read_labelled(manifest)
    settings = TrainingSettings(
        input=InputSettings(height_px=INPUT_PX, width_px=INPUT_PX, profile="plain"),
        architecture=standard_architecture("local", "plain", branch=False, marked=True),
        fit=FitSettings(steps=steps, batch_size=16), learn_places=True,
    )  # fmt: skip
    trained = train(data, bundle, settings, methods=("grad-cam",))
    scored = judge_samples(trained.bundle, data.split("test"), "auto")
    return {"width_px": SCRATCH_PX / squeeze, "auroc": float(roc_auc_score(scored.defective, scored.scores))}


def main(arguments: Sequence[str]) -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--squeezes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--contrast", type=float, default=14)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(arguments)
    found = {}
    for squeeze in asked.squeezes:
        manifest = draw(asked.out / f"by-{squeeze}", squeeze=squeeze, contrast=asked.contrast)
        found[str(squeeze)] = measure(manifest, asked.out / f"bundle-{squeeze}", squeeze=squeeze, steps=asked.steps)
    text = json.dumps(found, indent=2)
    print(text)
    if asked.json is not None:
        asked.json.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
