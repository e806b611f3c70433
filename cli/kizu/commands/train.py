"""kizu train: from labelled pictures to a bundle."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from kizu.candidates import COMPARED, backbones_for, input_size, settings_of
from kizu.commands.calibrate import trade_off_table
from kizu.console import BitsOption, JsonOption, bit_depth, progress_bar, screen, write_json
from kizu.labelled_set import SetArgument, UnlabelledOption, tell, unlabelled_choice
from kizu_inspect.errors import ConfigError

__all__ = ["train_command"]

ENOUGH_STEPS = 1000
ENOUGH_MINUTES = 7.0


def train_command(
    data: SetArgument,
    out: Annotated[Path, typer.Option(help="Folder of the new bundle.")],
    good: Annotated[str | None, typer.Option(help="The class that passes (default: good, ok, normal, pass or free).")] = None,
    name: Annotated[str | None, typer.Option(help="The model's name (default: the bundle folder's).")] = None,
    steps: Annotated[
        int | None, typer.Option(help="Optimiser steps (default: 1000, fewer where they take more than 7 minutes).", min=1)
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(help="Take the steps that fit into this time (all candidates together), at least 400 unless compared."),
    ] = None,
    profile: Annotated[
        list[str] | None,
        typer.Option(
            help="Input profile: part (fixed geometry), surface (texture), reference (compares with the manifest's reference "
            "pictures), plain, or auto (reference where every picture has one, else part where the pictures are alike, "
            "surface where they are not, and the better of both where that is in doubt); the better one of several."
        ),
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="Longer side of the input in px (default: the pictures', at most 224).")
    ] = None,
    tile: Annotated[
        int | None,
        typer.Option(
            help="Judge large pictures in overlapping tiles of so many px a side, at full resolution; 0: never (default: 128 "
            "where squeezing would lose marked defects, unless --size is given).",
            min=0,
        ),
    ] = None,
    places: Annotated[
        bool,
        typer.Option(
            "--places/--no-places",
            help="Learn from boxes or masks where defects lie; or from labels alone (tiles always need places).",
        ),
    ] = True,
    alignment: Annotated[
        str, typer.Option(help="How a reference is laid over its picture: none, translation or homography (change of view).")
    ] = "translation",
    least_correlation: Annotated[
        float, typer.Option(help="A picture that correlates less with its reference is not judged.", min=-1, max=1)
    ] = 0.5,
    promise: Annotated[float, typer.Option(help="Miss rate that the PASS limit promises.", min=0.0001, max=0.9999)] = 0.05,
    backbone: Annotated[
        list[str] | None,
        typer.Option(help="local (the default), resnet18, resnet50, mobilenet_v3_small, …; with --compare several times."),
    ] = None,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare",
            help=f"Train every backbone named ({', '.join(COMPARED)} where none is) with every profile asked for, print their "
            "figures on validation pictures, and keep the one to recommend.",
        ),
    ] = False,
    head: Annotated[
        str, typer.Option(help="evidence, linear, mlp or lfi (the verdict through LFI-CAM's attention).")
    ] = "evidence",
    labels: Annotated[
        str, typer.Option(help="one class a part, or several: each defect class is then judged for itself.")
    ] = "one",
    readout: Annotated[
        str, typer.Option(help="Of the LFI head: evidence, or published (pooling and a linear layer).")
    ] = "evidence",
    bottleneck: Annotated[int | None, typer.Option(help="Inner channels of the LFI head's importance network.", min=1)] = None,
    attention: Annotated[
        bool, typer.Option("--attention/--no-attention", help="Train the LFI head with its attention, or without to compare.")
    ] = True,
    cells: Annotated[
        int,
        typer.Option(
            help="Side of the map's cells in px: 4, 8 or 16, from the network's stages fused; 0: its last map as it is."
        ),
    ] = 4,
    branch: Annotated[
        bool,
        typer.Option(
            "--branch/--no-branch", help="Train an LFI-CAM branch beside the evidence head, so that all five methods fit."
        ),
    ] = True,
    weights: Annotated[Path | None, typer.Option(help="torchvision weights to start from.")] = None,
    group_pattern: Annotated[
        str | None, typer.Option(help="Regular expression for a picture's group, found in its file name.")
    ] = None,
    unlabelled: UnlabelledOption = "refuse",
    bits: BitsOption = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    json: JsonOption = None,
) -> None:
    """Train, calibrate and set thresholds. Example: kizu train parts --out bundles/plates"""
    from kizu.comparison import cautions, comparison_table
    from kizu.squeezing import tiling_for
    from kizu_inspect.comparing.compare import compare as train_and_compare
    from kizu_inspect.labelled.checking.near_twins import near_twins_of
    from kizu_inspect.labelled.dataset import read_labelled
    from kizu_inspect.picture.inputs import stride_for
    from kizu_inspect.training.likely_profiles import likely_profiles
    from kizu_inspect.training.report import write_report
    from kizu_inspect.training.settings import COARSE_PX
    from kizu_inspect.training.thresholds import trade_off
    from kizu_inspect.training.train import train

    backbones = backbones_for(backbone or (), compare=compare)
    depth = bit_depth(bits)
    labelled = read_labelled(data, good=good, group_pattern=group_pattern, seed=seed, unlabelled=unlabelled_choice(unlabelled))
    tell([*labelled.warnings, *near_twins_of(labelled, depth)], labelled.left_out)
    say = (Console(stderr=True, highlight=False, soft_wrap=True) if str(json) == "-" else screen).print
    profiles: tuple[str, ...] = tuple(dict.fromkeys(profile or ["auto"]))
    tiling = tiling_for(labelled, tile=tile, size=size, places=places, profiles=profiles, cell_px=cells or COARSE_PX)
    tell(tiling.warnings, None)
    for line in tiling.said:
        say(line)
    tile = tiling.tile_px
    if "auto" in profiles:
        profiles = likely_profiles(labelled, tiled=tile is not None, bits=depth)
    several = len(backbones) * len(profiles) > 1
    if json is not None and not several:
        raise ConfigError(
            "nothing is compared that could be written", found="--json", next_step="Add --compare, or leave it out."
        )
    height, width = (tile, tile) if tile is not None else input_size(labelled, longest=size)
    common = {
        "name": name or out.name,
        "input": {
            "height_px": height,
            "width_px": width,
            "tiling": None if tile is None else {"stride_px": stride_for(tile)},
            "bits": depth,
            "alignment": {"kind": alignment, "least_correlation": least_correlation},
        },
        "architecture": {
            "cell_px": cells or None,
            "branch": branch,
            "marked": (places or tile is not None) and any(sample.boxes or sample.masked for sample in labelled.samples),
            "kind": head,
            "labels": labels,
            "readout": readout,
            "bottleneck": bottleneck,
            "attends": attention,
        },
        "fit": {"steps": steps or ENOUGH_STEPS, "seed": seed},
        "most_steps": ENOUGH_STEPS if minutes is None else steps,
        "learn_places": places,
        "device": device,
        "promised_miss_rate": promise,
        "backbone_weights": weights,
    }
    if minutes is None and steps is None:
        minutes = ENOUGH_MINUTES * (len(backbones) * len(profiles) if compare else 1)
    candidates = settings_of(common, backbones=backbones, profiles=profiles, minutes=minutes, compare=compare)
    counts = ", ".join(f"{len(labelled.split(split))} {split}" for split in ("train", "val", "test"))
    say(f"{len(labelled.classes)} classes ({', '.join(labelled.classes)}), good: {labelled.good}; pictures: {counts}")
    with progress_bar("Training", None) as bar:

        def begin(one: str, number: int, seconds_a_step: float) -> None:
            say(f"{one}: {number} steps of {seconds_a_step:.3f} s, input {height} × {width} px")
            bar.reset(bar.task_ids[0], total=number)

        def advance(step: int, loss: float) -> None:
            bar.update(bar.task_ids[0], completed=step, note=f"loss {loss:.3f}")

        if several:
            trained, comparison = train_and_compare(
                labelled, out, candidates, on_steps=begin, progress=advance,
                on_failed=lambda one, reason: say(f"{one} left out: {reason}"),
            )  # fmt: skip
        else:
            ((only, settings),) = candidates.items()
            trained, comparison = train(labelled, out, settings, on_steps=partial(begin, only), progress=advance), None
    report = write_report(trained, out)
    if comparison is None:
        figures = trained.bundle.spec.provenance.figures
        say(f"validation accuracy {figures['validation_accuracy']:.3f}, loss {figures['validation_loss']:.3f}")
    else:
        write_json(out / "comparison.json", comparison.as_json())
        if json is not None:
            write_json(json, comparison.as_json())
        say(comparison_table(comparison))
        for caution in cautions(comparison):
            say(caution)
    if trained.scored is not None:
        overkill_limit = next(iter(candidates.values())).overkill_limit
        say(trade_off_table(trade_off(trained.scored, overkill_limit=overkill_limit)))
    say(escape(trained.said))
    if trained.bundle.spec.refine == "pixels":
        say("no places of defects were learned: maps are refined to pixels (explanation.refine: none stops it)")
    say(f"bundle {out} ({trained.bundle.hash[:12]}, profile {trained.bundle.spec.input.profile}), report {report}")
    if several:
        say(f"These pictures chose it and flatter it: kizu evaluate {out} {data} says what it is worth on others.")
