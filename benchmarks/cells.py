"""What cells of 4 px and the LFI branch cost beside the network without them: forward pass, closed-form maps, training step.

    python benchmarks/cells.py [--threads 1] [--rounds 25] [--steps 20] [--json FILE]

Drawn plates of 160 px. In each round every candidate runs once, in turn, so that what else the machine does falls on all alike;
a figure is a ratio of medians of processor time. `forward.b1/b16` is the standard network's forward pass over that of the same
backbone with cells of 8 px and no branch; `map.<method>.b1/b16` is forward pass and map over the forward pass alone;
`training` is a training of `--steps` steps of the one over that of the other, both with masks.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from kizu_inspect.explain import explainer
from kizu_inspect.labelled.dataset import read_labelled
from kizu_inspect.network.model import Architecture, build_classifier
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.synth import write_set
from kizu_inspect.training.fit import FitSettings, fit, prepare_profile
from kizu_inspect.training.settings import TrainingSettings, pictures_of
from kizu_inspect.training.standard import standard_architecture

CLOSED = ("cam", "grad-cam", "grad-cam++", "lfi-cam")
INPUTS = InputSettings(height_px=160, width_px=160)
CPU = torch.device("cpu")


def medians(work: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median processor time of each; the first two rounds, which set up memory and kernels, do not count."""
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds + 2):
        for name, run in work.items():
            begun = time.process_time()
            run()
            times[name].append(time.process_time() - begun)
    return {name: statistics.median(taken[2:]) for name, taken in times.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints and writes the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--steps", type=int, default=20, help="of each training")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    architectures = {"before": Architecture(), "now": standard_architecture("local", "part", marked=True)}
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        write_set(Path(folder), count=160, seed=3, splits={"train": 96, "val": 64, "test": 0})
        data = read_labelled(Path(folder) / "manifest.csv")
        settings = TrainingSettings(input=INPUTS, fit=FitSettings(steps=given.steps), learn_places=True)
        train, val = (pictures_of(data, split, settings) for split in ("train", "val"))
    good = data.classes.index("good")
    torch.manual_seed(0)
    models = {name: build_classifier(one, INPUTS, classes=len(data.classes), good=good) for name, one in architectures.items()}
    for model in models.values():
        prepare_profile(model, train, good=good)
        model.eval()
    now = models["now"]
    for batch in (1, 16):
        images, _ = train.as_input(slice(0, batch), CPU)
        targets = torch.full((batch,), (good + 1) % len(data.classes))
        work: dict[str, Callable[[], object]] = {
            name: torch.no_grad()(lambda model=model, images=images: model(images)) for name, model in models.items()
        }
        for method in CLOSED:
            made = explainer(method)
            work[method] = lambda made=made, images=images, targets=targets: made(now.explainable(images), targets)
        taken = medians(work, given.rounds)
        figures[f"forward.b{batch}"] = taken["now"] / taken["before"]
        figures |= {f"map.{method}.b{batch}": taken[method] / taken["now"] for method in CLOSED}
    few = val.subset(torch.arange(2).numpy())  # the fit ends by judging the validation pictures: not what is asked here
    steps = {
        name: lambda model=model: fit(model, train, few, settings.fit, good=good, several=False, device=CPU)
        for name, model in models.items()
    }
    taken = medians(steps, max(1, given.rounds // 8))
    figures["training"] = taken["now"] / taken["before"]
    for name, ratio in figures.items():
        print(f"{name:18} {ratio:.2f}")
    if given.json is not None:
        given.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
