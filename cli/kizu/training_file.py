"""What `kizu train --settings FILE` says: the choices that few people need, typed; an unknown key is an error."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from kizu.settings_file import load_settings
from kizu_inspect.errors import ConfigError
from kizu_inspect.recipe import AlignmentSettings
from kizu_inspect.settings import Settings
from kizu_inspect.training.fit import FitOptions
from kizu_inspect.training.standard import NetworkOptions

__all__ = ["TrainingFile", "load_training_file"]


class TrainingFile(Settings):
    """The choices that are no options of `kizu train`."""

    fit: FitOptions = Field(default=FitOptions(), title="Fit", description="How the network is fitted.")
    network: NetworkOptions = Field(default=NetworkOptions(), title="Network", description="How it is built.")
    alignment: AlignmentSettings = Field(
        default=AlignmentSettings(), title="Alignment", description="How a reference is laid over its picture."
    )


def load_training_file(path: Path | None) -> TrainingFile:
    """The choices in the file; without one the defaults. Raises ConfigError."""
    if path is None:
        return TrainingFile()
    return load_settings(
        path, TrainingFile, next_step="See configs/training.yaml for every key; all else is an option of kizu train.",
        missing=ConfigError(
            "settings file of the training is not there", found=f"no file {path}", expected="a YAML file",
            next_step="Copy configs/training.yaml, or leave out --settings.",
        ),
    )  # fmt: skip
