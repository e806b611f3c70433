"""Limits as a picture: what every PASS limit costs, and the pictures that those chosen rest on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from kizu_inspect.bundle import Thresholds
from kizu_inspect.recipe import Bits
from kizu_inspect.sums.intervals import clopper_pearson_upper
from kizu_inspect.training.picture_rows import ROW_INCHES, Shown, draw_row
from kizu_inspect.training.thresholds import Scored

__all__ = ["LIMITING", "draw_trade_off", "write_trade_off"]

LIMITING = "The limits rest on these pictures: is each label right?"


def draw_trade_off(axes: Axes, scored: Scored, chosen: Thresholds) -> None:
    """Misses over good pictures flagged, for every PASS limit: what was seen, and the bound that may be promised."""
    bad, good = np.sort(scored.scores[scored.defective]), scored.scores[~scored.defective]
    if len(bad) == 0 or len(good) == 0:
        axes.text(0.5, 0.5, "no trade-off without good and defective pictures", ha="center", va="center")
        return
    limits = np.unique(np.concatenate([[0.0], bad, [1.0]]))
    missed = np.searchsorted(bad, limits)
    flagged = [float((good >= limit).mean()) for limit in limits]
    axes.plot(flagged, missed / len(bad), drawstyle="steps-post", label=f"misses seen (of {len(bad)})")
    bounds = [clopper_pearson_upper(int(misses), len(bad)) for misses in missed]
    axes.plot(flagged, bounds, drawstyle="steps-post", label="95 % upper bound")
    here = float((good >= chosen.pass_below).mean())
    axes.axvline(here, color="grey", linestyle=":", label=f"PASS limit {chosen.pass_below:.3f}")
    axes.set(title="Trade-off", xlabel=f"good pictures not passed (of {len(good)})", ylabel="miss rate", xlim=(-0.02, 1.02))
    axes.set_ylim(-0.01, max(0.2, min(1.0, 2 * bounds[0])))
    axes.legend()


def write_trade_off(path: Path, scored: Scored, chosen: Thresholds, limiting: Sequence[Shown], bits: Bits | None) -> None:
    """Draws the trade-off as PNG, and below it the pictures that the chosen limits rest on."""
    heights = [4.2, *([ROW_INCHES] if limiting else [])]
    figure = Figure(figsize=(8, sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    costs, *below = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False).flat
    draw_trade_off(costs.subplots(), scored, chosen)
    for part in below:
        draw_row(part, LIMITING, limiting, bits, places=6)
    figure.savefig(path, dpi=110)
