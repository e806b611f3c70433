"""Whether some program still writes a file: asked of the kernel, not guessed from times."""

from __future__ import annotations

import fcntl
import os
import re
import signal
from enum import Enum
from pathlib import Path
from typing import Final

__all__ = ["Writing", "is_local", "writing"]

_LOCAL: Final = frozenset({"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs", "zfs"})
_SETSIG: Final = 10  # F_SETSIG, which the fcntl module does not name everywhere


class Writing(Enum):
    """What is known of a file's writers on this machine."""

    OPEN = "open"
    CLOSED = "closed"
    UNKNOWN = "unknown"
    """Another owner's file, or a file system that cannot tell."""


def writing(path: Path) -> Writing:
    """Whether a program on this machine holds the file open for writing. Raises OSError where it cannot be opened.

    The kernel grants a read lease only on a file that nobody has open for writing, mapped files included (fcntl(2),
    F_SETLEASE); it is given back at once. A writer that opens the file in that instant waits until then.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        # The kernel would tell of such a writer by SIGIO, which ends a process that does not expect it; SIGURG is ignored.
        fcntl.fcntl(descriptor, _SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return Writing.OPEN
    except OSError:
        return Writing.UNKNOWN
    finally:
        os.close(descriptor)
    return Writing.CLOSED


def is_local(folder: Path, *, mounts: Path = Path("/proc/self/mountinfo")) -> bool:
    """Whether the folder's file system is one of this machine alone, whose kernel knows every writer."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return False
    folder = folder.resolve()
    kinds: dict[Path, str] = {}
    for line in lines:
        before, separated, after = line.partition(" - ")
        if separated and len(fields := before.split(" ")) > 4:
            point = re.sub(r"\\([0-7]{3})", lambda escaped: chr(int(escaped[1], 8)), fields[4])
            kinds[Path(point)] = after.split(" ")[0]  # of several on one point the last one counts
    above = [point for point in kinds if point == folder or point in folder.parents]
    return bool(above) and kinds[max(above, key=lambda point: len(point.parts))] in _LOCAL
