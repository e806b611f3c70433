"""kizu adopt: a classifier that was trained elsewhere becomes a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from kizu.commands.calibrate import trade_off_table
from kizu.console import screen
from kizu.labelled_set import BitsOption, GoodOption, GroupOption, UnlabelledOption, bit_depth, tell, unlabelled_choice
from kizu.new_bundle import ReplaceOption, check_new_bundle
from kizu_inspect.errors import ConfigError

__all__ = ["adopt_command"]


def adopt_command(
    weights: Annotated[Path, typer.Argument(help="State dict of a torchvision classifier: .pth, .pt or .safetensors.")],
    data: Annotated[
        Path, typer.Argument(help="Labelled pictures, as kizu train reads them; best such as its training has not seen.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the new bundle.")],
    classes: Annotated[str, typer.Option(help="Its classes in the order of its logits, with commas: good,dent,scratch.")],
    backbone: Annotated[str, typer.Option(help="resnet18, resnet34, resnet50 or efficientnet_b0.")] = "resnet18",
    good: GoodOption = None,
    size: Annotated[str, typer.Option(help="Its input in px: one side, or height x width as 180x240.")] = "224",
    resize: Annotated[str, typer.Option(help="How a picture is brought to it: stretch, or letterbox.")] = "stretch",
    bits: BitsOption = None,
    mean: Annotated[
        str, typer.Option(help="What its training subtracted of red, green and blue in [0, 1].")
    ] = "0.485,0.456,0.406",
    std: Annotated[str, typer.Option(help="What it divided them by.")] = "0.229,0.224,0.225",
    name: Annotated[str | None, typer.Option(help="The model's name (default: the bundle folder's).")] = None,
    promise: Annotated[float, typer.Option(help="Miss rate that the PASS limit promises.", min=0.0001, max=0.9999)] = 0.05,
    replace: ReplaceOption = False,
    group_pattern: GroupOption = None,
    unlabelled: UnlabelledOption = "refuse",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Bring your own classifier. Example: kizu adopt net.pth parts --classes good,dent,scratch --out bundles/own"""
    from pydantic import ValidationError

    from kizu_inspect.labelled.dataset import read_labelled
    from kizu_inspect.settings import describe_invalid
    from kizu_inspect.training.adopt import adopt, architecture_of
    from kizu_inspect.training.draw_limits import write_trade_off
    from kizu_inspect.training.picture_rows import limiting_pictures
    from kizu_inspect.training.settings import TrainingSettings
    from kizu_inspect.training.thresholds import trade_off

    check_new_bundle(out, replace=replace)
    labelled = read_labelled(data, good=good, group_pattern=group_pattern, seed=seed, unlabelled=unlabelled_choice(unlabelled))
    tell(labelled.warnings, labelled.left_out)
    height, width = _size(size)
    try:
        settings = TrainingSettings.model_validate(
            {
                "name": name or out.name,
                "input": {
                    "height_px": height,
                    "width_px": width,
                    "resize": resize,
                    "profile": "plain",
                    "bits": bit_depth(bits),
                },
                "architecture": architecture_of(backbone),
                "fit": {"seed": seed},
                "device": device,
                "promised_miss_rate": promise,
            }
        )
    except ValidationError as error:
        raise ConfigError("the options are not understood", found=describe_invalid(error)) from None
    adopted = adopt(
        weights, labelled, out, settings, classes=[one.strip() for one in classes.split(",")],
        mean=_three(mean, "--mean"), std=_three(std, "--std"),
    )  # fmt: skip
    spec = adopted.bundle.spec
    screen.print(
        f"pictures are brought to {height} × {width} px ({resize}, each pixel the mean of its area); where its training "
        "cropped or resized otherwise, its answers differ by that"
    )
    screen.print(
        f"accuracy on {int(adopted.confusion.sum())} validation pictures {spec.provenance.figures['validation_accuracy']:.3f}"
    )
    if adopted.scored is not None:
        screen.print(trade_off_table(trade_off(adopted.scored, overkill_limit=settings.overkill_limit)))
        limiting = limiting_pictures(adopted.supports, adopted.limiting, adopted.scored.scores)
        write_trade_off(out / "trade_off.png", adopted.scored, spec.thresholds, limiting, settings.input.bits)
    screen.print(escape(adopted.said))
    screen.print(f"bundle {out} ({adopted.bundle.hash[:12]}); its maps: {', '.join(spec.explanation)}")


def _size(given: str) -> tuple[int, int]:
    parts = given.lower().split("x")
    if not all(part.strip().isdigit() for part in parts) or len(parts) not in (1, 2):
        raise ConfigError("--size is no size", found=given, expected="224, or height x width as 180x240")
    return int(parts[0]), int(parts[-1])


def _three(given: str, option: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in given.split(","))
    except ValueError:
        raise ConfigError(f"{option} is no list of numbers", found=given, expected="three, as 0.485,0.456,0.406") from None
