"""Secrets that are typed at the terminal, or stand in a file."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from kizu_inspect.credentials import read_secret
from kizu_inspect.errors import ConfigError

__all__ = ["require_one", "secret_given"]


def require_one(what: str, file: Path | None, *, option: str, without: bool, says_none: str) -> None:
    """Raises ConfigError where the option `says_none` is given `without` a secret, and `option` brings one."""
    if without and file is not None:
        raise ConfigError(
            f"it is not clear whether there is a {_in_text(what)}", found=f"{says_none} and {option}", expected="one"
        )


def secret_given(file: Path | None, what: str, *, option: str, next_step: str | None = None, twice: bool = True) -> str:
    """What stands on the file's one line, or what is typed, hidden. Raises ConfigError where there is neither."""
    if file is not None:
        return read_secret(file, "", setting=option) or ""
    if not sys.stdin.isatty():
        raise ConfigError(
            f"nobody is there to type a {_in_text(what)}", found="no terminal",
            expected=f"{option} FILE", next_step=next_step,
        )  # fmt: skip
    typed: str = typer.prompt(what, hide_input=True, confirmation_prompt="The same again" if twice else False)
    return typed


def _in_text(what: str) -> str:
    """Its name within a sentence."""
    return what.lower() if what.istitle() else what
