"""kizu db export: the records for other programs, and reviewed pictures to train from."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from kizu.console import DEFAULT_CONFIG, ByOption, ConfigOption, JsonOption, name_of, progress_bar, screen, write_json
from kizu_inspect.errors import ConfigError
from kizu_inspect.results import Verdict

if TYPE_CHECKING:
    from kizu_db.exports.told import Told
    from kizu_db.image_store import ImageStore
    from kizu_db.values import InspectionRecord

__all__ = ["export_command"]

NAMED = 5
"""Lost pictures that the screen names."""


class Kind(StrEnum):
    """What an export is."""

    PARQUET = "parquet"
    CSV = "csv"
    COCO = "coco"
    FOLDERS = "folders"


def export_command(
    out: Annotated[Path, typer.Argument(help="New or empty folder.")],
    kind: Annotated[
        Kind,
        typer.Option(
            help="Tables of inspections, regions, reviews and boxes, or reviewed pictures as COCO or in class folders."
        ),
    ],
    since: Annotated[str | None, typer.Option(help="First day of judging, YYYY-MM-DD in the plant's zone.")] = None,
    until: Annotated[str | None, typer.Option(help="Last day, YYYY-MM-DD, included.")] = None,
    station: Annotated[str | None, typer.Option(help="Only this station.")] = None,
    verdict: Annotated[
        list[Verdict] | None, typer.Option(help="Only this verdict; once for each.", case_sensitive=False)
    ] = None,
    reviewed: Annotated[bool, typer.Option("--reviewed", help="Only what a person reviewed.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    by: ByOption = None,
    json: JsonOption = None,
) -> None:
    """Export for other programs; exit code 1 where pictures are lost. Example: kizu db export parts --kind folders"""
    from kizu.config import load_config
    from kizu.period import first_moment, moment_after, parse_day
    from kizu_db.exports.pages import each_record
    from kizu_db.image_store import ImageStore
    from kizu_db.records import Records

    settings = load_config(config)
    zone = settings.plant.zone
    first = None if since is None else first_moment(parse_day(since, "--since"), zone)
    end = None if until is None else moment_after(parse_day(until, "--until"), zone)
    if first is not None and end is not None and first >= end:
        raise ConfigError("the period is empty", found=f"{since} to {until}", expected="an end after the start")
    told_of = {"since": since, "until": until, "station": station, "verdicts": verdict or None, "reviewed": reviewed}
    with Records.open(settings.database) as records:
        with records.unit() as unit:
            unit.reports.tell_of_export(kind.value, told_of, by=name_of(by))
            counts = unit.rollups.verdicts(since=first, until=end, station=station)
        with progress_bar("Exporting", sum(counts[one] for one in verdict or Verdict)) as bar:

            def chosen() -> Iterator[InspectionRecord]:
                for record in each_record(records, since=first, until=end, station=station, verdicts=verdict or None):
                    bar.advance(bar.task_ids[0])
                    if record.reviews or not reviewed:
                        yield record

            told = _export(kind, chosen(), ImageStore(settings.images.path), out)
    if json is not None:
        write_json(
            json,
            {
                "out": str(out),
                "kind": kind.value,
                "written": dict(told.written),
                "left_out": {why.value: count for why, count in told.left_out.items()},
                "good": told.good,
                "lost": told.lost,
                "lost_named": told.lost_named,
            },
        )
    if str(json) != "-":
        _print(out, told)
    if told.lost:
        raise typer.Exit(1)


def _export(kind: Kind, records: Iterator[InspectionRecord], store: ImageStore, out: Path) -> Told:
    from kizu_db.exports.class_folders import export_class_folders
    from kizu_db.exports.coco import export_coco
    from kizu_db.exports.tables import export_csv, export_parquet

    match kind:
        case Kind.PARQUET:
            return export_parquet(records, out)
        case Kind.CSV:
            return export_csv(records, out)
        case Kind.COCO:
            return export_coco(records, store, out)
        case Kind.FOLDERS:
            return export_class_folders(records, store, out)


def _print(out: Path, told: Told) -> None:
    written = ", ".join(f"{count} {name}" for name, count in told.written.items()) or "nothing"
    screen.print(escape(f"{out}: {written}"))
    if told.left_out:
        reasons = ", ".join(f"{count} {why.value.replace('_', ' ')}" for why, count in told.left_out.items())
        screen.print(f"inspections left out: {reasons}")
    for problem in told.lost_named[:NAMED]:
        screen.print(f"[red]lost[/]: {escape(problem)}")
    if told.lost:
        screen.print(f"pictures lost, and left out: {told.lost}" + (" (--json names more)" if told.lost > NAMED else ""))
