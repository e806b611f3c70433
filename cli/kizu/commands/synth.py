"""kizu synth: drawn parts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kizu.console import progress_bar, screen
from kizu_inspect.synth import SMALLEST_PX, write_set

__all__ = ["synth_command"]


def synth_command(
    out: Annotated[Path, typer.Argument(help="New folder for images/, masks/ and manifest.csv.")],
    count: Annotated[int, typer.Option(help="How many parts.", min=1)] = 1000,
    seed: Annotated[int, typer.Option(help="The same seed draws the same parts.", min=0)] = 0,
    size: Annotated[int, typer.Option(help="Side of the square pictures in px.", min=SMALLEST_PX)] = 160,
    good: Annotated[float, typer.Option(help="Share of good parts.", min=0, max=1)] = 0.5,
) -> None:
    """Draw brushed-metal plates, good and defective, with masks. Example: kizu synth parts --count 1600"""
    with progress_bar("Drawing", count) as bar:
        manifest = write_set(
            out, count=count, seed=seed, size_px=size, share_good=good,
            progress=lambda done: bar.update(bar.task_ids[0], completed=done),
        )  # fmt: skip
    screen.print(f"{count} parts in {out}, labels in {manifest}")
