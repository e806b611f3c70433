"""Giving a file in quarantine back to its watched folder, to be judged anew; safe to kill, and to repeat, at any instant.

    hidden copy in the watched folder ─▶ note says where it goes ─▶ it has that name ─▶ row and audit event ─▶ out of quarantine

A file whose key has a row is only put away again, so it is a copy that goes back: its inode, or else its time, is a new one.
Until the row says released, the file lies in quarantine; by then its copy has got its name in the watched folder.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import Final

import regex

from kizu_db.records import Records
from kizu_db.values import QuarantinedFile
from kizu_inspect.durable import make_folder, sync
from kizu_inspect.errors import KizuError, RecordError, SourceError
from kizu_pipeline.aside import RELEASING, AsideFile, files_aside
from kizu_pipeline.filing import write_note
from kizu_pipeline.naming import PartIdentity, file_key, folder_source, part_of_file, printable
from kizu_pipeline.settings import FolderSource

__all__ = ["Releasing", "open_releasing"]

FOLDER: Final = "released"
"""Beside where the file lay: a camera that uses its name again cannot write over it there."""
_LOCK: Final = ".kizu-release.lock"
_FOLDERS: Final = 100
_STEPS_NS: Final = (0, 1_000, 1_000_000, 1_000_000_000, 4_000_000_000)
"""Added to a copy's modification time where it had an old key by chance; FAT counts in steps of two seconds."""
_NO_HARD_LINKS: Final = (errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


@contextmanager
def open_releasing(records: Records, source: FolderSource, *, station: str) -> Iterator[Releasing]:
    """The quarantine of this station's folder; whoever else is releasing from it is waited for. Raises SourceError."""
    for name, folder in (("watched folder", source.path), ("quarantine", source.quarantine)):
        if not folder.is_dir():
            raise SourceError(f"the {name} {folder} is not there", found="no folder", next_step="Correct station.source.")
    try:
        lock = os.open(source.quarantine / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise SourceError(
            f"the quarantine {source.quarantine} cannot be written to", found=error.strerror, next_step="Run as its owner."
        ) from error
    try:
        if os.geteuid() == 0:
            owner = source.quarantine.stat()
            os.fchown(lock, owner.st_uid, owner.st_gid)
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Releasing(records, source, station=station)
    finally:
        os.close(lock)


class Releasing:
    """Gives files back; use it through `open_releasing`."""

    def __init__(self, records: Records, source: FolderSource, *, station: str) -> None:
        self._records = records
        self._station = station
        self._root = source.path.resolve()
        self._quarantine = source.quarantine
        self._source = folder_source(station, self._root)
        self._pattern = regex.compile(source.part_pattern)
        self._files = files_aside(source.quarantine)

    def waiting(self) -> list[str]:
        """The inspections whose files may be released, in the order in which they were put aside; begun releases first."""
        begun = [uid for uid, aside in self._files.items() if aside.releasing is not None]
        with self._records.unit(read_only=True) as unit:
            rows = unit.quarantine.latest(station=self._station, released=False, limit=None)
        uids = [row.uid_inspection for row in reversed(rows)]
        return list(dict.fromkeys(begun + [uid for uid in uids if uid in self._files and self._files[uid].is_there]))

    def release(self, uid: str, *, by: str, reason: str) -> PurePath:
        """Give the file of this inspection back; returns its new path below the watched folder.

        Raises RecordError: unknown, of another station, released already, not in quarantine any more, no reason; NotAllowed;
        KizuError where the disk refuses. The file is then in quarantine still, or the error says that it is not. A release that
        was cut off is completed, not done twice.
        """
        with self._records.unit(read_only=True) as unit:
            unit.quarantine.require_release(by=by, reason=reason)
            row = unit.quarantine.get(uid)
        if row is None:
            raise RecordError(
                "There is nothing to release", found=f"no file in quarantine for inspection {uid}",
                expected="a uid of `kizu quarantine list`",
            )  # fmt: skip
        aside = self._aside(row)
        try:
            target = self._begun(aside, row) or self._put_back(aside, row)
        except OSError as error:
            raise KizuError(
                f"{aside.path} could not be released", found=error.strerror or error,
                next_step="It is in quarantine still: correct permissions or space and release it again.",
            ) from error  # fmt: skip
        if row.released_at is None:
            with self._records.unit() as unit:
                unit.quarantine.release(uid, by=by, reason=reason, file=printable(target))
        try:
            self._unfinished(uid, target.parent).unlink(missing_ok=True)
            aside.path.unlink(missing_ok=True)  # before its note: no file lies there without its reason
            aside.beside.unlink(missing_ok=True)
        except OSError as error:
            raise KizuError(
                f"{printable(target)} was released, but the file in quarantine could not be removed",
                found=f"{aside.path}: {error.strerror}",
                next_step="Correct its permissions and release it again: it will only be removed.",
            ) from error
        return target

    def _aside(self, row: QuarantinedFile) -> AsideFile:
        uid, aside = row.uid_inspection, self._files.get(row.uid_inspection)
        if row.station != self._station:
            raise RecordError(
                f"The file of inspection {uid} belongs to another station", found=row.station, expected=self._station,
                next_step="Release it with that station's configuration.",
            )  # fmt: skip
        if row.released_at is not None and (aside is None or aside.releasing is None):
            raise RecordError(
                f"The file of inspection {uid} is released already",
                found=f"by {row.released_by} at {row.released_at.isoformat(timespec='seconds')}",
            )
        if aside is None or (not aside.is_there and aside.releasing is None):
            raise self._missing(row)
        if os.path.lexists(aside.sidecar):
            raise RecordError(
                f"The file of inspection {uid} has a sidecar, which tells its part", found=aside.sidecar.name,
                expected="a file that its own name tells",
                next_step="Mend the sidecar and put both into the watched folder by hand, the sidecar first.",
            )  # fmt: skip
        return aside

    def _missing(self, row: QuarantinedFile) -> RecordError:
        return RecordError(
            f"The file of inspection {row.uid_inspection} is not in quarantine",
            found=f"no {row.name} with its note in {self._quarantine}",
            next_step="It may lie in the watched folder still (the log says why), or a person took it; frames of a camera have "
            "no file.",
        )

    def _begun(self, aside: AsideFile, row: QuarantinedFile) -> PurePath | None:
        """Where an earlier release put it, if it got so far: it was recorded then, it lies there, or it was judged since."""
        begun = aside.releasing
        if begun is None:
            return None
        try:
            target = self._below(begun["file"])
            inode, mtime_ns, size, sha256 = (begun[name] for name in ("inode", "mtime_ns", "size_bytes", "sha256"))
        except (TypeError, KeyError):
            return None
        if row.released_at is not None:
            return target
        with suppress(OSError):  # first the file, then its row: the line records before it moves
            status = os.lstat(self._root / target)
            if (status.st_ino, status.st_mtime_ns, status.st_size) == (inode, mtime_ns, size):
                return target
        return target if self._recorded(target, size=size, mtime_ns=mtime_ns, inode=inode, sha256=sha256) else None

    def _put_back(self, aside: AsideFile, row: QuarantinedFile) -> PurePath:
        """A copy of the file under a free name in the watched folder. Raises OSError, KizuError."""
        if row.released_at is not None or not aside.is_there:
            raise self._missing(row)
        wanted = self._wanted(aside)
        identity = self._part_of(wanted)
        for target in self._names(wanted):
            if not self._is_free(target) or self._part_of(target) != identity:
                continue
            unfinished = self._unfinished(row.uid_inspection, target.parent)
            try:
                self._make(unfinished.parent)
                sha256 = _copy(aside.path, unfinished)
                status = self._made_new(unfinished, target, sha256)
                begun = {
                    "file": os.fspath(target), "inode": status.st_ino, "mtime_ns": status.st_mtime_ns,
                    "size_bytes": status.st_size, "sha256": sha256,
                }  # fmt: skip
                write_note(aside.beside, {**aside.note, RELEASING: begun})
                sync(aside.beside.parent)
                if _name(unfinished, self._root / target):
                    sync(unfinished.parent)
                    return target
            finally:
                unfinished.unlink(missing_ok=True)
        raise KizuError(
            f"{aside.path} finds no free name in the watched folder",
            found=f"another {printable(wanted)}; in a sub-folder it would be another part (station.source.part_pattern)",
            next_step="Wait until that one is judged, then release it again.",
        )

    def _wanted(self, aside: AsideFile) -> PurePath:
        """What the file was called in the watched folder."""
        here = aside.path.relative_to(self._quarantine)
        told = aside.note.get("file")
        return here if told is None or told == printable(here) else self._below(told)

    def _below(self, told: object) -> PurePath:
        """A path that a note tells, below the watched folder and nowhere else. Raises KizuError."""
        path = PurePath(told) if isinstance(told, str) else PurePath()
        if not path.name or path.is_absolute() or "\0" in path.name or any(part.startswith(".") for part in path.parts):
            raise KizuError(
                "a note in quarantine names no file of the watched folder", found=repr(told), expected="a relative path"
            )
        return path

    def _names(self, wanted: PurePath) -> Iterator[PurePath]:
        beside = wanted.parent
        if re.fullmatch(rf"{FOLDER}(-\d+)?", beside.name):  # it was released before
            beside = beside.parent
        for number in range(_FOLDERS):
            yield beside / (f"{FOLDER}-{number}" if number else FOLDER) / wanted.name
        yield wanted

    def _is_free(self, target: PurePath) -> bool:
        """Whether the name is free, in a folder into which the line looks: never through a link."""
        path, folder = self._root / target, self._root / target.parent
        return not os.path.lexists(path) and folder.resolve() == folder and (folder.is_dir() or not os.path.lexists(folder))

    def _part_of(self, relative: PurePath) -> PartIdentity:
        return part_of_file(relative, self._pattern, source=self._source, key="")

    def _make(self, folder: Path) -> None:
        """The folder, of the watched folder's owner where root makes it: the line must be able to move files out of it."""
        if folder.is_dir():
            return
        self._make(folder.parent)
        make_folder(folder)
        if os.geteuid() == 0:
            owner = self._root.stat()
            os.chown(folder, owner.st_uid, owner.st_gid)

    def _unfinished(self, uid: str, parent: PurePath) -> Path:
        return self._root / parent / f".kizu-release-{uid}.part"

    def _made_new(self, unfinished: Path, target: PurePath, sha256: str) -> os.stat_result:
        """The copy's state, with a time that makes its key one of which there is no row."""
        before = os.lstat(unfinished)
        for step_ns in _STEPS_NS:
            if step_ns:
                os.utime(unfinished, ns=(before.st_atime_ns, before.st_mtime_ns + step_ns))
                sync(unfinished)
            status = os.lstat(unfinished)
            told = {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "inode": status.st_ino}
            if not self._recorded(target, sha256=sha256, **told):
                return status
        raise KizuError(f"{target} cannot be told from its first picture", found="its key is taken at each time that was tried")

    def _recorded(self, target: PurePath, *, size: int, mtime_ns: int, inode: int, sha256: str) -> bool:
        """Whether the line has judged this file."""
        keys = [file_key(target, size=size, mtime_ns=mtime_ns, inode=inode, sha256=digest) for digest in (sha256, None)]
        with self._records.unit(read_only=True) as unit:
            return bool(unit.inspections.uids_of(self._source, keys))


def _copy(file: Path, copy: Path) -> str:
    """Copy content, owner, mode and time, onto the disk; returns the SHA-256. Raises OSError, KizuError for what is no file."""
    copy.unlink(missing_ok=True)  # of a release that was cut off
    if not stat.S_ISREG(os.lstat(file).st_mode):
        raise KizuError(
            f"{file} cannot be released", found="a link, or no file at all", expected="a file",
            next_step="Copy the picture itself into the watched folder.",
        )  # fmt: skip
    with open(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as source, copy.open("x+b") as made:
        status = os.fstat(source.fileno())
        shutil.copyfileobj(source, made, 1 << 20)
        made.flush()
        if os.geteuid() == 0:
            os.fchown(made.fileno(), status.st_uid, status.st_gid)
        os.fchmod(made.fileno(), stat.S_IMODE(status.st_mode))
        os.utime(made.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))
        os.fsync(made.fileno())
        made.seek(0)
        sha256 = hashlib.file_digest(made, "sha256").hexdigest()
    sync(copy.parent)
    return sha256


def _name(unfinished: Path, target: Path) -> bool:
    """Give the copy its name. False where another file has it by now."""
    try:
        os.link(unfinished, target, follow_symlinks=False)  # refuses a taken name, in one step
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        if os.path.lexists(target):  # no hard links here: looking first is all that can be done
            return False
        os.rename(unfinished, target)
    return True
