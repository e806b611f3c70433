"""One look through a watched folder."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

__all__ = ["FoundFile", "Oddity", "Version", "digest_of", "scan", "version_of"]

Version = tuple[int, int, int, int]
"""Size, modification and change time (ns), inode."""


def version_of(status: os.stat_result) -> Version:
    """The version of a file now."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


@dataclass(frozen=True)
class FoundFile:
    """A file or a link below the watched folder, as it was at that moment."""

    relative: PurePath
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    is_link: bool

    @property
    def version(self) -> Version:
        """Changes when the file does, whatever its writer says of the time: nobody sets a ctime."""
        return self.size, self.mtime_ns, self.ctime_ns, self.inode


@dataclass(frozen=True)
class Oddity:
    """Something below the folder that is left alone, with the reason."""

    relative: PurePath
    """Its path, or the pattern of such names."""
    reason: str


def scan(root: Path, *, temporary_suffixes: tuple[str, ...], ignored: tuple[str, ...]) -> Iterator[FoundFile | Oddity]:
    """Every file below `root` that is not temporary, in no order, and what else lies there.

    Hidden names, temporary suffixes and names like one of `ignored` (lower-case shell patterns) are passed over. Links are
    never followed.
    What vanishes meanwhile is passed over too. Raises OSError only for `root` itself.
    """
    folders = [PurePath()]
    while folders:
        folder = folders.pop()
        try:
            entries = os.scandir(root / folder)
        except OSError as error:
            if folder == PurePath():
                raise
            if not isinstance(error, FileNotFoundError):
                yield Oddity(folder, f"the folder cannot be read: {error.strerror}")
            continue
        with entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                relative = folder / entry.name
                try:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(relative)
                    elif kind := next((one for one in ignored if fnmatchcase(entry.name.lower(), one)), None):
                        yield Oddity(PurePath(kind), "such names are no pictures (station.source.ignored)")
                    elif not entry.name.lower().endswith(temporary_suffixes):
                        yield _found(entry, relative)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    yield Oddity(relative, f"it cannot be looked at: {error.strerror}")


def _found(entry: os.DirEntry[str], relative: PurePath) -> FoundFile | Oddity:
    status = entry.stat(follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode):
        if _leads_to_a_folder(entry):
            return Oddity(relative, "a link to a folder is not followed")
        return FoundFile(relative, *version_of(status), is_link=True)
    if stat.S_ISREG(status.st_mode):
        return FoundFile(relative, *version_of(status), is_link=False)
    return Oddity(relative, "neither a file nor a folder")


def _leads_to_a_folder(link: os.DirEntry[str]) -> bool:
    try:
        return link.is_dir()
    except OSError:  # to itself, below a file, of too long a name
        return False


def digest_of(path: Path) -> str:
    """What the file holds now, as a digest; "" where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
