"""What the tests of cameras ask of frames, and Aravis' own GigE Vision camera on the loopback interface."""

from __future__ import annotations

import fcntl
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kizu_inspect.errors import ImageError
from kizu_inspect.picture.decoding import decode_image
from kizu_inspect.results import ImageRGB
from kizu_pipeline.settings import GenicamSource
from kizu_pipeline.sources import Work
from kizu_pipeline.sources.genicam import GenicamCapture
from kizu_pipeline.sources.live_camera import LiveCamera

__all__ = ["ADDRESS", "error_of", "fake_camera", "next_image", "opened", "source", "taken"]

ADDRESS = "127.0.0.1"
ONE_AT_A_TIME = Path(tempfile.gettempdir()) / "kizu-tests-fake-camera.lock"
DISCOVER = bytes.fromhex("4201 0002 0000 0001")  # a GVCP discovery command that wants an answer


@contextmanager
def fake_camera(*options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A GigE Vision camera that answers at 127.0.0.1; killed at the end. Its port is given: one at a time on a machine."""
    command = ["arv-fake-gv-camera-0.8", "-i", ADDRESS, *options]
    with ONE_AT_A_TIME.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                _until_it_answers(process)
                yield process
            finally:
                process.kill()


def _until_it_answers(process: subprocess.Popen[bytes]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.05)
        asking.connect((ADDRESS, 3956))
        while process.poll() is None:
            try:
                asking.send(DISCOVER)
                asking.recv(1024)
                return
            except (TimeoutError, ConnectionRefusedError):
                continue
    raise AssertionError("the fake camera ended")


def source(**changes: object) -> GenicamSource:
    """Its settings."""
    return GenicamSource.model_validate({"kind": "genicam", "camera": ADDRESS, "timeout_s": 1.0, **changes})


@contextmanager
def opened(**changes: object) -> Iterator[GenicamCapture]:
    """It, open."""
    capture = GenicamCapture(source(**changes))
    try:
        yield capture
    finally:
        capture.release()


def next_image(capture: GenicamCapture) -> ImageRGB:
    """The next frame. Raises ImageError, SourceError."""
    while not capture.grab():
        pass
    return capture.retrieve()


def taken(camera: LiveCamera, until: Callable[[list[Work]], bool]) -> list[Work]:
    """Frames from the camera until they are enough."""
    works: list[Work] = []
    while not until(works):
        camera.wait()
        works += camera.take(8)
    return works


def error_of(work: Work) -> str | None:
    """Why the frame cannot be judged."""
    try:
        work.load(decode_image)
    except ImageError as error:
        return str(error)
    return None
