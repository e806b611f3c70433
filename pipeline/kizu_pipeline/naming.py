"""Which part a picture shows, and how its name is written down."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

import regex
import structlog

__all__ = ["PartIdentity", "file_key", "folder_source", "generated_part", "part_of_file", "printable", "shortened"]

MATCHING_S: Final = 0.2
"""How long a pattern may look at one name: some patterns take years over some names."""

_LONGEST_BYTES: Final = 600

_log = structlog.get_logger("kizu.intake")


@dataclass(frozen=True)
class PartIdentity:
    """The part behind a picture. `generated` says that no name told it and the id was made up here."""

    part: str
    view: str | None = None
    lot: str | None = None
    generated: bool = False


def printable(path: str | os.PathLike[str]) -> str:
    """The path as text that a database and a log take: bytes that are no UTF-8 become backslash escapes."""
    return os.fsencode(path).decode("utf-8", errors="backslashreplace")


def folder_source(station: str, root: PurePath) -> str:
    """The source of the files below this watched folder."""
    return f"folder:{station}:{shortened(printable(root))}"


def file_key(relative: PurePath, *, size: int, mtime_ns: int, inode: int, sha256: str | None) -> str:
    """The source key of a file below its watched folder; `sha256` in hex, None where its content could not be read."""
    digest = "unread" if sha256 is None else sha256[:16]
    return f"{shortened(printable(relative))}|{size}|{mtime_ns}|{inode}|{digest}"


def shortened(name: str) -> str:
    """The name, or of a very long one its beginning and its digest: a database indexes no longer ones."""
    data = name.encode()
    return name if len(data) <= _LONGEST_BYTES else f"{name[:100]}…{hashlib.sha256(data).hexdigest()}"


def generated_part(source: str, key: str) -> str:
    """A part id for a picture that names none; the same piece of work always gets the same one."""
    return "unnamed-" + hashlib.sha256(f"{source}\0{key}".encode()).hexdigest()[:12]


def part_of_file(relative: PurePath, pattern: regex.Pattern[str], *, source: str, key: str) -> PartIdentity:
    """The part named by a file.

    `pattern` must match the whole name without its extension, or else the whole relative path without it, so that a
    sub-folder can name the lot. A name that fits neither, gives an empty part, or keeps the pattern busy for too long, gets
    a generated id; a very long one is shortened. Names are compared in Unicode's composed form: the same letters typed on
    another system are the same part.
    """
    name = PurePath(unicodedata.normalize("NFC", printable(relative)))
    try:
        match = next(
            (
                match
                for text in (name.stem, name.with_suffix("").as_posix())
                if (match := pattern.fullmatch(text, timeout=MATCHING_S))
            ),
            None,
        )
    except TimeoutError:
        _log.warning("part_pattern takes too long; the part gets a generated id", file=str(name), pattern=pattern.pattern)
        match = None
    groups = {group: shortened(text.strip()) or None for group, text in match.groupdict("").items()} if match else {}
    part = groups.get("part")
    if part is None:
        return PartIdentity(generated_part(source, key), generated=True)
    return PartIdentity(part, view=groups.get("view"), lot=groups.get("lot"))
