"""What the readers share: which files are pictures, how large they are, which group they belong to."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from kizu_inspect.errors import DataError
from kizu_inspect.labelled.findings import Finding, a_few
from kizu_inspect.labelled.samples import PICTURES

__all__ = [
    "GroupOf",
    "absent_files",
    "group_finder",
    "is_hidden",
    "is_other_picture",
    "is_picture",
    "is_there",
    "relative_name",
    "unreadable",
    "walk",
]

NOT_READ: Final = (
    ".webp", ".pgm", ".ppm", ".pnm", ".pbm", ".pam", ".pfm", ".jp2", ".j2k", ".jpf", ".jpx", ".jxl", ".avif", ".heic", ".heif",
    ".gif", ".tga", ".dng", ".raw", ".exr", ".hdr", ".pcx", ".ico", ".dcm", ".jfif", ".jpe", ".dib",
)  # fmt: skip
"""Endings of pictures that are not read."""
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


def walk(folder: Path) -> list[Path]:
    """All files in a folder and below, sorted. Links to folders are followed, each once, and none to what lies below anyway.

    Raises DataError for a folder that may not be read: what lies in it can be neither taken nor counted.
    """
    found: list[str] = []
    top = folder.resolve()
    seen = {_identity(parent) for parent in (top, *top.parents)}
    waiting = [os.fspath(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if not entry.is_symlink():
                        if entry.is_dir():
                            waiting.append(entry.path)
                        elif entry.is_file():
                            found.append(entry.path)
                    elif not os.path.isdir(entry.path):
                        found.append(entry.path)  # also a link to nothing: a picture that is lost
                    elif not _lies_below(entry.path, top) and (target := _identity(Path(entry.path))) not in seen:
                        seen.add(target)
                        waiting.append(entry.path)
        except OSError as error:
            raise DataError(
                "a folder of the set cannot be read", found=str(error), next_step="Give the right to read it, or move it away."
            ) from None
    return [Path(path) for path in sorted(found, key=lambda path: path.split(os.sep))]


def _lies_below(link: str, top: Path) -> bool:
    """Whether it leads to a folder below that is found without it; one that is hidden is found by the link alone."""
    target = Path(os.path.realpath(link))
    return target.is_relative_to(top) and not is_hidden(target, top)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:  # a link to nothing, or to itself
        return None
    return status.st_dev, status.st_ino


def is_picture(file: Path) -> bool:
    """Whether its ending is that of a picture that is read."""
    return file.suffix.lower() in PICTURES


def is_other_picture(file: Path) -> bool:
    """Whether its ending is that of a picture in a format that is not read."""
    return file.suffix.lower() in NOT_READ


def is_hidden(file: Path, folder: Path) -> bool:
    """Whether a part of its name below the folder begins with a dot."""
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


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
