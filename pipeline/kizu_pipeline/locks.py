"""One service a folder: a lock that ends with its process, however that ends."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from kizu_inspect.errors import SourceError

__all__ = ["LOCK_NAME", "folder_lock"]

LOCK_NAME = ".kizu-run.lock"


@contextmanager
def folder_lock(folder: Path, *, station: str) -> Iterator[None]:
    """Hold the folder for this process.

    Raises SourceError, with the owner's name, when another service holds it, a folder above it or one below, and when the
    folder cannot be written to. The kernel drops the lock when its process ends, so a killed service leaves nothing to clear by
    hand.
    """
    path = folder / LOCK_NAME
    descriptor = _acquire(path)
    try:
        # Held first, looked round then: of two that start at once at least one sees the other.
        for other in _locks_around(folder):
            if (owner := _owner_of(other)) is not None:
                raise SourceError(
                    f"a part of the folder {folder} belongs to another running service",
                    found=f"{other.parent}: {owner}",
                    expected="no file that two services would inspect",
                    next_step="Stop that one, or give this station a folder of its own.",
                )
        since = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
        owner = f"station {station}, process {os.getpid()} on {socket.gethostname()}, since {since}"
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, owner.encode(), 0)
        yield
    finally:
        # Unlinked while still held: whoever opened the old file meanwhile finds another (or none) under its name and retries.
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(path: Path) -> int:
    """An open descriptor of the lock file, locked. Raises SourceError."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise SourceError(
                f"the folder {path.parent} cannot be locked",
                found=error.strerror,
                expected="a folder this user may write to (inspected files are moved out of it)",
                next_step="Correct its permissions, or run as its owner.",
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(descriptor, 1000, 0).decode("utf-8", errors="replace") or "an unnamed process"
            os.close(descriptor)
            raise SourceError(
                f"the folder {path.parent} belongs to another running service",
                found=owner,
                expected="one service a folder",
                next_step="Stop that one, or give this station a folder of its own.",
            ) from error
        if _is_named(descriptor, path):
            return descriptor
        os.close(descriptor)


def _locks_around(folder: Path) -> Iterator[Path]:
    """Lock files in the folders above this one and below it."""
    for above in folder.resolve().parents:
        yield above / LOCK_NAME
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if LOCK_NAME in files and Path(root) != folder:
            yield Path(root) / LOCK_NAME


def _owner_of(path: Path) -> str | None:
    """Who holds this lock file; None where nobody does."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:  # none there, or in a folder that is not ours to look into
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return os.pread(descriptor, 1000, 0).decode("utf-8", errors="replace") or "an unnamed process"
    finally:
        os.close(descriptor)
    return None


def _is_named(descriptor: int, path: Path) -> bool:
    """Whether the open file is still the one under this name."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
