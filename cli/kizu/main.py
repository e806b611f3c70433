"""The `kizu` command."""

from __future__ import annotations

import sys

import typer

from kizu.commands.adopt import adopt_command
from kizu.commands.backup import db_backup, db_restore
from kizu.commands.calibrate import calibrate_command
from kizu.commands.data import check_command, convert_command
from kizu.commands.demo import demo_command
from kizu.commands.evaluate import evaluate_command
from kizu.commands.export import export_command
from kizu.commands.inspect import inspect_command
from kizu.commands.line import dashboard_command, report_command, run_command
from kizu.commands.quarantine import quarantine_list, quarantine_release, quarantine_show
from kizu.commands.records import (
    db_audit,
    db_hold,
    db_prune,
    db_rebuild_rollups,
    db_release,
    db_stats,
    db_upgrade,
    db_verify,
)
from kizu.commands.status import status_command
from kizu.commands.synth import synth_command
from kizu.commands.train import train_command
from kizu.commands.users import user_add, user_change, user_list
from kizu_inspect.errors import KizuError

__all__ = ["app", "main"]

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Inspect parts, and see why.")
db = typer.Typer(no_args_is_help=True, help="Care of the records.")
data = typer.Typer(no_args_is_help=True, help="Labelled pictures: what is wrong with them, and as a manifest.")
user = typer.Typer(no_args_is_help=True, help="Who may do what.")
quarantine = typer.Typer(no_args_is_help=True, help="The files that could not be read.")
app.add_typer(db, name="db")
app.add_typer(user, name="user")
app.add_typer(data, name="data")
app.add_typer(quarantine, name="quarantine")
app.command("demo")(demo_command)
app.command("synth")(synth_command)
app.command("train")(train_command)
app.command("adopt")(adopt_command)
app.command("calibrate")(calibrate_command)
app.command("evaluate")(evaluate_command)
app.command("inspect")(inspect_command)
app.command("run")(run_command)
app.command("status")(status_command)
app.command("dashboard")(dashboard_command)
app.command("report")(report_command)
data.command("check")(check_command)
data.command("convert")(convert_command)
db.command("upgrade")(db_upgrade)
db.command("verify")(db_verify)
db.command("audit")(db_audit)
db.command("stats")(db_stats)
db.command("prune")(db_prune)
db.command("hold")(db_hold)
db.command("release")(db_release)
db.command("rebuild-rollups")(db_rebuild_rollups)
user.command("add")(user_add)
user.command("change")(user_change)
user.command("list")(user_list)
quarantine.command("list")(quarantine_list)
quarantine.command("show")(quarantine_show)
quarantine.command("release")(quarantine_release)
db.command("export")(export_command)
db.command("backup")(db_backup)
db.command("restore")(db_restore)


def main() -> None:
    """Runs a command; a mistake or failure that Kizu knows prints as one line, with its exit code."""
    try:
        app()
    except KizuError as error:
        typer.echo(f"kizu: {error}", err=True)
        sys.exit(error.exit_code)
