"""Where a command may write a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from kizu_inspect.errors import ConfigError

__all__ = ["ReplaceOption", "check_new_bundle"]

OURS: Final = {"weights.safetensors", "training.png", "trade_off.png", "comparison.json"}
"""What a bundle's folder may hold without being one, when something broke off."""

ReplaceOption = Annotated[
    bool, typer.Option("--replace", help="Write over the bundle that lies in that folder.", rich_help_panel="Result")
]


def check_new_bundle(out: Path, *, replace: bool) -> None:
    """Raises ConfigError where the folder `out` holds a bundle that nobody gave away by `replace`, or anything else."""
    if not out.exists():
        return
    if not out.is_dir():
        raise ConfigError("the bundle cannot be written", found=f"a file at {out}", expected="a new folder")
    there = sorted(entry.name for entry in out.iterdir() if not entry.name.startswith("."))
    if "bundle.yaml" in there:
        if not replace:
            raise ConfigError(
                "a bundle lies there already", found=str(out), expected="a new folder",
                next_step="Records name a model by its bundle: name another with --out, or give this one away by --replace.",
            )  # fmt: skip
    elif others := [name for name in there if name not in OURS]:
        raise ConfigError(
            "the bundle's folder holds other files", found=f"{', '.join(others[:3])} in {out}", expected="a new folder",
            next_step="Name another with --out.",
        )  # fmt: skip
