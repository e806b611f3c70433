"""kizu demo."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kizu.console import name_of, progress_bar, screen

if TYPE_CHECKING:
    from kizu.config import KizuConfig
    from kizu.demo import DemoFolders
    from kizu_inspect.training.fit import Standing
    from kizu_inspect.training.plan import Plan

__all__ = ["demo_command"]


def demo_command(
    folder: Annotated[Path, typer.Option(help="New folder for everything that the demo makes.")] = Path("demo"),
    port: Annotated[int, typer.Option(help="Port of the dashboard.")] = 8501,
    dashboard: Annotated[bool, typer.Option("--dashboard/--no-dashboard", help="Serve the dashboard at the end.")] = True,
) -> None:
    """Draw parts, train, run the line, open the dashboard: about four minutes, once. Example: kizu demo --no-dashboard"""
    from kizu.demo import DemoFolders

    folders = DemoFolders(folder)
    made_before = folders.summary.is_file()
    if made_before:
        screen.print(folders.summary.read_text(encoding="utf-8"), end="")
        screen.print(f"    All of that was made before. Remove {folder} to draw, train and run anew.")
    else:
        folders.prepare()
    config = folders.write_config(port)
    if not made_before:
        _make(folders, config)
    if dashboard:
        from kizu.commands.line import tell_address
        from kizu_dashboard.server import serve

        serve(config.for_dashboard, on_ready=tell_address, link_for=_admin(config))


def _admin(config: KizuConfig) -> str:
    """Whom the demo's link signs in: its admin, or who is logged in and becomes it."""
    from kizu_db.permissions import Role
    from kizu_db.records import Records

    with Records.open(config.database) as records, records.unit(read_only=True) as unit:
        admins = [user.name for user in unit.users.list() if user.active and user.role is Role.ADMIN]
    return admins[0] if admins else name_of(None)


def _make(folders: DemoFolders, config: KizuConfig) -> None:
    from kizu.demo import SCALE, measure, run_line, train_demo
    from kizu_pipeline.logs import configure_logging

    started = time.monotonic()
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        screen.print(line)

    say("1/4 Drawing parts and training on them (about two minutes)")
    with progress_bar("Training", None) as bar:

        def begin(plan: Plan) -> None:
            assert plan.seconds_a_step is not None  # it keeps to a time
            say(f"    {plan.steps} steps, by a probe of {plan.seconds_a_step:.3f} s a step")
            bar.update(bar.task_ids[0], total=plan.steps)

        def advance(standing: Standing) -> None:
            bar.update(bar.task_ids[0], completed=standing.share * standing.planned, note=f"loss {standing.loss:.3f}")

        trained = train_demo(folders, SCALE, on_plan=begin, progress=advance)
    for line in trained.said.splitlines():
        say(f"    {line}")
    say("2/4 Running the line on a stream of new parts")
    with (folders.root / "line.log").open("w", encoding="utf-8") as log:
        configure_logging(log)
        summary = run_line(folders, config, SCALE)
    counts = ", ".join(f"{count} {verdict.value}" for verdict, count in summary.verdicts.items())
    say(f"    {summary.files} inspections: {counts}; {summary.explained} explained")
    say(f"3/4 Measuring the model on {SCALE.unseen_parts} parts it has never seen")
    result = measure(folders, SCALE)
    say(f"    accuracy        {result.classification['accuracy']}")
    for method, figures in result.explanation.items():
        line = f"    {method:<15} pointing {figures['pointing']}, within 5 px {figures['pointing_within']}"
        say(line + (f", cold on good parts {figures['cold']}" if "cold" in figures else ""))
    root = folders.root
    say(f"4/4 Done in {time.monotonic() - started:.0f} s. Everything is in {root}; its settings: {root / 'kizu.yaml'}")
    folders.summary.write_text("\n".join(said) + "\n", encoding="utf-8")
