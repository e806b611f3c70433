"""The `kizu` command: which commands there are, each imported only when it is asked for."""

from __future__ import annotations

import ast
import errno
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NoReturn

import typer

from kizu_inspect.errors import KizuError

__all__ = ["COMMANDS", "GROUPS", "build_app", "main"]

COMMANDS: Final[Mapping[str, str]] = {
    "demo": "demo:demo_command",
    "synth": "synth:synth_command",
    "train": "train:train_command",
    "adopt": "adopt:adopt_command",
    "calibrate": "calibrate:calibrate_command",
    "evaluate": "evaluate:evaluate_command",
    "inspect": "inspect:inspect_command",
    "run": "line:run_command",
    "status": "status:status_command",
    "dashboard": "line:dashboard_command",
    "report": "line:report_command",
}
"""By name the module below `kizu.commands` and the function; its docstring is the command's help."""
GROUPS: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "db": (
        "Care of the records.",
        {
            "upgrade": "records:db_upgrade",
            "verify": "records:db_verify",
            "audit": "records:db_audit",
            "stats": "records:db_stats",
            "prune": "records:db_prune",
            "hold": "records:db_hold",
            "release": "records:db_release",
            "rebuild-rollups": "records:db_rebuild_rollups",
            "export": "export:export_command",
            "backup": "backup:db_backup",
            "restore": "backup:db_restore",
        },
    ),
    "quarantine": (
        "Files that could not be read.",
        {
            "list": "quarantine:quarantine_list",
            "show": "quarantine:quarantine_show",
            "release": "quarantine:quarantine_release",
        },
    ),
    "user": (
        "Who may do what, and who signs in.",
        {
            "add": "users:user_add",
            "change": "users:user_change",
            "password": "users:user_password",
            "pin": "quick_sign_in:user_pin",
            "badge": "quick_sign_in:user_badge",
            "forget-account": "users:user_forget_account",
            "terminals": "quick_sign_in:user_terminals",
            "withdraw-terminal": "quick_sign_in:user_withdraw_terminal",
            "list": "users:user_list",
        },
    ),
    "data": (
        "Labelled pictures: what is wrong with them, and in another layout.",
        {"check": "data:check_command", "convert": "data:convert_command"},
    ),
}


FULL: Final = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
FORBIDDEN: Final = frozenset((errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR))


def build_app(arguments: Sequence[str] | None = None) -> typer.Typer:
    """The application for a call with these arguments; without them with every command whole.

    Of commands that the call does not name only the help is there: to import them all takes longer than to print it.
    """
    asked = None if arguments is None else [one for one in arguments if not one.startswith("-")]
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Inspect parts, and see why.")
    _add(app, COMMANDS, asked)
    for name, (told, commands) in GROUPS.items():
        group = typer.Typer(no_args_is_help=True, help=told)
        _add(group, commands, asked if asked is None else asked[1:] if asked[:1] == [name] else [])
        app.add_typer(group, name=name)
    return app


def _add(app: typer.Typer, commands: Mapping[str, str], asked: Sequence[str] | None) -> None:
    for name, where in commands.items():
        app.command(name)(_whole(where) if asked is None or asked[:1] == [name] else _help_alone(where))


def _whole(where: str) -> Callable[..., Any]:
    module, _, function = where.partition(":")
    command: Callable[..., Any] = getattr(import_module(f"kizu.commands.{module}"), function)
    return command


def _help_alone(where: str) -> Callable[[], None]:
    def command() -> None:
        raise AssertionError(f"{where} was not asked for")

    module, _, function = where.partition(":")
    command.__doc__ = _docstrings(module)[function]
    return command


@cache
def _docstrings(module: str) -> Mapping[str, str | None]:
    """Of the functions in a module of commands, without importing it."""
    spec = find_spec(f"kizu.commands.{module}")
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    return {node.name: ast.get_docstring(node) for node in tree.body if isinstance(node, ast.FunctionDef)}


def main() -> None:
    """Runs a command; a mistake or failure that Kizu knows prints as one line, with its exit code."""
    completing = any(name.endswith("_COMPLETE") for name in os.environ)
    try:
        build_app(None if completing else sys.argv[1:])()
    except KizuError as error:
        _end(error)
    except OSError as error:  # wherever it was written, read or made: a disk or a right is no mistake of the program's
        known = _of_the_disk(error)
        if known is None:
            raise
        _end(known)


def _end(error: KizuError) -> NoReturn:
    typer.echo(f"kizu: {error}", err=True)
    sys.exit(error.exit_code)


def _of_the_disk(error: OSError) -> KizuError | None:
    """What a full disk, or a place that is not to be used, says; None of any other error."""
    if error.errno in FULL:
        return KizuError("the disk takes no more", found=str(error), next_step="Make room on it, and start again.")
    if error.errno in FORBIDDEN:
        return KizuError(
            "a file or folder cannot be used", found=str(error), expected="a place that can be read and written to"
        )
    return None
