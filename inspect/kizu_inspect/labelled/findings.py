"""What is wrong with a labelled set. Training refuses the first error; `kizu data check` gathers all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kizu_inspect.errors import DataError

__all__ = ["Finding", "Report", "a_few", "refuse"]


@dataclass(frozen=True)
class Finding:
    """One thing wrong, in the parts of an error message."""

    kind: str
    """A short name that programs may rely on."""
    what: str
    found: str
    expected: str | None = None
    next_step: str | None = None
    pictures: tuple[Path, ...] = ()
    """The pictures it speaks of; some may not be there."""
    severity: Literal["error", "warning"] = "error"
    """error: some way of training refuses it. warning: training takes it, and what it learns or measures suffers."""

    def as_error(self) -> DataError:
        """The finding as the error that training raises."""
        return DataError(self.what, found=self.found, expected=self.expected, next_step=self.next_step)

    @property
    def text(self) -> str:
        """The finding in one line."""
        return str(self.as_error())


Report = Callable[[Finding], None]
"""Where a reader puts what it finds. It goes on after it, unless the report raises."""


def refuse(finding: Finding) -> None:
    """The report of training: raises DataError at the first error, and passes warnings over."""
    if finding.severity == "error":
        raise finding.as_error()


def a_few(names: Sequence[object], *, most: int = 3) -> str:
    """How many there are, and the first of them: `5: a, b, c, …`."""
    return f"{len(names)}: {', '.join(str(name) for name in names[:most])}" + (", …" if len(names) > most else "")
