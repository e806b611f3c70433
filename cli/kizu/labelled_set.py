"""What every command that uses a labelled set asks of it and says of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape

from kizu_inspect.errors import ConfigError
from kizu_inspect.labelled.choices import EXPECTED, UNLABELLED, Unlabelled
from kizu_inspect.labelled.findings import Finding

if TYPE_CHECKING:
    from kizu_inspect.labelled.readers.left_out import LeftOut

__all__ = ["SetArgument", "UnlabelledOption", "tell", "tell_findings", "unlabelled_choice"]

A_KIND: Final = 5
"""Findings of one kind that the screen shows."""
COLOURS: Final = {"error": "red", "warning": "yellow"}
SetArgument = Annotated[Path, typer.Argument(help=f"{EXPECTED[0].upper()}{EXPECTED[1:]}.")]
UnlabelledOption = Annotated[
    str, typer.Option(help="What pictures without labels are beside labelled ones: good, leave-out, or refuse (the set).")
]


def unlabelled_choice(said: str) -> Unlabelled:
    """What `--unlabelled` says. Raises ConfigError."""
    for choice in UNLABELLED:
        if said == choice:
            return choice
    raise ConfigError("--unlabelled is not understood", found=said, expected=", ".join(UNLABELLED))


def tell(warnings: Sequence[Finding], left_out: LeftOut | None) -> None:
    """Says on the error stream which pictures are taken, and what lowers what a model of them is worth."""
    screen = Console(stderr=True, highlight=False, soft_wrap=True)
    if left_out is not None:
        screen.print(escape(left_out.said))
    tell_findings(warnings, screen, more="kizu data check shows them")


def tell_findings(findings: Sequence[Finding], screen: Console, *, more: str) -> None:
    """Prints the first findings of each kind, and how many more there are."""
    shown: Counter[str] = Counter()
    for finding in findings:
        shown[finding.kind] += 1
        if shown[finding.kind] <= A_KIND:
            screen.print(f"[{COLOURS[finding.severity]}]{finding.severity}[/]: {escape(finding.text)}")
    for kind, count in shown.items():
        if count > A_KIND:
            screen.print(f"… and {count - A_KIND} more of kind {kind}: {more}")
