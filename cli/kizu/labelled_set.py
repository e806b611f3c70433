"""What every command that uses a labelled set asks of it and says of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, get_args

import typer
from rich.console import Console
from rich.markup import escape

from kizu_inspect.errors import ConfigError
from kizu_inspect.labelled.choices import EXPECTED, UNLABELLED, Unlabelled
from kizu_inspect.labelled.findings import Finding
from kizu_inspect.recipe import Bits

if TYPE_CHECKING:
    from kizu_inspect.labelled.readers.left_out import LeftOut

__all__ = [
    "DATA",
    "BitsOption",
    "GoodOption",
    "GroupOption",
    "SetArgument",
    "UnlabelledOption",
    "bit_depth",
    "tell",
    "tell_findings",
    "unlabelled_choice",
]

A_KIND: Final = 5
"""Findings of one kind that the screen shows."""
COLOURS: Final = {"error": "red", "warning": "yellow"}
DEPTHS: Final[tuple[Bits, ...]] = get_args(Bits)
DATA: Final = "Data"
"""The panel of these options in a command's help."""
SetArgument = Annotated[Path, typer.Argument(help=f"{EXPECTED[0].upper()}{EXPECTED[1:]}.")]
GoodOption = Annotated[
    str | None,
    typer.Option(
        help="The class that passes, as Free (default: the one called good, ok, normal, pass or free).", rich_help_panel=DATA
    ),
]
GroupOption = Annotated[
    str | None,
    typer.Option(
        help="Regular expression for a picture's group in its file name, as '^(lot[0-9]+)_': a group is never split.",
        rich_help_panel=DATA,
    ),
]
UnlabelledOption = Annotated[
    str,
    typer.Option(
        help="What pictures without labels are beside labelled ones: good, leave-out, or refuse (the set).",
        rich_help_panel=DATA,
    ),
]
BitsOption = Annotated[
    int | None,
    typer.Option(
        help="How many bits of their 16-bit values the pictures fill, as 12 (8, 10, 12, 14 or 16; also where shifted up).",
        rich_help_panel=DATA,
    ),
]


def unlabelled_choice(said: str) -> Unlabelled:
    """What `--unlabelled` says. Raises ConfigError."""
    for choice in UNLABELLED:
        if said == choice:
            return choice
    raise ConfigError("--unlabelled is not understood", found=said, expected=", ".join(UNLABELLED))


def bit_depth(bits: int | None) -> Bits | None:
    """What `--bits` says. Raises ConfigError."""
    if bits is None:
        return None
    for depth in DEPTHS:
        if bits == depth:
            return depth
    raise ConfigError("no such bit depth", found=f"--bits {bits}", expected=", ".join(map(str, DEPTHS)))


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
