"""What a backup and a restore write with: hashed on the way, one at a time, under the final name only when whole."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedWriter
from pathlib import Path
from typing import IO

from pydantic import Field

from kizu_inspect.durable import make_folder, sync
from kizu_inspect.errors import ConfigError, RecordError
from kizu_inspect.settings import Settings

__all__ = ["Content", "Report", "copied", "digest", "hashed_copy", "new_folder", "silent", "unfinished", "writer", "writing"]

Report = Callable[[str, int, int], None]
"""Told of progress: the step, how much of it is done, and how much there is (0 where that is not known)."""

_CHUNK = 1 << 22


class Content(Settings):
    """What a file holds."""

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


def silent(_step: str, _done: int, _total: int) -> None:
    """The report of who wants none."""


def hashed_copy(
    source: IO[bytes], take: Callable[[bytes], object], *, step: str = "", total: int = 0, report: Report = silent
) -> Content:
    """Hand everything from `source` to `take`, 4 MiB at a time. Raises what they raise."""
    sha256 = hashlib.sha256()
    done = 0
    while chunk := source.read(_CHUNK):
        take(chunk)
        sha256.update(chunk)
        done += len(chunk)
        report(step, done, total)
    return Content(bytes=done, sha256=sha256.hexdigest())


def writer(file: BufferedWriter) -> Callable[[bytes], None]:
    """What writes to the file and waits for the disk after each piece: a line that commits during one long wait waits too."""

    def write(piece: bytes) -> None:
        file.write(piece)
        file.flush()
        os.fsync(file.fileno())

    return write


def digest(path: Path, *, step: str = "", report: Report = silent) -> Content:
    """What the file holds. Raises OSError."""
    with path.open("rb") as file:
        return hashed_copy(file, len, step=step, total=path.stat().st_size, report=report)


def copied(source: Path, target: Path, *, step: str = "", report: Report = silent) -> Content:
    """What the new file `target` holds: a copy of `source`. Raises OSError."""
    with source.open("rb") as file, target.open("xb") as copy:
        return hashed_copy(file, writer(copy), step=step, total=source.stat().st_size, report=report)


@contextmanager
def writing(what: str) -> Iterator[None]:
    """Turn what the disk says into a RecordError: `what` could not be written."""
    try:
        yield
    except OSError as exc:
        where = f"{exc.filename}: " if exc.filename else ""
        raise RecordError(
            f"{what} could not be written",
            found=f"{where}{exc.strerror or exc}",
            next_step="Nothing was left behind. Check the free space and the owner of that folder.",
        ) from exc


@contextmanager
def new_folder(out: Path, *, cleared: Callable[[Path], None]) -> Iterator[Path]:
    """A folder to fill, which gets its name, complete and on the disk, when the block ends without an exception.

    `out` must not exist or be empty. What a killed process left unfinished for this name is removed, and `cleared` told.
    Raises ConfigError for a folder that is in use or has a backup under way, RecordError where the disk refuses.
    """
    out = Path(os.path.abspath(out))
    _require_free(out)
    with writing(f"The backup {out}"), unfinished(out, cleared=cleared) as folder:
        folder.mkdir()
        yield folder
        for root, _folders, files in os.walk(folder, topdown=False):
            for name in files:
                sync(Path(root, name))
            sync(Path(root))
        folder.rename(out)  # over an empty folder it is one step too, and over any other it fails
        sync(out.parent)


@contextmanager
def unfinished(target: Path, *, cleared: Callable[[Path], None]) -> Iterator[Path]:
    """A name beside `target` for what is not complete yet: removed at the end, and by the next one after a kill.

    Makes the parent folder. One process at a time may have one: raises ConfigError for a second, OSError where the disk
    refuses.
    """
    make_folder(target.parent)
    ours = re.compile(re.escape(f".{target.name}.") + r"[0-9a-f]{8}\.unfinished")
    with _only_one(target):
        for left in target.parent.iterdir():
            if ours.fullmatch(left.name):
                _remove(left)
                cleared(left)
        path = target.with_name(f".{target.name}.{secrets.token_hex(4)}.unfinished")
        try:
            yield path
        finally:
            _remove(path)


def _require_free(out: Path) -> None:
    used = None
    if out.is_dir():
        if out.is_symlink() or out.is_mount():  # neither can be replaced by a finished folder in one step
            used = "a link or mount point"
        elif names := sorted(path.name for path in out.iterdir()):
            used = f"{names[0]} in it"
    elif os.path.lexists(out):
        used = "a file"
    if used is not None:
        raise ConfigError(f"{out} cannot become a backup", found=used, expected="a new or an empty folder")


@contextmanager
def _only_one(target: Path) -> Iterator[None]:
    path = target.with_name(f".{target.name}.lock")
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
                break
        except BlockingIOError:
            os.close(descriptor)
            raise ConfigError(
                f"Another process is writing {target}", next_step="Wait for its end, or give this one another name."
            ) from None
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)
    try:
        yield
    finally:
        # Unlinked while still held: whoever opened the old file meanwhile finds another (or none) under its name and retries.
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
