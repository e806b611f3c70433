"""The demo: draws parts, trains on them, runs the line on a stream of new ones, and shows what came out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from kizu.commands.line import run_config
from kizu.config import KizuConfig, load_config
from kizu_inspect.errors import ConfigError
from kizu_inspect.labelled.dataset import read_labelled
from kizu_inspect.synth import write_set
from kizu_pipeline.summary import RunSummary

if TYPE_CHECKING:
    from kizu_inspect.evaluation.evaluate import Evaluation
    from kizu_inspect.training.fit import Standing
    from kizu_inspect.training.plan import Plan
    from kizu_inspect.training.train import Trained

__all__ = ["SCALE", "DemoFolders", "DemoScale", "measure", "run_line", "train_demo"]

TRAINING_SEED, UNSEEN_SEED, STREAM_SEED = 1, 2, 3


@dataclass(frozen=True)
class DemoScale:
    """How much the demo draws and how long it trains, calibration included: four minutes in all on two slow cores."""

    training_parts: int = 2400
    unseen_parts: int = 400
    stream_parts: int = 120
    size_px: int = 160
    training_s: float = 150.0


SCALE = DemoScale()
"""That of `kizu demo`."""


@dataclass(frozen=True)
class DemoFolders:
    """Where the demo keeps what it makes."""

    root: Path

    @property
    def summary(self) -> Path:
        """What a finished demo printed; a folder that has it is complete."""
        return self.root / "summary.txt"

    def prepare(self) -> None:
        """Raises ConfigError where the folder holds something else, or a demo that did not come to its end."""
        if self.root.exists() and any(self.root.iterdir()):
            raise ConfigError(
                "the demo's folder is in use", found=f"files in {self.root}", expected="a new or empty folder",
                next_step="Remove it, or name another with --folder.",
            )  # fmt: skip
        self.root.mkdir(parents=True, exist_ok=True)

    @property
    def bundle(self) -> Path:
        """The trained model."""
        return self.root / "bundle"

    def write_config(self, port: int) -> KizuConfig:
        """Writes kizu.yaml and returns its settings."""
        root = self.root.resolve()
        content = {
            "plant": {"name": "Demo plant", "timezone": "UTC"},
            "database": {"url": f"sqlite:///{root / 'kizu.db'}"},
            "images": {"path": str(root / "images")},
            "station": {
                "id": "demo-line",
                "source": {
                    "kind": "folder", "path": str(root / "incoming"), "done": str(root / "done"),
                    "quarantine": str(root / "quarantine"), "settle_s": 0.2, "part_pattern": "(?P<part>[^_]+)_(?P<view>.+)",
                },
                "recipe": {"bundle": str(root / "bundle"), "allow_no_promise": True, "audit_share": 0.05},
            },
            "dashboard": {"port": port},
        }  # fmt: skip
        path = root / "kizu.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        (root / "incoming").mkdir(exist_ok=True)
        return load_config(path)


def train_demo(
    folders: DemoFolders,
    scale: DemoScale,
    *,
    on_plan: Callable[[Plan], None] | None = None,
    progress: Callable[[Standing], None] | None = None,
    seed: int = 0,
) -> Trained:
    """Draws the training parts and trains for two and a half minutes, but at least 400 steps."""
    from kizu_inspect.picture.inputs import InputSettings
    from kizu_inspect.training.fit import FitSettings
    from kizu_inspect.training.report import write_report
    from kizu_inspect.training.settings import TrainingSettings
    from kizu_inspect.training.standard import standard_architecture
    from kizu_inspect.training.train import train

    drawn = write_set(
        folders.root / "parts", count=scale.training_parts, seed=TRAINING_SEED, size_px=scale.size_px,
        splits={"train": 0.85, "val": 0.15},
    )  # fmt: skip
    # In so short a time more and smaller steps, most of them on what is not learned yet, find the faint scratches that
    # fewer large ones miss.
    fitting = FitSettings(batch_size=16, hard_share=0.75, seed=seed)
    inputs = InputSettings(height_px=scale.size_px, width_px=scale.size_px)
    settings = TrainingSettings(
        name="demo-plates", input=inputs, architecture=standard_architecture("local", inputs.profile, marked=True), fit=fitting,
        seconds=scale.training_s, learn_places=True,
    )  # fmt: skip
    trained = train(read_labelled(drawn), folders.bundle, settings, on_plan=on_plan, progress=progress)
    write_report(trained, folders.bundle)
    return trained


def measure(folders: DemoFolders, scale: DemoScale) -> Evaluation:
    """The figures of the demo's model on parts it has never seen, half of them good."""
    from kizu_inspect.bundle import Bundle
    from kizu_inspect.evaluation.evaluate import evaluate

    drawn = write_set(
        folders.root / "unseen", count=scale.unseen_parts, seed=UNSEEN_SEED, size_px=scale.size_px, splits={"test": 1}
    )
    return evaluate(Bundle.load(folders.bundle), read_labelled(drawn).split("test"), methods=("cam", "grad-cam"))


def run_line(folders: DemoFolders, config: KizuConfig, scale: DemoScale, *, parts_per_s: float = 10.0) -> RunSummary:
    """Drops new parts into the watched folder one by one while the line runs, and ends when all are inspected."""
    stream = write_set(
        folders.root / "stream", count=scale.stream_parts, seed=STREAM_SEED, size_px=scale.size_px, share_good=0.7,
        splits={"test": 1},
    )  # fmt: skip
    pictures = sorted((stream.parent / "images").iterdir())
    done = folders.root / "done"
    stop, all_in = threading.Event(), threading.Event()

    def drop() -> None:
        for picture in pictures:
            waiting = folders.root / "incoming" / (picture.name + ".part")
            waiting.write_bytes(picture.read_bytes())
            waiting.rename(waiting.with_suffix(""))
            time.sleep(1 / parts_per_s)  # the pace of the line, not a wait for anything
        all_in.set()

    def end_when_done() -> None:
        all_in.wait()
        while not stop.is_set() and len(list(done.glob("*.png"))) < len(pictures):
            stop.wait(0.1)
        stop.set()

    workers = [threading.Thread(target=work, daemon=True) for work in (drop, end_when_done)]
    for worker in workers:
        worker.start()
    try:
        return run_config(config, once=False, stop=stop)
    finally:
        stop.set()
