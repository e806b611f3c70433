"""A watched folder: the rescan is the truth, file events only make it faster."""

from __future__ import annotations

import math
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path, PurePath
from typing import NamedTuple

import regex
import structlog

from kizu_inspect.errors import SourceError
from kizu_inspect.recipe import Bits
from kizu_pipeline.locks import folder_lock
from kizu_pipeline.naming import folder_source, printable
from kizu_pipeline.settings import FolderSource
from kizu_pipeline.sources.base import Queue, Work
from kizu_pipeline.sources.file_work import FileWork
from kizu_pipeline.sources.scan import FoundFile, Oddity, Version, digest_of, scan
from kizu_pipeline.sources.settling import Unsettled
from kizu_pipeline.sources.sidecar import Sidecars
from kizu_pipeline.sources.watch import watch_folder
from kizu_pipeline.sources.writers import Writing, is_local, writing

__all__ = ["FolderIntake", "open_folder"]

_POSTPONED_S = 10.0
_OPEN_TOO_LONG_S = 60.0
_REMEMBERED = 4096
_MOST_BYTES = 256_000_000

_log = structlog.get_logger("kizu.intake")


@contextmanager
def open_folder(
    settings: FolderSource,
    *,
    station: str,
    max_megapixels: float,
    watch: bool,
    batch_wait_s: float,
    stop: threading.Event,
    bits: Bits | None = None,
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
    intake = FolderIntake(
        settings, station=station, max_megapixels=max_megapixels, batch_wait_s=batch_wait_s, stop=stop, bits=bits
    )
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


class _Sight(NamedTuple):
    """When a file was first seen (monotonic, s); the first one goes first."""

    absent_s: float
    """When the last look that found nothing of it was begun: it came after that."""
    came_s: float
    """When its first version was found; where that was not complete, a later one is the same picture."""
    at_s: float
    """When this version of it was found."""


class FolderIntake:
    """The files of one watched folder that wait to be judged."""

    def __init__(
        self,
        settings: FolderSource,
        *,
        station: str,
        max_megapixels: float,
        batch_wait_s: float,
        stop: threading.Event,
        bits: Bits | None = None,
    ) -> None:
        self.settings = settings
        self.root = settings.path.resolve()
        self.source = folder_source(station, self.root)
        self.max_megapixels = max_megapixels
        self.bits: Bits | None = bits
        self.pattern = regex.compile(settings.part_pattern)
        self.changed = threading.Event()
        self._batch_wait_s = batch_wait_s
        self._stop = stop
        # Where the kernel cannot know of every writer, a file that seems closed may only be closed here.
        self._closing_is_known = settings.complete_when == "closed" and is_local(self.root)
        self.sidecars: Sidecars | None = None
        self._ignored = settings.ignored
        if settings.sidecar_wait_s is not None:
            self.sidecars = Sidecars(self.root, wait_s=settings.sidecar_wait_s, is_open=self.is_open)
            self._ignored = (*self._ignored, "*.json")
        self._ready: deque[FoundFile] = deque()
        self._unsettled: dict[PurePath, Unsettled] = {}
        """What was found incomplete."""
        self._doubted: dict[PurePath, Unsettled] = {}
        """What was complete and could not be read or decoded."""
        self._postponed: dict[PurePath, float] = {}
        self._seen: dict[tuple[PurePath, Version], _Sight] = {}
        """Of each version of a file that the last look found."""
        self._looked_s = -math.inf
        """When the last look was begun."""
        self._held_s = math.inf
        """When what is not complete yet was not there; inf where nothing is, but what has been so for too long."""
        self._complete: dict[PurePath, Version] = {}
        """What the last look found complete."""
        self._warned: set[PurePath] = set()
        self._in_work: set[PurePath] = set()
        """What was taken and is not finished: its file lies there still."""
        self._lock = threading.Lock()
        self._gone: dict[str, int] = {}
        """How often a file of this identity was put away, of the last ones."""

    def take(self, limit: int) -> list[Work]:
        """Up to `limit` complete files, first seen first, then oldest first. Raises SourceError when the folder is gone."""
        if not self._ready:
            self._rescan()
            if 0 < len(self._ready) < limit and self._batch_wait_s > 0:
                self._stop.wait(self._batch_wait_s)
                self._rescan()
        works: list[Work] = []
        taken_bytes = 0
        while self._ready and len(works) < limit and (not works or taken_bytes + self._ready[0].size <= _MOST_BYTES):
            taken_bytes += self._ready[0].size  # all are read before the first is decoded
            works.append(self._work(self._ready.popleft()))
        self._in_work |= {work.found.relative for work in works if isinstance(work, FileWork)}
        return works

    def _work(self, found: FoundFile) -> FileWork:
        return FileWork(self, found, None if self.sidecars is None else self.sidecars.of(found))

    @property
    def folder(self) -> Path:
        """The watched folder."""
        return self.root

    def finished(self, work: Work) -> None:
        """What lies under its name from now on is another piece of work, or the same once more."""
        if isinstance(work, FileWork):
            self._in_work.discard(work.found.relative)

    def postpone(self, work: Work) -> None:
        """Pass this file over for some seconds."""
        if isinstance(work, FileWork):
            self._postponed[work.found.relative] = time.monotonic() + _POSTPONED_S

    def first_seen_s(self, found: FoundFile) -> float:
        """When this version of the file was first seen (monotonic, s)."""
        seen = self._seen.get((found.relative, found.version))
        return time.monotonic() if seen is None else seen.at_s

    def absent_s(self, found: FoundFile) -> float:
        """When the last look that found nothing of the file was begun (monotonic, s); -inf: there was none."""
        seen = self._seen.get((found.relative, found.version))
        return self._looked_s if seen is None else seen.absent_s

    @property
    def taken_until_s(self) -> float:
        """All that lay there by this time (monotonic, s) was taken, or has been incomplete for too long."""
        return min(self._held_s, self.absent_s(self._ready[0]) if self._ready else self._looked_s)

    def is_open(self, path: Path) -> bool:
        """Whether a program of this machine has the file open for writing, as far as that can be known."""
        if not self._closing_is_known:
            return False
        try:
            return writing(path) is Writing.OPEN
        except OSError:
            return False

    def doubts(self, found: FoundFile, *, for_s: float) -> bool:
        """Whether a file that cannot be had is to be looked at once more, after this time: what hinders may pass."""
        before = self._doubted.get(found.relative)
        if before is not None and before.version == found.version:
            return time.monotonic() < before.until
        if for_s <= 0:
            return False
        self._doubted[found.relative] = Unsettled(found.version, now := time.monotonic(), now + for_s)
        return True

    @property
    def step_s(self) -> float:
        """How long a writer that closes its file between its parts may take for the next one; 0 where closing says nothing."""
        return self.settings.settle_s if self._closing_is_known else 0.0

    def gone(self, identity: str) -> None:
        """Remember that the file of this identity is put away: what has it from now on is another piece of work."""
        with self._lock:
            self._gone[identity] = self._gone.pop(identity, 0) + 1
            if len(self._gone) > _REMEMBERED:
                del self._gone[next(iter(self._gone))]

    def numbered(self, identity: str) -> str:
        """The key of a file: the same picture put under the same name again has a number behind it."""
        before = self._gone.get(identity, 0)
        if before:
            _log.warning("the same picture again under the same name; inspected again", file=identity.partition("|")[0])
        return f"{identity}|{before + 1}" if before else identity

    @property
    def waiting(self) -> bool:
        """Whether files are there that are not complete yet, or in work."""
        return bool(self._unsettled or self._in_work)

    def queues(self) -> dict[str, Queue]:
        """The files that wait to be taken, and those that are not complete yet; any thread may ask."""
        first = None
        with suppress(IndexError):  # taken meanwhile
            first = self.first_seen_s(self._ready[0])
        incomplete = self._unsettled
        since = min((one.since for one in incomplete.values()), default=None)
        return {"ready": Queue(len(self._ready), first), "incomplete": Queue(len(incomplete), since)}

    @property
    def ended(self) -> bool:
        """Never: a folder may always get another file."""
        return False

    def wait(self) -> None:
        """Until a file event, the next rescan, the end of all work, an incomplete file may have settled, or the stop event."""
        until = time.monotonic() + self.settings.rescan_s
        until = min([until, *(one.until for one in self._unsettled.values())])
        working = bool(self._in_work)
        while not self._stop.is_set() and (left := until - time.monotonic()) > 0:
            if self.changed.wait(min(left, 0.1)) or (working and not self._in_work):
                break
        self.changed.clear()

    def _rescan(self) -> None:
        """Sort what lies in the folder now into complete and incomplete."""
        now = time.monotonic()
        for path in [path for path, until in list(self._postponed.items()) if until <= now]:  # which another thread adds to
            del self._postponed[path]
        ready: list[FoundFile] = []
        unsettled: dict[PurePath, Unsettled] = {}
        seen = set(self._in_work)
        seen_now: dict[tuple[PurePath, Version], _Sight] = {}
        held_s = math.inf
        try:
            for found in scan(self.root, temporary_suffixes=self.settings.temporary_suffixes, ignored=self._ignored):
                if isinstance(found, Oddity):
                    self._warn(found)
                    continue
                of_version = (found.relative, found.version)
                sight = seen_now[of_version] = self._seen.get(of_version) or self._first_sight(found, now)
                if found.relative in self._postponed or found.relative in self._in_work:
                    continue
                waits = self._incomplete(found, now)
                if waits is None and self.sidecars is not None:
                    waits = self.sidecars.waits(found, since_s=sight.at_s, now_s=now)
                if waits is None:
                    ready.append(found)
                    seen.add(found.relative)
                else:
                    unsettled[found.relative] = waits
                    seen.add(found.relative)
                    if now - sight.came_s <= _OPEN_TOO_LONG_S:
                        held_s = min(held_s, sight.absent_s)
        except OSError as error:
            raise SourceError(
                f"the watched folder {self.root} cannot be read",
                found=error.strerror,
                next_step="Bring the folder back and start again; nothing is lost.",
            ) from error
        self._unsettled = unsettled
        self._seen, self._held_s, self._looked_s = seen_now, held_s, now
        self._doubted = {path: doubt for path, doubt in self._doubted.items() if path in seen}
        if self.sidecars is not None:
            self.sidecars.keep(seen)
        self._complete = {found.relative: found.version for found in ready}
        # By their own times only where one look found several: a clock that is set right changes no order beyond that.
        self._ready = deque(
            sorted(ready, key=lambda found: (self._seen[found.relative, found.version], found.mtime_ns, found.relative))
        )

    def _first_sight(self, found: FoundFile, now: float) -> _Sight:
        """Of this version of a file: what was incomplete before had come then."""
        before = self._unsettled.get(found.relative) or self._doubted.get(found.relative)
        sight = None if before is None else self._seen.get((found.relative, before.version))
        return _Sight(self._looked_s, now, now) if sight is None else sight._replace(at_s=now)

    def _incomplete(self, found: FoundFile, now: float) -> Unsettled | None:
        """What a file still waits for; None where it is complete.

        No rule compares a file's times with this machine's clock: a camera has its own, and copied files have old ones.
        """
        if found.is_link:
            return None
        doubted = self._doubted.get(found.relative)
        if doubted is not None and doubted.version == found.version and now < doubted.until:
            return doubted
        if not self._closing_is_known and self.sidecars is not None and self.sidecars.complete_before(found):
            return None
        path, before = self.root / found.relative, self._unsettled.get(found.relative)
        known = Writing.UNKNOWN
        if self._closing_is_known:
            with suppress(OSError):  # of a file that may not be read: once it has settled that is told as its error
                known = writing(path)
        if known is Writing.CLOSED and found.size > 0:  # an empty one was perhaps only made to be filled
            return None
        since = before.since if before is not None and before.version == found.version else now
        if known is Writing.OPEN:
            if now - since > _OPEN_TOO_LONG_S and (before is None or not before.told):
                _log.warning("held open for writing; not inspected yet", file=printable(found.relative))
                return Unsettled(found.version, since, open=True, told=True)
            return Unsettled(found.version, since, open=True, told=before is not None and before.told)
        if self._complete.get(found.relative) == found.version:  # and not taken since: the batch waited for more
            return None
        if before is None or before.open or before.version != found.version:
            return self._settling(found, now, digest_of(path)) if self.settings.settle_s > 0 else None
        if now - since < self.settings.settle_s:
            return before
        content = digest_of(path)
        return None if content == before.content else self._settling(found, now, content)

    def _settling(self, found: FoundFile, now: float, content: str) -> Unsettled:
        return Unsettled(found.version, now, now + self.settings.settle_s, content=content)

    def _warn(self, oddity: Oddity) -> None:
        if oddity.relative not in self._warned:
            self._warned.add(oddity.relative)
            _log.warning("left alone", file=printable(oddity.relative), reason=oddity.reason)
