"""COCO: annotations/instances_….json beside images/, masks to the pixel as run lengths."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, TextIO

from kizu_inspect.labelled.samples import SPLITS
from kizu_inspect.labelled.shapes import runs_of
from kizu_inspect.labelled.writers.marked import Losses, Marked, Thing

__all__ = ["PICTURES_IN", "write_coco"]

PICTURES_IN = "images"


def write_coco(
    folder: Path, pictures: Iterable[Marked], classes: Sequence[str], splits: Sequence[str], _losses: Losses
) -> None:
    """Writes the annotation files of these pictures, which the caller puts into images/. Raises OSError.

    One file for each of the `splits`, also an empty one: of a file alone readers take no split from its name. What of COCO is
    Kizu's own is the images' `group`.
    """
    place = folder / "annotations"
    place.mkdir()
    named = SPLITS if any(splits) else ("default",)
    with ExitStack() as stack:
        files = {split: stack.enter_context(closing(_File(place / f"instances_{split}.json", classes))) for split in named}
        for picture in pictures:
            files[picture.sample.split or "default"].add(picture)


class _File:
    """One annotation file: annotations as they come, for there may be millions of numbers, and the images behind them."""

    def __init__(self, path: Path, classes: Sequence[str]) -> None:
        self._file: TextIO = path.open("w", encoding="ascii")
        self._ids = {name: number for number, name in enumerate(classes, start=1)}
        self._images: list[dict[str, Any]] = []
        self._annotations = 0
        categories = [{"id": number, "name": name, "supercategory": ""} for name, number in self._ids.items()]
        self._file.write(f'{{"info": {{}}, "licenses": [],\n"categories": {json.dumps(categories)},\n"annotations": [')

    def add(self, picture: Marked) -> None:
        height, width = picture.size_px
        image = {"id": len(self._images) + 1, "file_name": picture.name, "width": width, "height": height}
        self._images.append({**image, "group": picture.sample.group})
        for thing in picture.things:
            self._file.write(",\n" if self._annotations else "\n")
            self._annotations += 1
            self._file.write(json.dumps(self._annotation(thing, picture.size_px)))

    def _annotation(self, thing: Thing, size_px: tuple[int, int]) -> dict[str, Any]:
        x1, y1, x2, y2 = thing.box
        shown = {"size": list(size_px), "counts": runs_of(thing.spans, size_px)} if thing.spans else []
        area = sum(end - start for _, start, end in thing.spans) if thing.spans else (x2 - x1) * (y2 - y1)
        return {
            "id": self._annotations, "image_id": len(self._images), "category_id": self._ids[thing.name],
            "bbox": [x1, y1, x2 - x1, y2 - y1], "area": area, "iscrowd": 0, "segmentation": shown,
        }  # fmt: skip

    def close(self) -> None:
        with self._file:
            self._file.write(f'],\n"images": {json.dumps(self._images)}}}\n')
