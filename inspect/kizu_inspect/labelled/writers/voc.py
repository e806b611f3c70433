"""Pascal VOC: an XML for each picture of JPEGImages, lists in ImageSets, masks by object and by class as palette PNGs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

import numpy as np
import numpy.typing as npt
from PIL import Image

from kizu_inspect.labelled.masks import VOID
from kizu_inspect.labelled.writers.marked import Losses, Marked

__all__ = ["MOST_CLASSES", "PICTURES_IN", "write_voc"]

PICTURES_IN: Final = "JPEGImages"
MOST_CLASSES: Final = VOID - 1
"""Indices of a palette beside the ground and the border."""
Indices = npt.NDArray[np.uint8]


def write_voc(folder: Path, pictures: Iterable[Marked], classes: Sequence[str], splits: Sequence[str], losses: Losses) -> None:
    """Writes annotations, lists and masks of these pictures, which the caller puts into JPEGImages. Raises OSError.

    VOC numbers the objects of a picture by one index for each pixel: a mask that leaves an object of its picture without a
    pixel cannot be written, and is lost with a word in `losses`. What of VOC is Kizu's own is the element `group`.
    """
    for name in ("Annotations", "ImageSets/Main", "ImageSets/Segmentation", "SegmentationObject", "SegmentationClass"):
        (folder / name).mkdir(parents=True)
    named = [split or "default" for split in dict.fromkeys(splits)]
    lists: dict[tuple[str, str], list[str]] = {(use, split): [] for use in ("Main", "Segmentation") for split in named}
    for picture in pictures:
        stem = Path(picture.name).stem
        numbers = _numbers(picture, losses)
        lists["Main", picture.sample.split or "default"].append(stem)
        if numbers is not None:
            lists["Segmentation", picture.sample.split or "default"].append(stem)
            of_class = np.array([0, *(classes.index(thing.name) + 1 for thing in picture.things)], np.uint8)
            _save(folder / "SegmentationObject" / f"{stem}.png", numbers)
            _save(folder / "SegmentationClass" / f"{stem}.png", of_class[numbers])
        xml = ElementTree(_xml(picture, segmented=numbers is not None))
        indent(xml)
        xml.write(folder / "Annotations" / f"{stem}.xml", encoding="utf-8")
    for (use, split), names in lists.items():
        (folder / "ImageSets" / use / f"{split}.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    colours = [(name, number) for number, name in enumerate(classes, start=1)]
    if "background" not in classes:
        colours.insert(0, ("background", 0))
    (folder / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\n"
        + "".join(f"{name}:{','.join(str(value) for value in COLOURS[index])}::\n" for name, index in colours),
        encoding="utf-8",
    )


def _numbers(picture: Marked, losses: Losses) -> Indices | None:
    """Which object (1, 2, …) each pixel (H, W) belongs to, the smallest where there are several; None without such a mask."""
    things = picture.things
    if not any(thing.spans for thing in things):
        return None
    numbers = np.zeros(picture.size_px, np.uint8)
    if len(things) < VOID:
        sizes = [sum(end - start for _, start, end in thing.spans) for thing in things]
        for place in sorted(range(len(things)), key=lambda place: sizes[place], reverse=True):
            for row, start, end in things[place].spans:
                numbers[row, start:end] = place + 1
        shown = np.bincount(numbers.ravel(), minlength=len(things) + 1)[1 : len(things) + 1].tolist()
        if all(shown):
            if shown != sizes:
                losses.add("overlap", "where marks overlap a pixel counts for the smallest of them", picture.sample.path)
            return numbers
    losses.add("mask_lost", "masks are lost, for not every object of their picture has pixels of its own", picture.sample.path)
    return None


def _xml(picture: Marked, *, segmented: bool) -> Element:
    top = Element("annotation")
    height, width = picture.size_px
    for tag, text in (
        ("folder", PICTURES_IN),
        ("filename", picture.name),
        ("group", picture.sample.group),
        ("segmented", str(int(segmented))),
    ):
        SubElement(top, tag).text = text
    size = SubElement(top, "size")
    for tag, number in (("width", width), ("height", height), ("depth", 3)):
        SubElement(size, tag).text = str(number)
    for thing in picture.things:
        x1, y1, x2, y2 = thing.box
        one = SubElement(top, "object")
        for tag, text in (("name", thing.name), ("pose", "Unspecified"), ("truncated", "0"), ("difficult", "0")):
            SubElement(one, tag).text = text
        box = SubElement(one, "bndbox")
        for tag, number in (("xmin", x1 + 1), ("ymin", y1 + 1), ("xmax", x2), ("ymax", y2)):
            SubElement(box, tag).text = str(number)
    return top


def _save(path: Path, indices: Indices) -> None:
    picture = Image.fromarray(indices, "P")
    picture.putpalette([value for colour in COLOURS for value in colour])
    picture.save(path)


def _colour(index: int) -> tuple[int, int, int]:
    """VOC's own: the bits of an index are, from the lowest on and in turn, the highest of red, green and blue."""
    red, green, blue = (sum((index >> 3 * place + part & 1) << 7 - place for place in range(8)) for part in range(3))
    return red, green, blue


COLOURS: Final = tuple(_colour(index) for index in range(256))
