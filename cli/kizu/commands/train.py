"""kizu train: from labelled pictures to a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from pydantic import ValidationError

from kizu.commands.calibrate import trade_off_table
from kizu.console import progress_bar, screen
from kizu_inspect.errors import ConfigError
from kizu_inspect.settings import describe_invalid
from kizu_inspect.training.dataset import LabelledSet, read_labelled

__all__ = ["train_command"]

AUTO = ("part", "surface")


def train_command(
    data: Annotated[
        Path, typer.Argument(help="Class folders, a manifest CSV, or a set as MVTec AD, Pascal VOC, COCO or YOLO lay it out.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the new bundle.")],
    good: Annotated[str | None, typer.Option(help="The class that passes (default: good, ok, normal, pass or free).")] = None,
    name: Annotated[str | None, typer.Option(help="The model's name (default: the bundle folder's).")] = None,
    steps: Annotated[int, typer.Option(help="Optimiser steps.", min=1)] = 1000,
    minutes: Annotated[
        float | None, typer.Option(help="Take the steps that fit into this time instead (all profiles together), at least 400.")
    ] = None,
    profile: Annotated[
        str,
        typer.Option(
            help="Input profile: part (fixed geometry), surface (texture), reference (compares with the manifest's reference "
            "pictures), plain, or auto (the better of the first two)."
        ),
    ] = "part",
    size: Annotated[
        int | None, typer.Option(help="Longer side of the input in px (default: the pictures', at most 224).")
    ] = None,
    tile: Annotated[
        int | None,
        typer.Option(help="Judge large pictures in overlapping tiles of so many px a side, at full resolution.", min=32),
    ] = None,
    alignment: Annotated[
        str, typer.Option(help="How a reference is laid over its picture: none, translation or homography (change of view).")
    ] = "translation",
    promise: Annotated[float, typer.Option(help="Miss rate that the PASS limit promises.", min=0.0001, max=0.9999)] = 0.05,
    backbone: Annotated[str, typer.Option(help="local, resnet18, resnet50, mobilenet_v3_small, …")] = "local",
    head: Annotated[str, typer.Option(help="evidence, linear, mlp or lfi (LFI-CAM's attention).")] = "evidence",
    readout: Annotated[
        str, typer.Option(help="Of the LFI head: evidence, or published (pooling and a linear layer).")
    ] = "evidence",
    bottleneck: Annotated[int | None, typer.Option(help="Inner channels of the LFI head's importance network.", min=1)] = None,
    attention: Annotated[
        bool, typer.Option("--attention/--no-attention", help="Train the LFI head with its attention, or without to compare.")
    ] = True,
    weights: Annotated[Path | None, typer.Option(help="torchvision weights to start from.")] = None,
    group_pattern: Annotated[
        str | None, typer.Option(help="Regular expression for a picture's group, found in its file name.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Train, calibrate and set thresholds. Example: kizu train parts --out bundles/plates"""
    from kizu_inspect.training.choose import train_best
    from kizu_inspect.training.report import write_report
    from kizu_inspect.training.thresholds import trade_off
    from kizu_inspect.training.train import Trained, TrainingSettings

    labelled = read_labelled(data, good=good, group_pattern=group_pattern, seed=seed)
    height, width = (tile, tile) if tile is not None else input_size(labelled, longest=size)
    tiling = None if tile is None else {"stride_px": max(8, tile * 3 // 4 // 8 * 8)}
    profiles = AUTO if profile == "auto" else (profile,)
    options = {
        one: {
            "name": name or out.name,
            "input": {
                "height_px": height,
                "width_px": width,
                "profile": one,
                "tiling": tiling,
                "alignment": {"kind": alignment},
            },
            "architecture": {
                "backbone": backbone,
                "context": 1 if one == "surface" else 3,
                "head": {
                    "kind": head,
                    "top_share": 0.04 if one == "surface" else 0.03,
                    "readout": readout,
                    "bottleneck": bottleneck,
                    "attends": attention,
                },
            },
            "fit": {"steps": steps, "seed": seed},
            "seconds": None if minutes is None else minutes * 60 / len(profiles),
            "device": device,
            "promised_miss_rate": promise,
            "backbone_weights": weights,
        }
        for one in profiles
    }
    try:
        candidates = {one: TrainingSettings.model_validate(chosen) for one, chosen in options.items()}
    except ValidationError as error:
        raise ConfigError("options are not understood", found=describe_invalid(error)) from None
    counts = ", ".join(f"{len(labelled.split(split))} {split}" for split in ("train", "val", "test"))
    screen.print(f"{len(labelled.classes)} classes ({', '.join(labelled.classes)}), good: {labelled.good}; pictures: {counts}")
    with progress_bar("Training", None) as bar:

        def begin(number: int, seconds_a_step: float) -> None:
            screen.print(f"{number} steps of {seconds_a_step:.3f} s, input {height} × {width} px")
            bar.reset(bar.task_ids[0], total=number)

        def ready(one: str, trained: Trained) -> None:
            figures = trained.bundle.spec.provenance.figures
            accuracy, loss = figures["validation_accuracy"], figures["validation_loss"]
            screen.print(f"profile {one}: validation accuracy {accuracy:.3f}, loss {loss:.3f}")

        chosen, trained = train_best(
            labelled, out, candidates, on_steps=begin, on_trained=ready,
            progress=lambda step, loss: bar.update(bar.task_ids[0], completed=step, note=f"loss {loss:.3f}"),
        )  # fmt: skip
    report = write_report(trained, out)
    if trained.scored is not None:
        screen.print(trade_off_table(trade_off(trained.scored, overkill_limit=candidates[chosen].overkill_limit)))
    screen.print(trained.said)
    screen.print(f"bundle {out} ({trained.bundle.hash[:12]}, profile {chosen}), report {report}")


def input_size(labelled: LabelledSet, *, longest: int | None) -> tuple[int, int]:
    """Height and width of the input: the median picture, its longer side at most `longest` (224), in multiples of 8."""
    chosen = labelled.samples[:: max(1, len(labelled.samples) // 50)]
    shapes = [picture.shape[:2] for sample in chosen if (picture := cv2.imread(str(sample.path))) is not None]
    if not shapes:
        raise ConfigError("no picture can be read", found=str(chosen[0].path), expected="a PNG, JPEG, BMP or TIFF")
    height, width = np.median(shapes, axis=0)
    scale = (longest or min(224.0, max(height, width))) / max(height, width)
    sides = [max(32, round(side * scale / 8) * 8) for side in (height, width)]
    return sides[0], sides[1]
