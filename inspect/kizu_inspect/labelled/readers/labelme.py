"""Labelme: a JSON beside each picture, with its shapes and the picture's name."""

from __future__ import annotations

import base64
import binascii
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from kizu_inspect.labelled.annotated import Annotated, Mark
from kizu_inspect.labelled.findings import Finding
from kizu_inspect.labelled.readers.drawn import ellipse, finite
from kizu_inspect.labelled.readers.files import absent_files, is_picture, is_there, relative_name
from kizu_inspect.labelled.readers.json_files import peek_json, read_json
from kizu_inspect.labelled.readers.reading import Reading, split_in
from kizu_inspect.labelled.shapes import spans_of

__all__ = ["is_labelme", "read_labelme"]

LOOKED_AT: Final = 20
SHAPES: Final = "polygon, rectangle, circle or mask"


def is_labelme(files: Iterable[Path]) -> bool:
    """Whether a JSON beside a picture of its name has labelme's shapes, of the first of them."""
    every = list(files)
    pictures = {file.with_suffix("") for file in every if is_picture(file)}
    beside = [file for file in every if file.suffix.lower() == ".json" and file.with_suffix("") in pictures]
    named = [file for file in every if file.suffix.lower() == ".json" and file.with_suffix("") not in pictures]
    return any(_has_shapes(file) for file in [*beside[:LOOKED_AT], *named[:LOOKED_AT]])


def _has_shapes(file: Path) -> bool:
    content = peek_json(file)
    return isinstance(content, dict) and isinstance(content.get("shapes"), list) and "imagePath" in content


def read_labelme(root: Path, reading: Reading) -> list[Annotated]:
    """Every picture with what the JSON that names it says; flags that are set are classes of the whole picture.

    A folder train, val or test on the way tells the split. A JSON without shapes and flags says that the picture is good.
    """
    said: dict[Path, list[tuple[Path, dict[str, Any]]]] = {}
    lost: list[str] = []
    pictures = reading.pictures(root)
    there = set(pictures)
    by_stem: dict[Path, list[Path]] = {}
    for picture in pictures:
        by_stem.setdefault(picture.with_suffix(""), []).append(picture)
    for file in reading.files:
        called_so = by_stem.get(file.with_suffix(""), [])
        if file.suffix.lower() != ".json" or (not called_so and not _has_shapes(file)):
            continue
        content = read_json(file, "a JSON of labelme", reading.report)
        if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
            if content is not None:
                reading.report(
                    Finding(
                        "annotation", f"{file} is no file of labelme", found="no shapes", expected="shapes", pictures=(file,)
                    )
                )
            continue
        named = _picture(file, str(content.get("imagePath") or ""), called_so, reading)
        if named is None:
            lost.append(f"{content.get('imagePath')} of {file.name}")
            continue
        if named not in there:
            lost.append(f"{named} of {file.name}, beyond the set")
            continue
        said.setdefault(named, []).append((file, content))
    if lost:
        reading.report(absent_files(str(root), lost, next_step="Bring back the pictures, or remove their JSON files."))
    for picture, several in said.items():
        if len(several) > 1:
            reading.same_name(f"several JSON files speak of {picture}", [file for file, _ in several])
    found = []
    for picture in pictures:
        group = reading.group_of(picture.name, relative_name(picture, root))
        split = split_in(picture, root)
        if picture not in said:
            found.append(Annotated(picture, split, group, unlabelled=True))
            continue
        file, content = said[picture][0]
        flags = content.get("flags") if isinstance(content.get("flags"), dict) else {}
        labels = tuple(str(name).strip() for name, on in (flags or {}).items() if on is True)
        marks = tuple(_marks(file, picture, content["shapes"], reading))
        found.append(Annotated(picture, split, group, labels, marks, _size(content)))
    return found


def _picture(file: Path, named: str, called_so: Sequence[Path], reading: Reading) -> Path | None:
    """The picture that the JSON names, else the one called like it. Where both are there and differ, that is reported."""
    by_name = file.parent / named.replace("\\", "/")
    if named and is_there(by_name) and is_picture(by_name):
        there = Path(os.path.normpath(by_name))
        if called_so and there not in called_so:
            reading.same_name(f"{file} names one picture and is called like another", [there, *called_so])
        return there
    if len(called_so) > 1:
        reading.same_name(f"{file} may belong to several pictures", called_so)
    return next(iter(called_so), None)


def _size(content: dict[str, Any]) -> tuple[int, int] | None:
    width, height = content.get("imageWidth"), content.get("imageHeight")
    return (width, height) if isinstance(width, int) and isinstance(height, int) and min(width, height) > 0 else None


def _marks(file: Path, picture: Path, shapes: list[Any], reading: Reading) -> list[Mark]:
    marks = []
    for number, shape in enumerate(shapes, start=1):
        try:
            marks.append(_mark(shape))
        except (TypeError, ValueError, LookupError, AttributeError, binascii.Error, cv2.error) as error:
            reading.report(
                Finding(
                    "boxes", f"{file}: shape {number} is not understood", found=str(error),
                    expected=f"a label, and a {SHAPES} with points", pictures=(picture,),
                )
            )  # fmt: skip
    return marks


def _mark(shape: dict[str, Any]) -> Mark:
    """Raises ValueError, TypeError or LookupError where it is not understood."""
    name = str(shape["label"]).strip()
    kind = shape.get("shape_type") or "polygon"
    points = [finite(x, y) for x, y in shape["points"]]
    corners = tuple((x, y) for x, y in points)
    if not name:
        raise ValueError("no label")
    if kind == "polygon" and len(corners) > 2:
        return Mark(name, outlines=(corners,))
    if kind in ("rectangle", "mask") and len(corners) == 2:
        (xa, ya), (xb, yb) = corners
        left, top = min(xa, xb), min(ya, yb)
        if kind == "rectangle":
            return Mark(name, (left, top, max(xa, xb), max(ya, yb)))
        return Mark(name, spans=_spans(str(shape["mask"]), round(left), round(top)))
    if kind == "circle" and len(corners) == 2:
        (x, y), (edge_x, edge_y) = corners
        radius = math.hypot(edge_x - x, edge_y - y)
        return Mark(name, outlines=(ellipse(x, y, radius, radius),))
    raise ValueError(f"a {kind} of {len(corners)} points")


def _spans(text: str, x: int, y: int) -> tuple[tuple[int, int, int], ...]:
    """The pixels of a mask that lies in the JSON itself, as a PNG of its box."""
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(text, validate=True), np.uint8), cv2.IMREAD_GRAYSCALE)
    if pixels is None or not pixels.any():
        raise ValueError("a mask that marks nothing")
    return spans_of(np.asarray(pixels > 0), x=x, y=y)
