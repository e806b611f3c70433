"""A camera by its settings: what OpenCV opens, live or a video file, or a GenICam camera."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kizu_inspect.errors import ConfigError
from kizu_pipeline.camera_settings import CameraSource, GenicamSource
from kizu_pipeline.line_signal.parts import Triggers
from kizu_pipeline.naming import printable
from kizu_pipeline.sources.capture import Capture, OpenCvCapture
from kizu_pipeline.sources.frames import open_capture, public_name
from kizu_pipeline.sources.live_camera import LiveCamera
from kizu_pipeline.sources.video_file import VideoFile

__all__ = ["open_camera", "open_live"]


@contextmanager
def open_camera(
    settings: CameraSource | GenicamSource,
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
    if isinstance(settings, CameraSource) and (path := _video_file(settings)) is not None:
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
    already = open_live(settings) if once else None
    live = LiveCamera(
        settings,
        lambda: open_live(settings),
        already,
        name=_name(settings),
        station=station,
        once=once,
        batch_wait_s=batch_wait_s,
        stop=stop,
        triggers=triggers,
    )
    try:
        yield live
    finally:
        live.close()


def open_live(settings: CameraSource | GenicamSource) -> Capture:
    """The camera, open. Raises SourceError."""
    if isinstance(settings, CameraSource):
        return OpenCvCapture(settings)
    from kizu_pipeline.sources.genicam import GenicamCapture  # needs a system library

    return GenicamCapture(settings)


def _video_file(settings: CameraSource) -> Path | None:
    if not isinstance(settings.device, str) or "://" in settings.device:
        return None
    path = Path(settings.device)
    return None if path.is_char_device() else path


def _name(settings: CameraSource | GenicamSource) -> str:
    """The camera's name in records and log."""
    return public_name(settings.device) if isinstance(settings, CameraSource) else printable(settings.camera or "first GenICam")
