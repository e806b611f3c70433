"""Which pictures lie there and are not taken, and why: pictures taken and left out are together those that are there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kizu_inspect.labelled.findings import Finding, a_few
from kizu_inspect.labelled.readers.files import is_hidden, is_other_picture, is_picture
from kizu_inspect.labelled.readers.reading import Reading
from kizu_inspect.labelled.samples import Sample

__all__ = ["MASK", "LeftOut", "account"]

MASK, REFERENCE, HIDDEN = "a mask", "a reference", "hidden"
EXPECTED_REASONS: Final = (MASK, REFERENCE, HIDDEN)
"""Reasons that are no news to whoever made the set."""


@dataclass(frozen=True)
class LeftOut:
    """The pictures that are not taken, by reason."""

    taken: int
    by_reason: Mapping[str, tuple[Path, ...]]

    @property
    def there(self) -> int:
        """All pictures that lie there."""
        return self.taken + sum(len(paths) for paths in self.by_reason.values())

    @property
    def said(self) -> str:
        """The account in one line."""
        parts = ", ".join(f"{reason}: {len(paths)}" for reason, paths in self.by_reason.items())
        return f"{self.there} pictures there, {self.taken} taken, {self.there - self.taken} left out" + (
            f" ({parts})" if parts else ""
        )

    def findings(self) -> list[Finding]:
        """A warning for each reason that its owner may not know."""
        return [
            Finding(
                "left_out", f"pictures are left out: {reason}", found=a_few(paths), pictures=paths, severity="warning",
                next_step="Save them as PNG." if reason.startswith("of a format") else None,
            )
            for reason, paths in self.by_reason.items() if reason not in EXPECTED_REASONS
        ]  # fmt: skip


def account(reading: Reading, samples: Sequence[Sample], *, whole: bool) -> LeftOut:
    """What of the set's pictures is taken and what is not; of a `whole` folder all below it, else those that are named."""
    real_of = _Real()
    taken = {real_of(sample.path) for sample in samples}
    used = {real_of(sample.mask): MASK for sample in samples if sample.mask is not None}
    used |= {real_of(sample.reference): REFERENCE for sample in samples if sample.reference is not None}
    known = used | {real_of(path): reason for path, reason in reading.left_out.items()}
    there: Iterable[Path] = reading.files if whole else [*reading.left_out]
    reasons: dict[str, list[Path]] = {}
    counted = set(taken)
    for file in there:
        if not is_picture(file) and not is_other_picture(file):
            continue
        real = real_of(file)
        if real in counted:
            continue
        counted.add(real)
        reasons.setdefault(_reason(file, known.get(real), reading), []).append(file)
    return LeftOut(len(taken), {reason: tuple(paths) for reason, paths in sorted(reasons.items())})


def _reason(file: Path, known: str | None, reading: Reading) -> str:
    if not is_picture(file):
        return f"of a format that is not read, {file.suffix.lower()}"
    if is_hidden(file, reading.root):
        return HIDDEN
    return known or "not named by the labels"


class _Real:
    """The names of files without links, of which folders are asked once."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def __call__(self, path: Path) -> str:
        folder, name = os.path.split(os.path.abspath(path))
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        real = os.path.join(self._folders[folder], name)
        return os.path.realpath(real) if os.path.islink(real) else real
