"""Which format a labelled set has, by what lies there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kizu_inspect.errors import DataError
from kizu_inspect.labelled.choices import EXPECTED
from kizu_inspect.labelled.readers.coco import coco_files
from kizu_inspect.labelled.readers.cvat import cvat_files
from kizu_inspect.labelled.readers.datumaro import datumaro_files, is_datumaro
from kizu_inspect.labelled.readers.files import is_hidden, walk
from kizu_inspect.labelled.readers.label_studio import is_label_studio, label_studio_files
from kizu_inspect.labelled.readers.labelme import is_labelme
from kizu_inspect.labelled.readers.mvtec import is_mvtec
from kizu_inspect.labelled.readers.table import is_table
from kizu_inspect.labelled.readers.voc import is_voc
from kizu_inspect.labelled.readers.yolo import yolo_files

__all__ = ["Format", "Recognised", "recognise"]

Format = Literal[
    "folders", "manifest", "mvtec", "voc", "coco", "yolo", "labelme", "cvat", "label_studio", "datumaro",
]  # fmt: skip


@dataclass(frozen=True)
class Recognised:
    """A set and its format."""

    format: Format
    source: Path
    """What its reader takes: the folder, or the file that describes the set."""
    root: Path
    """The folder from which its pictures are named."""
    described: tuple[Path, ...] = ()
    """The files that describe a folder whose reader takes several."""


def recognise(path: Path) -> Recognised:
    """The format of the set at `path`. Raises DataError where nothing is there, or several or none of the formats."""
    if path.is_file():
        return Recognised(_format_of(path), path, path.parent)
    if not path.is_dir():
        raise DataError("data set is not there", found=str(path), expected=EXPECTED)
    if (path / "manifest.csv").is_file():
        return Recognised("manifest", path / "manifest.csv", path)
    files = [file for file in walk(path) if not is_hidden(file, path)]
    found = _formats(path, files)
    if len(found) > 1:
        raise DataError(
            f"data set {path} has several formats", found="; ".join(f"{one.format} by {by}" for one, by in found),
            expected="one", next_step="Name the file that describes the set, or move the others away.",
        )  # fmt: skip
    inner = _inner(path, files) if not found or found[0][0].format == "labelme" else []
    if found and all(formats == {"labelme"} for _, formats in inner):  # whose folders are one set: train, val, test
        return found[0][0]
    if (path / "labels").is_dir() and (path / "images").is_dir():
        raise DataError(
            f"data set {path} does not tell the names of its classes", found="images and labels without a data.yaml",
            expected="names in a data.yaml", next_step="Add one: names: [scratch, dent].",
        )  # fmt: skip
    if inner:
        raise DataError(
            f"data set {path} holds several sets" if len(inner) > 1 else f"data set {path} holds the set one folder below",
            found=", ".join(name for name, _ in inner[:5]), expected="one set", next_step="Name one of them.",
        )  # fmt: skip
    unread = Counter(file.suffix.lower() for file in files if file.suffix.lower() in (".json", ".xml", ".csv", ".txt"))
    if unread and all(file.parent == path for file in files):
        said = ", ".join(f"{count} {ending}" for ending, count in Counter(file.suffix.lower() for file in files).most_common(4))
        raise DataError(f"data set {path} has labels in a format that is not known", found=said, expected=EXPECTED)
    return Recognised("folders", path, path)


def _inner(folder: Path, files: Sequence[Path]) -> list[tuple[str, set[Format]]]:
    """The folders within a folder that show formats of their own, each with these; `files` are those below it."""
    below: dict[Path, list[Path]] = {}
    for file in files:
        if file.parent != folder:
            below.setdefault(folder / file.relative_to(folder).parts[0], []).append(file)
    shown = [(child.name, {one.format for one, _ in _formats(child, inside)}) for child, inside in sorted(below.items())]
    return [(name, formats) for name, formats in shown if formats]


def _format_of(file: Path) -> Format:
    """The format of a set that is named by the file that describes it. Raises DataError."""
    ending = file.suffix.lower()
    by_ending: dict[str, Format] = {".csv": "manifest", ".tsv": "manifest", ".yaml": "yolo", ".yml": "yolo", ".xml": "cvat"}
    if ending == ".json":
        return "label_studio" if is_label_studio(file) else "datumaro" if is_datumaro(file) else "coco"
    if ending in by_ending:
        return by_ending[ending]
    raise DataError(
        f"data set {file} has no known format", found=f"a file ending in {file.suffix or 'nothing'}",
        expected="a manifest .csv, a COCO .json or a YOLO data.yaml, or a folder",
        next_step="A CVAT .xml and the .json of Label Studio and Datumaro are read as well.",
    )  # fmt: skip


def _formats(folder: Path, files: Sequence[Path]) -> list[tuple[Recognised, str]]:
    """All formats that the folder shows, each with what shows it; `files` are those below it."""
    found = []
    if is_mvtec(folder):
        found.append((Recognised("mvtec", folder, folder), "train/good, test and ground_truth"))
    if is_voc(folder, files):
        found.append((Recognised("voc", folder, folder), "XML files of Pascal VOC"))
    datumaro = datumaro_files(files, folder)
    if datumaro:
        found.append((Recognised("datumaro", folder, folder, tuple(datumaro)), str(datumaro[0].relative_to(folder))))
    annotations = [] if datumaro else coco_files(files, folder)
    if annotations:
        found.append((Recognised("coco", folder, folder, tuple(annotations)), str(annotations[0].relative_to(folder))))
    found += [(Recognised("yolo", file, folder), file.name) for file in yolo_files(folder)]
    found += [(Recognised("cvat", file, folder), file.name) for file in cvat_files(files, folder)]
    known = set(annotations)
    others = [file for file in files if file not in known]
    found += [(Recognised("label_studio", file, folder), file.name) for file in label_studio_files(others, folder)]
    tables = [file for file in files if file.parent == folder and file.suffix.lower() in (".csv", ".tsv") and is_table(file)]
    found += [(Recognised("manifest", file, folder), file.name) for file in tables]
    if not found and is_labelme(files):
        found.append((Recognised("labelme", folder, folder), "JSON files of labelme"))
    return found
