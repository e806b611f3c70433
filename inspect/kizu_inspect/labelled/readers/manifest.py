"""A manifest CSV, `path,label,split,group,boxes,mask,reference,areas`, or another table of pictures and labels."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from kizu_inspect.errors import DataError
from kizu_inspect.labelled.annotated import Annotated, Mark
from kizu_inspect.labelled.findings import Finding, Report, a_few
from kizu_inspect.labelled.readers.files import absent_files, is_there, relative_name
from kizu_inspect.labelled.readers.folders import mask_beside
from kizu_inspect.labelled.readers.reading import Reading, split_named
from kizu_inspect.labelled.readers.table import COLUMNS, EDGES, Row, read_table
from kizu_inspect.labelled.samples import Area, Sample, outward

__all__ = ["read_manifest", "write_manifest", "write_rows"]


def read_manifest(path: Path, reading: Reading) -> list[Annotated]:
    """The pictures of a manifest whose paths are relative to it, a line each, or a line a box where it has columns of edges.

    Raises DataError where it is no table of pictures and labels.
    """
    table = read_table(path)
    boxed = table.columns.issuperset(EDGES)
    for name, meant in table.misspelt.items():
        reading.report(
            Finding(
                "misspelt_column", f"manifest {path} has a column that is not read", found=name, expected=f"perhaps {meant}",
                next_step=f"Call it {meant} if it is that.", severity="warning",
            )
        )  # fmt: skip
    whole = [
        row for line, row in table.rows if line not in table.excess
    ]  # of a line with a comma too many, no field is what it says
    named = [row[column] for row in whole for column in ("path", "mask", "reference") if row.get(column)]
    absent = {name: None for name in named if not is_there(path.parent / _there(path, name))}
    if absent:
        reading.report(absent_files(f"manifest {path}", list(absent)))
    found: list[Annotated] = []
    for line, row in table.rows:
        if line in table.excess:
            _report_excess(path, line, table.excess[line], reading.report)
            continue
        if row.get("path") in absent:
            continue  # reported; where a mask or reference is not there, the picture is still worth looking at
        kept = {key: value if key not in ("mask", "reference") or value not in absent else "" for key, value in row.items()}
        one = _read_row(path, line, kept, reading, boxed=boxed)
        if one is not None:
            found.append(one)
    return _gathered(found, reading.report) if boxed else found


def _there(manifest: Path, name: str) -> str:
    """The name as it is, or with slashes where Windows wrote it."""
    turned = name.replace("\\", "/")
    return turned if turned != name and not is_there(manifest.parent / name) else name


def _report_excess(path: Path, line: int, excess: Sequence[str], report: Report) -> None:
    report(
        Finding(
            "fields", f"{path} line {line}: more fields than columns", found=str(list(excess)),
            expected="a separator only between fields",
            next_step='Put boxes in quotes, and double the quotes within: "[[1, 2, 3, 4, ""dent""]]".',
        )
    )  # fmt: skip


def _read_row(manifest: Path, line: int, row: Row, reading: Reading, *, boxed: bool) -> Annotated | None:
    """What a line says; None where it names no picture or no class."""
    where = f"{manifest} line {line}"
    report = reading.report
    for column in ("path", "label"):
        if not row[column].strip(" |"):
            report(Finding("no_value", f"{where}: no {column}", found="an empty field", expected=f"the picture's {column}"))
            return None
    named = row.get("split", "").strip()
    name = _there(manifest, row["path"])
    file = manifest.parent / name
    split = split_named(named) if named else ""
    if split is None:
        report(Finding("unknown_split", f"{where}: unknown split", named, "train, val, test or empty", pictures=(file,)))
        split = ""
    labels = tuple(one.strip() for one in row["label"].split("|"))
    marks = _marks(where, row, file, report)
    areas = _areas(where, row, file, report)
    unknown = sorted({*(mark.name for mark in marks), *(name for name, _ in areas)}.difference(labels))
    if unknown:
        report(
            Finding(
                "unknown_class", f"{where}: a box has a class that the picture has not", found=", ".join(unknown),
                expected=row["label"], next_step="Name every class of the picture's boxes as its label, separated by |.",
                pictures=(file,),
            )
        )  # fmt: skip
    mask = manifest.parent / _there(manifest, row["mask"]) if row.get("mask") else None
    if mask is None and "mask" not in row:
        mask = mask_beside(file)
    reference = manifest.parent / _there(manifest, row["reference"]) if row.get("reference") else None
    group = row.get("group") or reading.group_of(file.name, name)
    one = Annotated(file, split, group, labels, marks, None, "stored", mask=mask, reference=reference, areas=areas)
    return _with_edges(where, row, one, report) if boxed else one


def _with_edges(where: str, row: Row, one: Annotated, report: Report) -> Annotated:
    """The picture with the box of its line; without edges the line says its label alone."""
    edges = [row[edge].strip().replace(",", ".") for edge in EDGES]
    if not any(edges):
        return one
    if one.marks:
        report(
            Finding(
                "boxes", f"{where}: a box stands in {EDGES[0]} to {EDGES[-1]}, and others in boxes",
                found=f"{', '.join(edges)} and {row['boxes']}", expected="one of the two",
                next_step="Give each box a line of its own.", pictures=(one.path,),
            )
        )  # fmt: skip
        return one
    try:
        x1, y1, x2, y2 = (float(edge) for edge in edges)
        outward(x1, y1, x2, y2)
        sides = [int(float(row.get(side) or 0)) for side in ("width", "height")]
    except (ValueError, OverflowError):
        expected = "numbers in xmin, ymin, xmax and ymax"
        report(Finding("boxes", f"{where}: a box is not understood", ", ".join(edges), expected, pictures=(one.path,)))
        return one
    size = (sides[0], sides[1]) if min(sides) > 0 else None
    return replace(one, marks=(Mark(one.labels[0], (x1, y1, x2, y2)),), drawn_on=size, unit="drawn")


def _gathered(found: Sequence[Annotated], report: Report) -> list[Annotated]:
    """One of each picture, with the boxes and areas of all its lines, which must agree on everything else."""
    lines: dict[str, list[Annotated]] = {}
    for one in found:
        lines.setdefault(os.path.normpath(one.path), []).append(one)
    gathered, contradicting = [], []
    for same in lines.values():
        first = same[0]
        facts = {(one.split, one.group, one.mask, one.reference, one.drawn_on, one.unit) for one in same}
        if len(same) > 1 and (len(facts) > 1 or not all(one.marks for one in same)):
            contradicting.append(first.path)
        labels = tuple(dict.fromkeys(label for one in same for label in one.labels))
        marks = tuple(mark for one in same for mark in one.marks)
        areas = tuple(dict.fromkeys(area for one in same for area in one.areas))
        _report_one_place(first.path, marks, report)
        gathered.append(replace(first, labels=labels, marks=tuple(dict.fromkeys(marks)), areas=areas))
    if contradicting:
        report(
            Finding(
                "listed_twice", "lines of one picture contradict each other", found=a_few(contradicting),
                expected="the same split, group and size in each, and a box, written alike", pictures=tuple(contradicting),
            )
        )  # fmt: skip
    return gathered


def _report_one_place(file: Path, marks: Sequence[Mark], report: Report) -> None:
    """Reports a box that several lines name: as different classes, or once more."""
    names: dict[object, list[str]] = {}
    for mark in marks:
        names.setdefault(mark.box, []).append(mark.name)
    for edges, said in names.items():
        if len(set(said)) > 1:
            report(
                Finding(
                    "boxes", f"{file}: one box has several classes", found=f"{edges} as {', '.join(dict.fromkeys(said))}",
                    expected="one class for each box", next_step="Keep the line that is right.", pictures=(file,),
                    severity="warning",
                )
            )  # fmt: skip
        elif len(said) > 1:
            report(
                Finding(
                    "repeated_line", f"{file}: a box is listed {len(said)} times", found=f"{edges} as {said[0]}",
                    expected="a line for each box", next_step="It is taken once.", pictures=(file,), severity="warning",
                )
            )  # fmt: skip


def _marks(where: str, row: Row, file: Path, report: Report) -> tuple[Mark, ...]:
    try:
        given = [
            (str(name), (float(x1), float(y1), float(x2), float(y2)))
            for x1, y1, x2, y2, name in json.loads(row.get("boxes") or "[]")
        ]
        for _, edges in given:
            outward(*edges)
        return tuple(Mark(name, edges) for name, edges in given)
    except (ValueError, TypeError, OverflowError):
        expected = '[[x1, y1, x2, y2, "class"], …]'
        report(Finding("boxes", f"{where}: boxes are not understood", row["boxes"], expected, pictures=(file,)))
        return ()


def _areas(where: str, row: Row, file: Path, report: Report) -> tuple[Area, ...]:
    try:
        areas = tuple(
            (str(name), tuple((int(line), int(start), int(end)) for line, start, end in spans))
            for name, spans in json.loads(row.get("areas") or "[]")
        )
        if not all(spans for _, spans in areas):
            raise ValueError("an area that marks nothing")
        return areas
    except (ValueError, TypeError, OverflowError):
        expected = '[["class", [[row, start, end], …]], …]'
        report(Finding("areas", f"{where}: areas are not understood", row["areas"][:80], expected, pictures=(file,)))
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
            json.dumps(sample.areas, ensure_ascii=False) if sample.areas else "",
        )
        for sample in samples
    ]  # fmt: skip
    if path.exists():
        raise DataError(
            "the manifest is there already", found=str(path), expected="a new file", next_step="Name another or remove it."
        )
    unfinished = folder / f".{path.name}.new"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_rows(unfinished, rows)
        unfinished.rename(folder / path.name)
    except (OSError, UnicodeEncodeError) as error:
        with suppress(OSError):
            unfinished.unlink()
        raise DataError(f"manifest {path} cannot be written", found=str(error)) from None


def write_rows(path: Path, rows: Iterable[Sequence[str]]) -> None:
    """Writes a manifest of these lines, values in the order of `COLUMNS`, the last of which may be missing."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([*row, *[""] * (len(COLUMNS) - len(row))] for row in rows)
