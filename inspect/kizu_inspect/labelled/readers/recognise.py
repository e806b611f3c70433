"""Which format a labelled set has, by what lies there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kizu_inspect.errors import DataError
from kizu_inspect.labelled.readers.coco import coco_files
from kizu_inspect.labelled.readers.files import walk
from kizu_inspect.labelled.readers.mvtec import is_mvtec
from kizu_inspect.labelled.readers.voc import is_voc
from kizu_inspect.labelled.readers.yolo import yolo_files

__all__ = ["EXPECTED", "Format", "Recognised", "recognise"]

Format = Literal["folders", "manifest", "mvtec", "voc", "coco", "yolo"]
EXPECTED = "class folders, a manifest CSV, or a set as MVTec AD, Pascal VOC, COCO or YOLO lay it out"


@dataclass(frozen=True)
class Recognised:
    """A set and its format."""

    format: Format
    source: Path
    """What its reader takes: the folder, or the file that describes the set."""
    root: Path
    """The folder from which its pictures are named."""


def recognise(path: Path) -> Recognised:
    """The format of the set at `path`. Raises DataError where nothing is there, or several or none of the formats."""
    if path.is_file():
        by_ending: dict[str, Format] = {".csv": "manifest", ".json": "coco", ".yaml": "yolo", ".yml": "yolo"}
        if path.suffix.lower() not in by_ending:
            raise DataError(
                f"data set {path} has no known format", found=f"a file ending in {path.suffix or 'nothing'}",
                expected="a manifest .csv, a COCO .json or a YOLO data.yaml, or a folder",
            )  # fmt: skip
        return Recognised(by_ending[path.suffix.lower()], path, path.parent)
    if not path.is_dir():
        raise DataError("data set is not there", found=str(path), expected=EXPECTED)
    if (path / "manifest.csv").is_file():
        return Recognised("manifest", path / "manifest.csv", path)
    found = _formats(path)
    if len(found) > 1:
        raise DataError(
            f"data set {path} has several formats", found="; ".join(f"{one.format} by {by}" for one, by in found),
            expected="one", next_step="Name the file that describes the set, or move the others away.",
        )  # fmt: skip
    if found:
        return found[0][0]
    if (path / "labels").is_dir() and (path / "images").is_dir():
        raise DataError(
            f"data set {path} does not tell the names of its classes", found="images and labels without a data.yaml",
            expected="names in a data.yaml", next_step="Add one: names: [scratch, dent].",
        )  # fmt: skip
    inner = [child.name for child in sorted(path.iterdir()) if child.is_dir() and _formats(child)]
    if inner:
        raise DataError(
            f"data set {path} holds several sets", found=", ".join(inner[:5]), expected="one set", next_step="Name one of them."
        )
    return Recognised("folders", path, path)


def _formats(folder: Path) -> list[tuple[Recognised, str]]:
    """All formats that the folder shows, each with what shows it."""
    found = []
    if is_mvtec(folder):
        found.append((Recognised("mvtec", folder, folder), "train/good, test and ground_truth"))
    if is_voc(folder, walk(folder)):
        found.append((Recognised("voc", folder, folder), "XML files of Pascal VOC"))
    annotations = coco_files(folder)
    if annotations:
        found.append((Recognised("coco", folder, folder), str(annotations[0].relative_to(folder))))
    found += [(Recognised("yolo", file, folder), file.name) for file in yolo_files(folder)]
    return found
