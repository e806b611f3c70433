"""Trains the demo's model as `kizu demo` does and holds its figures to what a first look must show.

    python benchmarks/acceptance/demo_model.py [--seeds 1] [--parts 800] [--json FILE]

On drawn parts that it has never seen, half of them defective: the accuracy; how many maxima of the CAM and Grad-CAM maps
lie within 5 px of the defect, beside a random and a centred map; and how many good parts stay cold, that is below a
quarter of the fixed scale. Exits 1 when a figure of any seed falls short. Run it on an otherwise idle machine: the steps
that the demo takes are those that fit into its time.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from kizu.demo import DemoFolders, DemoScale, measure, train_demo

LEAST = {"accuracy": 0.97, "pointing_within": 0.90, "cold": 0.95}
METHODS = ("cam", "grad-cam")


def measured(seed: int, parts: int) -> dict[str, object]:
    """Figures of one training run: value, low, high and n each."""
    with tempfile.TemporaryDirectory() as folder:
        folders = DemoFolders(Path(folder))
        begun = time.monotonic()
        trained = train_demo(folders, DemoScale(), seed=seed)
        seconds = time.monotonic() - begun
        result = measure(folders, DemoScale(unseen_parts=parts))
    wanted = [("accuracy", result.classification["accuracy"])]
    wanted += [(name, result.explanation[method][name]) for method in METHODS for name in ("pointing_within", "cold")]
    return {
        "seed": seed,
        "steps": trained.bundle.spec.provenance.steps,
        "drawing_and_training_s": round(seconds, 1),
        "classification": {name: figure.as_json() for name, figure in result.classification.items()},
        "explanation": {
            method: {name: figure.as_json() for name, figure in figures.items()}
            for method, figures in result.explanation.items()
        },
        "passed": all(figure.value is not None and figure.value >= LEAST[name] for name, figure in wanted),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the figures of each seed as JSON; 0 when all reach what they must."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1, help="training runs")
    parser.add_argument("--parts", type=int, default=800, help="unseen parts, half of them defective")
    parser.add_argument("--json", type=Path, help="file for the figures (default: standard output)")
    given = parser.parse_args(arguments)
    outcomes = []
    for seed in range(given.seeds):
        outcomes.append(measured(seed, given.parts))
        print(f"seed {seed}: {'passed' if outcomes[-1]['passed'] else 'fell short'}", file=sys.stderr)
    text = json.dumps(outcomes, indent=2)
    if given.json is not None:
        given.json.write_text(text + "\n", encoding="utf-8")
    else:
        print(text)
    return 0 if all(outcome["passed"] for outcome in outcomes) else 1


if __name__ == "__main__":
    raise SystemExit(main())
