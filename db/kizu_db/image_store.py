"""Pictures on disk, named by their content: a picture is there whole or not at all, and only once."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from itertools import groupby
from pathlib import Path

from kizu_db.durable import identity_of, make_folder, sync
from kizu_inspect.errors import RecordError, RecordsAway

__all__ = ["ImageStore"]

_SHA256 = re.compile(r"[0-9a-f]{64}")
_PASSING = (errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN, errno.ETIMEDOUT, errno.EMFILE, errno.ENFILE, errno.EINTR)
"""What may pass by itself; another fault of one file stays with that file."""
_SUFFIX = re.compile(r"(\.[a-z0-9]{1,16})?")


class ImageStore:
    """A folder of pictures: `aa/bb/<sha256><suffix>`, where aa and bb are the first four digits of the name.

    Any number of threads and processes may put and get at the same time. Names with a leading dot are unfinished
    writes; nothing reads them.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._root: tuple[int, int] | None = None
        """Device and inode of the folder, once it was there: a drive that is gone leaves another one, or none."""
        self._settled: set[Path] = set()
        """Folders whose own names are on the disk for sure."""

    def put(self, data: bytes, *, suffix: str) -> str:
        """The picture's SHA-256 (64 hex digits); when this returns, the picture survives a power cut.

        `suffix` is lower-case with its dot, such as ".png", or empty. Content that is here already keeps its first suffix.
        Raises RecordError for a suffix of another form, RecordsAway where the disk refuses.
        """
        if not _SUFFIX.fullmatch(suffix):
            raise RecordError("A picture cannot be stored under this ending", found=repr(suffix), expected="one like .png")
        sha256 = hashlib.sha256(data).hexdigest()
        folder = self._folder(sha256)
        try:
            self._require_the_same_root()
            make_folder(folder)
            if self._root is None:
                self._root = identity_of(self.path)
            with _locked(folder):
                present = self._find(sha256)
                if present is None or not _holds(present, data):
                    _write_whole(present or folder / f"{sha256}{suffix}", data)
                else:
                    os.utime(present)  # so that nobody removes it before its new inspection is on record
            # Also where the file was here before: the one who wrote it may have died before this point.
            sync(folder)
            for level in (folder, folder.parent):
                if level not in self._settled:
                    sync(level.parent)
                    self._settled.add(level)
            self._require_the_same_root()  # it may have left in between
        except OSError as exc:
            raise RecordsAway(
                f"A picture of {len(data)} bytes could not be stored in {self.path}",
                found=exc.strerror or exc,
                next_step="Check that it is a folder, its free space and its owner.",
            ) from exc
        return sha256

    def _require_the_same_root(self) -> None:
        if self._root is not None and identity_of(self.path) != self._root:
            raise FileNotFoundError(errno.ENOENT, "the folder is gone, or is another one than before")

    def get(self, sha256: str) -> bytes:
        """The picture's bytes, as they were put.

        Raises RecordError where the picture is missing or was changed on disk, RecordsAway where it cannot be read now.
        """
        path = self.path_of(sha256)
        try:
            data = path.read_bytes()
        except OSError as exc:
            kind = RecordsAway if exc.errno in _PASSING else RecordError
            raise kind(f"The picture {path} cannot be read", found=exc.strerror or exc) from exc
        if (found := hashlib.sha256(data).hexdigest()) != sha256:
            raise RecordError(
                f"The picture {path} was changed on disk", found=f"SHA-256 {found}", next_step="Restore it from a backup."
            )
        return data

    def has(self, sha256: str) -> bool:
        """Whether the picture is here."""
        return self._find(sha256) is not None

    def remove(self, sha256: str, *, unless_put_within: timedelta) -> int | None:
        """Remove the picture, unless somebody put it lately; the bytes that became free, None where it stays or is not there.

        Whoever put it lately is about to record it. Raises RecordError where the disk refuses.
        """
        folder = self._folder(sha256)
        try:
            if not folder.is_dir():
                return None
            with _locked(folder):
                path = self._find(sha256)
                if path is None or _is_fresh(path, unless_put_within):
                    return None
                size = path.stat().st_size
                path.unlink()
                sync(folder)
        except OSError as exc:
            raise RecordError(f"The picture {sha256} could not be removed", found=exc.strerror or exc) from exc
        return size

    def shards(self, *, fresh: timedelta) -> Iterator[tuple[str, str, Mapping[str, bool]]]:
        """The pictures in 256 parts of the store: names in [first, last), each with whether it was put before `fresh` ago."""
        for number in range(256):
            first, last = f"{number:02x}", f"{number + 1:02x}" if number < 255 else "g"
            found: dict[str, bool] = {}
            for path in (self.path / first).glob("??/*"):
                name = path.name.partition(".")[0]
                if _SHA256.fullmatch(name):
                    try:
                        found[name] = not _is_fresh(path, fresh)
                    except FileNotFoundError:  # removed since it was listed
                        continue
            yield first, last, found

    def path_of(self, sha256: str) -> Path:
        """Where the picture lies. Raises RecordError where it is missing or the name is no SHA-256.

        RecordsAway where the whole store is missing.
        """
        if not _SHA256.fullmatch(sha256):
            raise RecordError("Not the name of a picture", found=repr(sha256), expected="a SHA-256 of 64 hex digits")
        path = self._find(sha256)
        if path is None:
            there = self._root in (None, identity_of(self.path)) and self.path.is_dir()
            kind = RecordError if there else RecordsAway  # a drive that is not mounted
            raise kind(
                f"The picture {sha256} is not in the image store {self.path}",
                next_step="Check images.path in the configuration, or restore the picture from a backup.",
            )
        return path

    def look_up(self, names: Iterable[str]) -> Iterator[tuple[str, Path | None, int]]:
        """Each name with where its picture lies and its size in bytes; None and 0 where it is missing.

        Quick for sorted names: a folder is read once for all that follow each other in it. Raises RecordError where the store
        cannot be read.
        """
        for start, group in groupby(names, key=lambda name: name[:4]):
            present = self._list(self.path / start[:2] / start[2:])
            for name in group:
                path, size = present.get(name), 0
                if path is not None:
                    try:
                        size = path.stat().st_size
                    except FileNotFoundError:
                        path = None
                yield name, path, size

    def _list(self, folder: Path) -> dict[str, Path]:
        """The pictures in the folder, each by its SHA-256 under its first name."""
        try:
            names = sorted(os.listdir(folder), reverse=True)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as exc:
            raise RecordError(f"The folder {folder} of the image store cannot be read", found=exc.strerror or exc) from exc
        return {name[:64]: folder / name for name in names if _SHA256.match(name)}

    def _folder(self, sha256: str) -> Path:
        return self.path / sha256[:2] / sha256[2:4]

    def _find(self, sha256: str) -> Path | None:
        folder = self._folder(sha256)
        try:
            names = [name for name in os.listdir(folder) if name.startswith(sha256)]
        except OSError:
            return None
        return folder / min(names) if names else None


def _write_whole(path: Path, data: bytes) -> None:
    """Bring a file to its final name complete and on the disk; a failure leaves nothing behind."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with unfinished.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _is_fresh(path: Path, within: timedelta) -> bool:
    return time.time() - path.stat().st_mtime < within.total_seconds()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder of the store: nobody removes a picture of it while another finds that it is there."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _holds(path: Path, data: bytes) -> bool:
    """Whether the file has this content; one that cannot be read is written anew."""
    try:
        return path.read_bytes() == data
    except OSError:
        return False
