"""The options of `kizu train`, by what a person wants: each has its panel in `kizu train --help`, and an example."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from kizu.candidates import COMPARED
from kizu.labelled_set import DATA

__all__ = [
    "BackboneOption",
    "CompareOption",
    "ComparisonOption",
    "DeviceOption",
    "HeadOption",
    "LabelsOption",
    "MinutesOption",
    "NameOption",
    "OutOption",
    "PlacesOption",
    "ProfileOption",
    "PromiseOption",
    "ResumeOption",
    "SeedOption",
    "SettingsOption",
    "SizeOption",
    "StepsOption",
    "TileOption",
    "WeightsOption",
]

RESULT: Final = "Result"
TIME: Final = "Time"
NETWORK: Final = "Network"
LIMITS: Final = "Limits"
HEATMAPS: Final = "Heatmaps"
RARELY: Final = "Rarely needed"

OutOption = Annotated[Path, typer.Option(help="Folder of the new bundle, as bundles/plates.", rich_help_panel=RESULT)]
NameOption = Annotated[
    str | None,
    typer.Option(help="The model's name, as plates-2026 (default: the bundle folder's).", rich_help_panel=RESULT),
]

ComparisonOption = Annotated[
    Path | None,
    typer.Option(
        "--json", help="Write the figures of --compare as JSON to this file too (- for stdout).", rich_help_panel=RESULT
    ),
]

LabelsOption = Annotated[
    str,
    typer.Option(help="one class a part, or several: each defect class is then judged for itself.", rich_help_panel=DATA),
]
StepsOption = Annotated[
    int | None,
    typer.Option(
        help="Optimiser steps, as 2000 (default: 1000; fewer, but at least 400, where they take over 7 minutes).",
        min=1,
        rich_help_panel=TIME,
    ),
]
MinutesOption = Annotated[
    float | None,
    typer.Option(
        help="Take the steps that fit into this time, as 60, calibration included (all candidates together).",
        rich_help_panel=TIME,
    ),
]
ResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume", help="Go on with this bundle's training that broke off; all other options as before.", rich_help_panel=TIME
    ),
]

ProfileOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Input profile: part (parts lie the same way), surface (texture), reference (compares with a golden picture), "
        "plain, or auto, which looks at the pictures. Of several, as --profile part --profile surface, the better is kept.",
        rich_help_panel=NETWORK,
    ),
]
SizeOption = Annotated[
    int | None,
    typer.Option(help="Longer side of the input in px, as 320 (default: the pictures', at most 224).", rich_help_panel=NETWORK),
]
TileOption = Annotated[
    int | None,
    typer.Option(
        help="Judge large pictures in overlapping tiles of so many px a side, as 128, at full resolution; 0: never "
        "(default: 128 where squeezing would lose marked defects, unless --size is given).",
        min=0, rich_help_panel=NETWORK,
    ),
]  # fmt: skip
BackboneOption = Annotated[
    list[str] | None,
    typer.Option(
        help="local (the default), resnet18, resnet50, mobilenet_v3_small, …; with --compare several times.",
        rich_help_panel=NETWORK,
    ),
]
CompareOption = Annotated[
    bool,
    typer.Option(
        "--compare",
        help=f"Train every backbone named ({', '.join(COMPARED)} where none is) with every profile asked for, print their "
        "figures on validation pictures, and keep the one to recommend.",
        rich_help_panel=NETWORK,
    ),
]
WeightsOption = Annotated[
    Path | None,
    typer.Option(help="torchvision weights to start from, as resnet18-f37072fd.pth.", rich_help_panel=NETWORK),
]

PromiseOption = Annotated[
    float,
    typer.Option(
        help="Miss rate that the PASS limit promises, as 0.01 for one defective part in a hundred.", min=0.0001, max=0.9999,
        rich_help_panel=LIMITS,
    ),
]  # fmt: skip

PlacesOption = Annotated[
    bool,
    typer.Option(
        "--places/--no-places",
        help="Learn from boxes or masks where defects lie; or from labels alone (tiles always need places).",
        rich_help_panel=HEATMAPS,
    ),
]
HeadOption = Annotated[
    str,
    typer.Option(
        help="evidence, linear, mlp or lfi (the verdict through LFI-CAM's attention); all five methods fit the first.",
        rich_help_panel=HEATMAPS,
    ),
]

SettingsOption = Annotated[
    Path | None,
    typer.Option(
        help="YAML file with what has no option here, as a copy of configs/training.yaml: learning rate, cells, alignment, …",
        rich_help_panel=RARELY,
    ),
]
SeedOption = Annotated[
    int, typer.Option(help="Of every random draw, as 7 for another training.", min=0, rich_help_panel=RARELY)
]  # fmt: skip
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.", rich_help_panel=RARELY)]
