"""A comparison of trained candidates on the screen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.table import Table

from kizu.candidates import LEAST_STEPS

if TYPE_CHECKING:
    from kizu_inspect.comparing.compare import Comparison
    from kizu_inspect.evaluation.figures import Figure

__all__ = ["cautions", "comparison_table"]

USELESS = 0.5
"""More of the good parts to look at again is no inspection."""


def comparison_table(comparison: Comparison) -> Table:
    """A row for each candidate, the recommended one marked, and one for each map that knows nothing."""
    costs = comparison.costs
    pictures = len(next(iter(comparison.measured.values())).right)
    notes = [f"* recommended. On {pictures} validation pictures, with 95 % intervals."]
    some = next((cost for cost in costs.values() if cost is not None), None)
    if some is not None:
        promise = f"{comparison.promised_miss_rate:.1%}"
        limit = f"promises a miss rate of {promise}" if some.kept else f"misses at most {promise} of the defective pictures"
        short = "" if some.kept else f"; {some.defective} of these are too few for a promise"
        notes.append(f"Good flagged: for REVIEW or REJECT, at the PASS limit that {limit}{short}.")
        notes.append("Bound: one-sided 95 % upper bound of the miss rate at that limit.")
    if comparison.unknowing:
        notes.append("Pointing: the heatmap's maximum lies on the defect. Enrichment: 1 is a map without any knowledge.")
    threads = f"{comparison.threads} thread{'' if comparison.threads == 1 else 's'}"
    tiled = any(settings.input.tiling is not None for settings in comparison.settings.values())
    one_input = "tile" if tiled else "picture"
    notes.append(f"ms: a forward pass on {comparison.device}, {threads}; of one {one_input} alone, and of each of 16 together.")
    table = Table(
        "candidate", "accuracy", "good\nflagged", "missed\nbound", "pointing", "enrich-\nment", "ms\nalone\nin 16s",
        "para-\nmeters", box=None, padding=(0, 1, 0, 0), pad_edge=False, caption="\n".join(notes), caption_justify="left",
    )  # fmt: skip
    for name, one in comparison.measured.items():
        cost, settings = costs[name], comparison.settings[name]
        mark = "*" if name == comparison.recommendation.name else " "
        table.add_row(
            f"{mark} {settings.architecture.backbone}\n  {settings.input.profile}, {one.steps} steps",
            _share(one.accuracy), "–" if cost is None else _share(cost.good_flagged),
            "–" if cost is None else f"{cost.missed}/{cost.defective}\n{cost.bound:.1%}",
            *_maps(one.maps), f"{one.alone_ms:.1f}\n{one.together_ms:.1f}", f"{one.parameters / 1e6:.1f} M",
        )  # fmt: skip
    for name in comparison.failed:
        settings = comparison.settings[name]
        table.add_row(f"  {settings.architecture.backbone}\n  {settings.input.profile}, left out", *["–"] * 7)
    for name, maps in comparison.unknowing.items():
        table.add_row(f"  ({name} map)", "", "", "", *_maps(maps), "", "")
    return table


def cautions(comparison: Comparison) -> list[str]:
    """What the figures do not say by themselves: shares of the time that were too short, and a winner that is of no use yet."""
    said = []
    few = [name for name, one in comparison.measured.items() if one.steps < LEAST_STEPS]
    probed = [one.seconds_a_step for one in comparison.measured.values() if one.seconds_a_step is not None]
    if few and probed:
        minutes = math.ceil(LEAST_STEPS * max(probed) * len(comparison.settings) / 60)
        said.append(
            f"Fewer than {LEAST_STEPS} steps fitted into the share of {', '.join(few)}: a network that is hardly trained says "
            f"little of what it can do. --minutes {minutes} gives each as many."
        )
    cost = comparison.costs[comparison.recommendation.name]
    if cost is not None and cost.good_flagged.value is not None and cost.good_flagged.value > USELESS:
        said.append(
            f"Even {comparison.recommendation.name} flags {cost.good_flagged.value:.2f} of the good parts at that limit: it is "
            "the best of these, and not ready for a line. Train longer, or on more pictures."
        )
    return said


def _share(figure: Figure) -> str:
    """The value over its interval."""
    if figure.value is None:
        return "–"
    return f"{figure.value:.2f}\n{figure.low:.2f}–{figure.high:.2f}"


def _maps(figures: Mapping[str, Figure]) -> tuple[str, str]:
    """Pointing and enrichment."""
    if not figures:
        return "–", "–"
    enrichment = figures["enrichment"].value
    return _share(figures["pointing"]), "–" if enrichment is None else f"{enrichment:.1f}"
