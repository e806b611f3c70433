"""Settings from a YAML file: typed, and what is wrong with it in one line."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import ValidationError

from kizu_inspect.errors import ConfigError
from kizu_inspect.settings import Settings, describe_invalid, read_yaml

__all__ = ["load_settings"]

Kind = TypeVar("Kind", bound=Settings)


def load_settings(path: Path, kind: type[Kind], *, missing: ConfigError, next_step: str) -> Kind:
    """The settings in the file; an empty one has all defaults.

    Raises ConfigError: `missing` where there is no file; not YAML, an unknown key, told with the nearest one, or a wrong
    value, with the `next_step`.
    """
    if not path.is_file():
        raise missing
    try:
        content = read_yaml(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML", found=str(error)) from None
    try:
        return kind.model_validate({} if content is None else content)
    except ValidationError as error:
        raise ConfigError(f"{path} is not understood", found=describe_invalid(error, kind), next_step=next_step) from None
