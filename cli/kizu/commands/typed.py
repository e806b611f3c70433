"""Secrets that are typed at the terminal, or stand in a file."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from kizu_inspect.credentials import read_secret
from kizu_inspect.errors import ConfigError

__all__ = ["secret_given"]


def secret_given(file: Path | None, what: str, *, option: str, next_step: str | None = None, twice: bool = True) -> str:
    """What stands on the file's one line, or what is typed, hidden. Raises ConfigError where there is neither."""
    if file is not None:
        return read_secret(file, "", setting=option) or ""
    if not sys.stdin.isatty():
        raise ConfigError(
            f"nobody is there to type a {what.lower() if what.istitle() else what}", found="no terminal",
            expected=f"{option} FILE", next_step=next_step,
        )  # fmt: skip
    typed: str = typer.prompt(what, hide_input=True, confirmation_prompt="The same again" if twice else False)
    return typed
