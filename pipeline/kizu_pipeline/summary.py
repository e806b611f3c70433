"""What one run of the service did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kizu_inspect.results import Verdict

__all__ = ["RunSummary"]


@dataclass(frozen=True)
class RunSummary:
    """The counts of one run, from start to end."""

    verdicts: Mapping[Verdict, int]
    """New inspections by verdict; every verdict is a key."""
    quarantined: int
    """Of these, files that could not be read or decoded."""
    only_moved: int
    """Pieces of work that had their row already, from a run that was cut off: filed now, not judged again."""
    explained: int
    """Explanations made straight after the verdict."""
    pending_made: int
    """Explanations made from the stored picture, left over from a run that was cut off."""
    explanations_failed: int
    seconds: float
    """From the first look at the source to the end."""
    device: str

    @property
    def files(self) -> int:
        """New inspections, files in quarantine included."""
        return sum(self.verdicts.values())

    @property
    def pictures_per_s(self) -> float:
        """New inspections a second, the waits for pictures included."""
        return self.files / self.seconds if self.seconds > 0 else 0.0

    def as_json(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        return {
            "files": self.files,
            "verdicts": {verdict.value: count for verdict, count in self.verdicts.items()},
            "quarantined": self.quarantined,
            "only_moved": self.only_moved,
            "explained": self.explained,
            "pending_made": self.pending_made,
            "explanations_failed": self.explanations_failed,
            "seconds": round(self.seconds, 3),
            "pictures_per_s": round(self.pictures_per_s, 2),
            "device": self.device,
        }
