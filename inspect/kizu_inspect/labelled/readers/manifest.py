"""A manifest CSV, `path,label,split,group,boxes,mask,reference`: read and written."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from kizu_inspect.errors import DataError
from kizu_inspect.labelled.findings import Finding, Report
from kizu_inspect.labelled.readers.files import GroupOf, absent_files, is_there, relative_name
from kizu_inspect.labelled.readers.folders import mask_beside
from kizu_inspect.labelled.samples import SPLITS, Box, Sample, outward

__all__ = ["COLUMNS", "read_manifest", "write_manifest", "write_rows"]

COLUMNS = ("path", "label", "split", "group", "boxes", "mask", "reference")
LONGEST_FIELD = 16_000_000
"""Characters; Python's own limit of 131,072 is a few thousand boxes."""


def read_manifest(path: Path, group_of: GroupOf, report: Report) -> list[Sample]:
    """The samples of a manifest whose paths are relative to it. Raises DataError where it is no table of these columns."""
    csv.field_size_limit(LONGEST_FIELD)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [column for column in ("path", "label") if column not in (reader.fieldnames or ())]
            rows = [] if missing else list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"manifest {path} cannot be read", found=str(error), expected="a CSV in UTF-8") from None
    if missing:
        raise DataError(
            f"manifest {path} lacks a column", found=f"no {', '.join(missing)}",
            expected=",".join(COLUMNS), next_step="Add the column to its first line.",
        )  # fmt: skip
    whole = [row for row in rows if None not in row]  # of a line with a comma too many, no field is what it says
    named = [row[column] for row in whole for column in ("path", "mask", "reference") if row.get(column)]
    absent = {name: None for name in named if not is_there(path.parent / name)}
    if absent:
        report(absent_files(f"manifest {path}", list(absent)))
    samples = []
    for line, row in enumerate(rows, start=2):
        if row.get("path") in absent:
            continue  # reported; where a mask or reference is not there, the picture is still worth looking at
        without = {key: "" for key in ("mask", "reference") if row.get(key) in absent}
        sample = _sample(path, line, {**row, **without}, group_of, report)
        if sample is not None:
            samples.append(sample)
    return samples


def _sample(manifest: Path, line: int, row: dict[str, str], group_of: GroupOf, report: Report) -> Sample | None:
    """The sample of a line; None where it names no picture or no class."""
    where = f"{manifest} line {line}"
    if None in row:  # what DictReader calls the fields beyond the first line's columns
        report(
            Finding(
                "fields", f"{where}: more fields than columns", found=str(row[None]),  # type: ignore[index]
                expected="a comma only between fields",
                next_step='Put boxes in quotes, and double the quotes within: "[[1, 2, 3, 4, ""dent""]]".',
            )
        )  # fmt: skip
        return None
    for column in ("path", "label"):
        if not (row.get(column) or "").strip(" |"):
            report(Finding("no_value", f"{where}: no {column}", found="an empty field", expected=f"the picture's {column}"))
            return None
    split = (row.get("split") or "").strip()
    file = manifest.parent / row["path"]
    if split not in ("", *SPLITS):
        finding = Finding("unknown_split", f"{where}: unknown split", split, "train, val, test or empty", pictures=(file,))
        report(finding)
        split = ""
    label, *others = [one.strip() for one in row["label"].split("|")]
    boxes = _boxes(where, row, file, report)
    unknown = sorted({name for *_, name in boxes} - {label, *others})
    if unknown:
        report(
            Finding(
                "unknown_class", f"{where}: a box has a class that the picture has not", found=", ".join(unknown),
                expected=row["label"], next_step="Name every class of the picture's boxes as its label, separated by |.",
                pictures=(file,),
            )
        )  # fmt: skip
    mask = manifest.parent / row["mask"] if row.get("mask") else None
    if mask is None and "mask" not in row:
        mask = mask_beside(file)
    reference = manifest.parent / row["reference"] if row.get("reference") else None
    group = row.get("group") or group_of(file.name, row["path"])
    return Sample(file, label, split, group, boxes, mask, reference, tuple(others))


def _boxes(where: str, row: dict[str, str], file: Path, report: Report) -> tuple[Box, ...]:
    try:
        return tuple(
            (*outward(float(x1), float(y1), float(x2), float(y2)), str(name))
            for x1, y1, x2, y2, name in json.loads(row.get("boxes") or "[]")
        )
    except (ValueError, TypeError, OverflowError):
        expected = '[[x1, y1, x2, y2, "class"], …]'
        report(Finding("boxes", f"{where}: boxes are not understood", row["boxes"], expected, pictures=(file,)))
        return ()


def write_manifest(path: Path, samples: Iterable[Sample]) -> None:
    """Writes a manifest of these samples, paths relative to it. Raises DataError where it is there or cannot be written."""
    folder = path.parent.resolve()

    def relative(file: Path | None) -> str:
        return "" if file is None else relative_name(file.parent.resolve() / file.name, folder)

    rows = [
        (
            relative(sample.path), "|".join(sample.labels), sample.split, sample.group,
            json.dumps(sample.boxes, ensure_ascii=False) if sample.boxes else "",
            relative(sample.mask), relative(sample.reference),
        )
        for sample in samples
    ]  # fmt: skip
    if path.exists():
        raise DataError(
            "the manifest is there already", found=str(path), expected="a new file", next_step="Name another or remove it."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_rows(path, rows)
    except (OSError, UnicodeEncodeError) as error:
        raise DataError(f"manifest {path} cannot be written", found=str(error)) from None


def write_rows(path: Path, rows: Iterable[Sequence[str]]) -> None:
    """Writes a manifest of these lines, values in the order of `COLUMNS`."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
