"""Inspections, regions, reviews and boxes as Parquet or CSV: four files, written as the records come."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kizu_db.cells import safe_cell
from kizu_db.exports.columns import SCHEMAS, table_rows
from kizu_db.exports.folder import new_folder
from kizu_db.exports.told import Told
from kizu_db.values import InspectionRecord

__all__ = ["export_csv", "export_parquet"]

ROW_GROUP = 10_000
"""Rows of a table that are gathered before they are written; with their Parquet form some 90 MB."""


Write = Callable[[Sequence[Mapping[str, Any]]], None]
"""Writes rows of one table, one or more."""


def export_parquet(records: Iterable[InspectionRecord], out: Path) -> Told:
    """Writes a file for each table of `SCHEMAS`, such as inspections.parquet, with its columns into the new folder `out`.

    A row group holds `ROW_GROUP` rows or slightly more, and no more are in memory. Raises ConfigError, RecordError.
    """
    return _export(records, out, ".parquet", _parquet_file)


def export_csv(records: Iterable[InspectionRecord], out: Path) -> Told:
    """Writes a file for each table of `SCHEMAS`, such as inspections.csv, with its columns into the new folder `out`.

    UTF-8 with a byte-order mark, by which Excel knows the encoding; lines end in CR LF. Times are ISO 8601 in UTC, maps JSON
    objects, what is null an empty cell; text that would start a formula has an apostrophe before it. Raises ConfigError,
    RecordError.
    """
    return _export(records, out, ".csv", _csv_file)


def _export(
    records: Iterable[InspectionRecord],
    out: Path,
    suffix: str,
    opened: Callable[[Path, pa.Schema], AbstractContextManager[Write]],
) -> Told:
    told = Told(written=Counter(dict.fromkeys(SCHEMAS, 0)))
    with new_folder(out) as folder, ExitStack() as stack:
        write = {name: stack.enter_context(opened(folder / f"{name}{suffix}", schema)) for name, schema in SCHEMAS.items()}
        waiting: dict[str, list[dict[str, Any]]] = {name: [] for name in SCHEMAS}
        for record in records:
            for name, rows in table_rows(record).items():
                waiting[name] += rows
                told.written[name] += len(rows)
                if len(waiting[name]) >= ROW_GROUP:
                    write[name](waiting[name])
                    waiting[name].clear()
        for name, rows in waiting.items():
            if rows:
                write[name](rows)
    return told


@contextmanager
def _parquet_file(path: Path, schema: pa.Schema) -> Iterator[Write]:
    """Each write is a row group."""
    with pq.ParquetWriter(path, schema) as writer:
        yield lambda rows: writer.write_table(pa.Table.from_pylist(rows, schema=schema))


@contextmanager
def _csv_file(path: Path, schema: pa.Schema) -> Iterator[Write]:
    maps = {field.name for field in schema if pa.types.is_map(field.type)}
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        writer.writerow(schema.names)
        yield lambda rows: writer.writerows(
            [_json(row[name]) if name in maps else _cell(row.get(name)) for name in schema.names] for row in rows
        )


def _json(pairs: Sequence[tuple[str, float]]) -> str:
    return json.dumps(dict(pairs), ensure_ascii=False)


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return safe_cell(value)
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="microseconds")
        case _:
            return repr(value)
