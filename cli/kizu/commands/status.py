"""kizu status: how the running line is."""

from __future__ import annotations

import json as text_of
import time
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPException
from typing import TYPE_CHECKING, Annotated, Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from kizu.console import DEFAULT_CONFIG, ConfigOption, JsonOption, screen, write_json
from kizu_inspect.errors import ConfigError, KizuError

if TYPE_CHECKING:
    from kizu_pipeline.observing.settings import HttpSettings

__all__ = ["status_command"]

_TIMEOUT_S = 5.0
_COLOURS = {"running": "green", "starting": "yellow", "waiting": "yellow", "stopping": "yellow", "stuck": "red"}


def status_command(
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = None,
    station: Annotated[str | None, typer.Option(help="Of several stations this one alone.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew every second until Ctrl+C.")] = False,
) -> None:
    """How the running line is; exit code 1 where none answers. Example: kizu status --watch"""
    from kizu.config import load_config

    if watch and json is not None:
        raise ConfigError("options exclude each other", found="--watch and --json", expected="one of them")
    settings = load_config(config)
    wanted = [station] if station is not None else [one.id for one in settings.every_station]
    asked: dict[str | None, HttpSettings | None] = {one: settings.of(one).runtime.http for one in wanted}
    if not asked:  # whose line answers at this address is asked of it
        asked = {None: settings.runtime.http}
    lines = {one: http for one, http in asked.items() if http is not None}
    if not lines:
        raise ConfigError(
            f"{config} names no address at which the line tells its state",
            found="no key runtime.http",
            expected="runtime: {http: {port: 9108}}",
            next_step="Add it and start kizu run again.",
        )
    if watch:
        with suppress(KeyboardInterrupt), Live(console=screen, auto_refresh=False) as live:
            while True:
                live.update(Group(*(_seen(one, http) for one, http in lines.items())), refresh=True)
                time.sleep(1)
        return
    (first, at), *more = lines.items()
    statuses = (
        [status for one, http in lines.items() if (status := _asked(one, http)) is not None] if more else [_of(first, at)]
    )
    if json is not None:
        write_json(json, {status["station"]: status for status in statuses} if more else statuses[0])
    if str(json) != "-":
        screen.print(*(_shown(status) for status in statuses), sep="\n\n")
    if len(statuses) < len(lines):
        raise typer.Exit(1)


def _asked(station: str | None, http: HttpSettings) -> dict[str, Any] | None:
    """What one of several lines tells; None, and a word on standard error, where it does not answer."""
    try:
        return _of(station, http)
    except KizuError as error:
        typer.echo(f"kizu: station {station}: {error}", err=True)
        return None


def _seen(station: str | None, http: HttpSettings) -> Table | Text:
    try:
        return _shown(_of(station, http))
    except KizuError as error:
        return Text(f"Station {station}: {error}" if station is not None else str(error), style="red")


def _of(station: str | None, http: HttpSettings) -> dict[str, Any]:
    """What this station's line tells of itself (None: any). Raises KizuError where none answers, or another's does."""
    status = _ask(http)
    if station is not None and status.get("station") != station:
        raise KizuError(
            f"another station's line answers on port {http.port}", found=status.get("station"), expected=station,
            next_step="Start kizu run again where stations or ports were changed since, or correct runtime.http.",
        )  # fmt: skip
    return status


def _ask(http: HttpSettings) -> dict[str, Any]:
    """What the line tells of itself. Raises KizuError where none answers."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(http.host, http.host)
    address = f"http://{f'[{host}]' if ':' in host else host}:{http.port}/status.json"
    try:
        # A proxy of the environment would look for the line on its own machine.
        with build_opener(ProxyHandler({})).open(address, timeout=_TIMEOUT_S) as answer:
            status = text_of.load(answer)
    except (OSError, HTTPException, ValueError) as error:
        why = error.reason if isinstance(error, URLError) else error
        raise KizuError(
            f"no line answers at {address}",
            found=getattr(why, "strerror", None) or why,
            next_step="Start it with kizu run, or correct runtime.http.",
        ) from error
    if not isinstance(status, dict) or "verdicts" not in status:
        raise KizuError(f"what answers at {address} is no line", found="another answer", next_step="Correct runtime.http.")
    return status


def _shown(status: Mapping[str, Any]) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")

    def row(name: str, value: object) -> None:
        table.add_row(name, Text(str(value)))

    state = str(status["state"])
    table.add_row("Station", Text.assemble(str(status["station"]), "  ", (state, _COLOURS.get(state, "red"))))
    for reason in status["reasons"]:
        table.add_row("", Text(str(reason), style="yellow"))
    row("Pictures", f"{status['pictures_per_s']:.1f} a second over the last minute")
    latency = {name: "–" if value is None else f"{1000 * value:.0f} ms" for name, value in status["verdict_s"].items()}
    row("Verdict after", ", ".join(f"{name} {value}" for name, value in latency.items()))
    row("Verdicts", ", ".join(f"{count} {verdict}" for verdict, count in status["verdicts"].items()))
    row("Waiting", ", ".join(_queue(name, queue) for name, queue in status["queues"].items()) or "–")
    events = [f"{count} {name.replace('_', ' ')}" for name, count in status["events"].items() if count]
    row("Events", ", ".join(events) or "none")
    row("Disk", ", ".join(f"{name} {used:.0f} %" for name, used in status["disk_used_percent"].items()) or "–")
    row("Model", f"{str(status['model'] or '–')[:12]} on {status['device'] or '–'}, recipe {status['recipe'] or '–'}")
    row("Source", status["source"] or "–")
    row("Since", f"{status['started_at']} (Kizu {status['software']}); loop turned {status['heartbeat_age_s']:.1f} s ago")
    error = status["last_error"]
    row("Last error", "none" if error is None else f"{error['at']}: {error['text']}")
    return table


def _queue(name: str, queue: Mapping[str, Any]) -> str:
    age = queue["oldest_age_s"]
    return f"{queue['depth']} {name}" + ("" if age is None else f" (oldest {age:.1f} s)")
