"""The folder that an export makes: there whole, or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kizu_inspect.errors import ConfigError, RecordError

__all__ = ["new_folder"]


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A hidden folder beside `out` to write into; it becomes `out` when the block ends, and is removed where it fails.

    Raises ConfigError where `out` is there and not empty or its place cannot be written to, RecordError where the disk
    refuses later, also within the block.
    """
    try:
        target = out.resolve()
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise ConfigError("the export would mix with what is there", found=str(out), expected="a new or empty folder")
        unfinished = target.with_name(f".kizu-export-{os.getpid()}-{secrets.token_hex(4)}.tmp")
        unfinished.mkdir(parents=True)
    except OSError as error:
        raise ConfigError(
            f"the export {out} cannot be made", found=_said(error), expected="a place that can be written to"
        ) from error
    try:
        yield unfinished
        unfinished.rename(target)
    except OSError as error:
        raise RecordError(
            f"the export {out} could not be written",
            found=_said(error),
            next_step="Nothing of it was kept. Check the free space and the owner of that place.",
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _said(error: OSError) -> str:
    """What the system says, alike from every library."""
    return str(error) if error.errno is None else os.strerror(error.errno)
