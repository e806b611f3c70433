"""Files and folders on a disk: names that survive a power cut, and which file a name stands for."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["identity_of", "make_folder", "sync"]


def make_folder(path: Path) -> None:
    """Make a folder and its parents; each new one is on the disk before anything is put into it. Raises OSError."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync(path.parent)


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's names, are on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def identity_of(path: Path) -> tuple[int, int] | None:
    """Which file or folder it is (device and inode), whatever it is called; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
