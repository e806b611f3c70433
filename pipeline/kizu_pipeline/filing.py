"""Putting a file away for good: never over another one, and safe to repeat after a crash at any instant."""

from __future__ import annotations

import errno
import filecmp
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path, PurePath
from typing import Any

from kizu_inspect.durable import sync

__all__ = ["NOTE_SUFFIX", "SIDECAR_SUFFIX", "move_aside", "move_to_quarantine", "write_note"]

NOTE_SUFFIX = ".json"
"""What a note's name has behind its file's."""
_NAME_BYTES = 255  # what Linux file systems take
_FEW = 16
"""So many files of one name are looked at one by one."""
_SUFFIX_BYTES = 32  # what is longer is no extension, only a name with a dot
SIDECAR_SUFFIX = ".sidecar.json"
"""What a sidecar's name has behind its picture's in quarantine."""
_NO_HARD_LINKS = (errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


def move_aside(file: Path, folder: Path, relative: PurePath, *, sidecar: Path | None = None) -> Path:
    """Move the file to folder/relative and return where it came to lie: with -1, -2, … before the extension if that is taken.

    Its sidecar goes first, under the same name + ".json". A move that a crash cut in two is completed, not done twice. Raises
    OSError; the file is then where it was.
    """
    for target in _free_names(folder / relative):
        if _is_taken(target, by_other_than=file) or not _place_beside(sidecar, target, NOTE_SUFFIX):
            continue
        sidecar = None
        if _place(file, target):
            return target
    raise AssertionError("names never run out")


def move_to_quarantine(
    file: Path, folder: Path, relative: PurePath, note: Mapping[str, Any], *, sidecar: Path | None = None
) -> Path:
    """Move the file as `move_aside` does, with the note as JSON beside it under the same name + ".json".

    Its sidecar goes before it, under the same name + ".sidecar.json".

    The note is written first, so that no file ever lies in quarantine without its reason. `note["source_key"]` tells
    whose note it is: after a crash between the two, the repetition takes its own note's name again.
    """
    for target in _free_names(folder / relative):
        beside = target.with_name(target.name + NOTE_SUFFIX)
        if beside.exists() and not _is_note_of(beside, note["source_key"]):
            continue
        if _is_taken(target, by_other_than=file):
            continue
        if sidecar is not None and _is_taken(target.with_name(target.name + SIDECAR_SUFFIX), by_other_than=sidecar):
            continue
        write_note(beside, note)
        if not _place_beside(sidecar, target, SIDECAR_SUFFIX):
            continue
        sidecar = None
        if _place(file, target):
            return target
    raise AssertionError("names never run out")


def _free_names(wanted: Path) -> Iterator[Path]:
    """The wanted path, then the same with -1, -2, …, each short enough for what lies beside it. Makes the folder.

    Of many files of one name most numbers are passed over: then come the last one that is taken, which may be this very file
    of a move that was cut off, and those after it.
    """
    wanted.parent.mkdir(parents=True, exist_ok=True)
    stem, suffix = wanted.stem, wanted.suffix
    if len(os.fsencode(suffix)) > _SUFFIX_BYTES:
        stem, suffix = wanted.name, ""

    def numbered(number: int) -> Path:
        tail = (f"-{number}" if number else "") + suffix
        room = _NAME_BYTES - len(os.fsencode(tail)) - len(SIDECAR_SUFFIX)
        return wanted.with_name(_cut(stem, room) + tail)

    yield from map(numbered, range(_FEW))
    taken, free = _FEW - 1, _FEW
    while os.path.lexists(numbered(free)):
        taken, free = free, 2 * free
    while free - taken > 1:
        middle = (taken + free) // 2
        if os.path.lexists(numbered(middle)):
            taken = middle
        else:
            free = middle
    yield from map(numbered, count(taken))


def _cut(stem: str, room_bytes: int) -> str:
    """The stem without as many last characters as do not fit."""
    while len(os.fsencode(stem)) > room_bytes:
        stem = stem[:-1]
    return stem


def _is_taken(target: Path, *, by_other_than: Path) -> bool:
    return os.path.lexists(target) and not _same_file(by_other_than, target)


def _place_beside(sidecar: Path | None, target: Path, suffix: str) -> bool:
    """Move the sidecar, if there is one still, to the target's name + suffix. False where another file has it."""
    if sidecar is None:
        return True
    try:
        return _place(sidecar, target.with_name(target.name + suffix))
    except FileNotFoundError:  # its writer has taken it back
        return True


def _place(file: Path, target: Path) -> bool:
    """Move the file to exactly this name. False where another file has it."""
    before = os.lstat(file)
    try:
        os.link(file, target, follow_symlinks=False)  # refuses a taken name, in one step
    except FileExistsError:
        if not _same_file(file, target):
            return False
    except OSError as error:
        if error.errno == errno.EXDEV:
            return _place_across_devices(file, target)
        if error.errno not in _NO_HARD_LINKS:
            raise
        # No hard links here (FAT, some network drives, another owner's file). The lock on the watched folder makes this
        # process the only one that files from it, so looking first is enough.
        if os.path.lexists(target):
            return False
        os.rename(file, target)
        return True
    else:
        if not os.path.samestat(before, os.lstat(target)):  # another picture came under the name: it stays there, unjudged
            os.unlink(target)
            return True
    _unlink_same(file, before)
    return True


def _unlink_same(file: Path, before: os.stat_result) -> None:
    """Remove the file, unless its name has got another one meanwhile."""
    now = os.lstat(file)
    if os.path.samestat(before, now) and (before.st_size, before.st_mtime_ns) == (now.st_size, now.st_mtime_ns):
        os.unlink(file)


def _place_across_devices(file: Path, target: Path) -> bool:
    """The same where the target lies on another file system: a whole copy appears under the name, then the file goes."""
    before = os.lstat(file)
    if os.path.lexists(target):
        if not _same_file(file, target):
            return False
        _unlink_same(file, before)
        return True
    unfinished = target.with_name(f".kizu-{os.getpid()}.part")
    unfinished.unlink(missing_ok=True)
    try:
        shutil.copy2(file, unfinished, follow_symlinks=False)
        if not unfinished.is_symlink():
            sync(unfinished)
        os.rename(unfinished, target)
        sync(target.parent)
    finally:
        unfinished.unlink(missing_ok=True)
    _unlink_same(file, before)  # a copy takes its time
    return True


def _same_file(file: Path, target: Path) -> bool:
    """Whether the target is this very file, or its whole copy from a move that was cut off."""
    ours, theirs = os.lstat(file), os.lstat(target)
    if os.path.samestat(ours, theirs):
        return True
    if (ours.st_mode, ours.st_size, ours.st_mtime_ns) != (theirs.st_mode, theirs.st_size, theirs.st_mtime_ns):
        return False
    if file.is_symlink():
        return os.readlink(file) == os.readlink(target)
    try:
        return filecmp.cmp(file, target, shallow=False)
    except PermissionError:
        return False


def _is_note_of(path: Path, key: str) -> bool:
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(note, dict) and note.get("source_key") == key


def write_note(path: Path, note: Mapping[str, Any]) -> None:
    """Write a note, whole or not at all, over the one that is there. Raises OSError."""
    unfinished = path.with_name(f".kizu-{os.getpid()}.part")
    try:
        # What is no text in a file's name becomes JSON's own escape.
        with unfinished.open("w", encoding="utf-8", errors="backslashreplace") as file:
            json.dump(note, file, ensure_ascii=False, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
