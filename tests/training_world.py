"""A tiny training: a drawn set, a small network, the maps of two methods; and the same in a process that can be killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from kizu_inspect.labelled.dataset import LabelledSet, read_labelled
from kizu_inspect.network.model import Architecture
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.synth import write_set
from kizu_inspect.training.fit import FitSettings
from kizu_inspect.training.settings import TrainingSettings
from precision import PRECISION

__all__ = ["METHODS", "drawn", "start_training", "tiny"]

METHODS = ("cam", "grad-cam")


def drawn(folder: Path, *, count: int = 60) -> LabelledSet:
    """A set of drawn parts of 64 px."""
    return read_labelled(write_set(folder, count=count, seed=5, size_px=64, splits={"train": 0.6, "val": 0.4}))


def tiny(*, steps: int) -> TrainingSettings:
    """A training whose batches hang on the losses of those before."""
    return TrainingSettings(
        input=InputSettings(height_px=48, width_px=48),
        architecture=Architecture(width=8),
        fit=FitSettings(steps=steps, batch_size=8, hard_share=0.5, precision=PRECISION),
        device="cpu",
    )


def start_training(data: Path, out: Path, *, steps: int, resume: bool) -> subprocess.Popen[str]:
    """The same training in a process of its own that keeps its steps as often as it may, and says each."""
    script = f"""
from pathlib import Path
from kizu_inspect.labelled.dataset import read_labelled
from kizu_inspect.training.train import train
from training_world import METHODS, tiny
train(
    read_labelled(Path({str(data)!r})), Path({str(out)!r}), tiny(steps={steps}), resume={resume}, keep_every_s=0,
    methods=METHODS, progress=lambda standing: print(standing.step, flush=True),
)
"""
    here = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=here)
