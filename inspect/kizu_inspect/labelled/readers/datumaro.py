"""Datumaro: annotations/<subset>.json with items, their pictures in images/ or images/<subset>/."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kizu_inspect.labelled.annotated import Annotated, Mark
from kizu_inspect.labelled.findings import Finding, Report
from kizu_inspect.labelled.readers.coco_shapes import drawn_shapes, outline_of
from kizu_inspect.labelled.readers.drawn import ellipse, finite
from kizu_inspect.labelled.readers.files import absent_files, relative_name
from kizu_inspect.labelled.readers.json_files import peek_json, read_json
from kizu_inspect.labelled.readers.reading import Reading, split_named

__all__ = ["datumaro_files", "is_datumaro", "read_datumaro"]


def datumaro_files(files: Sequence[Path], folder: Path) -> list[Path]:
    """The files of Datumaro in a folder's annotations, of `files` those below it."""
    inside = [file for file in files if file.parent == folder / "annotations" and file.suffix.lower() == ".json"]
    return [file for file in inside if is_datumaro(file)]


def is_datumaro(file: Path) -> bool:
    """Whether the file has items with categories."""
    return _is_content(peek_json(file))


def _is_content(content: object) -> bool:
    return isinstance(content, dict) and isinstance(content.get("items"), list) and isinstance(content.get("categories"), dict)


def read_datumaro(source: Path, reading: Reading) -> list[Annotated]:
    """The items of a file, or of all in a folder's annotations, whose names tell the split; an item with nothing is good."""
    found: list[Annotated] = []
    for file in reading.described or (source,):
        content = read_json(file, "a JSON of Datumaro", reading.report)
        if not _is_content(content):
            if content is not None:
                found_keys = "no items and categories"
                reading.report(Finding("annotation", f"{file} is no file of Datumaro", found_keys, "items and categories"))
            continue
        found += _read(file, content, split_named(file.stem) or "", reading)
    return found


def _read(file: Path, content: dict[str, Any], split: str, reading: Reading) -> list[Annotated]:
    try:
        names = [str(one["name"]).strip() for one in content["categories"]["label"]["labels"]]
    except (LookupError, TypeError) as error:
        reading.report(Finding("annotation", f"{file} names no classes", str(error), "categories with labels"))
        return []
    items = [one for one in content["items"] if isinstance(one, dict)]
    if len(items) < len(content["items"]):
        reading.report(Finding("annotation", f"{file} has items that are none", f"{len(content['items']) - len(items)}", "0"))
    reading.once(((one.get("id"), _named(one)) for one in items), f"{file}: several items have the id {{key}}")
    reading.once(((name, number) for number, name in enumerate(names)), f"{file}: several classes are called {{key}}")
    root = file.parent.parent if file.parent.name == "annotations" else file.parent
    found, absent = [], []
    for item in items:
        named = _named(item)
        tried = [f"images/{file.stem}/{named}", f"images/{named}", named]
        picture = next((there for one in tried if (there := reading.find(one, root)) is not None), None)
        if picture is None:
            absent.append(named)
            continue
        found.append(_annotated(item, picture, split, names, file, reading))
    if absent:
        reading.report(absent_files(str(file), absent, next_step="Put the pictures into images/ beside annotations/."))
    return found


def _image(item: dict[str, Any]) -> dict[str, Any]:
    image = item.get("image") or item.get("media")
    return image if isinstance(image, dict) else {}


def _named(item: dict[str, Any]) -> str:
    return str(_image(item).get("path") or item.get("id")).replace("\\", "/")


def _annotated(item: dict[str, Any], picture: Path, split: str, names: list[str], file: Path, reading: Reading) -> Annotated:
    size = _image(item).get("size")
    known = isinstance(size, list) and len(size) == 2 and all(isinstance(side, int) and side > 0 for side in size)
    height, width = size if known and isinstance(size, list) else (0, 0)
    marks: list[Mark] = []
    labels: list[str] = []
    for number, one in enumerate(item.get("annotations") or [], start=1):
        try:
            name = names[_index(one["label_id"], names)]
            if one["type"] == "label":
                labels.append(name)
            else:
                marks.append(
                    _mark(name, one, (height, width), f"{file}: annotation {number} of {item.get('id')}", reading.report)
                )
        except (TypeError, ValueError, LookupError, OverflowError) as error:
            reading.report(
                Finding(
                    "boxes", f"{file}: annotation {number} of {item.get('id')} is not understood", found=str(error),
                    expected="a label, bbox, polygon, ellipse or mask, with the number of a class", pictures=(picture,),
                )
            )  # fmt: skip
    group = reading.group_of(picture.name, relative_name(picture, reading.root))
    return Annotated(picture, split, group, tuple(labels), tuple(marks), (width, height) if known else None)


def _index(number: object, names: list[str]) -> int:
    if not isinstance(number, int | float) or number not in range(len(names)):
        raise ValueError(f"class {number} of {len(names)}")
    return int(number)


def _mark(name: str, one: dict[str, Any], size_px: tuple[int, int], where: str, report: Report) -> Mark:
    """Raises ValueError, TypeError or LookupError where it is not understood."""
    kind = one["type"]
    if kind == "bbox":
        x, y, width, height = finite(*one["bbox"])
        return Mark(name, (x, y, x + width, y + height))
    if kind == "polygon":
        return Mark(name, outlines=(outline_of(one["points"]),))
    if kind == "ellipse":
        x1, y1, x2, y2 = finite(*one["points"])
        return Mark(name, outlines=(ellipse((x1 + x2) / 2, (y1 + y2) / 2, (x2 - x1) / 2, (y2 - y1) / 2),))
    if kind == "mask":
        _, spans = drawn_shapes(one["rle"], size_px, where, report)
        if not spans:
            raise ValueError("a mask that marks nothing")
        return Mark(name, spans=spans)
    raise ValueError(f"a {kind}, which covers no pixels")
