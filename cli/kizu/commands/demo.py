"""kizu demo."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from kizu.console import progress_bar, screen
from kizu.demo import DemoFolders, measure, run_line, train_demo
from kizu_pipeline.logs import configure_logging

__all__ = ["demo_command"]


def demo_command(
    folder: Annotated[Path, typer.Option(help="New folder for everything that the demo makes.")] = Path("demo"),
    port: Annotated[int, typer.Option(help="Port of the dashboard.")] = 8501,
    dashboard: Annotated[bool, typer.Option("--dashboard/--no-dashboard", help="Serve the dashboard at the end.")] = True,
) -> None:
    """Draw parts, train, run the line, open the dashboard: about four minutes. Example: kizu demo --no-dashboard"""
    started = time.monotonic()
    folders = DemoFolders(folder)
    folders.prepare()
    config = folders.write_config(port)
    screen.print("1/4 Drawing parts and training on them (about three minutes)")
    with progress_bar("Training", None) as bar:

        def begin(steps: int, seconds_a_step: float) -> None:
            screen.print(f"    {steps} steps, by a probe of {seconds_a_step:.3f} s a step")
            bar.update(bar.task_ids[0], total=steps)

        trained = train_demo(
            folders, on_steps=begin,
            progress=lambda step, loss: bar.update(bar.task_ids[0], completed=step, note=f"loss {loss:.3f}"),
        )  # fmt: skip
    screen.print(f"    {trained.said}")
    screen.print("2/4 Running the line on a stream of new parts")
    with (folder / "line.log").open("w", encoding="utf-8") as log:
        configure_logging(log)
        summary = run_line(folders, config)
    counts = ", ".join(f"{count} {verdict.value}" for verdict, count in summary.verdicts.items())
    screen.print(f"    {summary.files} inspections: {counts}; {summary.explained} explained")
    screen.print("3/4 Measuring the model on 400 parts it has never seen")
    result = measure(folders)
    screen.print(f"    accuracy        {result.classification['accuracy']}")
    for method, figures in result.explanation.items():
        line = f"    {method:<15} pointing {figures['pointing']}, within 5 px {figures['pointing_within']}"
        screen.print(line + (f", cold on good parts {figures['cold']}" if "cold" in figures else ""))
    screen.print(
        f"4/4 Done in {time.monotonic() - started:.0f} s. Everything is in {folder}; its settings: {folder / 'kizu.yaml'}"
    )
    if dashboard:
        from kizu_dashboard.server import serve

        serve(config.for_dashboard, on_ready=lambda address: screen.print(f"    Dashboard on {address} (Ctrl+C ends it)"))
