"""kizu.yaml: the settings of one station, typed; an unknown key is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import yaml
from pydantic import Field, ValidationError, model_validator

from kizu_dashboard.settings import DashboardConfig
from kizu_db.settings import RetentionSettings
from kizu_inspect.errors import ConfigError
from kizu_inspect.settings import describe_invalid, read_yaml
from kizu_pipeline.settings import FolderSource, RuntimeSettings, StationSettings, check_apart

__all__ = ["KizuConfig", "load_config"]


class KizuConfig(DashboardConfig):
    """All settings of one installation."""

    station: StationSettings | None = Field(default=None, title="Station", description="What `kizu run` inspects.")
    stations: tuple[StationSettings, ...] = Field(
        default=(), title="Stations", description="Several stations, instead of one; `kizu run` has a process for each."
    )
    runtime: RuntimeSettings = RuntimeSettings()
    retention: RetentionSettings = RetentionSettings()

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
        for station, source in self._folders.items():
            for other, theirs in self._folders.items():
                if other != station:
                    for name in ("path", "done", "quarantine"):
                        check_apart(source.path, getattr(theirs, name), f"{name} of station {other}")
        plcs = [(one.signal.host, one.signal.port, one.signal.unit, one.signal.results_address)
                for one in self.stations if one.signal is not None]  # fmt: skip
        if len(set(plcs)) < len(plcs):
            raise ValueError("two stations write to the same registers of one PLC; give each a results_address of its own")
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


def load_config(path: Path) -> KizuConfig:
    """The settings in the file. Raises ConfigError: missing, not YAML, an unknown key or a wrong value."""
    if not path.is_file():
        raise ConfigError(
            "configuration is not there", found=f"no file {path}", expected="a kizu.yaml",
            next_step="Copy one from configs/, or name it with --config FILE.",
        )  # fmt: skip
    try:
        content = read_yaml(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML", found=str(error)) from None
    try:
        return KizuConfig.model_validate(content or {})
    except ValidationError as error:
        raise ConfigError(
            f"{path} is not understood", found=describe_invalid(error), next_step="See configs/ for every key."
        ) from None
