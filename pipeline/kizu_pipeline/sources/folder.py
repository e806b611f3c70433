"""A watched folder: the rescan is the truth, file events only make it faster."""

from __future__ import annotations

import os
import re
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path, PurePath

import structlog

from kizu_inspect.errors import ImageError, SourceError
from kizu_inspect.picture.decoding import decode_image
from kizu_pipeline.filing import move_aside, move_to_quarantine
from kizu_pipeline.locks import folder_lock
from kizu_pipeline.naming import PartIdentity, part_of_file, printable
from kizu_pipeline.settings import FolderSource
from kizu_pipeline.sources.base import Picture, Work
from kizu_pipeline.sources.scan import FoundFile, Oddity, scan
from kizu_pipeline.sources.watch import watch_folder

__all__ = ["FolderIntake", "open_folder"]

_POSTPONED_S = 10.0
_MAGIC = ((b"\x89PNG", ".png"), (b"\xff\xd8", ".jpg"), (b"BM", ".bmp"), (b"II*\0", ".tif"), (b"MM\0*", ".tif"))

_log = structlog.get_logger("kizu.intake")


@contextmanager
def open_folder(
    settings: FolderSource, *, station: str, max_megapixels: float, watch: bool, batch_wait_s: float, stop: threading.Event
) -> Iterator[FolderIntake]:
    """The folder, locked for this process; with `watch`, file events cut the waits short.

    Raises SourceError: not there, not a folder, or another service has it.
    """
    if not settings.path.is_dir():
        raise SourceError(
            f"the watched folder {settings.path} is not there",
            found="a file" if settings.path.exists() else "nothing",
            expected="a folder",
            next_step="Make it, or correct station.source.path.",
        )
    for folder in (settings.quarantine, *([settings.done] if settings.keep == "move" else [])):
        _make_writable(folder)
    intake = FolderIntake(settings, station=station, max_megapixels=max_megapixels, batch_wait_s=batch_wait_s, stop=stop)
    events = watch_folder(intake.root, changed=intake.changed) if watch else nullcontext()
    with folder_lock(intake.root, station=station), events:
        yield intake


def _make_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SourceError(
            f"the folder {folder} cannot be made", found=error.strerror, next_step="Correct its path or permissions."
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SourceError(
            f"the folder {folder} cannot be written to",
            found="no permission",
            expected="a folder that takes inspected files",
            next_step="Correct its permissions, or run as its owner.",
        )


class FolderIntake:
    """The files of one watched folder that wait to be judged."""

    def __init__(
        self, settings: FolderSource, *, station: str, max_megapixels: float, batch_wait_s: float, stop: threading.Event
    ) -> None:
        self.settings = settings
        self.root = settings.path.resolve()
        self.source = f"folder:{station}:{printable(self.root)}"
        self.max_megapixels = max_megapixels
        self.pattern = re.compile(settings.part_pattern)
        self.changed = threading.Event()
        self._batch_wait_s = batch_wait_s
        self._stop = stop
        self._excluded = {settings.done.resolve(), settings.quarantine.resolve()}
        self._ready: deque[FoundFile] = deque()
        self._unsettled: dict[PurePath, tuple[tuple[int, int], float]] = {}
        """What was found incomplete, with its version and when that version was first seen (monotonic)."""
        self._postponed: dict[PurePath, float] = {}
        self._warned: set[PurePath] = set()

    def take(self, limit: int) -> list[Work]:
        """Up to `limit` complete files, oldest first. Raises SourceError when the folder is gone."""
        if not self._ready:
            self._rescan()
            if 0 < len(self._ready) < limit and self._batch_wait_s > 0:
                self._stop.wait(self._batch_wait_s)
                self._rescan()
        return [FileWork(self, self._ready.popleft()) for _ in range(min(limit, len(self._ready)))]

    def postpone(self, work: Work) -> None:
        """Pass this file over for some seconds."""
        if isinstance(work, FileWork):
            self._postponed[work.found.relative] = time.monotonic() + _POSTPONED_S

    @property
    def waiting(self) -> bool:
        """Whether files are there that are not complete yet."""
        return bool(self._unsettled)

    @property
    def ended(self) -> bool:
        """Never: a folder may always get another file."""
        return False

    def wait(self) -> None:
        """Until a file event, the next rescan, the moment an incomplete file may have settled, or the stop event."""
        now = time.monotonic()
        until = now + self.settings.rescan_s
        if self._unsettled:
            until = min(until, min(seen for _, seen in self._unsettled.values()) + self.settings.settle_s)
        while not self._stop.is_set() and (left := until - time.monotonic()) > 0:
            if self.changed.wait(min(left, 0.1)):
                break
        self.changed.clear()

    def _rescan(self) -> None:
        """Sort what lies in the folder now into complete and incomplete."""
        now = time.monotonic()
        wall_ns = time.time_ns()
        settle_ns = round(self.settings.settle_s * 1e9)
        self._postponed = {path: until for path, until in self._postponed.items() if until > now}
        ready: list[FoundFile] = []
        unsettled: dict[PurePath, tuple[tuple[int, int], float]] = {}
        try:
            for found in scan(self.root, excluded=self._excluded, temporary_suffixes=self.settings.temporary_suffixes):
                if isinstance(found, Oddity):
                    self._warn(found)
                elif found.relative in self._postponed:
                    continue
                elif wall_ns - found.mtime_ns >= settle_ns:
                    ready.append(found)
                else:
                    version, seen = self._unsettled.get(found.relative, (found.version, now))
                    if version != found.version:
                        seen = now
                    if now - seen >= self.settings.settle_s:
                        ready.append(found)
                    else:
                        unsettled[found.relative] = (found.version, seen)
        except OSError as error:
            raise SourceError(
                f"the watched folder {self.root} cannot be read",
                found=error.strerror,
                next_step="Bring the folder back and start again; nothing is lost.",
            ) from error
        self._unsettled = unsettled
        self._ready = deque(sorted(ready, key=lambda found: (found.mtime_ns, found.relative)))

    def _warn(self, oddity: Oddity) -> None:
        if oddity.relative not in self._warned:
            self._warned.add(oddity.relative)
            _log.warning("left alone", file=printable(oddity.relative), reason=oddity.reason)


@dataclass(frozen=True)
class FileWork:
    """One complete file of a watched folder."""

    intake: FolderIntake
    found: FoundFile

    @cached_property
    def key(self) -> str:
        """Relative path, size and modification time: cameras use names again."""
        return f"{printable(self.found.relative)}|{self.found.size}|{self.found.mtime_ns}"

    @property
    def name(self) -> str:
        """The file's name, without its folder."""
        return printable(self.found.relative.name)

    @cached_property
    def part(self) -> PartIdentity:
        """What the file's name tells."""
        return part_of_file(self.found.relative, self.intake.pattern, source=self.intake.source, key=self.key)

    @cached_property
    def captured_at(self) -> datetime:
        """The file's modification time; now, where that is no date."""
        try:
            return datetime.fromtimestamp(self.found.mtime_ns / 1e9, UTC)
        except (OverflowError, ValueError, OSError):
            return datetime.now(UTC)

    @property
    def _path(self) -> Path:
        return self.intake.root / self.found.relative

    def load(self) -> Picture | None:
        """The picture; None where the file vanished or changed since it was found.

        Raises ImageError: a link, unreadable, not a picture, broken, too large.
        """
        started = time.perf_counter()
        try:
            if self.found.is_link:
                raise ImageError(
                    "links are refused",
                    found=f"a link to {printable(os.readlink(self._path))}",
                    expected="a file",
                    next_step="Copy the picture itself into the folder.",
                )
            data = self._read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ImageError("file cannot be read", found=error.strerror) from error
        if data is None:
            return None
        read = time.perf_counter()
        try:
            image = decode_image(data, max_megapixels=self.intake.max_megapixels)
        except ImageError:
            raise
        except Exception as error:
            # Decoders fail in ways of their own on hostile bytes. That is one bad picture, not a dead line.
            _log.exception("decoder failed", file=self.name)
            raise ImageError("picture cannot be decoded", found=f"{type(error).__name__}: {error}") from error
        decoded = time.perf_counter()
        timings = {"read": (read - started) * 1e3, "decode": (decoded - read) * 1e3}
        return Picture(data, _suffix(data), image, timings)

    def _read(self) -> bytes | None:
        """The file's bytes; None where it is another version than was found."""
        descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            data = file.read()
            status = os.fstat(descriptor)
        return data if (status.st_size, status.st_mtime_ns) == self.found.version and len(data) == status.st_size else None

    def inspected(self) -> None:
        """Move the file to done, or delete it, as the settings say."""
        if not self._is_unchanged():
            return
        if self.intake.settings.keep == "delete":
            self._path.unlink(missing_ok=True)
        else:
            move_aside(self._path, self.intake.settings.done, self.found.relative)

    def refused(self, error: str, *, inspection: str) -> None:
        """Move the file to quarantine beside its note."""
        note = {
            "file": printable(self.found.relative),
            "error": error,
            "inspection": inspection,
            "source": self.intake.source,
            "source_key": self.key,
            "size_bytes": self.found.size,
            "quarantined_at": datetime.now(UTC).isoformat(),
        }
        if self._is_unchanged():
            move_to_quarantine(self._path, self.intake.settings.quarantine, self.found.relative, note)

    def _is_unchanged(self) -> bool:
        """Whether the name still stands for the picture that was judged: a camera may have put its next one there meanwhile.

        That one is other work, found by the next look into the folder.
        """
        try:
            status = os.lstat(self._path)
        except FileNotFoundError:
            changed = "vanished"
        else:
            if (status.st_size, status.st_mtime_ns) == self.found.version:
                return True
            changed = "was replaced"
        _log.warning(f"file {changed} before it was put away", file=printable(self.found.relative))
        return False


def _suffix(data: bytes) -> str:
    """The ending that fits the content, whatever the file was called: the same content is stored under one name."""
    return next((suffix for magic, suffix in _MAGIC if data.startswith(magic)), ".img")
