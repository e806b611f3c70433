"""COCO: a JSON of images, annotations and categories, or a folder with one for each split."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, FiniteFloat, ValidationError

from kizu_inspect.errors import DataError
from kizu_inspect.labelled.findings import Finding, Report
from kizu_inspect.labelled.readers.files import GroupOf, absent_files, is_there, relative_name
from kizu_inspect.labelled.samples import Box, Sample, boxed_sample, outward
from kizu_inspect.settings import describe_invalid

__all__ = ["coco_files", "read_coco"]

PARTS = ("images", "annotations", "categories")
SPLIT_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
Entry = TypeVar("Entry", bound=BaseModel)


class _Image(BaseModel):
    id: int | str
    file_name: str


class _Category(BaseModel):
    id: int | str
    name: str


class _Annotation(BaseModel):
    image_id: int | str
    category_id: int | str
    bbox: Annotated[list[FiniteFloat], Field(min_length=4, max_length=4)]


def coco_files(folder: Path) -> list[Path]:
    """The annotation files of a COCO folder: instances_*.json or all in annotations/, or those beside the pictures."""
    for pattern in ("annotations/instances_*.json", "annotations/*.json", "*/_annotations.coco.json", "*.json"):
        files = [file for file in sorted(folder.glob(pattern)) if pattern != "*.json" or _is_coco(file)]
        if files:
            return files
    return []


def _is_coco(file: Path) -> bool:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and all(isinstance(content.get(part), list) for part in PARTS)


def read_coco(source: Path, group_of: GroupOf, report: Report) -> list[Sample]:
    """The images of a JSON, or of a folder's, each with its boxes; of outlines and run lengths only the boxes are kept.

    Several files tell their split by their name (instances_train2017.json) or their folder's (valid/_annotations.coco.json).
    Boxes (x, y, width, height) become edges, taken outward to whole pixels. An image without annotations is good.
    Raises DataError where a file is alone and no COCO file, or where several do not tell their splits.
    """
    files = coco_files(source) if source.is_dir() else [source]
    root = source if source.is_dir() else source.parent
    splits = {file: _split_of(file, root) for file in files} if len(files) > 1 else {files[0]: ""}
    if len(files) > 1 and ("" in splits.values() or len(set(splits.values())) < len(files)):
        raise DataError(
            f"{source} has several COCO files", found=", ".join(str(file.relative_to(root)) for file in files),
            expected="one each for train, val and test, by their names",
            next_step="Name the one to read.",
        )  # fmt: skip
    samples: list[Sample] = []
    for file, split in splits.items():
        samples += _read(file, split, root, group_of, report)
    return samples


def _split_of(file: Path, root: Path) -> str:
    """train, val or test, from the last such word in the file's name, else in its folder's; otherwise nothing."""
    for name in (file.stem, file.parent.name if file.parent != root else ""):
        words = [word for word in re.findall(r"[a-z]+", name.lower()) if word in SPLIT_NAMES]
        if words:
            return SPLIT_NAMES[words[-1]]
    return ""


def _read(file: Path, split: str, root: Path, group_of: GroupOf, report: Report) -> list[Sample]:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        report(Finding("annotation", f"{file} cannot be read", found=str(error), expected="a COCO file in JSON"))
        return []
    if not isinstance(content, dict) or not all(isinstance(content.get(part), list) for part in PARTS):
        found = ", ".join(content) if isinstance(content, dict) else f"a {type(content).__name__}"
        report(Finding("annotation", f"{file} is no COCO file", found=found, expected=f"lists of {', '.join(PARTS)}"))
        return []
    images = {one.id: one for one in _valid(_Image, content["images"], file, report)}
    names = {one.id: one.name.strip() for one in _valid(_Category, content["categories"], file, report)}
    boxes: dict[int | str, list[Box]] = {one: [] for one in images}
    for one in _valid(_Annotation, (_with_box(entry) for entry in content["annotations"]), file, report):
        if one.image_id not in images or one.category_id not in names:
            report(
                Finding(
                    "unknown_class" if one.image_id in images else "unknown_picture",
                    f"{file}: an annotation names what is not there",
                    found=f"image {one.image_id}, category {one.category_id}", expected="ids of images and categories",
                )
            )  # fmt: skip
            continue
        x, y, width, height = one.bbox
        boxes[one.image_id].append((*outward(x, y, x + width, y + height), names[one.category_id]))
    places = _places(file, root)
    samples: list[Sample] = []
    absent: list[str] = []
    for key, image in images.items():
        picture = next((place / image.file_name for place in places if is_there(place / image.file_name)), None)
        if picture is None:
            absent.append(image.file_name)
            continue
        group = group_of(picture.name, relative_name(picture, root))
        samples.append(boxed_sample(picture, split, group, boxes[key]))
    if absent:
        report(
            absent_files(str(file), absent, next_step="Put the pictures into images/ beside annotations/, or beside the file.")
        )
    return samples


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


def _with_box(entry: Any) -> Any:
    """The annotation with a box around its outlines where it has none of its own."""
    if not isinstance(entry, dict) or entry.get("bbox") or not isinstance(entry.get("segmentation"), list):
        return entry
    try:
        xs = [float(x) for outline in entry["segmentation"] for x in outline[0::2]]
        ys = [float(y) for outline in entry["segmentation"] for y in outline[1::2]]
        return {**entry, "bbox": [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]}
    except (TypeError, ValueError, OverflowError):
        return entry


def _places(file: Path, root: Path) -> list[Path]:
    """Where the pictures of an annotation file may lie, the likeliest first."""
    bases = [file.parent, *(file.parent.parent / name for name in ("images", ".") if file.parent.name == "annotations")]
    bases += [root / "images", root]
    below = [file.stem.removeprefix("instances_"), _split_of(file, root)]
    return [base / name for name in (".", *filter(None, below)) for base in bases]
