"""kizu.yaml: the settings of one station or several, typed; an unknown key is an error."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Final, Self

from pydantic import Field, model_validator

from kizu.settings_file import load_settings
from kizu_dashboard.settings import DashboardConfig
from kizu_inspect.errors import ConfigError
from kizu_pipeline.broker_settings import BrokerSettings
from kizu_pipeline.line_signal.settings import ModbusSignal
from kizu_pipeline.settings import FolderSource, RuntimeSettings, StationSettings, check_apart

__all__ = ["KizuConfig", "load_config"]

_LAST_PORT: Final = 65535


class KizuConfig(DashboardConfig):
    """All settings of one installation."""

    station: StationSettings | None = Field(default=None, title="Station", description="What `kizu run` inspects.")
    stations: tuple[StationSettings, ...] = Field(
        default=(), title="Stations", description="Several stations, instead of one; `kizu run` has a process for each."
    )
    runtime: RuntimeSettings = RuntimeSettings()

    @model_validator(mode="after")
    def _nothing_is_written_into_the_watched_folder(self) -> Self:
        for source in self._folders.values():
            check_apart(source.path, self.images.path, "images.path")
            if self.database.file is not None:
                check_apart(source.path, self.database.file, "the database's file")
        return self

    @model_validator(mode="after")
    def _stations_stand_apart(self) -> Self:
        if self.station is not None and self.stations:
            raise ValueError("station and stations exclude each other: move the one into the others")
        ids = [one.id for one in self.every_station]
        if repeated := {one for one in ids if ids.count(one) > 1}:
            raise ValueError(f"the station {min(repeated)!r} stands twice in stations; each needs an id of its own")
        for one, other in combinations(self.stations, 2):
            _check_folders_apart(one, other)
            _check_receivers_apart(one, other)
        if self.runtime.http is not None and (last := self.runtime.http.port + len(self.stations) - 1) > _LAST_PORT:
            raise ValueError(
                f"runtime.http.port {self.runtime.http.port} is too high for {len(self.stations)} stations: the last one "
                f"would have {last}, and there is none above {_LAST_PORT}"
            )
        return self

    @property
    def every_station(self) -> tuple[StationSettings, ...]:
        """The configured stations, of whichever key."""
        return self.stations if self.station is None else (self.station,)

    @property
    def _folders(self) -> dict[str, FolderSource]:
        return {one.id: one.source for one in self.every_station if isinstance(one.source, FolderSource)}

    def of(self, station: str | None) -> KizuConfig:
        """The settings of this station alone, as its process has them; None asks for the only one.

        Several share what is meant for one program: each listens on a port of its own, `runtime.http.port` and those after
        it in the order of `stations`, and touches a heartbeat with its id behind the name. Raises ConfigError for a station
        that is not there, and where none is asked for among several.
        """
        ids = [one.id for one in self.every_station]
        if station not in ids and (station is not None or len(ids) != 1):
            raise ConfigError(
                "no station is configured" if not ids else "which station is not clear" if station is None
                else "the station is not in this configuration",
                found=f"station {station}" if station is not None else ", ".join(ids) or "no key station",
                expected="one of " + ", ".join(ids) if ids else "station: {id, source, recipe}",
                next_step="Name one with --station." if len(ids) > 1 else None,
            )  # fmt: skip
        number = 0 if station is None else ids.index(station)
        runtime = self.runtime
        if self.stations:
            http = runtime.http
            if http is not None:
                http = http.model_copy(update={"port": http.port + number})
            heartbeat = runtime.heartbeat
            if heartbeat is not None:
                heartbeat = heartbeat.with_name(f"{heartbeat.name}-{ids[number]}")
            runtime = runtime.model_copy(update={"http": http, "heartbeat": heartbeat})
        return self.model_copy(update={"station": self.every_station[number], "stations": (), "runtime": runtime})

    @property
    def for_dashboard(self) -> DashboardConfig:
        """The part of them that the dashboard knows."""
        return DashboardConfig.model_validate(self.model_dump(include=set(DashboardConfig.model_fields)))


def _check_folders_apart(one: StationSettings, other: StationSettings) -> None:
    """Raises ValueError where a folder of one station is one of the other's, holds it or lies in it.

    In the watched one the other's files would be judged twice. What puts files away trusts that it alone does so in that
    folder, where the file system has no hard links.
    """
    if not (isinstance(one.source, FolderSource) and isinstance(other.source, FolderSource)):
        return
    for station, watched, theirs in ((other, one.source, other.source), (one, other.source, one.source)):
        for name, folder in _folders_of(theirs).items():
            check_apart(watched.path, folder, f"{name} of station {station.id}")
    for name, folder in _folders_of(one.source).items():
        for their_name, theirs_too in _folders_of(other.source).items():
            mine, its = folder.resolve(), theirs_too.resolve()
            if mine == its or mine in its.parents or its in mine.parents:
                raise ValueError(
                    f"{name} of station {one.id} ({mine}) and {their_name} of station {other.id} ({its}) must stand apart: "
                    f"give each station folders of its own"
                )


def _folders_of(source: FolderSource) -> dict[str, Path]:
    kept = {"done": source.done} if source.keep == "move" else {}
    return {"path": source.path, **kept, "quarantine": source.quarantine}


def _check_receivers_apart(one: StationSettings, other: StationSettings) -> None:
    """Raises ValueError where two stations share registers of a PLC, or a client's name at an MQTT broker."""
    mine, theirs = one.signal, other.signal
    if isinstance(mine, ModbusSignal) and isinstance(theirs, ModbusSignal) and (shared := mine.shared_with(theirs)):
        raise ValueError(
            f"stations {one.id} and {other.id} both use the registers {shared.start} to {shared.stop - 1} of the PLC "
            f"{mine.host}; give each a results_address and a commands_address of its own"
        )
    if shared_names := _clients_of(one) & _clients_of(other):
        host, name = min(shared_names)
        raise ValueError(
            f"stations {one.id} and {other.id} have the client_id {name!r} at the broker {host}, which "
            "lets only one of them in at a time; leave it out, or give each its own"
        )


def _clients_of(station: StationSettings) -> set[tuple[str, str]]:
    """Each broker and the client's name there."""
    named = ((station.publish, f"kizu-{station.id}"), (station.signal, f"kizu-{station.id}-signal"))
    return {(one.host, one.client_id or name) for one, name in named if isinstance(one, BrokerSettings)}


def load_config(path: Path) -> KizuConfig:
    """The settings in the file. Raises ConfigError: missing, not YAML, an unknown key or a wrong value."""
    return load_settings(
        path, KizuConfig, next_step="See configs/ for every key.",
        missing=ConfigError(
            "configuration is not there", found=f"no file {path}", expected="a kizu.yaml",
            next_step="Copy one from configs/, or name it with --config FILE.",
        ),
    )  # fmt: skip
