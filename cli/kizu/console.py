"""What every command prints with."""

from __future__ import annotations

import getpass
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from kizu_inspect.errors import ConfigError

__all__ = [
    "DEFAULT_CONFIG",
    "ByOption",
    "ConfigOption",
    "JsonOption",
    "ReasonOption",
    "name_of",
    "progress_bar",
    "screen",
    "write_bytes",
    "write_json",
    "write_text",
]

screen = Console(stderr=False, highlight=False, soft_wrap=True)
DEFAULT_CONFIG: Final = Path("kizu.yaml")
ConfigOption = Annotated[Path, typer.Option("--config", help="Settings file.", show_default=True)]
JsonOption = Annotated[Path | None, typer.Option("--json", help="Write the figures as JSON to this file (- for stdout).")]
ByOption = Annotated[str | None, typer.Option(help="Who does it, for the audit trail (default: who is logged in).")]
ReasonOption = Annotated[str, typer.Option(help="Why, for the audit trail.")]


def name_of(by: str | None) -> str:
    """Whom the audit trail names."""
    try:
        return by or getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that has no name
        return f"user {os.getuid()}"


@contextmanager
def progress_bar(what: str, total: int | None) -> Iterator[Progress]:
    """A progress bar on the error stream; nothing where that is not a terminal."""
    bar = Progress(
        TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[note]}"),
        console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True,
    )  # fmt: skip
    with bar:
        bar.add_task(what, total=total, note="")
        yield bar


def write_json(target: Path, content: Mapping[str, Any]) -> None:
    """Writes `content` to the file, or to stdout for `-`."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    if str(target) == "-":
        typer.echo(text)
    else:
        write_text(target, text + "\n")


def write_text(target: Path, text: str) -> None:
    """Writes a file, its folder with it. Raises ConfigError."""
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ConfigError("file cannot be written", found=str(error), expected="a place that can be written to") from None
    write_bytes(target, data)


def write_bytes(target: Path, data: bytes) -> None:
    """Writes a file, its folder with it. Raises ConfigError."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    except OSError as error:
        raise ConfigError("file cannot be written", found=str(error), expected="a place that can be written to") from None
