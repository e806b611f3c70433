"""Reads labelled pictures: class folders, a manifest CSV, MVTec AD, Pascal VOC, COCO, YOLO."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from kizu_inspect.labelled.findings import Finding, Report
from kizu_inspect.labelled.readers.coco import read_coco
from kizu_inspect.labelled.readers.files import GroupOf, group_finder
from kizu_inspect.labelled.readers.folders import read_folders
from kizu_inspect.labelled.readers.manifest import read_manifest
from kizu_inspect.labelled.readers.mvtec import read_mvtec
from kizu_inspect.labelled.readers.recognise import EXPECTED, Format, recognise
from kizu_inspect.labelled.readers.voc import read_voc
from kizu_inspect.labelled.readers.yolo import read_yolo
from kizu_inspect.labelled.samples import Sample

__all__ = ["EXPECTED", "READERS", "Format", "ReadSet", "Splits", "read_samples"]

READERS: Mapping[Format, Callable[[Path, GroupOf, Report], list[Sample]]] = {
    "folders": read_folders,
    "manifest": read_manifest,
    "mvtec": read_mvtec,
    "voc": read_voc,
    "coco": read_coco,
    "yolo": read_yolo,
}
Splits = Literal["usual", "keep", "anew"]


@dataclass(frozen=True)
class ReadSet:
    """What a reader found."""

    format: Format
    root: Path
    """The folder from which its pictures are named."""
    samples: tuple[Sample, ...]


def read_samples(path: Path, *, group_pattern: str | None, report: Report, splits: Splits = "usual") -> ReadSet:
    """The samples of the set at `path`, as it has them: without a split where it gives them none.

    MVTec AD's own split has good pictures alone in train: nobody can learn classes from it. Its pictures lose their split,
    unless `splits` is keep; with anew those of every format do. Mistakes go to `report`. Raises DataError where the format is
    not known.
    """
    group_of = group_finder(group_pattern)
    recognised = recognise(path)
    samples = READERS[recognised.format](recognised.source, group_of, report)
    if splits == "anew" or (splits == "usual" and recognised.format == "mvtec"):
        samples = [replace(sample, split="") for sample in samples]
    names = sorted({label for sample in samples for label in sample.labels if not label or "|" in label})
    if names:
        report(
            Finding(
                "class_name", f"data set {path} has a class whose name cannot be kept", found=", ".join(map(repr, names)),
                expected="a name without |, which separates several classes of a picture",
            )
        )  # fmt: skip
    return ReadSet(recognised.format, recognised.root, tuple(samples))
