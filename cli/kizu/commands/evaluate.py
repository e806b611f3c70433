"""kizu evaluate: figures of a bundle on labelled pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from kizu.console import JsonOption, progress_bar, screen, write_json
from kizu.labelled_set import SetArgument, UnlabelledOption, tell, unlabelled_choice
from kizu_inspect.errors import DataError
from kizu_inspect.recipe import ExplanationSettings, Masked, Refine, Target

__all__ = ["evaluate_command"]

MOST_FAULTS = 5
"""So many pictures that the gates would stop are named."""


def evaluate_command(
    bundle: Annotated[Path, typer.Argument(help="Folder of the trained model.")],
    data: SetArgument,
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    explain: Annotated[
        str | None, typer.Option(help="Methods, separated by commas, or all (default: the one that the line takes).")
    ] = None,
    faithful: Annotated[
        int, typer.Option(help="Ask the model again about so many defective pictures: some sixty forward passes a map.", min=0)
    ] = 40,
    checked: Annotated[
        int,
        typer.Option(help="Check the maps of so many defective pictures as the line does, as they are and moved away.", min=0),
    ] = 40,
    target: Annotated[
        Target, typer.Option(help="Explain the defect's logit, or how far it lies above the good class.")
    ] = "class",
    masked: Annotated[
        Masked,
        typer.Option(
            help="What Score-CAM's masks hide behind: neutral (a picture without a defect, as the model sees it) or black."
        ),
    ] = "neutral",
    aligned_masks: Annotated[
        bool, typer.Option("--aligned-masks", help="Score-CAM's masks lie where the network's cells look.")
    ] = False,
    refine: Annotated[
        Refine | None,
        typer.Option(help="pixels: draw maps at every second pixel; none: by the network's cells. Default: the bundle's own."),
    ] = None,
    sheet: Annotated[Path | None, typer.Option(help="Write pictures, truth and maps side by side to this PNG.")] = None,
    unlabelled: UnlabelledOption = "refuse",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    json: JsonOption = None,
) -> None:
    """Measure a bundle. Example: kizu evaluate bundles/plates parts --split test --explain all"""
    from kizu_inspect.bundle import Bundle
    from kizu_inspect.evaluation.contact_sheet import write_contact_sheet
    from kizu_inspect.evaluation.evaluate import evaluate
    from kizu_inspect.evaluation.outlook import seconds_for
    from kizu_inspect.explain import EXPLAINERS, explainer
    from kizu_inspect.labelled.dataset import read_as_trained, shared_out_anew

    options = ExplanationSettings(target=target, masked=masked, aligned_masks=aligned_masks, refine=refine)
    loaded = Bundle.load(bundle)
    line = ExplanationSettings().method
    methods = list(EXPLAINERS) if explain == "all" else (explain or line).split(",")
    for method in methods:
        explainer(method)
    labelled = read_as_trained(data, loaded.spec, unlabelled=unlabelled_choice(unlabelled))
    tell([*labelled.warnings, *shared_out_anew(labelled, loaded.spec)], labelled.left_out)
    samples = labelled.split(split)
    unknown = sorted({sample.label for sample in samples} - set(loaded.spec.classes))
    if not samples or unknown:
        raise DataError(
            f"split {split} of {data} cannot be evaluated", found=f"{len(samples)} pictures, unknown classes {unknown}",
            expected=f"pictures of {', '.join(loaded.spec.classes)}",
        )  # fmt: skip
    with progress_bar("Evaluating", len(samples)) as bar:
        result = evaluate(
            loaded, samples, methods=methods, faithful=faithful, checked=checked, options=options, device=device,  # type: ignore[arg-type]  # pick_device refuses other words
            progress=lambda done: bar.update(bar.task_ids[0], completed=done),
        )  # fmt: skip
    if sheet is not None:
        shown = [method for method in methods if method not in result.skipped]
        write_contact_sheet(loaded, samples, sheet, methods=shown, options=options, device=device)  # type: ignore[arg-type]
    if json is not None:
        write_json(
            json,
            {
                "pictures": result.pictures,
                "classification": {name: figure.as_json() for name, figure in result.classification.items()},
                "explanation": {
                    method: {name: figure.as_json() for name, figure in figures.items()}
                    for method, figures in result.explanation.items()
                },
                "explanation_skipped": result.skipped,
            },
        )
    if str(json) == "-":
        return
    table = Table("figure", "value [95 % interval] (n)", box=None)
    named = [(name, figure) for name, figure in result.classification.items()]
    named += [(f"{method}: {name}", one) for method, figures in result.explanation.items() for name, one in figures.items()]
    for name, figure in named:
        if figure.n > 0:
            table.add_row(name.replace("_", " "), str(figure))
    screen.print(table)
    if not any(sample.boxes or sample.masked for sample in samples):
        screen.print("No picture says where its defect lies, so nothing can be said of where the maps point.")
    stopped = [(sample.path, fault) for sample, fault in zip(samples, result.faults, strict=True) if fault is not None]
    for path, fault in stopped[:MOST_FAULTS]:
        screen.print(f"The line would not judge {path}: {fault}")
    if len(stopped) > MOST_FAULTS:
        screen.print(f"and {len(stopped) - MOST_FAULTS} more pictures")
    if explain is None:
        others = [method for method in EXPLAINERS if method not in methods]
        taken = seconds_for(loaded, samples, others, options=options, device=device)  # type: ignore[arg-type]
        said = ", ".join(f"{method} about {_duration(seconds)}" for method, seconds in taken.items())
        screen.print(f"Only {methods[0]}, the line's method. Maps of the others would take: {said} (--explain all).")
    for method, reason in result.skipped.items():
        screen.print(f"{method} left out: {reason}")


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
