"""A camera that does on command what cameras do on a line: falls silent, freezes, tears a frame, goes and comes back."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kizu_inspect.errors import ImageError, SourceError
from kizu_inspect.picture.images import encode_png
from kizu_inspect.results import ImageRGB
from kizu_inspect.synth import KINDS, draw_part

__all__ = ["Given", "Kind", "SimulatedCamera"]

Kind = Literal["fresh", "frozen", "torn", "incomplete"]

_SCENES = 16
_FRAMES_A_SCENE = 5
_NOISE = 2.0  # standard deviation, grey values of 255


@dataclass(frozen=True)
class Given:
    """One frame that the service was given."""

    kind: Kind
    sha256: str
    """Of its PNG; empty for an incomplete one."""


@dataclass
class SimulatedCamera:
    """Drawn parts that pass, under the noise of a sensor; `open` gives a capture of it. Threads may command it at any time."""

    frames_per_s: float = 100.0
    timeout_s: float = 0.5
    size_px: int = 64
    seed: int = 0
    on_command: bool = False
    """It takes a frame only when it is commanded to."""
    commands: int = 0
    """How often it was."""
    opened: int = 0
    lost: int = 0
    """How often a capture told that the camera is lost."""
    refused: int = 0
    """How often it was to be opened while it was unplugged."""
    given: list[Given] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self._scenes = [draw_part(KINDS[0], self.seed + n, size_px=self.size_px).image for n in range(_SCENES)]
        self._draw = np.random.default_rng(self.seed)
        self._plugged, self._stalled, self._frozen, self._held = True, False, False, False
        self._once: Kind = "fresh"
        self._always: Kind = "fresh"
        self._number = 0
        self._owed = 0
        """Commands without their frame."""
        self._last: ImageRGB | None = None

    def open(self) -> _Capture:
        """The camera, open. Raises SourceError while it is unplugged."""
        with self.changed:
            if not self._plugged:
                self.refused += 1
                raise SourceError("the simulated camera is unplugged")
            self.opened += 1
            self.changed.notify_all()
        return _Capture(self)

    def unplug(self) -> None:
        """It is gone, in the midst of whatever it does."""
        self._set("_plugged", False)

    def plug(self) -> None:
        """It is there again, and can be opened."""
        self._set("_plugged", True)

    def hold(self) -> None:
        """It gives no frame any more, as where no part comes, and nothing is wrong."""
        self._set("_held", True)

    def let_go(self) -> None:
        """It gives frames again."""
        self._set("_held", False)

    def stall(self, stalled: bool) -> None:
        """It gives no frame any more, or does again."""
        self._set("_stalled", stalled)

    def freeze(self, frozen: bool) -> None:
        """It gives the last frame again and again, or lives again."""
        self._set("_frozen", frozen)

    def tear_one(self) -> None:
        """The upper half of its next frame is new, the lower half that of the frame before, as where a buffer is overtaken."""
        self._set("_once", "torn")

    def spoil_all(self) -> None:
        """All its frames lack packets from now on."""
        self._set("_always", "incomplete")
        self.spoil_one()

    def heal(self) -> None:
        """Its frames are whole again."""
        self._set("_always", "fresh")
        self._set("_once", "fresh")

    def spoil_one(self) -> None:
        """Its next frame lacks packets, and the driver knows."""
        self._set("_once", "incomplete")

    def until(self, what: Callable[[], bool], *, timeout_s: float = 30.0) -> None:
        """Wait until something has happened. Raises TimeoutError."""
        with self.changed:
            if not self.changed.wait_for(what, timeout_s):
                raise TimeoutError(
                    f"not within {timeout_s:g} s: {len(self.given)} frames, {self.opened} opened, {self.lost} lost"
                )

    def until_frames(self, more: int) -> None:
        """Wait until the service has taken so many frames more."""
        enough = len(self.given) + more
        self.until(lambda: len(self.given) >= enough)

    def _set(self, name: str, value: object) -> None:
        with self.changed:
            setattr(self, name, value)
            self.changed.notify_all()

    def _command(self) -> None:
        with self.changed:
            self.commands += 1
            self._owed += 1
            self.changed.notify_all()

    def _wait_for_frame(self) -> bool:
        with self.changed:
            self.changed.wait_for(lambda: not self._plugged, 1 / self.frames_per_s)
            if self._held or (self.on_command and not self._owed):
                return False
            if self._stalled:
                self.changed.wait_for(lambda: not (self._plugged and self._stalled), self.timeout_s)
            if self._plugged and not self._stalled:
                self._owed -= self.on_command
                return True
            self.lost += 1
            self.changed.notify_all()
            raise SourceError("the simulated camera gives no frame", found="unplugged" if not self._plugged else "silent")

    def _frame(self) -> ImageRGB:
        with self.changed:
            kind: Kind = "frozen" if self._frozen and self._last is not None else self._once
            if kind == "frozen" and self._last is not None:
                image = self._last
            else:
                self._once = self._always
                image = self._new_frame()
                if kind == "torn" and self._last is not None:
                    image[self.size_px // 2 :] = self._last[self.size_px // 2 :]
            known = kind != "incomplete"
            self.given.append(Given(kind, hashlib.sha256(encode_png(image)).hexdigest() if known else ""))
            self.changed.notify_all()
            if not known:
                raise ImageError("frame is incomplete: packets are missing")
            self._last = image
            return image.copy()

    def _new_frame(self) -> NDArray[np.uint8]:
        scene = self._scenes[self._number // _FRAMES_A_SCENE % _SCENES]
        self._number += 1
        return np.clip(np.rint(scene + self._draw.normal(0, _NOISE, scene.shape)), 0, 255).astype(np.uint8)


@dataclass
class _Capture:
    """One connection to the camera."""

    camera: SimulatedCamera

    @property
    def on_command(self) -> bool:
        return self.camera.on_command

    def command(self) -> None:
        self.camera._command()

    def grab(self) -> bool:
        return self.camera._wait_for_frame()

    def retrieve(self) -> ImageRGB:
        return self.camera._frame()

    def release(self) -> None:
        with self.camera.changed:
            self.camera.changed.notify_all()
