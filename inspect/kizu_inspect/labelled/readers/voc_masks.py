"""Pascal VOC's masks: SegmentationObject numbers the objects of the XML, SegmentationClass draws classes in their colours."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from kizu_inspect.labelled.annotated import Annotated, Mark
from kizu_inspect.labelled.findings import Finding, a_few
from kizu_inspect.labelled.masks import VOID, indices_of
from kizu_inspect.labelled.readers.left_out import MASK
from kizu_inspect.labelled.readers.reading import Reading
from kizu_inspect.labelled.shapes import spans_of

__all__ = ["VocMasks"]

OBJECTS, CLASSES = "SegmentationObject", "SegmentationClass"
COLOURED: Final = re.compile(r"(.*?):\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*(?::|$)")
"""A line of the label map: a class, in whose name colons may stand, and its colour."""


class VocMasks:
    """The masks of one set, found by a picture's name."""

    def __init__(self, root: Path, reading: Reading) -> None:
        self._reading = reading
        self._folders = {name: next(iter(reading.named(root, name)), None) for name in (OBJECTS, CLASSES)}
        self._colours = self._labelmap(root)
        for folder in self._folders.values():
            if folder is not None:
                reading.left_out |= dict.fromkeys(reading.pictures(folder), MASK)

    def are_in(self, file: Path) -> bool:
        """Whether the file lies in a folder of masks."""
        return any(folder is not None and file.is_relative_to(folder) for folder in self._folders.values())

    def has(self, name: str) -> bool:
        """Whether a mask speaks of the picture of this name."""
        return any(self._mask(kind, name) is not None for kind in self._folders)

    def laid_on(self, one: Annotated, name: str) -> Annotated:
        """The picture with what its masks mark: objects by their number in the XML, else classes by the label map's colours.

        Classes without a label map are a plain mask, in which the boxes name what is marked.
        """
        objects, classes = self._mask(OBJECTS, name), self._mask(CLASSES, name)
        if objects is not None and one.marks:
            return self._numbered(one, objects)
        if classes is None:
            return one
        if self._colours:
            return self._coloured(one, classes)
        if not one.marks:
            self._report(
                one, f"mask {classes} has classes without names", "indices alone", "a labelmap.txt, or boxes in an XML"
            )
        return replace(one, mask=classes)

    def _mask(self, kind: str, name: str) -> Path | None:
        folder = self._folders[kind]
        return None if folder is None else self._reading.only((folder / name).parent, f"{Path(name).name}.png")

    def _numbered(self, one: Annotated, file: Path) -> Annotated:
        numbers = indices_of(file)
        if numbers is None:
            self._report(one, f"mask {file} cannot be read", "no palette or grey picture", "a PNG that numbers the objects")
            return one
        used = [int(number) for number in np.unique(numbers) if number not in (0, VOID)]
        if used != list(range(1, len(one.marks) + 1)):
            self._report(
                one, f"mask {file} does not number the objects of its XML", a_few(used), f"1 to {len(one.marks)}, each of them"
            )
        marks = tuple(replace(mark, spans=spans_of(numbers == number)) for number, mark in enumerate(one.marks, start=1))
        return self._sized(replace(one, marks=marks), file, (numbers.shape[1], numbers.shape[0]))

    def _coloured(self, one: Annotated, file: Path) -> Annotated:
        try:
            with Image.open(file, formats=("PNG",)) as picture:
                colours = np.asarray(picture.convert("RGB"))
        except (OSError, SyntaxError, ValueError) as error:
            self._report(one, f"mask {file} cannot be read", str(error), "a PNG in the colours of the label map")
            return one
        named = colours.any(axis=2) & ~(colours == (224, 224, 192)).all(axis=2)  # the border that is nothing
        boxed = [mark for mark in one.marks if mark.box is not None]
        areas = []
        for name, colour in self._colours.items():
            shown = (colours == colour).all(axis=2)
            named &= ~shown
            if shown.any() and any(colour):
                areas.append(Mark(name, spans=spans_of(shown)))
        if named.any():
            colour = tuple(int(value) for value in colours[named][0])
            self._report(one, f"mask {file} has a colour without a name", str(colour), "the colours of labelmap.txt")
        if boxed:
            return self._sized(replace(one, mask=file), file, (colours.shape[1], colours.shape[0]))
        return self._sized(replace(one, marks=tuple(areas)), file, (colours.shape[1], colours.shape[0]))

    def _sized(self, one: Annotated, file: Path, size: tuple[int, int]) -> Annotated:
        if one.drawn_on not in (None, size):
            self._report(one, f"mask {file} has another size than its XML says", f"{size}", f"{one.drawn_on}")
        return replace(one, drawn_on=size)

    def _labelmap(self, root: Path) -> dict[str, tuple[int, ...]]:
        file = self._reading.only(root, "labelmap.txt")
        colours: dict[str, tuple[int, ...]] = {}
        if file is None:
            return colours
        lines = file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
        said = {line: COLOURED.match(line) for line in lines if line.strip(": ") and not line.startswith("#")}
        unknown = [line for line, one in said.items() if one is None and "".join(line.split(":")[1:2]).strip()]
        if unknown:
            self._reading.report(
                Finding("mask", f"{file} has lines that are not understood", a_few(unknown), "name:red,green,blue::")
            )
        known = [(one[1].strip(), (int(one[2]), int(one[3]), int(one[4]))) for one in said.values() if one is not None]
        self._reading.once(known, f"{file} names {{key}} several times")
        self._reading.once(((colour, name) for name, colour in known), f"{file} gives the colour {{key}} several times")
        return dict(known)

    def _report(self, one: Annotated, what: str, found: str, expected: str) -> None:
        self._reading.report(
            Finding("mask", what, found=found, expected=expected, next_step="Export the masks anew.", pictures=(one.path,))
        )
