"""kizu run, dashboard, report and db: the line and its records."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from kizu.config import KizuConfig, load_config
from kizu.console import ConfigOption, JsonOption, name_of, screen, write_bytes, write_json
from kizu.period import first_moment, moment_after, parse_day
from kizu_db.image_store import ImageStore
from kizu_db.migrations import upgrade
from kizu_db.records import Records
from kizu_inspect.errors import ConfigError
from kizu_pipeline.logs import configure_logging
from kizu_pipeline.service import run_station
from kizu_pipeline.signals import stop_on_signals
from kizu_pipeline.summary import RunSummary

__all__ = ["dashboard_command", "report_command", "run_command", "run_config"]

DEFAULT_CONFIG = Path("kizu.yaml")


def run_config(config: KizuConfig, *, once: bool, stop: threading.Event) -> RunSummary:
    """Runs the configured station."""
    if config.station is None:
        raise ConfigError("no station is configured", found="no key station", expected="station: {id, source, recipe}")
    if config.database.file is not None and not config.database.file.exists():
        upgrade(config.database)  # the embedded database of a new installation: nothing there that could be lost
    with Records.open(config.database) as records:
        return run_station(config.station, config.runtime, records, ImageStore(config.images.path), once=once, stop=stop)


def run_command(
    config: ConfigOption = DEFAULT_CONFIG,
    once: Annotated[bool, typer.Option("--once", help="Take what waits, explain what is pending, and end.")] = False,
    json: JsonOption = None,
) -> None:
    """Run the line's service. Example: kizu run --config kizu.yaml --once"""
    configure_logging()
    with stop_on_signals() as stop:
        summary = run_config(load_config(config), once=once, stop=stop)
    if json is not None:
        write_json(json, summary.as_json())
    if str(json) != "-":
        counts = ", ".join(f"{count} {verdict.value}" for verdict, count in summary.verdicts.items())
        screen.print(
            f"{summary.files} inspections in {summary.seconds:.1f} s ({summary.pictures_per_s:.1f} a second) "
            f"on {summary.device}: "
            f"{counts}; {summary.quarantined} in quarantine, {summary.explained + summary.pending_made} explained"
        )


def dashboard_command(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Open the review pages. Example: kizu dashboard --config kizu.yaml"""
    from kizu_dashboard.server import serve

    serve(load_config(config).for_dashboard, on_ready=lambda address: screen.print(f"Dashboard on {address} (Ctrl+C ends it)"))


def report_command(
    out: Annotated[Path, typer.Argument(help="File to write, ending in .csv or .pdf.")],
    config: ConfigOption = DEFAULT_CONFIG,
    since: Annotated[str | None, typer.Option(help="First day, YYYY-MM-DD in the plant's zone (default: a week ago).")] = None,
    until: Annotated[str | None, typer.Option(help="Last day, YYYY-MM-DD, included (default: today).")] = None,
    station: Annotated[str | None, typer.Option(help="Only this station.")] = None,
    made_by: Annotated[str, typer.Option(help="Who makes it.")] = "",
) -> None:
    """Report the flagged parts of a period as CSV or PDF. Example: kizu report week.pdf --since 2026-11-16"""
    from kizu_dashboard.reports.content import gather_report
    from kizu_dashboard.reports.csv import csv_report
    from kizu_dashboard.reports.pdf import pdf_report

    if out.suffix.lower() not in (".csv", ".pdf"):
        raise ConfigError("report has no known kind", found=out.name, expected="a name ending in .csv or .pdf")
    settings = load_config(config)
    zone = settings.plant.zone
    today = datetime.now(UTC).astimezone(zone).date()
    first = parse_day(since, "--since") if since else today - timedelta(days=7)
    last = parse_day(until, "--until") if until else today
    kind = out.suffix.lower().removeprefix(".")
    store = ImageStore(settings.images.path)
    with Records.open(settings.database) as records:
        report = gather_report(
            records, settings, since=first_moment(first, zone), until=moment_after(last, zone),
            station=station, made_by=made_by,
        )  # fmt: skip
        data = csv_report(report) if kind == "csv" else pdf_report(report, store, font=settings.report.font)
        write_bytes(out, data)
        with records.unit() as unit:
            unit.reports.add(kind, data, report.told, by=name_of(made_by), software=report.software)
    screen.print(f"{out}: {first} to {last}")
