"""What came of an export."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

__all__ = ["NAMED", "LeftOut", "Told"]

NAMED: Final = 100
"""Lost pictures that are named; of more, only the number is kept."""


class LeftOut(StrEnum):
    """Why an inspection says nothing that training may take for true."""

    NOT_REVIEWED = "not_reviewed"
    """A model's own guess."""
    NO_CLASS = "no_class"
    """Reviewed as defective, without saying which defect."""
    NO_PICTURE = "no_picture"
    """No picture was stored."""
    NOT_DECODED = "not_decoded"
    """The picture could not be decoded, or is in a format that the readers pass over."""
    NO_REGION = "no_region"
    """Reviewed as defective, but no map says where: without a box the picture would count as good."""
    SEVERAL_CLASSES = "several_classes"
    """The review names one defect and the map's regions several: which of them are which, nobody said."""


@dataclass
class Told:
    """Counts of one export."""

    written: Counter[str] = field(default_factory=Counter)
    """Rows, pictures and boxes, by what they are."""
    left_out: Counter[LeftOut] = field(default_factory=Counter)
    """Inspections that are not in it, by the reason."""
    lost: int = 0
    """Pictures that are missing or were changed on disk."""
    lost_named: list[str] = field(default_factory=list)
    """What is wrong with the first `NAMED` of them."""
    good: str | None = None
    """What the class of the good pictures is called; None where there are none, or no classes."""

    def lose(self, problem: str) -> None:
        """Count a picture that is missing or was changed on disk."""
        self.lost += 1
        if len(self.lost_named) < NAMED:
            self.lost_named.append(problem)
