"""What a reader works with: where it puts what it finds wrong, what it leaves out, and what lies in a folder."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Final

from kizu_inspect.labelled.findings import Finding, Report, a_few
from kizu_inspect.labelled.readers.files import GroupOf, is_hidden, is_other_picture, is_picture, is_there, walk
from kizu_inspect.labelled.samples import SPLIT_NAMES

__all__ = ["Reading", "split_in", "split_named"]

UNREAD: Final = "Pictures of formats that are not read lie there ({endings}): save them as PNG."


@dataclass
class Reading:
    """One reading of one set."""

    group_of: GroupOf
    report: Report
    root: Path
    """The folder from which its pictures are named."""
    described: tuple[Path, ...] = ()
    """The files that describe it, where a folder was named that has such."""
    left_out: dict[Path, str] = field(default_factory=dict)
    """Pictures that are not taken, each with the reason, which goes on from 'left out: '."""
    _by_name: dict[str, list[Path]] = field(default_factory=dict)
    _listed: dict[Path, dict[str, list[Path]]] = field(default_factory=dict)

    @cached_property
    def files(self) -> list[Path]:
        """All files below the root, sorted; hidden ones as well."""
        return walk(self.root)

    def pictures(self, folder: Path) -> list[Path]:
        """The pictures in a folder and below, sorted; hidden files and folders are left out."""
        files = self.files if folder == self.root else walk(folder)
        return [file for file in files if is_picture(file) and not is_hidden(file, folder)]

    def named(self, folder: Path, name: str) -> list[Path]:
        """What lies in the folder under this name, in capitals or not; the name as it is comes first."""
        if folder not in self._listed:
            entries: dict[str, list[Path]] = {}
            for entry in _entries(folder):
                entries.setdefault(entry.lower(), []).append(folder / entry)
            self._listed[folder] = entries
        return sorted(self._listed[folder].get(name.lower(), []), key=lambda path: (path.name != name, path.name))

    def only(self, folder: Path, name: str) -> Path | None:
        """The one file of this name, in capitals or not; several are reported. None where there is none."""
        found = self.named(folder, name)
        if len(found) > 1:
            self.same_name(f"{found[0].name} differs from another file in capitals alone", found)
        return next(iter(found), None)

    def find(self, name: str, folder: Path) -> Path | None:
        """The picture of this name in the folder, in its `images`, or, where only one is called so, wherever it lies."""
        direct = next((path for path in (folder / name, folder / "images" / name) if name and is_there(path)), None)
        if direct is not None:
            return direct if is_picture(direct) else None
        if not self._by_name:
            for file in self.pictures(self.root):
                self._by_name.setdefault(file.name, []).append(file)
        alike = [file for file in self._by_name.get(Path(name).name, []) if file.as_posix().endswith(f"/{name}")]
        if len(alike) > 1:
            self.same_name(f"{name} may be one of several pictures", alike)
        return next(iter(alike), None)

    def with_unread(self, finding: Finding) -> Finding:
        """The finding; of files that are not there, with a word on pictures that are there in a format that is not read."""
        if finding.kind != "missing_file":
            return finding
        unread = Counter(
            file.suffix.lower() for file in self.files if is_other_picture(file) and not is_hidden(file, self.root)
        )
        if not unread:
            return finding
        endings = ", ".join(f"{count} {ending}" for ending, count in unread.most_common())
        told = UNREAD.format(endings=endings)
        return replace(finding, next_step=told if finding.next_step is None else f"{finding.next_step} {told}")

    def same_name(self, what: str, files: Iterable[Path | str]) -> None:
        """Reports that one name stands for several things."""
        found = list(files)
        self.report(
            Finding(
                "same_name", what, found=a_few(found), expected="one", next_step="Rename or remove all but one.",
                pictures=tuple(Path(one) for one in found),
            )
        )  # fmt: skip

    def once(self, entries: Iterable[tuple[object, object]], what: str) -> None:
        """Reports the keys that stand for several of the entries: (key, what it stands for)."""
        kept: dict[object, list[object]] = {}
        for key, meant in entries:
            kept.setdefault(key, []).append(meant)
        for key, meant_by in kept.items():
            if len(meant_by) > 1:
                self.report(
                    Finding(
                        "repeated_id", what.format(key=key), found=a_few(meant_by), expected="an id of its own for each",
                        next_step="Number them anew: nobody can say which of them the others mean.",
                    )
                )  # fmt: skip


def _entries(folder: Path) -> Iterator[str]:
    try:
        with os.scandir(folder) as found:
            yield from sorted(entry.name for entry in found)
    except OSError:  # not there: nothing lies in it
        return


def split_named(word: str) -> str | None:
    """train, val or test by what people call them; None of another word."""
    return SPLIT_NAMES.get(word.strip().lower())


def split_in(file: Path, root: Path) -> str:
    """The split that a folder between the root and the file names; empty where none does."""
    return next((split for part in file.relative_to(root).parts[:-1] if (split := split_named(part)) is not None), "")
