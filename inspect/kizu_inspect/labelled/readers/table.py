"""A table as people save it: commas, semicolons, tabs or bars, UTF-8 or UTF-16, columns in any order and by several names."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from kizu_inspect.errors import DataError

__all__ = ["COLUMNS", "EDGES", "Row", "Table", "is_table", "read_table"]

COLUMNS: Final = ("path", "label", "split", "group", "boxes", "mask", "reference", "areas")
EDGES: Final = ("xmin", "ymin", "xmax", "ymax")
SEPARATORS: Final = (",", ";", "\t", "|")
LONGEST_FIELD: Final = 16_000_000
"""Characters; Python's own limit of 131,072 is a few thousand boxes."""
CALLED: Final = {
    "path": ("file", "filename", "file name", "image", "image path", "picture", "file path"),
    "label": ("class", "class name", "category", "defect"),
    "split": ("subset",),
    "width": (), "height": (),
    **dict.fromkeys(EDGES, ()),
}  # fmt: skip
"""What other tools call the columns; the name that Kizu itself writes goes first."""
HEAD_BYTES: Final = 65_536
NEAR: Final = 0.75
"""So alike are a column's name and what was typed for it: two letters of five that changed places."""

Row = dict[str, str]


@dataclass(frozen=True)
class Table:
    """A table's rows, each with the line it begins on, their columns by the names that Kizu gives them."""

    columns: frozenset[str]
    rows: list[tuple[int, Row]]
    excess: dict[int, list[str]]
    """By line: the fields beyond the first line's columns."""
    misspelt: dict[str, str]
    """Columns that are not read, each with the one that it may have been meant for, which the table lacks."""


def is_table(file: Path) -> bool:
    """Whether its first line names pictures and labels, in whatever encoding: what cannot be read is said by who reads it."""
    try:
        with file.open("rb") as data:
            text = _text(data.read(HEAD_BYTES), whole=False, errors="replace")
    except OSError:
        return False
    head = _head(text)
    return head is not None and {"path", "label"} <= set(_known(head[1]))


def read_table(path: Path) -> Table:
    """The rows of the file. Raises DataError where it is no table of pictures with labels."""
    try:
        text = _text(path.read_bytes(), whole=True)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"manifest {path} cannot be read", found=str(error), expected="a CSV in UTF-8 or UTF-16",
            next_step="Save it as CSV UTF-8.",
        ) from None  # fmt: skip
    head = _head(text)
    separator, names, first = head if head is not None else (",", [], 1)
    names = [_plain(name) for name in names]
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise DataError(f"manifest {path} has several columns of one name", found=", ".join(twice), expected="one of each")
    place_of = _known(names)
    missing = [column for column in ("path", "label") if column not in place_of]
    if missing:
        raise DataError(
            f"manifest {path} lacks a column", found=f"no {', '.join(missing)} in {', '.join(names) or 'an empty first line'}",
            expected=",".join(COLUMNS), next_step="Add the column to its first line.",
        )  # fmt: skip
    rows: list[tuple[int, Row]] = []
    excess: dict[int, list[str]] = {}
    csv.field_size_limit(LONGEST_FIELD)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    begins = 1
    try:
        for fields in reader:
            line, begins = begins, reader.line_num + 1
            if line <= first or not any(field.strip() for field in fields):
                continue
            rows.append((line, {name: fields[at] if at < len(fields) else "" for name, at in place_of.items()}))
            if len(fields) > len(names):
                excess[line] = fields[len(names) :]
    except csv.Error as error:
        raise DataError(f"manifest {path} cannot be read", found=str(error), expected="a CSV") from None
    return Table(frozenset(place_of), rows, excess, _misspelt(names, place_of))


def _misspelt(names: Sequence[str], place_of: Mapping[str, int]) -> dict[str, str]:
    lacking = {
        other: column for column in (*COLUMNS, *CALLED) if column not in place_of for other in (column, *CALLED.get(column, ()))
    }
    read = {names[at] for at in place_of.values()}
    near = {name: get_close_matches(name, lacking, n=1, cutoff=NEAR) for name in names if name and name not in read}
    return {name: lacking[found[0]] for name, found in near.items() if found}


def _text(data: bytes, *, whole: bool, errors: str = "strict") -> str:
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    decoder = codecs.getincrementaldecoder("utf-16" if wide else "utf-8-sig")(errors)
    return decoder.decode(data, final=whole)


def _head(text: str) -> tuple[str, list[str], int] | None:
    """The separator, the first line's fields, and which line that is: a spreadsheet's `sep=;` may stand before it."""
    lines = text.splitlines()
    first = 2 if lines and lines[0].lower().startswith("sep=") else 1
    if len(lines) < first:
        return None
    tried = []
    for separator in SEPARATORS:
        fields = next(csv.reader([lines[first - 1]], delimiter=separator), [])
        tried.append((len(_known([_plain(field) for field in fields])), separator, fields))
    _, separator, fields = max(tried, key=lambda one: one[0])
    return separator, fields, first


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").replace("-", " ").lower().split())


def _known(names: list[str]) -> dict[str, int]:
    """Where each column stands. Of several names for one column the one that Kizu writes counts."""
    plain = [_plain(name) for name in names]
    known = {}
    for column, others in {**dict.fromkeys(COLUMNS, ()), **CALLED}.items():
        found = next((name for name in (column, *others) if name in plain), None)
        if found is not None:
            known[column] = plain.index(found)
    return known
