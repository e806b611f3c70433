"""YOLO: data.yaml with names and the pictures of each split; labels/….txt for images/…, a line a box."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from kizu_inspect.errors import DataError, ImageError
from kizu_inspect.labelled.findings import Finding, Report
from kizu_inspect.labelled.readers.files import (
    GroupOf,
    absent_files,
    is_there,
    picture_files,
    relative_name,
    unannotated,
    unreadable,
)
from kizu_inspect.labelled.samples import SPLITS, Box, Sample, boxed_sample, outward
from kizu_inspect.picture.decoding import picture_size
from kizu_inspect.settings import read_yaml

__all__ = ["read_yolo", "yolo_files"]


def yolo_files(folder: Path) -> list[Path]:
    """The YAML files of a folder that have names of classes."""
    return [file for ending in ("*.yaml", "*.yml") for file in sorted(folder.glob(ending)) if "names" in _mapping(file)]


def _mapping(file: Path) -> dict[str, Any]:
    try:
        content = read_yaml(file.read_bytes())
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        return {}
    return content if isinstance(content, dict) else {}


def read_yolo(source: Path, group_of: GroupOf, report: Report) -> list[Sample]:
    """The pictures of each split with the boxes of their label files; a picture without one, or with an empty one, is good.

    A line is `class cx cy width height`, or `class x1 y1 x2 y2 x3 y3 …`, an outline of which the box is kept; numbers are
    shares of the picture's sides, and boxes are taken outward to whole pixels. Where train, val and test are not named, all
    pictures below the folder are taken. Raises DataError where the file has no names.
    """
    described = _mapping(source)
    names = _names(source, described.get("names"))
    root = source.parent
    base = root / str(described.get("path") or ".")
    bases = [base, root] if base.is_dir() else [root]
    listed = {split: described[split] for split in SPLITS if described.get(split)}
    found: list[tuple[Path, str]] = []
    for split, entries in listed.items():
        for entry in entries if isinstance(entries, list) else [entries]:
            found += [(file, split) for file in _pictures(source, bases, str(entry), report)]
    if not listed:
        found = [(file, "") for file in picture_files(bases[0])]
    samples, bare = [], []
    for file, split in found:
        labels = label_file(file)
        if not labels.is_file():
            bare.append(file)
        boxes = _boxes(labels, file, names, report) if labels.is_file() else []
        group = group_of(file.name, relative_name(file, root))
        samples.append(boxed_sample(file, split, group, boxes))
    if bare:
        report(unannotated(bare))
    return samples


def label_file(picture: Path) -> Path:
    """Where a picture's label file lies: the last folder `images` of its path becomes `labels`."""
    parts = list(picture.parts)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == "images":
            parts[index] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _names(source: Path, names: object) -> dict[int, str]:
    given = dict(enumerate(names)) if isinstance(names, list) else names
    if not isinstance(given, dict) or not given or not all(isinstance(number, int) for number in given):
        raise DataError(f"{source} names no classes", found=f"names: {names}", expected="a list, or numbers with names")
    return {number: str(name).strip() for number, name in given.items()}


def _pictures(source: Path, bases: list[Path], entry: str, report: Report) -> list[Path]:
    """The pictures of a folder, or of a text file that lists them."""
    # Exported sets say ../train/images for a folder that lies beside data.yaml.
    options = [base / name for name in (entry, entry.removeprefix("../")) for base in bases]
    place = next((option for option in options if os.path.exists(option)), None)
    if place is None:
        report(absent_files(str(source), [entry], next_step="Mend path, train, val or test in it."))
        return []
    if place.is_dir():
        return picture_files(Path(os.path.normpath(place)))  # its labels lie beside it, not beyond a link
    lines = [line.strip() for line in place.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    listed = {line: next((base / line for base in (place.parent, *bases) if is_there(base / line)), None) for line in lines}
    absent = [line for line, file in listed.items() if file is None]
    if absent:
        report(absent_files(str(place), absent))
    return [file for file in listed.values() if file is not None]


def _boxes(labels: Path, picture: Path, names: dict[int, str], report: Report) -> list[Box]:
    lines = [line.split() for line in labels.read_text(encoding="utf-8", errors="replace").splitlines()]
    if not any(lines):
        return []
    try:
        width, height = picture_size(picture)
    except (OSError, ImageError) as error:
        report(unreadable("picture", picture, error))
        return []
    boxes: list[Box] = []
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            index, x1, y1, x2, y2 = _edges(line)
            edges = outward(x1 * width, y1 * height, x2 * width, y2 * height)
        except ValueError:
            expected = "class cx cy width height, or class and an outline's x y x y x y …"
            what = f"{labels} line {number} is not understood"
            report(Finding("boxes", what, found=" ".join(line), expected=expected, pictures=(picture,)))
            continue
        if index not in names:
            expected = f"{min(names)} to {max(names)}"
            what = f"{labels} line {number} has an unknown class"
            report(Finding("unknown_class", what, found=str(index), expected=expected, pictures=(picture,)))
            continue
        boxes.append((*edges, names[index]))
    return boxes


def _edges(line: list[str]) -> tuple[int, float, float, float, float]:
    """A line's class and edges, as shares of the picture's sides. Raises ValueError."""
    index, numbers = int(line[0]), [float(word) for word in line[1:]]
    if len(numbers) == 4:
        x, y, width, height = numbers
        return index, x - width / 2, y - height / 2, x + width / 2, y + height / 2
    if len(numbers) < 6 or len(numbers) % 2:
        raise ValueError("neither a box nor an outline")
    xs, ys = numbers[0::2], numbers[1::2]
    return index, min(xs), min(ys), max(xs), max(ys)
