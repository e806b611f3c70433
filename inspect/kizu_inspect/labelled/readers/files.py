"""What the readers share: which files are pictures, how large they are, which group they belong to."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from kizu_inspect.errors import DataError
from kizu_inspect.labelled.findings import Finding, a_few
from kizu_inspect.labelled.samples import PICTURES

__all__ = [
    "GroupOf",
    "absent_files",
    "group_finder",
    "is_there",
    "picture_files",
    "relative_name",
    "unannotated",
    "unreadable",
]

GroupOf = Callable[[str, str], str]
"""From a picture's file name and the group it has otherwise to its group."""


def group_finder(pattern: str | None) -> GroupOf:
    """Finds a picture's group in its name by a regular expression with one group. Raises DataError for any other pattern."""
    if pattern is None:
        return lambda _name, otherwise: otherwise
    expected, example = "a regular expression with one group", "For P0042_top.png: '(P[0-9]+)_'"
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise DataError(
            "group pattern is not understood", found=f"{pattern}: {error}", expected=expected, next_step=example
        ) from None
    if compiled.groups != 1:
        raise DataError(
            "group pattern does not tell a picture's group", found=f"{compiled.groups} groups in {pattern}",
            expected=expected, next_step=example,
        )  # fmt: skip

    def find(name: str, otherwise: str) -> str:
        found = compiled.search(name)
        return (found.group(1) if found else None) or otherwise

    return find


def picture_files(folder: Path) -> list[Path]:
    """The pictures in a folder and below, sorted; hidden files and folders are left out."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in PICTURES
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
        and file.is_file()
    )


def relative_name(file: Path, root: Path) -> str:
    """The file's name from `root`, with slashes; it may lie outside."""
    return Path(os.path.relpath(file, root)).as_posix()


def is_there(file: Path) -> bool:
    """Whether it is a file; also of a name that no file can have, at which `Path.is_file` raises."""
    return os.path.isfile(file)


def absent_files(
    source: str, absent: Sequence[Path | str], *, next_step: str = "Mend the paths or remove the lines."
) -> Finding:
    """The finding that `source` names files which are not there."""
    return Finding(
        "missing_file", f"{source} names files that are not there", found=a_few(absent),
        expected="paths relative to it", next_step=next_step, pictures=tuple(Path(name) for name in absent),
    )  # fmt: skip


def unreadable(what: str, path: Path, error: Exception) -> Finding:
    """The finding that a picture or reference cannot be decoded."""
    return Finding(
        "unreadable", f"{what} {path} cannot be read", found=str(error), expected="a picture",
        next_step="Mend or remove it.", pictures=(path,),
    )  # fmt: skip


def unannotated(pictures: Iterable[Path]) -> Finding:
    """The warning that pictures count as good because nobody annotated them."""
    files = tuple(pictures)
    return Finding(
        "unannotated", "pictures without an annotation file count as good", found=a_few([file.name for file in files]),
        next_step="Remove the pictures that nobody looked at.", pictures=files, severity="warning",
    )  # fmt: skip
