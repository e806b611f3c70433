"""kizu data: look through labelled pictures, and turn any format into a manifest."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from kizu.console import BitsOption, JsonOption, bit_depth, progress_bar, screen, write_json, write_text
from kizu_inspect.errors import ConfigError
from kizu_inspect.labelled.findings import refuse
from kizu_inspect.labelled.readers import EXPECTED, Splits, read_samples
from kizu_inspect.labelled.readers.manifest import write_manifest
from kizu_inspect.labelled.samples import SPLITS

if TYPE_CHECKING:
    from kizu_inspect.labelled.checking.check import Checked

__all__ = ["check_command", "convert_command"]

A_KIND = 5
"""Findings of one kind that the screen shows."""
COLOURS = {"error": "red", "warning": "yellow"}
DataArgument = Annotated[Path, typer.Argument(help=f"{EXPECTED[0].upper()}{EXPECTED[1:]}.")]
GroupOption = Annotated[str | None, typer.Option(help="Regular expression for a picture's group, found in its file name.")]


def check_command(
    data: DataArgument,
    good: Annotated[str | None, typer.Option(help="The class that passes (default: good, ok, normal, pass or free).")] = None,
    group_pattern: GroupOption = None,
    promise: Annotated[float, typer.Option(help="Miss rate that the set should promise.", min=0.0001, max=0.9999)] = 0.05,
    seed: Annotated[int, typer.Option(help="Of the split, where pictures have none; training's default is 0.", min=0)] = 0,
    bits: BitsOption = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with the pictures to this file.")] = None,
    json: JsonOption = None,
) -> None:
    """List all that is wrong with a set; exit code 1 where training refuses it. Example: kizu data check parts"""
    from kizu_inspect.labelled.checking.check import check_set
    from kizu_inspect.labelled.checking.page import page

    with progress_bar("Looking", None) as bar:
        checked = check_set(
            data, good=good, group_pattern=group_pattern, seed=seed, promise=promise, bits=bit_depth(bits),
            progress=lambda done, count: bar.update(bar.task_ids[0], completed=done, total=count),
        )  # fmt: skip
    if html is not None:
        write_text(html, page(checked))
    if json is not None:
        write_json(
            json,
            {
                "data": str(data),
                "format": checked.format,
                "good": checked.good,
                "pictures": len(checked.samples),
                "classes": checked.counts,
                "errors": checked.errors,
                "warnings": len(checked.findings) - checked.errors,
                "findings": [
                    {
                        "severity": finding.severity,
                        "kind": finding.kind,
                        "text": finding.text,
                        "pictures": [str(path) for path in finding.pictures],
                    }
                    for finding in checked.findings
                ],
            },
        )
    if str(json) != "-":
        _print(checked)
    if checked.errors:
        raise typer.Exit(1)


def _print(checked: Checked) -> None:
    table = Table("class", *SPLITS, box=None)
    for name, row in checked.counts.items():
        table.add_row(escape(name), *(str(row[split]) for split in SPLITS))
    screen.print(table)
    shown: Counter[str] = Counter()
    for finding in checked.findings:
        shown[finding.kind] += 1
        if shown[finding.kind] <= A_KIND:
            screen.print(f"[{COLOURS[finding.severity]}]{finding.severity}[/]: {escape(finding.text)}")
    for kind, count in shown.items():
        if count > A_KIND:
            screen.print(f"… and {count - A_KIND} more of kind {kind}: --html or --json shows them")
    warnings = len(checked.findings) - checked.errors
    screen.print(
        f"{len(checked.samples)} pictures read as {checked.format}, good: {escape(str(checked.good))}; "
        f"errors: {checked.errors}, warnings: {warnings}"
    )


def convert_command(
    data: DataArgument,
    out: Annotated[Path, typer.Argument(help="New manifest CSV; pictures stay where they are.")],
    splits: Annotated[
        str, typer.Option(help="keep the set's splits, anew (left to training), or usual: keep, but MVTec AD's anew.")
    ] = "usual",
    group_pattern: GroupOption = None,
) -> None:
    """Write a manifest of any set that Kizu reads. Example: kizu data convert coco/ parts.csv"""
    if out.suffix.lower() != ".csv":
        raise ConfigError("a manifest is a CSV", found=str(out), expected="a name ending in .csv")
    options: dict[str, Splits] = {"usual": "usual", "keep": "keep", "anew": "anew"}
    if splits not in options:
        raise ConfigError("splits are not understood", found=splits, expected=", ".join(options))
    read = read_samples(data, group_pattern=group_pattern, report=refuse, splits=options[splits])
    if not read.samples:
        raise ConfigError(f"data set {data} is empty", found="no picture", expected=EXPECTED)
    write_manifest(out, read.samples)
    counts = Counter(sample.split for sample in read.samples)
    said = ", ".join(f"{counts[split]} {split or 'without a split'}" for split in (*SPLITS, "") if counts[split])
    screen.print(f"{len(read.samples)} pictures, read as {read.format}, in {escape(str(out))}: {said}")
