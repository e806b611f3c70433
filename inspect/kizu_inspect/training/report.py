"""The training report: curves, confusion matrix and figures as one picture beside the bundle."""

from __future__ import annotations

import textwrap
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from kizu_inspect.training.thresholds import draw_trade_off
from kizu_inspect.training.train import Trained

__all__ = ["write_report"]

LINE = 220
"""Characters of a line that fit over the curves."""


def write_report(trained: Trained, folder: Path) -> Path:
    """Draws the report of a training into `folder`/training.png and returns its path."""
    spec, history = trained.bundle.spec, trained.history
    figure = Figure(figsize=(17.5, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    losses, accuracy, table, costs = figure.subplots(1, 4)
    losses.plot(history.steps, history.train_loss, label="training (smoothed labels)")
    losses.plot(history.steps, history.val_loss, label="validation")
    losses.axvline(history.best_step, color="grey", linestyle=":", label=f"kept: step {history.best_step}")
    losses.set(title="Loss", xlabel="step", ylabel="cross-entropy")
    losses.legend()
    accuracy.plot(history.steps, history.val_accuracy)
    accuracy.set(title="Validation accuracy while training", xlabel="step", ylim=(0, 1.02))
    table.imshow(trained.confusion, cmap="Blues")
    table.set_xticks(range(len(spec.classes)), spec.classes, rotation=30, ha="right")
    table.set_yticks(range(len(spec.classes)), spec.classes)
    for (row, column), count in [
        ((r, c), trained.confusion[r, c]) for r in range(len(spec.classes)) for c in range(len(spec.classes))
    ]:
        dark = count > trained.confusion.max() / 2
        table.text(column, row, str(count), ha="center", va="center", color="white" if dark else "black")
    table.set(title="Validation: truth (rows), prediction", xlabel="predicted", ylabel="true")
    if trained.scored is None:
        costs.set_axis_off()
    else:
        draw_trade_off(costs, trained.scored, spec.thresholds)
    shown = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in spec.provenance.figures.items())
    said = "\n".join(textwrap.fill(line, LINE) for line in trained.said.splitlines())
    figure.suptitle(f"{spec.name}: {shown}\n{said}", fontsize=10)
    path = folder / "training.png"
    figure.savefig(path, dpi=110)
    return path
