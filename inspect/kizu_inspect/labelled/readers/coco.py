"""COCO: a JSON of images, annotations and categories, or a folder with one for each split."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated as Typed
from typing import Any, TypeVar
from urllib.parse import unquote

from pydantic import BaseModel, BeforeValidator, Field, FiniteFloat, ValidationError

from kizu_inspect.errors import DataError
from kizu_inspect.labelled.annotated import Annotated, Mark
from kizu_inspect.labelled.findings import Finding, Report
from kizu_inspect.labelled.readers.coco_shapes import drawn_shapes, size_of_runs
from kizu_inspect.labelled.readers.files import absent_files, is_there, relative_name
from kizu_inspect.labelled.readers.json_files import json_alone, parse_json, read_json
from kizu_inspect.labelled.readers.reading import Reading
from kizu_inspect.labelled.samples import SPLIT_NAMES
from kizu_inspect.settings import describe_invalid

__all__ = ["coco_files", "read_coco"]

PARTS = ("images", "annotations", "categories")
Entry = TypeVar("Entry", bound=BaseModel)


class _Image(BaseModel):
    id: int | str
    file_name: str
    width: int = 0
    height: int = 0
    group: Any = None
    """Kizu's own, in sets that it has written."""


class _Category(BaseModel):
    id: int | str
    name: str


class _Annotation(BaseModel):
    id: int | str | None = None
    image_id: int | str
    category_id: int | str
    bbox: Typed[
        Typed[list[FiniteFloat], Field(min_length=4, max_length=4)] | None, BeforeValidator(lambda given: given or None)
    ] = None
    segmentation: Any = None


def coco_files(files: Sequence[Path], folder: Path) -> list[Path]:
    """The annotation files of a COCO folder, of `files` those below it.

    They are instances_*.json or all in annotations/, or those beside the pictures.
    """
    inside = [file for file in files if file.parent == folder / "annotations" and file.suffix.lower() == ".json"]
    instances = [file for file in inside if file.name.startswith("instances_")]
    if instances:
        return instances
    beside = [file for file in files if file.parent.parent == folder and file.name == "_annotations.coco.json"]
    tried = (inside, beside, json_alone(files, folder))
    return next((coco for some in tried if (coco := [file for file in some if _is_coco(file)])), [])


def _is_coco(file: Path) -> bool:
    try:
        content = parse_json(file)
    except (OSError, ValueError):
        return file.parent.name == "annotations" or file.name == "_annotations.coco.json"  # it is meant as one, and is broken
    return isinstance(content, dict) and all(isinstance(content.get(part), list) for part in PARTS)


def read_coco(source: Path, reading: Reading) -> list[Annotated]:
    """The images of a JSON, or of a folder's, each with its boxes, outlines and runs. An image without annotations is good.

    Several files tell their split by their name (instances_train2017.json) or their folder's (valid/_annotations.coco.json).
    Raises DataError where a file is alone and no COCO file, or where several do not tell their splits.
    """
    files, root = reading.described or (source,), reading.root
    splits = {file: _split_of(file, root) for file in files} if len(files) > 1 else {files[0]: ""}
    if len(files) > 1 and ("" in splits.values() or len(set(splits.values())) < len(files)):
        raise DataError(
            f"{source} has several COCO files", found=", ".join(str(file.relative_to(root)) for file in files),
            expected="one each for train, val and test, by their names",
            next_step="Name the one to read.",
        )  # fmt: skip
    return [one for file, split in splits.items() for one in _read(file, split, root, reading)]


def _split_of(file: Path, root: Path) -> str:
    """train, val or test, from the last such word in the file's name, else in its folder's; otherwise nothing."""
    for name in (file.stem, file.parent.name if file.parent != root else ""):
        words = [word for word in re.findall(r"[a-z]+", name.lower()) if word in SPLIT_NAMES]
        if words:
            return SPLIT_NAMES[words[-1]]
    return ""


def _read(file: Path, split: str, root: Path, reading: Reading) -> list[Annotated]:
    report = reading.report
    content = read_json(file, "a COCO file in JSON", report)
    if content is None:
        return []
    if not isinstance(content, dict) or not all(isinstance(content.get(part), list) for part in PARTS):
        keys = ", ".join(content) if isinstance(content, dict) else f"a {type(content).__name__}"
        report(Finding("annotation", f"{file} is no COCO file", found=keys, expected=f"lists of {', '.join(PARTS)}"))
        return []
    images = _valid(_Image, content["images"], file, report)
    categories = _valid(_Category, content["categories"], file, report)
    annotations = _valid(_Annotation, content["annotations"], file, report)
    reading.once(((one.id, one.file_name) for one in images), f"{file}: several images have the id {{key}}")
    reading.once(((one.id, one.name) for one in categories), f"{file}: several categories have the id {{key}}")
    reading.once(((one.name.strip(), one.id) for one in categories), f"{file}: several categories are called {{key}}")
    known = ((one.id, f"image {one.image_id}") for one in annotations if one.id is not None)
    reading.once(known, f"{file}: several annotations have the id {{key}}")
    image_of = {one.id: one for one in images}
    names = {one.id: one.name.strip() for one in categories}
    marks: dict[int | str, list[Mark]] = {one: [] for one in image_of}
    for number, one in enumerate(annotations, start=1):
        if one.image_id not in image_of or one.category_id not in names:
            report(
                Finding(
                    "unknown_class" if one.image_id in image_of else "unknown_picture",
                    f"{file}: an annotation names what is not there",
                    found=f"image {one.image_id}, category {one.category_id}", expected="ids of images and categories",
                )
            )  # fmt: skip
            continue
        mark = _mark(number, one, names[one.category_id], image_of[one.image_id], file, report)
        if mark is not None:
            marks[one.image_id].append(mark)
    run_sizes = {one.image_id: size for one in annotations if (size := size_of_runs(one.segmentation)) is not None}
    places = _places(file, root)
    found: list[Annotated] = []
    absent: list[str] = []
    for image in images:
        picture = _picture(places, image.file_name)
        if picture is None:
            absent.append(image.file_name)
            continue
        said = image.group if isinstance(image.group, str) else ""
        group = reading.group_of(picture.name, said or relative_name(picture, root))
        size = (image.width, image.height) if min(image.width, image.height) > 0 else run_sizes.get(image.id)
        found.append(Annotated(picture, split, group, marks=tuple(marks[image.id]), drawn_on=size))
    if absent:
        report(
            absent_files(str(file), absent, next_step="Put the pictures into images/ beside annotations/, or beside the file.")
        )
    return found


def _mark(number: int, one: _Annotation, name: str, image: _Image, file: Path, report: Report) -> Mark | None:
    try:
        outlines, spans = drawn_shapes(one.segmentation, (image.height, image.width), f"{file}: annotation {number}", report)
        if isinstance(one.segmentation, dict) and not spans:
            raise ValueError("a mask that marks nothing")
        if one.bbox is None and not outlines and not spans:
            raise ValueError("neither a bbox nor a segmentation that marks anything")
    except (TypeError, ValueError, OverflowError, LookupError) as error:
        report(
            Finding(
                "annotation", f"{file}: annotation {number} is not understood", found=str(error),
                expected="a bbox, and a segmentation of outlines or of run lengths with the picture's size",
                pictures=(Path(image.file_name),),
            )
        )  # fmt: skip
        return None
    if one.bbox is None:
        return Mark(name, outlines=outlines, spans=spans)
    x, y, width, height = one.bbox
    return Mark(name, (x, y, x + width, y + height), outlines, spans)


def _picture(places: Iterable[Path], name: str) -> Path | None:
    """The picture of this name; also of one that Windows wrote, or a web page."""
    names = dict.fromkeys((name, name.replace("\\", "/"), unquote(name.replace("\\", "/"))))
    return next((place / one for one in names for place in places if is_there(place / one)), None)


def _valid(kind: type[Entry], entries: Iterable[object], file: Path, report: Report) -> list[Entry]:
    """The entries that are understood; the others are reported."""
    good = []
    for number, entry in enumerate(entries, start=1):
        try:
            good.append(kind.model_validate(entry))
        except ValidationError as error:
            what = kind.__name__.strip("_").lower()
            report(Finding("annotation", f"{file}: {what} {number} is not understood", found=describe_invalid(error)))
    return good


def _places(file: Path, root: Path) -> list[Path]:
    """Where the pictures of an annotation file may lie, the likeliest first."""
    bases = [file.parent, *(file.parent.parent / name for name in ("images", ".") if file.parent.name == "annotations")]
    bases += [root / "images", root]
    below = [file.stem.removeprefix("instances_"), _split_of(file, root)]
    return [base / name for name in (".", *filter(None, below)) for base in bases]
