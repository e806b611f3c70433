"""Where pictures come from: a folder or a camera, behind one interface."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kizu_inspect.errors import ConfigError
from kizu_inspect.recipe import Bits
from kizu_pipeline.line_signal.parts import Triggers
from kizu_pipeline.settings import FolderSource, RuntimeSettings, StationSettings
from kizu_pipeline.sources.base import Intake, Picture, Work

__all__ = ["Intake", "Picture", "Work", "open_intake"]


@contextmanager
def open_intake(
    station: StationSettings,
    runtime: RuntimeSettings,
    *,
    once: bool,
    stop: threading.Event,
    bits: Bits | None,
    triggers: Triggers | None = None,
) -> Iterator[Intake]:
    """The station's source, open for the length of the `with` block.

    `bits` are those of 16-bit values that are filled, where the model's training or the recipe says so.
    `once` takes what waits now: in a folder every file, from a live camera one frame, of a video file all. `triggers` are those
    for a camera with `trigger: signal`. Raises SourceError: a folder that is not there or has its service already, a camera
    that does not open; ConfigError: a video file that is to wait for triggers, a camera of another bit depth.
    """
    batch_wait_s = 0.0 if once else runtime.max_wait_ms / 1000
    # Imported where needed: a folder needs no OpenCV, a camera no file watcher.
    if isinstance(station.source, FolderSource):
        from kizu_pipeline.sources.folder import open_folder

        with open_folder(
            station.source,
            station=station.id,
            max_megapixels=station.recipe.max_megapixels,
            watch=not once,
            batch_wait_s=batch_wait_s,
            stop=stop,
            bits=bits,
        ) as folder:
            yield folder
    else:
        from kizu_pipeline.sources.camera import open_camera

        source = station.source
        if source.bits is not None and bits not in (None, source.bits):
            raise ConfigError(
                "station.source.bits is not the bit depth of the model's pictures", found=source.bits, expected=bits,
                next_step="Correct it, recipe.bits, or train on pictures of this camera.",
            )  # fmt: skip
        source = source.model_copy(update={"bits": source.bits or bits})
        with open_camera(
            source, station=station.id, once=once, batch_wait_s=batch_wait_s, stop=stop, triggers=triggers
        ) as camera:
            yield camera
