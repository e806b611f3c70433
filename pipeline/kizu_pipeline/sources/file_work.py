"""One file of a watched folder: reading it, knowing it again, putting it away."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from kizu_db.recordable import in_reach
from kizu_inspect.errors import ImageError
from kizu_pipeline.decoders import Decode
from kizu_pipeline.filing import move_aside, move_to_quarantine
from kizu_pipeline.naming import PartIdentity, file_key, generated_part, part_of_file, printable
from kizu_pipeline.sources.base import Picture
from kizu_pipeline.sources.scan import FoundFile, version_of

if TYPE_CHECKING:
    from kizu_pipeline.sources.folder import FolderIntake
    from kizu_pipeline.sources.sidecar import Sidecar

__all__ = ["FileWork"]

_READ_AGAIN_S = 10.0
_MOST_BYTES_A_PIXEL, _MOST_BYTES_BESIDE = 8, 64_000_000  # four channels of 16 bits, and whatever a header holds
_MAGIC = ((b"\x89PNG", ".png"), (b"\xff\xd8", ".jpg"), (b"BM", ".bmp"), (b"II*\0", ".tif"), (b"MM\0*", ".tif"))

_log = structlog.get_logger("kizu.intake")


@dataclass(frozen=True)
class _Content:
    """What was read of a file; neither data nor error where it vanished or changed since it was found."""

    data: bytes | None = None
    error: ImageError | None = None
    may_pass: bool = False
    """Whether it may be read later."""
    read_ms: float = 0.0


@dataclass(frozen=True)
class FileWork:
    """One complete file of a watched folder."""

    intake: FolderIntake
    found: FoundFile
    sidecar: Sidecar | None = None
    """What lay beside it, where sidecars are looked at."""

    @cached_property
    def key(self) -> str:
        """Relative path, size, modification time, inode and content, and a number where all of these came again.

        Cameras use names again, those without a clock with the same time; what differs in any of them is another piece of
        work. The file under that name has the same key again after a restart.
        """
        return self.intake.numbered(self._identity)

    @cached_property
    def _identity(self) -> str:
        found, data = self.found, self._content.data
        sha256 = None if data is None else hashlib.sha256(data).hexdigest()
        return file_key(found.relative, size=found.size, mtime_ns=found.mtime_ns, inode=found.inode, sha256=sha256)

    @property
    def name(self) -> str:
        """The file's name, without its folder."""
        return printable(self.found.relative.name)

    @cached_property
    def part(self) -> PartIdentity:
        """What its sidecar tells, or else its name."""
        if self.sidecar is not None:
            return self.sidecar.part or PartIdentity(generated_part(self.intake.source, self.key), generated=True)
        return part_of_file(self.found.relative, self.intake.pattern, source=self.intake.source, key=self.key)

    @cached_property
    def captured_at(self) -> datetime:
        """What its sidecar tells, or else the file's modification time; now, where that is no date."""
        if self.sidecar is not None and self.sidecar.captured_at is not None:
            return self.sidecar.captured_at
        try:
            when = datetime.fromtimestamp(self.found.mtime_ns / 1e9, UTC)
        except (OverflowError, ValueError, OSError):
            return datetime.now(UTC)
        return when if in_reach(when) else datetime.now(UTC)

    @property
    def seen_s(self) -> float:
        """When this version of the file was first seen (monotonic, s)."""
        return self.intake.first_seen_s(self.found)

    @property
    def absent_s(self) -> float:
        """When the look before that was begun (monotonic, s)."""
        return self.intake.absent_s(self.found)

    @property
    def trigger(self) -> None:
        """None: a file answers no trigger."""
        return None

    @property
    def _path(self) -> Path:
        return self.intake.root / self.found.relative

    def load(self, decode: Decode) -> Picture | None:
        """The picture; None where the file vanished or changed since it was found.

        Raises ImageError: a link, unreadable, not a picture, broken, too large, or with a broken sidecar.
        """
        content = self._content
        if content.error is not None:
            if content.may_pass and self.intake.doubts(self.found, for_s=_READ_AGAIN_S):
                return None
            raise content.error
        if content.data is None:
            return None
        if self.sidecar is not None and self.sidecar.error:
            raise ImageError(self.sidecar.error)
        started = time.perf_counter()
        try:
            image = decode(content.data, max_megapixels=self.intake.max_megapixels, bits=self.intake.bits)
        except ImageError:
            if self.intake.doubts(self.found, for_s=self.intake.step_s):
                return None
            raise
        timings = {"read": content.read_ms, "decode": (time.perf_counter() - started) * 1e3}
        return Picture(content.data, _suffix(content.data), image, timings)

    @cached_property
    def _content(self) -> _Content:
        started = time.perf_counter()
        try:
            if self.found.is_link:
                target = printable(os.readlink(self._path))
                return _Content(
                    error=ImageError(
                        "links are refused", found=f"a link to {target}", expected="a file",
                        next_step="Copy the picture itself into the folder.",
                    )
                )  # fmt: skip
            data = self._read()
        except FileNotFoundError:
            return _Content()
        except OSError as error:
            return _Content(error=ImageError("file cannot be read", found=error.strerror), may_pass=True)
        except ImageError as error:
            return _Content(error=error)
        return _Content(data, read_ms=(time.perf_counter() - started) * 1e3)

    def _read(self) -> bytes | None:
        """The file's bytes; None where it is another version than was found. Raises OSError, ImageError for a huge one."""
        most = int(self.intake.max_megapixels * 1e6 * _MOST_BYTES_A_PIXEL) + _MOST_BYTES_BESIDE
        if self.found.size > most:
            raise ImageError(
                "file is too large to be read", found=f"{self.found.size / 1e6:.0f} MB",
                expected=f"at most {most / 1e6:.0f} MB", next_step="Raise recipe.max_megapixels if such pictures are meant.",
            )  # fmt: skip
        descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            data = file.read()
            status = os.fstat(descriptor)
        return data if version_of(status) == self.found.version and len(data) == status.st_size else None

    def inspected(self) -> None:
        """Move the file to done, or delete it, as the settings say; its sidecar goes first."""
        unchanged = self._is_unchanged()
        beside = self._beside(unchanged)
        settings = self.intake.settings
        if settings.keep == "delete":
            for path in (beside, self._path if unchanged else None):
                if path is not None:
                    path.unlink(missing_ok=True)
        elif unchanged:
            move_aside(self._path, settings.done, self.found.relative, sidecar=beside)
        elif beside is not None:
            move_aside(beside, settings.done, self.found.relative.with_name(self.found.relative.name + ".json"))
        if unchanged:
            self._gone(beside)

    def refused(self, error: str, *, inspection: str) -> None:
        """Move the file to quarantine beside its note; its sidecar goes first."""
        note = {
            "file": printable(self.found.relative),
            "error": error,
            "inspection": inspection,
            "source": self.intake.source,
            "source_key": self.key,
            "size_bytes": self.found.size,
            "quarantined_at": datetime.now(UTC).isoformat(),
        }
        unchanged = self._is_unchanged()
        beside = self._beside(unchanged)
        quarantine, relative = self.intake.settings.quarantine, self.found.relative
        if unchanged:
            move_to_quarantine(self._path, quarantine, relative, note, sidecar=beside)
            self._gone(beside)
        elif beside is not None:
            move_aside(beside, quarantine, relative.with_name(relative.name + ".sidecar.json"))

    def _beside(self, unchanged: bool) -> Path | None:
        """The sidecar that is to be put away with this file: one left behind would name the next picture of that name."""
        if self.intake.sidecars is None:
            return None
        return self.intake.sidecars.lying(self.found.relative, self.sidecar, picture_is_there=unchanged)

    def _gone(self, beside: Path | None) -> None:
        if self.intake.sidecars is not None:
            had_one = beside is not None if self.sidecar is None else not self.sidecar.doubtful
            self.intake.sidecars.put_away(self.found.relative, had_one=had_one)
        self.intake.gone(self._identity)

    def _is_unchanged(self) -> bool:
        """Whether the name still stands for the picture that was judged: a camera may have put its next one there meanwhile.

        That one is other work, found by the next look into the folder.
        """
        try:
            status = os.lstat(self._path)
        except FileNotFoundError:
            changed = "vanished"
        else:
            if version_of(status) != self.found.version:
                changed = "was replaced"
            elif not self.intake.is_open(self._path):
                return True
            else:  # what is going to be written would lie in done, and nobody would look at it
                changed = "was opened for writing"
        _log.warning(f"file {changed} before it was put away", file=printable(self.found.relative))
        return False


def _suffix(data: bytes) -> str:
    """The ending that fits the content, whatever the file was called: the same content is stored under one name."""
    return next((suffix for magic, suffix in _MAGIC if data.startswith(magic)), ".img")
