"""kizu run, dashboard and report: the line and what people see of it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kizu.console import DEFAULT_CONFIG, ConfigOption, JsonOption, name_of, screen, write_bytes, write_json
from kizu_inspect.errors import ConfigError, SourceError

if TYPE_CHECKING:
    import threading

    from kizu.config import KizuConfig
    from kizu_pipeline.summary import RunSummary

__all__ = ["dashboard_command", "report_command", "run_command", "run_config", "tell_address"]

STOP_BEYOND_DRAIN_S = 20.0
"""What a station may take to stop beside `runtime.drain_s`: to end the batch in work, and to deliver events."""


def run_config(config: KizuConfig, *, once: bool, stop: threading.Event) -> RunSummary:
    """Runs the only configured station."""
    from kizu_db.image_store import ImageStore
    from kizu_db.records import Records
    from kizu_pipeline.service import run_station
    from kizu_pipeline.supervising import tell_started

    config = config.of(None)
    assert config.station is not None  # `of` found it
    _make_database(config)
    with Records.open(config.database) as records:
        store = ImageStore(config.images.path)
        try:
            return run_station(config.station, config.runtime, records, store, once=once, stop=stop, started=tell_started)
        except SourceError:
            tell_started()  # its settings are good; what is absent may come, and no other station is to end for it
            raise


def _make_database(config: KizuConfig) -> None:
    from kizu_db.migrations import upgrade

    if config.database.file is not None and not config.database.file.exists():
        upgrade(config.database)  # the embedded database of a new installation: nothing there that could be lost


def run_command(
    config: ConfigOption = DEFAULT_CONFIG,
    once: Annotated[bool, typer.Option("--once", help="Take what waits, explain what is pending, and end.")] = False,
    station: Annotated[str | None, typer.Option(help="Of several stations this one alone.")] = None,
    json: JsonOption = None,
) -> None:
    """Run the line's service. Example: kizu run --config kizu.yaml --once"""
    from kizu.config import load_config
    from kizu_pipeline.logs import configure_logging
    from kizu_pipeline.signals import stop_on_signals
    from kizu_pipeline.supervising import end_with_parent, is_supervised

    configure_logging(station=station)
    settings = load_config(config)
    if station is None and len(settings.every_station) > 1:
        _run_each(config, settings, once=once, json=json)
        return
    with stop_on_signals(patient=is_supervised) as stop:  # an init system asks every process, and so does the supervisor
        end_with_parent()
        summary = run_config(settings.of(station), once=once, stop=stop)
    if json is not None:
        write_json(json, summary.as_json())
    if str(json) != "-":
        counts = ", ".join(f"{count} {verdict.value}" for verdict, count in summary.verdicts.items())
        screen.print(
            f"{f'{station}: ' if station else ''}{summary.files} inspections in {summary.seconds:.1f} s "
            f"({summary.pictures_per_s:.1f} a second) on {summary.device}: "
            f"{counts}; {summary.quarantined} in quarantine, {summary.explained + summary.pending_made} explained"
        )


def _run_each(config: Path, settings: KizuConfig, *, once: bool, json: Path | None) -> None:
    """A process for each station. Raises typer.Exit with the worst exit code, unless that is 0."""
    from kizu_pipeline.signals import stop_on_signals
    from kizu_pipeline.supervising import supervise

    if json is not None:
        raise ConfigError("several stations have no common figures", found="--json", expected="--station ID --json FILE")
    _make_database(settings)  # once, before they all want to
    # -P: nothing that lies in the folder of the service is taken for a module.
    command = [sys.executable, "-P", "-c", "from kizu.main import main; main()", "run", "--config", str(config)]
    with stop_on_signals() as stop:
        code = supervise(
            {one.id: [*command, "--station", one.id, *(["--once"] if once else [])] for one in settings.every_station},
            once=once, stop=stop, stop_within_s=settings.runtime.drain_s + STOP_BEYOND_DRAIN_S,
        )  # fmt: skip
    if code:
        raise typer.Exit(code)


def dashboard_command(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Open the review pages. Example: kizu dashboard --config kizu.yaml"""
    from kizu.config import load_config
    from kizu_dashboard.server import serve
    from kizu_db.records import Records

    settings = load_config(config).for_dashboard
    with Records.open(settings.database) as records, records.unit(read_only=True) as unit:
        nobody = unit.users.nobody()
    serve(settings, on_ready=tell_address, link_for=name_of(None) if nobody else None)


def tell_address(address: str, link: str | None) -> None:
    """Says where the dashboard is, and the link that signs in once."""
    screen.print(f"Dashboard on {address} (Ctrl+C ends it)", markup=False)
    if link is not None:
        screen.print(f"Sign in once, on this machine: {link}", markup=False)


def report_command(
    out: Annotated[Path, typer.Argument(help="File to write, ending in .csv or .pdf.")],
    config: ConfigOption = DEFAULT_CONFIG,
    since: Annotated[
        str | None, typer.Option(help="First day, YYYY-MM-DD in the plant's zone (default: six days ago).")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Last day, YYYY-MM-DD, included (default: today).")] = None,
    station: Annotated[str | None, typer.Option(help="Only this station.")] = None,
    made_by: Annotated[str | None, typer.Option(help="Who makes it (default: who is logged in).")] = None,
) -> None:
    """Report the flagged parts of a period as CSV or PDF. Example: kizu report week.pdf --since 2026-11-16"""
    from kizu.config import load_config
    from kizu.period import first_moment, moment_after, parse_day
    from kizu_dashboard.reports.content import gather_report
    from kizu_dashboard.reports.csv import csv_report
    from kizu_dashboard.reports.pdf import pdf_report
    from kizu_db.image_store import ImageStore
    from kizu_db.permissions import Action
    from kizu_db.records import Records

    if out.suffix.lower() not in (".csv", ".pdf"):
        raise ConfigError("report has no known kind", found=out.name, expected="a name ending in .csv or .pdf")
    settings = load_config(config)
    zone = settings.plant.zone
    today = datetime.now(UTC).astimezone(zone).date()
    first = parse_day(since, "--since") if since else today - timedelta(days=6)
    last = parse_day(until, "--until") if until else today
    kind = out.suffix.lower().removeprefix(".")
    store = ImageStore(settings.images.path)
    by = name_of(made_by)
    with Records.open(settings.database) as records:
        with records.unit(read_only=True) as unit:
            unit.users.require(by, Action.REPORT)  # before the work, and again where it is recorded
        report = gather_report(
            records, settings, since=first_moment(first, zone), until=moment_after(last, zone),
            station=station, most=None if kind == "csv" else settings.report.max_parts, made_by=by,
        )  # fmt: skip
        data = csv_report(report) if kind == "csv" else pdf_report(report, store, font=settings.report.font)
        with records.unit() as unit:
            unit.reports.add(kind, data, report.told, by=by, software=report.software)
    write_bytes(out, data)
    cut = f", the newest of {report.flagged_count:,}: report.max_parts ends it there" if report.left_out else ""
    screen.print(f"{out}: {first} to {last}, {len(report.flagged):,} flagged parts{cut}", markup=False)
