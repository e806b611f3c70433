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
    runtime: RuntimeSettings = RuntimeSettings()
    retention: RetentionSettings = RetentionSettings()

    @model_validator(mode="after")
    def _nothing_is_written_into_the_watched_folder(self) -> Self:
        if self.station is not None and isinstance(self.station.source, FolderSource):
            check_apart(self.station.source.path, self.images.path, "images.path")
            if self.database.file is not None:
                check_apart(self.station.source.path, self.database.file, "the database's file")
        return self

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
