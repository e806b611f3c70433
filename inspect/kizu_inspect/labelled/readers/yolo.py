"""YOLO: data.yaml with names and the pictures of each split; labels/….txt for images/…, a line a box or an outline."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from kizu_inspect.errors import DataError
from kizu_inspect.labelled.annotated import Annotated, Mark
from kizu_inspect.labelled.findings import Finding, Report, a_few
from kizu_inspect.labelled.readers.files import absent_files, is_picture, is_there, relative_name
from kizu_inspect.labelled.readers.reading import Reading, split_named
from kizu_inspect.labelled.samples import SPLITS
from kizu_inspect.settings import read_yaml

__all__ = ["read_yolo", "yolo_files"]

NO_LABELS = ("classes.txt", "predefined_classes.txt")
BEYOND = 1e6
"""A share of a side that no picture has; also what is no finite number is not below it."""


def yolo_files(folder: Path) -> list[Path]:
    """The YAML files of a folder that have names of classes, also those that cannot be read to their end."""
    endings = (".yaml", ".yml")
    files = [file for file in sorted(folder.iterdir()) if file.suffix.lower() in endings and file.is_file()]
    return [file for file in files if any(line.startswith("names") for line in _text(file).splitlines())]


def _mapping(file: Path) -> dict[str, Any]:
    """Raises DataError."""
    try:
        content = read_yaml(file.read_bytes())
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read", found=str(error), expected="a data.yaml with names of classes") from None
    return content if isinstance(content, dict) else {}


def read_yolo(source: Path, reading: Reading) -> list[Annotated]:
    """The pictures of each split with what their label files mark; one with an empty file is good.

    A line is `class cx cy width height`, or `class x1 y1 x2 y2 x3 y3 …`, an outline; numbers are shares of the picture's sides.
    Where train, val and test are not named, all pictures below the folder are taken. Raises DataError without names.
    """
    described = _mapping(source)
    names = _names(source, described.get("names"))
    reading.once(((name, number) for number, name in names.items()), f"{source}: several classes are called {{key}}")
    root = source.parent
    base = _below((root,), str(described.get("path") or ".")) or root
    bases = [base, root] if base != root and base.is_dir() else [root]
    listed = [(split, entry) for key, entry in described.items() if entry and (split := split_named(str(key))) in SPLITS]
    of_split: dict[str, list[Path]] = {}
    for split, entries in listed:
        for entry in entries if isinstance(entries, list) else [entries]:
            of_split.setdefault(str(split), []).extend(_pictures(source, bases, str(entry), reading))
    found = _without_same(source, of_split, reading.report)
    if not listed:
        found = [(file, "") for file in reading.pictures(bases[0])]
    labels_of = {file: label_file(file, reading) for file, _ in found}
    _report_shared(labels_of, reading)
    _report_lone(labels_of, reading)
    annotated = []
    for file, split in found:
        labels = labels_of[file]
        marks = () if labels is None else tuple(_marks(labels, file, names, reading.report))
        group = reading.group_of(file.name, relative_name(file, root))
        annotated.append(Annotated(file, split, group, marks=marks, unit="shares", unlabelled=labels is None))
    return annotated


def _without_same(source: Path, of_split: Mapping[str, Sequence[Path]], report: Report) -> list[tuple[Path, str]]:
    """The pictures with their splits; those that two splits name alike have none, as many tools write it."""
    same = [split for split, files in of_split.items() if files and list(of_split.values()).count(files) > 1]
    if same:
        first = of_split[same[0]]
        report(
            Finding(
                "same_splits", f"{source}: {' and '.join(same)} name the same pictures, which are shared out anew",
                found=f"{len(first)} pictures, {first[0]} among them", expected="a folder for each, to keep them apart",
                severity="warning",
            )
        )  # fmt: skip
    found: list[tuple[Path, str]] = []
    for split, files in of_split.items():
        if split not in same:
            found += [(file, split) for file in files]
        elif split == same[0]:
            found += [(file, "") for file in files]
    return found


def label_file(picture: Path, reading: Reading) -> Path | None:
    """The picture's label file: in `labels` for the last folder `images` of its path, or beside it; None without one."""
    name = f"{picture.stem}.txt"
    parts = picture.parent.parts
    last = next((index for index in range(len(parts) - 1, -1, -1) if parts[index].lower() == "images"), None)
    if last is not None:
        for labels in reading.named(Path(*parts[:last]), "labels"):
            found = reading.only(labels.joinpath(*parts[last + 1 :]), name)
            if found is not None:
                return found
    return reading.only(picture.parent, name)


def _report_shared(labels_of: dict[Path, Path | None], reading: Reading) -> None:
    """Pictures that differ by their ending alone have one label file, which speaks of one of them."""
    pictures_of: dict[Path, list[Path]] = {}
    for picture, labels in labels_of.items():
        if labels is not None:
            pictures_of.setdefault(labels, []).append(picture)
    for labels, pictures in pictures_of.items():
        if len(pictures) > 1:
            reading.same_name(f"label file {labels} belongs to several pictures", pictures)


def _report_lone(labels_of: dict[Path, Path | None], reading: Reading) -> None:
    """Label files in the folders of those that are read, of pictures that are not there."""
    used = {labels for labels in labels_of.values() if labels is not None}
    folders: dict[Path, set[Path]] = {}
    for picture, labels in labels_of.items():
        if labels is not None:
            folders.setdefault(labels.parent, set()).add(picture.parent)
    lone = []
    for folder, beside in folders.items():
        there = {file.stem for place in beside for file in place.iterdir() if is_picture(file)}
        lone += [
            file for file in sorted(folder.iterdir())
            if file.suffix.lower() == ".txt" and file not in used and file.stem not in there and _has_marks(file)
        ]  # fmt: skip
    if lone:
        reading.report(
            Finding(
                "missing_file", "label files belong to no picture", found=a_few(lone),
                expected="a picture of the same name for each", next_step="Bring back the pictures, or remove the label files.",
                pictures=tuple(lone),
            )
        )  # fmt: skip


def _has_marks(file: Path) -> bool:
    lines = _text(file).split("\n") if file.name.lower() not in NO_LABELS else []
    try:
        return any(len([float(word) for word in line.split()]) >= 5 for line in lines)
    except ValueError:  # words: a list or a note
        return False


def _names(source: Path, names: object) -> dict[int, str]:
    given = dict(enumerate(names)) if isinstance(names, list) else names
    if not isinstance(given, dict) or not given or not all(isinstance(number, int) for number in given):
        raise DataError(f"{source} names no classes", found=f"names: {names}", expected="a list, or numbers with names")
    return {number: str(name).strip() for number, name in given.items()}


def _pictures(source: Path, bases: list[Path], entry: str, reading: Reading) -> list[Path]:
    """The pictures of a folder, or of a text file that lists them."""
    # Exported sets say ../train/images for a folder that lies beside data.yaml.
    place = next((there for name in (entry, _beside(entry)) if (there := _below(bases, name)) is not None), None)
    if place is None:
        reading.report(absent_files(str(source), [entry], next_step="Mend path, train, val or test in it."))
        return []
    if place.is_dir():
        return reading.pictures(Path(os.path.normpath(place)))  # its labels lie beside it, not beyond a link
    lines = [line.strip() for line in _text(place).splitlines() if line.strip()]
    reading.once(((os.path.normpath(line), line) for line in lines), f"{place} lists {{key}} several times")
    listed = {line: _below((place.parent, *bases), line, is_there) for line in lines}
    absent = [line for line, file in listed.items() if file is None]
    if absent:
        reading.report(absent_files(str(place), absent))
    return [Path(os.path.normpath(file)) for file in listed.values() if file is not None]


def _below(bases: Iterable[Path], name: str, is_it: Callable[[Path], bool] = os.path.exists) -> Path | None:
    """What lies in one of the folders under this name, or under the one that Windows writes so; None where nothing does."""
    names = dict.fromkeys((name, name.replace("\\", "/")))
    return next((base / one for one in names for base in bases if is_it(base / one)), None)


def _beside(entry: str) -> str:
    return entry.replace("\\", "/").removeprefix("../")


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8-sig", errors="replace")


def _marks(labels: Path, picture: Path, names: dict[int, str], report: Report) -> list[Mark]:
    marks: list[Mark] = []
    for number, line in enumerate(_text(labels).splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        try:
            index, numbers = _numbers(words)
        except ValueError:
            expected = "class cx cy width height, or class and an outline's x y x y x y …"
            what = f"{labels} line {number} is not understood"
            report(Finding("boxes", what, found=" ".join(words), expected=expected, pictures=(picture,)))
            continue
        if index not in names:
            expected = f"{min(names)} to {max(names)}"
            what = f"{labels} line {number} has an unknown class"
            report(Finding("unknown_class", what, found=str(index), expected=expected, pictures=(picture,)))
            continue
        if len(numbers) == 4:
            x, y, width, height = numbers
            marks.append(Mark(names[index], (x - width / 2, y - height / 2, x + width / 2, y + height / 2)))
        else:
            marks.append(Mark(names[index], outlines=(tuple(zip(numbers[0::2], numbers[1::2], strict=True)),)))
    return marks


def _numbers(words: list[str]) -> tuple[int, list[float]]:
    """A line's class, also as 0.0, and its box or outline. Raises ValueError."""
    index, *numbers = (float(word) for word in words)
    if not index.is_integer() or not all(abs(number) < BEYOND for number in numbers):
        raise ValueError("no class, or no share of a side")
    if len(numbers) != 4 and (len(numbers) < 6 or len(numbers) % 2):
        raise ValueError("neither a box nor an outline")
    return int(index), numbers
