"""Whatever OpenCV opens: a USB camera, a network stream, a video file."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kizu_inspect.errors import ConfigError
from kizu_pipeline.line_signal.parts import Triggers
from kizu_pipeline.settings import CameraSource
from kizu_pipeline.sources.frames import open_capture
from kizu_pipeline.sources.live_camera import LiveCamera
from kizu_pipeline.sources.video_file import VideoFile

__all__ = ["open_camera"]


@contextmanager
def open_camera(
    settings: CameraSource,
    *,
    station: str,
    once: bool,
    batch_wait_s: float,
    stop: threading.Event,
    triggers: Triggers | None = None,
) -> Iterator[VideoFile | LiveCamera]:
    """The camera, open. With `once` a live camera gives one frame (or `max_frames`); a video file always gives all.

    A live camera of a service may be absent: it is waited for, now and whenever it is lost. Raises SourceError: a video file
    that is none, and with `once` a camera that does not open; ConfigError: a video file that is to wait for triggers.
    """
    path = Path(settings.device) if isinstance(settings.device, str) else None
    if path is not None and "://" not in str(settings.device) and not path.is_char_device():
        if triggers is not None:
            raise ConfigError(
                "a video file waits for no trigger", found="station.source.trigger: signal", expected="a live camera",
                next_step="Leave station.source.trigger out.",
            )  # fmt: skip
        capture = open_capture(settings)
        try:
            yield VideoFile(capture, settings, path, station=station)
        finally:
            capture.release()
        return
    already = open_capture(settings) if once else None
    live = LiveCamera(settings, already, station=station, once=once, batch_wait_s=batch_wait_s, stop=stop, triggers=triggers)
    try:
        yield live
    finally:
        live.close()
