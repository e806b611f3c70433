"""Pictures on disk, named by their content: a picture is there whole or not at all, and only once."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import secrets
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from itertools import groupby
from pathlib import Path

from kizu_inspect.durable import identity_of, make_folder, sync
from kizu_inspect.errors import RecordError, RecordsAway

__all__ = ["ImageStore"]

_SHA256 = re.compile(r"[0-9a-f]{64}")
_PASSING = (errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN, errno.ETIMEDOUT, errno.EMFILE, errno.ENFILE, errno.EINTR)
"""What may pass by itself; another fault of one file stays with that file."""
_AT_ONCE = 32
"""So many pictures of several wait for the disk together: each holds two files open."""
_SUFFIX = re.compile(r"(\.[a-z0-9]{1,16})?")

_Picture = tuple[bytes, str]
"""Its bytes and its suffix."""


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
        return self.put_all([(data, suffix)])[0]

    def put_all(self, pictures: Sequence[_Picture]) -> list[str]:
        """The same for several pictures, each with its suffix, at hardly more than the cost of one: the disk settles once.

        Where it refuses, some of them may be here.
        """
        for _, suffix in pictures:
            if not _SUFFIX.fullmatch(suffix):
                raise RecordError("A picture cannot be stored under this ending", found=repr(suffix), expected="one like .png")
        names = [hashlib.sha256(data).hexdigest() for data, _ in pictures]
        try:
            for start in range(0, len(pictures), _AT_ONCE):
                some = slice(start, start + _AT_ONCE)
                self._put_some(dict(zip(names[some], pictures[some], strict=True)))
        except OSError as exc:
            raise RecordsAway(
                f"{len(pictures)} pictures, {sum(len(data) for data, _ in pictures)} bytes, could not be stored in {self.path}",
                found=exc.strerror or exc,
                next_step="Check that it is a folder, its free space and its owner.",
            ) from exc
        return names

    def _put_some(self, pictures: Mapping[str, _Picture]) -> None:
        by_folder: dict[Path, dict[str, _Picture]] = {}
        for sha256, picture in pictures.items():
            by_folder.setdefault(self._folder(sha256), {})[sha256] = picture
        self._require_the_same_root()
        self._settle(by_folder)
        with ExitStack() as held:
            # In one order for all: of two that each wait for a folder that the other holds none would ever go on.
            folders = [(held.enter_context(_locked(folder)), by_folder[folder]) for folder in sorted(by_folder)]
            _write_missing(folders)
            # Also where a file was here before: the one who wrote it may have died before this point.
            for folder, _ in folders:
                os.fsync(folder)
        self._require_the_same_root()  # it may have left in between

    def _settle(self, folders: Collection[Path]) -> None:
        """Have folders of the store, and their names, on the disk for sure. Raises OSError."""
        new = [folder for folder in folders if folder not in self._settled or not folder.is_dir()]
        if not new:
            return
        make_folder(self.path)
        if self._root is None:
            self._root = identity_of(self.path)
        for folder in new:
            folder.mkdir(parents=True, exist_ok=True)
        # Also where they were here before: the one who made them may have died before this point.
        levels = {folder.parent for folder in new}
        for level in sorted(levels if levels <= self._settled else {self.path, *levels}):
            sync(level)
        self._settled.update(new, levels)

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
            name = _first_of(os.listdir(folder), sha256)
        except OSError:
            return None
        return None if name is None else folder / name


def _first_of(names: Iterable[str], sha256: str) -> str | None:
    """The picture's file among the names of its folder."""
    return min((name for name in names if name.startswith(sha256)), default=None)


def _write_missing(folders: Sequence[tuple[int, Mapping[str, _Picture]]]) -> None:
    """Bring pictures to their final names in these open folders, complete and on the disk; a failure leaves nothing unfinished.

    All are written before the first is waited for: the disk then has little left to do for the others.
    """
    unfinished: list[tuple[int, int, str, str]] = []
    """Folder, file, its name for now and at the end."""
    try:
        for folder, pictures in folders:
            present = os.listdir(folder)
            for sha256, (data, suffix) in pictures.items():
                name = _first_of(present, sha256)
                if name is not None and _holds(folder, name, data):
                    os.utime(name, dir_fd=folder)  # so that nobody removes it before its new inspection is on record
                    continue
                name = name or f"{sha256}{suffix}"
                now = f".{name}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
                file = os.open(now, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=folder)
                unfinished.append((folder, file, now, name))
                left = memoryview(data)
                while left:
                    left = left[os.write(file, left) :]
        for _, file, _, _ in unfinished:
            os.fsync(file)
        for folder, _, now, name in unfinished:
            os.rename(now, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:  # Ctrl-C too: nothing unfinished is left behind; it is raised again
        for folder, _, now, _ in unfinished:
            with suppress(OSError):
                os.unlink(now, dir_fd=folder)
        raise
    finally:
        for _, file, _, _ in unfinished:
            os.close(file)


def _is_fresh(path: Path, within: timedelta) -> bool:
    return time.time() - path.stat().st_mtime < within.total_seconds()


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Hold a folder of the store, open: nobody removes a picture of it while another finds that it is there."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _holds(folder: int, name: str, data: bytes) -> bool:
    """Whether the file has this content; one that cannot be read is written anew."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return False
    with open(descriptor, "rb") as file:
        try:
            return file.read() == data
        except OSError:
            return False
