"""Sidecars: a JSON file beside a picture that tells which part it shows."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Annotated, Final

import structlog
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from kizu_db.recordable import in_reach
from kizu_inspect.settings import describe_invalid
from kizu_pipeline.naming import PartIdentity, printable
from kizu_pipeline.sources.scan import FoundFile, Version, version_of
from kizu_pipeline.sources.settling import Unsettled

__all__ = ["Sidecar", "Sidecars"]

_MOST_BYTES: Final = 64_000
_LONGEST_TEXT: Final = 200
_REMEMBERED: Final = 4096
_BOM: Final = b"\xef\xbb\xbf"

_log = structlog.get_logger("kizu.intake")


def _plain(text: str) -> str:
    if "\0" in text:
        raise ValueError("no database takes a NUL character")
    if len(text := unicodedata.normalize("NFC", text)) > _LONGEST_TEXT:  # some characters become three
        raise ValueError(f"text has at most {_LONGEST_TEXT} characters")
    return text


def _a_moment_everywhere(when: datetime) -> datetime:
    if not in_reach(when):
        raise ValueError("a time is of the years 2 to 9998")
    return when


_Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=_LONGEST_TEXT), AfterValidator(_plain)]
_Time = Annotated[AwareDatetime, AfterValidator(_a_moment_everywhere)]


class _Content(BaseModel):
    model_config = ConfigDict(extra="ignore")

    part: _Text = Field(min_length=1)
    view: _Text | None = None
    lot: _Text | None = None
    captured_at: _Time | None = None


@dataclass(frozen=True)
class Sidecar:
    """What the file beside a picture says."""

    path: Path
    version: Version
    part: PartIdentity | None = None
    """None where `error` says why nothing is known."""
    captured_at: datetime | None = None
    """UTC; None where it tells no time."""
    error: str = ""
    doubtful: bool = False
    """Whether it may belong to the picture before."""


@dataclass
class _Awaited:
    """A complete picture that waits for its sidecar."""

    version: Version
    until: float
    lay_there: Version | None
    """The sidecar at the first look; any other that comes was not left by the picture before."""
    told: bool = False
    """Whether the log says that none came."""


class Sidecars:
    """The sidecars of one watched folder. One thread reads; `lying` and `put_away` may be called by the one that records."""

    def __init__(self, root: Path, *, wait_s: float, is_open: Callable[[Path], bool]) -> None:
        """A picture waits `wait_s` for its sidecar from when it is first seen; `is_open`: whether a file is being written."""
        self._root = root
        self._wait_s = wait_s
        self._is_open = is_open
        self._awaited: dict[PurePath, _Awaited] = {}
        self._read: dict[PurePath, Sidecar] = {}
        self._without: dict[PurePath, None] = {}
        """Names whose last picture went on without one; it may come yet, and must not name the next picture."""

    def complete_before(self, found: FoundFile) -> bool:
        """Whether this version of the picture was complete at the last look, and waits for its sidecar alone."""
        awaited = self._awaited.get(found.relative)
        return awaited is not None and awaited.version == found.version

    def waits(self, found: FoundFile, *, since_s: float, now_s: float) -> Unsettled | None:
        """Until when a complete picture waits for its sidecar; None where that is there, or its time is up (`of` gives it)."""
        name = found.relative
        sidecar = self._sidecar(name)
        awaited = self._awaited.get(name)
        if awaited is None or awaited.version != found.version:
            awaited = _Awaited(found.version, since_s + self._wait_s, None if sidecar is None else sidecar.version)
            self._awaited[name] = awaited
        if sidecar is not None and sidecar.version == awaited.lay_there and name in self._without:
            sidecar = Sidecar(
                sidecar.path, sidecar.version, doubtful=True,
                error="sidecar may be that of the picture before: found the same name, whose last picture went on without one; "
                "expected a name for each picture. Use names once, or raise station.source.sidecar_wait_s.",
            )  # fmt: skip
        if now_s < awaited.until and (sidecar is None or sidecar.error):
            return Unsettled(found.version, since_s, awaited.until)
        self._read.pop(name, None)
        if sidecar is not None:
            self._read[name] = sidecar
        elif not awaited.told:
            awaited.told = True
            _log.warning("no sidecar came; the name tells the part", file=printable(name), waited_s=self._wait_s)
        return None

    def of(self, found: FoundFile) -> Sidecar | None:
        """The sidecar that `waits` found."""
        return self._read.get(found.relative)

    def keep(self, seen: set[PurePath]) -> None:
        """Forget what is known of all other pictures."""
        self._awaited = {name: awaited for name, awaited in self._awaited.items() if name in seen}
        self._read = {name: sidecar for name, sidecar in self._read.items() if name in seen}

    def lying(self, name: PurePath, sidecar: Sidecar | None, *, picture_is_there: bool) -> Path | None:
        """What is to be put away with the picture: what lies beside it, also where it came late.

        Where another picture has taken the name, only the one that was read for this one.
        """
        for path in self._candidates(name):
            if (version := _version(path)) is None:
                continue
            if sidecar is not None and (path, version) == (sidecar.path, sidecar.version):
                return path
            if picture_is_there:
                came = "late; the name told the part" if sidecar is None else "again; the first one told the part"
                _log.warning(f"sidecar came {came}", file=printable(path.name))
                return path
        return None

    def put_away(self, name: PurePath, *, had_one: bool) -> None:
        """The picture of this name is gone, with its sidecar or without one."""
        self._without.pop(name, None)
        if not had_one:
            self._without[name] = None
            if len(self._without) > _REMEMBERED:
                del self._without[next(iter(self._without))]

    def _candidates(self, name: PurePath) -> tuple[Path, Path]:
        picture = self._root / name
        return picture.with_name(picture.name + ".json"), picture.with_name(picture.stem + ".json")

    def _sidecar(self, name: PurePath) -> Sidecar | None:
        for path in self._candidates(name):
            if (version := _version(path)) is not None:
                try:
                    if self._is_open(path):
                        return _broken(path, version, "a file that is still written")
                    return _understood(path, version)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    return _broken(path, version, error.strerror or type(error).__name__)
        return None


def _version(path: Path) -> Version | None:
    """None where there is neither a file nor a link."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return version_of(status) if stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode) else None


def _understood(path: Path, version: Version) -> Sidecar:
    """Raises OSError; a link is one."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        return _broken(path, version, f"more than {_MOST_BYTES // 1000} kB")
    try:
        told = _Content.model_validate_json(data.removeprefix(_BOM))
        captured_at = None if told.captured_at is None else told.captured_at.astimezone(UTC)
    except ValidationError as error:
        return _broken(path, version, describe_invalid(error))
    return Sidecar(path, version, PartIdentity(told.part, view=told.view or None, lot=told.lot or None), captured_at)


def _broken(path: Path, version: Version, found: str) -> Sidecar:
    return Sidecar(
        path, version,
        error=f"sidecar is broken: found {found}; expected a JSON object with part, and view, lot and captured_at if wanted. "
        f"Correct {printable(path.name)} and put both files back.",
    )  # fmt: skip
