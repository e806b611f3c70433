"""kizu inspect: judge pictures without a database."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.table import Table

from kizu.console import JsonOption, screen, write_json
from kizu_inspect.errors import ConfigError, ImageError, SourceError
from kizu_inspect.recipe import ExplanationSettings, Recipe, ReferenceSettings, Refine, Target
from kizu_inspect.results import Explanation, Judgement, Region, Verdict
from kizu_inspect.settings import describe_invalid

__all__ = ["inspect_command"]


def inspect_command(
    bundle: Annotated[Path, typer.Argument(help="Folder of the trained model.")],
    images: Annotated[list[Path], typer.Argument(help="Pictures to judge.")],
    method: Annotated[str, typer.Option(help="Explanation method.")] = "grad-cam",
    target: Annotated[
        Target, typer.Option(help="Explain the defect's logit, or how far it lies above the good class.")
    ] = "class",
    channels: Annotated[int | None, typer.Option(min=1, help="Score-CAM on so many channels (default: all, exact).")] = None,
    refine: Annotated[
        Refine | None,
        typer.Option(help="pixels: draw maps at every second pixel; none: by the network's cells. Default: the bundle's own."),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(help="The defect-free picture to compare with; with --reference-pattern, the folder of such pictures."),
    ] = None,
    reference_pattern: Annotated[
        str | None, typer.Option(help="Regular expression on a picture's file name, such as '(.+)_test[.]jpg'.")
    ] = None,
    reference_name: Annotated[str, typer.Option(help="Its reference's file name, such as '\\1_temp.jpg'.")] = r"\1.png",
    mm_per_px: Annotated[
        float | None, typer.Option(min=0, help="What a pixel shows of the part; --json then tells sizes of regions in mm too.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    out: Annotated[Path | None, typer.Option(help="Write each picture with its heatmap and regions into this folder.")] = None,
    json: JsonOption = None,
    fail_on: Annotated[str | None, typer.Option(help="reject: exit with 3 when a part is rejected.")] = None,
) -> None:
    """Judge pictures. Example: kizu inspect bundles/plates part.png --out shown"""
    import cv2
    import numpy as np

    from kizu_inspect.inspector import Inspector
    from kizu_inspect.picture.decoding import decode_image
    from kizu_inspect.picture.heatmap import overlay
    from kizu_inspect.picture.images import encode_png

    if fail_on not in (None, "reject"):
        raise typer.BadParameter(f"found {fail_on}; expected reject", param_hint="--fail-on")
    try:
        settings = Recipe(
            bundle=bundle,
            explanation=ExplanationSettings(method=method, target=target, channels=channels, refine=refine),
            mm_per_px=mm_per_px,
            reference=None
            if reference is None
            else ReferenceSettings(path=reference, pattern=reference_pattern, name=reference_name),
        )
    except ValidationError as error:
        raise ConfigError("options are not understood", found=describe_invalid(error)) from None
    inspector = Inspector.load(settings, device=device)  # type: ignore[arg-type]  # pick_device refuses other words
    results: list[tuple[Path, Judgement, Explanation | None]] = []
    written: Counter[str] = Counter()
    for start in range(0, len(images), 16):
        names, pictures = [], []
        for path in images[start : start + 16]:
            try:
                pictures.append(decode_image(path.read_bytes(), bits=inspector.bits))
                names.append(path)
            except OSError as error:
                raise SourceError(f"picture {path} cannot be opened", found=str(error.strerror)) from None
            except ImageError as error:
                results.append((path, Judgement(Verdict.ERROR, str(error)), None))
        batch = inspector.judge(pictures, names=[path.name for path in names])
        explained = inspector.explain(batch, range(len(pictures)))
        results += zip(names, batch.judgements, explained, strict=True)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            for path, picture, explanation in zip(names, pictures, explained, strict=True):
                shown = overlay(picture, explanation.heatmap)
                for region in explanation.regions:
                    cv2.polylines(shown, [np.array(region.contour, np.int32)], isClosed=True, color=(255, 255, 255))
                written[path.stem] += 1  # pictures of several folders may bear one name
                name = path.stem if written[path.stem] == 1 else f"{path.stem}-{written[path.stem]}"
                (out / f"{name}.{method}.png").write_bytes(encode_png(shown))
    order = {path: number for number, path in enumerate(images)}
    results.sort(key=lambda one: order[one[0]])
    table = Table("picture", "verdict", "class", "score", "regions", "reason", box=None)
    for path, judgement, found in results:
        score = "" if judgement.score is None else f"{judgement.score:.3f}"
        count = "" if found is None else str(len(found.regions))
        table.add_row(path.name, judgement.verdict.value, judgement.predicted or "", score, count, judgement.reason)
    if json is not None:
        write_json(
            json,
            {
                "model": inspector.model.hash,
                "device": inspector.device,
                "images": [_as_json(*one, mm_per_px=mm_per_px) for one in results],
            },
        )
    if str(json) != "-":
        screen.print(table)
    if fail_on == "reject" and any(judgement.verdict is Verdict.REJECT for _, judgement, _ in results):
        raise typer.Exit(3)
    if any(judgement.verdict is Verdict.ERROR for _, judgement, _ in results):
        raise typer.Exit(1)


def _as_json(path: Path, judgement: Judgement, explanation: Explanation | None, *, mm_per_px: float | None) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "path": str(path),
        "verdict": judgement.verdict.value,
        "reason": judgement.reason,
        "predicted": judgement.predicted,
        "score": judgement.score,
        "novelty": judgement.novelty,
        "probabilities": dict(judgement.probabilities),
    }
    if explanation is not None:
        heatmap = explanation.heatmap
        shown["explanation"] = {
            "method": heatmap.method, "target": heatmap.target, "status": heatmap.status.value, "maximum": heatmap.maximum,
            "scale": heatmap.scale, "grid": heatmap.grid.astype(float).tolist(), "geometry": asdict(heatmap.geometry),
            "regions": [_region(region, mm_per_px) for region in explanation.regions],
            "check": None if explanation.check is None else asdict(explanation.check),
        }  # fmt: skip
    return shown


def _region(region: Region, mm_per_px: float | None) -> dict[str, Any]:
    """Its fields, and its sizes in mm where a pixel's is known."""
    size = None if mm_per_px is None else region.in_mm(mm_per_px)
    return asdict(region) | ({} if size is None else asdict(size))
