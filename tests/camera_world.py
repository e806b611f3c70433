"""What the tests of cameras ask of frames."""

from __future__ import annotations

from collections.abc import Callable

from kizu_inspect.errors import ImageError
from kizu_inspect.picture.decoding import decode_image
from kizu_pipeline.sources import Work
from kizu_pipeline.sources.live_camera import LiveCamera

__all__ = ["error_of", "taken"]


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
