"""What an annotation says of a picture, before it is known whether it speaks of the picture as the file has it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kizu_inspect.labelled.samples import Area, Spans
from kizu_inspect.labelled.shapes import Outline

__all__ = ["Annotated", "Mark"]


@dataclass(frozen=True)
class Mark:
    """One thing that somebody marked: its box, its outlines or its pixels, in px of the picture it was drawn on."""

    name: str
    box: tuple[float, float, float, float] | None = None
    """x1, y1, x2, y2; None where it is that around the outlines or pixels."""
    outlines: tuple[Outline, ...] = ()
    spans: Spans = ()


@dataclass(frozen=True)
class Annotated:
    """A picture and what one annotation says of it."""

    path: Path
    split: str
    group: str
    labels: tuple[str, ...] = ()
    """Classes that it names for the whole picture."""
    marks: tuple[Mark, ...] = ()
    drawn_on: tuple[int, int] | None = None
    """Width and height in px of the picture that was drawn on, as the annotation says; None where it does not."""
    unit: str = "drawn"
    """What coordinates are: drawn (px of the picture drawn on), shares (of its sides), stored (px of the file)."""
    unlabelled: bool = False
    """Nobody has said anything of it: it may be good, or its labels are lost."""
    mask: Path | None = None
    reference: Path | None = None
    areas: tuple[Area, ...] = ()
    """Areas in px of the file, beside the marks."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Its classes, each once: those that it names, and those of its marks. A manifest (stored) names all of them itself."""
        marked = () if self.unit == "stored" and self.labels else (mark.name for mark in self.marks)
        return tuple(dict.fromkeys((*self.labels, *marked)))
