"""The training report as one picture beside the bundle: curves, confusion matrix, figures, and pictures to look at."""

from __future__ import annotations

import textwrap
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from kizu_inspect.training.draw_limits import LIMITING, draw_trade_off
from kizu_inspect.training.picture_rows import ROW_INCHES, Shown, draw_row, limiting_pictures
from kizu_inspect.training.train import Trained

__all__ = ["write_report"]

LINE = 220
"""Characters of a line that fit over the curves."""
CURVES_INCHES, LINE_INCHES = 4.2, 0.17
PLACES = 12
"""Pictures in a row."""


CONTRADICTED = "While it learned, the model contradicted these training labels most: is each right?"


def write_report(trained: Trained, folder: Path) -> Path:
    """Draws the report of a training into `folder`/training.png and returns its path."""
    spec, history = trained.bundle.spec, trained.history
    scored = trained.scored
    limiting = () if scored is None else limiting_pictures(trained.supports, trained.limiting, scored.scores)
    rows = [(title, shown) for title, shown in ((LIMITING, limiting), (CONTRADICTED, _contradicted(trained))) if shown]
    said = [filled for line in trained.said.splitlines() for filled in textwrap.wrap(line, LINE)]
    heights = [CURVES_INCHES + LINE_INCHES * len(said), *(ROW_INCHES for _ in rows)]
    figure = Figure(figsize=(17.5, sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    curves, *below = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False).flat
    losses, accuracy, table, costs = curves.subplots(1, 4)
    losses.plot(history.steps, history.train_loss, label="training (smoothed labels)")
    losses.plot(history.steps, history.val_loss, label="validation")
    losses.axvline(history.best_step, color="grey", linestyle=":", label=f"kept: step {history.best_step}")
    losses.set(title="Loss", xlabel="step", ylabel="cross-entropy")
    losses.legend()
    accuracy.plot(history.steps, history.val_accuracy)
    accuracy.set(title="Validation accuracy while training", xlabel="step", ylim=(0, 1.02))
    table.imshow(trained.confusion, cmap="Blues")
    # A dollar in a name is a dollar: taken for a formula it could not be drawn.
    table.set_xticks(range(len(spec.classes)), spec.classes, rotation=30, ha="right", parse_math=False)
    table.set_yticks(range(len(spec.classes)), spec.classes, parse_math=False)
    for (row, column), count in [
        ((r, c), trained.confusion[r, c]) for r in range(len(spec.classes)) for c in range(len(spec.classes))
    ]:
        dark = count > trained.confusion.max() / 2
        table.text(column, row, str(count), ha="center", va="center", color="white" if dark else "black")
    table.set(title="Validation: truth (rows), prediction", xlabel="predicted", ylabel="true")
    if scored is None:
        costs.set_axis_off()
    else:
        draw_trade_off(costs, scored, spec.thresholds)
    shown = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in spec.provenance.figures.items())
    curves.suptitle("\n".join([f"{spec.name}: {shown}", *said]), fontsize=10, parse_math=False)
    for part, (title, pictures) in zip(below, rows, strict=True):
        draw_row(part, title, pictures, spec.input.bits, places=PLACES)
    path = folder / "training.png"
    figure.savefig(path, dpi=110)
    return path


def _contradicted(trained: Trained) -> tuple[Shown, ...]:
    said = "{label}\nprobability {probability:.2g}"
    return tuple(
        Shown(one.sample, said.format(label="|".join(one.sample.labels), probability=one.probability))
        for one in trained.contradicted
    )
