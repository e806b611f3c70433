"""What lies in quarantine, by the notes beside the files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kizu_inspect.errors import SourceError
from kizu_pipeline.filing import NOTE_SUFFIX, SIDECAR_SUFFIX

__all__ = ["RELEASING", "AsideFile", "files_aside"]

RELEASING: Final = "releasing"
"""The key of a note under which a release says where the file goes."""


@dataclass(frozen=True)
class AsideFile:
    """A file in quarantine, by its note."""

    path: Path
    note: Mapping[str, Any]

    @property
    def releasing(self) -> Any:
        """What a release that was begun noted; None where none was."""
        return self.note.get(RELEASING)

    @property
    def beside(self) -> Path:
        """Where its note lies."""
        return self.path.with_name(self.path.name + NOTE_SUFFIX)

    @property
    def sidecar(self) -> Path:
        """Where its sidecar lies, if it has one."""
        return self.path.with_name(self.path.name + SIDECAR_SUFFIX)

    @property
    def is_there(self) -> bool:
        """Whether the file itself lies there too."""
        return os.path.lexists(self.path)


def files_aside(folder: Path) -> dict[str, AsideFile]:
    """The files in a quarantine folder by the uid of their inspection; none without a folder. Raises SourceError."""
    found: dict[str, AsideFile] = {}
    for path in _notes(folder):
        try:
            note = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(note, dict) and isinstance(uid := note.get("inspection"), str):
            one = AsideFile(path.with_name(path.name.removesuffix(NOTE_SUFFIX)), note)
            if uid not in found or one.is_there:
                found[uid] = one
    return found


def _notes(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise SourceError(f"the quarantine {folder} cannot be read", found=error.strerror) from error

    for root, _folders, names in os.walk(folder, onerror=refuse):
        yield from (Path(root, name) for name in names if _is_note(name))


def _is_note(name: str) -> bool:
    return name.endswith(NOTE_SUFFIX) and not name.endswith(SIDECAR_SUFFIX) and not name.startswith(".")
