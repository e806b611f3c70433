"""Reads labelled pictures in the formats that people have them in; see `recognise`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from kizu_inspect.labelled.annotated import Annotated
from kizu_inspect.labelled.choices import Unlabelled
from kizu_inspect.labelled.findings import Finding, Report, a_few
from kizu_inspect.labelled.readers.coco import read_coco
from kizu_inspect.labelled.readers.cvat import read_cvat
from kizu_inspect.labelled.readers.datumaro import read_datumaro
from kizu_inspect.labelled.readers.files import group_finder
from kizu_inspect.labelled.readers.folders import read_folders
from kizu_inspect.labelled.readers.label_studio import read_label_studio
from kizu_inspect.labelled.readers.labelme import read_labelme
from kizu_inspect.labelled.readers.left_out import LeftOut, account
from kizu_inspect.labelled.readers.manifest import read_manifest
from kizu_inspect.labelled.readers.mvtec import read_mvtec
from kizu_inspect.labelled.readers.names import name_findings
from kizu_inspect.labelled.readers.reading import Reading
from kizu_inspect.labelled.readers.recognise import Format, recognise
from kizu_inspect.labelled.readers.unlabelled import without_unlabelled
from kizu_inspect.labelled.readers.voc import read_voc
from kizu_inspect.labelled.readers.yolo import read_yolo
from kizu_inspect.labelled.samples import Sample
from kizu_inspect.labelled.settling import settle

__all__ = ["READERS", "Format", "ReadSet", "Splits", "read_samples"]

READERS: Mapping[Format, Callable[[Path, Reading], list[Annotated]]] = {
    "folders": read_folders,
    "manifest": read_manifest,
    "mvtec": read_mvtec,
    "voc": read_voc,
    "coco": read_coco,
    "yolo": read_yolo,
    "labelme": read_labelme,
    "cvat": read_cvat,
    "label_studio": read_label_studio,
    "datumaro": read_datumaro,
}
Splits = Literal["usual", "keep", "anew"]


@dataclass(frozen=True)
class ReadSet:
    """What a reader found."""

    format: Format
    root: Path
    """The folder from which its pictures are named."""
    samples: tuple[Sample, ...]
    left_out: LeftOut
    """The pictures that lie there and are not taken."""


def read_samples(
    path: Path,
    *,
    group_pattern: str | None,
    report: Report,
    splits: Splits = "usual",
    unlabelled: Unlabelled = "refuse",
) -> ReadSet:
    """The samples of the set at `path`, as it has them: without a split where it gives them none.

    MVTec AD's own split has good pictures alone in train: nobody can learn classes from it. Its pictures lose their split,
    unless `splits` is keep; with anew those of every format do. `unlabelled` says what becomes of pictures of which nobody said
    anything. Mistakes go to `report`. Raises DataError where the format is not known.
    """
    recognised = recognise(path)
    reading = Reading(
        group_finder(group_pattern), lambda finding: report(reading.with_unread(finding)), recognised.root, recognised.described
    )
    found = READERS[recognised.format](recognised.source, reading)
    _report_repeated(found, reading.report)
    found = without_unlabelled(found, unlabelled, reading)
    samples = settle(found, reading.report)
    if splits == "anew" or (splits == "usual" and recognised.format == "mvtec"):
        samples = [replace(sample, split="") for sample in samples]
    for finding in name_findings(path, samples):
        report(finding)
    whole = path.is_dir()  # a file that is named by itself speaks of what it names, and not of all that lies beside it
    left_out = account(reading, samples, whole=whole)
    for finding in left_out.findings():
        report(finding)
    return ReadSet(recognised.format, recognised.root, tuple(samples), left_out)


def _report_repeated(found: Sequence[Annotated], report: Report) -> None:
    """Reports the pictures that come again: whatever is said of one file is said once."""
    real = [os.path.realpath(one.path) for one in found]
    counts = Counter(real)
    again = {name for name, count in counts.items() if count > 1}
    if again:
        named = [
            f"{one.path} as {'|'.join(one.classes) or 'good'}{f' in {one.split}' if one.split else ''}"
            for one, name in zip(found, real, strict=True) if name in again
        ]  # fmt: skip
        report(
            Finding(
                "listed_twice", "a picture is listed several times", found=a_few(named), expected="each picture once",
                next_step="Remove all but one, with everything that is marked on it.",
                pictures=tuple(one.path for one, name in zip(found, real, strict=True) if name in again),
            )
        )  # fmt: skip
