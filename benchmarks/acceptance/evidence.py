"""Do the maps lie on the defect? Trains the standard network on drawn sets, seed by seed, and measures all five methods.

    python benchmarks/acceptance/evidence.py OUT [--set plates] [--truth masks] [--seeds 3] [--steps 1000] [--json FILE]

`--set plates`: 3,120 drawn plates of 160 px (2,040 train, 360 val, 720 test). `--set surfaces`: 2,160 drawn textures of 200 px
without a good class (drawn_surfaces.py). `--truth` is what training is told: masks, boxes (surfaces), or labels alone; what is
measured is held against masks, where training was told boxes or labels of surfaces against boxes. The figures of each seed
stand in the JSON, and mean, least and most of the seeds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import drawn_surfaces

from kizu_inspect.evaluation.evaluate import evaluate
from kizu_inspect.explain import EXPLAINERS
from kizu_inspect.labelled.dataset import read_labelled
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.recipe import ExplanationSettings
from kizu_inspect.synth import write_set
from kizu_inspect.training.fit import FitSettings
from kizu_inspect.training.settings import TrainingSettings
from kizu_inspect.training.standard import standard_architecture
from kizu_inspect.training.train import train

SPLITS = {"train": 2040, "val": 360, "test": 720}
FIGURES = (
    "pointing",
    "pointing_within",
    "energy",
    "iou",
    "cold",
    "false_regions",
    "covered",
    "pixel_ap",
    "aupro",
    "conflict_false",
    "conflict_true",
)


def draw(out: Path, name: str, pictures: int | None) -> dict[str, Path]:
    """The manifests of the set, by what they tell; `pictures` in all instead of the usual number."""
    if name == "plates":
        manifest = out / "plates" / "manifest.csv"
        if not manifest.is_file():
            write_set(out / "plates", count=pictures or sum(SPLITS.values()), seed=11, splits=SPLITS)
        return {"masks": manifest, "labels": manifest}
    folder = out / "surfaces"
    if not (folder / "boxes.csv").is_file():
        drawn_surfaces.main([str(folder), "--count", str(pictures or 2160)])
    return {"masks": folder / "masks.csv", "boxes": folder / "boxes.csv", "labels": folder / "boxes.csv"}


def measure(out: Path, manifest: Path, given: argparse.Namespace, seed: int) -> dict[str, Any]:
    """One training and its figures on the test split."""
    plates = given.set == "plates"
    side, profile = (160, "part") if plates else (200, "surface")
    data = read_labelled(manifest)
    settings = TrainingSettings(
        name=f"{given.set}-{given.truth}-{given.backbone}-{given.optimiser}-{seed}",
        input=InputSettings(height_px=side, width_px=side, profile=profile),
        architecture=standard_architecture(given.backbone, profile, marked=given.truth != "labels"),
        fit=FitSettings(steps=given.steps, seed=seed, optimiser=given.optimiser, learning_rate=given.learning_rate),
        learn_places=given.truth != "labels",
        device=given.device,
    )
    begun = time.process_time()
    trained = train(data, out / settings.name, settings)
    seconds = time.process_time() - begun
    figures: dict[str, Any] = {}
    for refine in given.refine.split(","):
        options = ExplanationSettings.model_validate({"refine": refine})
        result = evaluate(
            trained.bundle, data.split("test"),
            methods=given.explain.split(","), checked=given.checked, options=options, device=given.device,
        )  # fmt: skip
        figures |= {
            method if refine == "none" else f"{method}, {refine}": {
                name: figure.as_json() for name, figure in found.items() if name in FIGURES
            }
            for method, found in result.explanation.items()
        }
    accuracy = result.classification["accuracy"].as_json()
    return {"seed": seed, "accuracy": accuracy, "training_cpu_s": seconds, "explanation": figures}


def summary(runs: Sequence[dict[str, Any]]) -> dict[str, dict[str, list[float]]]:
    """[mean, least, most] over the seeds, by method and figure."""
    methods = runs[0]["explanation"]
    return {
        method: {
            name: [statistics.fmean(values), min(values), max(values)]
            for name in methods[method]
            if (values := [run["explanation"][method][name]["value"] for run in runs]) and None not in values
        }
        for method in methods
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a line a seed and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--set", choices=("plates", "surfaces"), default="plates")
    parser.add_argument("--truth", choices=("masks", "boxes", "labels"), default="masks")
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--backbone", default="local", help="local, or a torchvision network, from scratch")
    parser.add_argument("--optimiser", choices=("muon", "adamw"), default="muon")
    parser.add_argument("--learning-rate", type=float, default=1e-2)
    parser.add_argument("--explain", default=",".join(EXPLAINERS))
    parser.add_argument("--refine", default="none", help="none, pixels, or both, separated by a comma")
    parser.add_argument("--checked", type=int, default=600)
    parser.add_argument("--pictures", type=int, help="so many in all, to try it out")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    manifests = draw(given.out, given.set, given.pictures)
    if given.truth not in manifests:
        parser.error(f"{given.set} have no {given.truth}")
    runs = []
    for seed in range(given.first_seed, given.first_seed + given.seeds):
        runs.append(measure(given.out, manifests[given.truth], given, seed))
        print(json.dumps(runs[-1]), flush=True)
    text = json.dumps(
        {"set": given.set, "truth": given.truth, "steps": given.steps, "seeds": summary(runs), "runs": runs}, indent=2
    )
    if given.json is not None:
        given.json.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
