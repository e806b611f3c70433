"""kizu data: look through labelled pictures, and turn any format into a manifest, COCO or VOC."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.markup import escape
from rich.table import Table

from kizu.console import JsonOption, progress_bar, screen, write_json, write_text
from kizu.labelled_set import (
    BitsOption,
    GoodOption,
    GroupOption,
    SetArgument,
    UnlabelledOption,
    bit_depth,
    tell,
    tell_findings,
    unlabelled_choice,
)
from kizu_inspect.errors import ConfigError
from kizu_inspect.labelled.choices import EXPECTED, LAYOUTS, Layout
from kizu_inspect.labelled.dataset import read_as_trained, seed_of
from kizu_inspect.labelled.findings import Finding, refuse
from kizu_inspect.labelled.readers import Splits, read_samples
from kizu_inspect.labelled.readers.manifest import write_manifest
from kizu_inspect.labelled.samples import SPLITS

if TYPE_CHECKING:
    from collections.abc import Callable

    from kizu_inspect.bundle import Bundle
    from kizu_inspect.labelled.checking.check import Checked
    from kizu_inspect.labelled.choices import Unlabelled
    from kizu_inspect.training.contradictions import Compared

__all__ = ["check_command", "convert_command"]

MANIFEST: Final = "manifest"


def check_command(
    data: SetArgument,
    good: GoodOption = None,
    group_pattern: GroupOption = None,
    promise: Annotated[float, typer.Option(help="Miss rate that the set should promise.", min=0.0001, max=0.9999)] = 0.05,
    seed: Annotated[int, typer.Option(help="Of the split, where pictures have none; training's default is 0.", min=0)] = 0,
    bits: BitsOption = None,
    unlabelled: UnlabelledOption = "refuse",
    size: Annotated[
        int | None, typer.Option(help="Longer side of the input that defects are measured in (default: as training's).", min=32)
    ] = None,
    tile: Annotated[
        int | None, typer.Option(help="Measure them in tiles of so many px a side, as training would.", min=32)
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            help="Bundle whose model reads the pictures too; names those whose labels it contradicts (split as it was)."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="Of the model: auto, cpu or cuda.")] = "auto",
    html: Annotated[Path | None, typer.Option(help="Write a page with the pictures to this file.")] = None,
    json: JsonOption = None,
) -> None:
    """List all that is wrong with a set; exit code 1 where training refuses it. Example: kizu data check parts"""
    from kizu_inspect.labelled.checking.check import check_set
    from kizu_inspect.labelled.checking.page import page

    bundle = None if model is None else _loaded(model)
    depth = bit_depth(bits)
    if bundle is not None:  # read and shared out as its training did
        spec = bundle.spec
        good, group_pattern = good or spec.good, group_pattern or spec.provenance.group_pattern
        seed, depth = seed_of(spec), depth or spec.input.bits
    with progress_bar("Looking", None) as bar:

        def advance(done: int, count: int) -> None:
            bar.update(bar.task_ids[0], completed=done, total=count)

        checked = check_set(
            data, good=good, group_pattern=group_pattern, seed=seed, promise=promise, bits=depth,
            unlabelled=unlabelled_choice(unlabelled), size=size, tile=tile, progress=advance,
        )  # fmt: skip
        compared = None
        if bundle is not None and checked.errors == 0:
            compared = _compare(bundle, data, unlabelled_choice(unlabelled), device, advance)
            checked = replace(checked, findings=(*checked.findings, *compared.findings))
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
                "pictures_there": checked.left_out.there,
                "left_out": {reason: [str(path) for path in paths] for reason, paths in checked.left_out.by_reason.items()},
                "boxes": checked.boxes,
                "masked": sum(sample.masked for sample in checked.samples),
                "classes": checked.counts,
                "defect_widths": None if checked.widths is None else checked.widths.as_json(),
                "compared": None
                if compared is None
                else {
                    "pictures": compared.pictures,
                    "unseen": compared.unseen,
                    "contradicted": {str(one.sample.path): one.probability for one in compared.contradicted},
                },
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
        if compared is not None:
            screen.print(escape(compared.said))
        elif bundle is not None:
            screen.print("the labels are compared with the model once training would take the set")
    if checked.errors:
        raise typer.Exit(1)


def _loaded(model: Path) -> Bundle:
    from kizu_inspect.bundle import Bundle

    return Bundle.load(model)


def _compare(
    bundle: Bundle, data: Path, unlabelled: Unlabelled, device: str, progress: Callable[[int, int], None]
) -> Compared:  # fmt: skip
    from kizu_inspect.training.contradictions import compare_labels

    labelled = read_as_trained(data, bundle.spec, unlabelled=unlabelled)
    return compare_labels(bundle, labelled, device, progress=progress)  # type: ignore[arg-type]  # pick_device refuses other words


def _print(checked: Checked) -> None:
    table = Table("class", *SPLITS, box=None)
    for name, row in checked.counts.items():
        table.add_row(escape(name), *(str(row[split]) for split in SPLITS))
    screen.print(table)
    tell_findings(checked.findings, screen, more="--html or --json shows them")
    screen.print(escape(checked.left_out.said))
    if checked.widths is not None:
        screen.print(escape(checked.widths.said))
    warnings = len(checked.findings) - checked.errors
    screen.print(
        f"{len(checked.samples)} pictures read as {checked.format}, good: {escape(str(checked.good))}; "
        f"errors: {checked.errors}, warnings: {warnings}"
    )


def convert_command(
    data: SetArgument,
    out: Annotated[Path, typer.Argument(help="New manifest CSV, or the new folder of a set with copies of the pictures.")],
    to: Annotated[str, typer.Option(help="What is written: manifest (pictures stay where they are), coco or voc.")] = MANIFEST,
    splits: Annotated[
        str, typer.Option(help="keep the set's splits, anew (left to training), or usual: keep, but MVTec AD's anew.")
    ] = "usual",
    good: GoodOption = None,
    group_pattern: GroupOption = None,
    unlabelled: UnlabelledOption = "refuse",
) -> None:
    """Write a manifest, COCO or VOC of any set that Kizu reads. Example: kizu data convert yolo/ coco/ --to coco"""
    layout = _layout(to)
    if layout is None and out.suffix.lower() != ".csv":
        raise ConfigError(
            "a manifest is a CSV", found=str(out), expected="a name ending in .csv",
            next_step="For a folder in another layout say --to coco or --to voc.",
        )  # fmt: skip
    if layout is None and good is not None:
        raise ConfigError("a manifest names every class", found=f"--good {good}", expected="--good with --to coco or voc alone")
    if layout is not None and out.resolve().is_relative_to(data.resolve()):
        raise ConfigError("the new set would lie in the old one", found=str(out), expected=f"a folder outside {data}")
    options: dict[str, Splits] = {"usual": "usual", "keep": "keep", "anew": "anew"}
    if splits not in options:
        raise ConfigError("splits are not understood", found=splits, expected=", ".join(options))
    warnings: list[Finding] = []

    def report(finding: Finding) -> None:
        refuse(finding)
        warnings.append(finding)

    read = read_samples(
        data, group_pattern=group_pattern, report=report, splits=options[splits], unlabelled=unlabelled_choice(unlabelled)
    )
    if not read.samples:
        found = read.left_out.said if read.left_out.there else "no picture"
        raise ConfigError(f"data set {data} is empty", found=found, expected=EXPECTED)
    if layout is None:
        write_manifest(out, read.samples)
    else:
        from kizu_inspect.labelled.writers.write import write_set

        warnings += write_set(out, read.samples, layout, good=good)
    tell(warnings, read.left_out)
    counts = Counter(sample.split for sample in read.samples)
    said = ", ".join(f"{counts[split]} {split or 'without a split'}" for split in (*SPLITS, "") if counts[split])
    screen.print(f"{len(read.samples)} pictures, read as {read.format}, in {escape(str(out))}: {said}")


def _layout(to: str) -> Layout | None:
    """The layout that `--to` names; None for a manifest. Raises ConfigError."""
    for layout in LAYOUTS:
        if to == layout:
            return layout
    if to != MANIFEST:
        raise ConfigError("--to is not understood", found=to, expected=", ".join((MANIFEST, *LAYOUTS)))
    return None
