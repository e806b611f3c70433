"""The `kizu` command."""

from __future__ import annotations

import sys

import typer

from kizu.commands.backup import db_backup, db_restore
from kizu.commands.calibrate import calibrate_command
from kizu.commands.data import check_command, convert_command
from kizu.commands.demo import demo_command
from kizu.commands.evaluate import evaluate_command
from kizu.commands.inspect import inspect_command
from kizu.commands.line import dashboard_command, db_upgrade, report_command, run_command
from kizu.commands.synth import synth_command
from kizu.commands.train import train_command
from kizu_inspect.errors import KizuError

__all__ = ["app", "main"]

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Inspect parts, and see why.")
db = typer.Typer(no_args_is_help=True, help="Care of the records.")
data = typer.Typer(no_args_is_help=True, help="Labelled pictures: what is wrong with them, and as a manifest.")
app.add_typer(db, name="db")
app.add_typer(data, name="data")
app.command("demo")(demo_command)
app.command("synth")(synth_command)
app.command("train")(train_command)
app.command("calibrate")(calibrate_command)
app.command("evaluate")(evaluate_command)
app.command("inspect")(inspect_command)
app.command("run")(run_command)
app.command("dashboard")(dashboard_command)
app.command("report")(report_command)
data.command("check")(check_command)
data.command("convert")(convert_command)
db.command("upgrade")(db_upgrade)
db.command("backup")(db_backup)
db.command("restore")(db_restore)


def main() -> None:
    """Runs a command; a mistake or failure that Kizu knows prints as one line, with its exit code."""
    try:
        app()
    except KizuError as error:
        typer.echo(f"kizu: {error}", err=True)
        sys.exit(error.exit_code)
