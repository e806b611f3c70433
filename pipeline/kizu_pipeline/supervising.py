"""Several stations, a process each: none of them stops the others."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Final

import structlog

__all__ = ["end_with_parent", "supervise"]

SUPERVISOR: Final = "KIZU_SUPERVISOR"
"""The environment variable by which a station's process knows whose child it is."""
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0
SETTLED_S: Final = 60.0
"""Who ran for so long starts again at once."""
MISTAKE: Final = 2
"""The exit code of a mistake in the configuration: to start again would not help."""

_TURN_S: Final = 0.1
_SET_PARENT_DEATH_SIGNAL: Final = 1  # PR_SET_PDEATHSIG of prctl(2)

_log = structlog.get_logger("kizu.supervisor")


class _Child:
    """One station's process, and when to start it again."""

    def __init__(self, station: str, command: Sequence[str]) -> None:
        self.station = station
        self._command = command
        self._pause_s = FIRST_PAUSE_S
        self.start()

    def start(self) -> None:
        """Start it, in a session of its own: a Ctrl+C is for the supervisor, which asks each station once."""
        self.not_before = 0.0
        self.began = time.monotonic()
        self.process = subprocess.Popen(self._command, start_new_session=True, env=os.environ | {SUPERVISOR: str(os.getpid())})

    def ended(self, code: int) -> None:
        """It ended by itself: it starts again after a pause, which grows while it does not live long."""
        if time.monotonic() - self.began > SETTLED_S:
            self._pause_s = FIRST_PAUSE_S
        self.not_before = time.monotonic() + self._pause_s
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        _log.error("station ended; it is started again", station=self.station, ended_by=how, in_s=self._pause_s)
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)


def supervise(commands: Mapping[str, Sequence[str]], *, once: bool, stop: threading.Event) -> int:
    """Run each station's command in a process; the worst exit code of all.

    Until `stop`, which is passed on (SIGTERM), or with `once` until all have ended. A station that ends otherwise is started
    again; a mistake (exit code 2) ends all, since its settings will not mend themselves.
    """
    children = [_Child(station, command) for station, command in commands.items()]
    codes: dict[str, int] = {}
    asked = False
    while len(codes) < len(children):
        if (stop.is_set() or (not once and MISTAKE in codes.values())) and not asked:
            asked = True
            for child in children:
                if child.process.poll() is None:
                    child.process.send_signal(signal.SIGTERM)
        for child in children:
            if child.station in codes or (code := child.process.poll()) is None:
                continue
            if once or asked or code == MISTAKE:
                # One that was asked before it could listen has ended as it should.
                codes[child.station] = 0 if asked and code == -signal.SIGTERM else code
            elif not child.not_before and code == 0:
                codes[child.station] = code  # its source has ended: a video file, so many frames
            elif not child.not_before:
                child.ended(code)
            elif time.monotonic() >= child.not_before:
                child.start()
        if not stop.wait(_TURN_S):
            continue
        time.sleep(_TURN_S)
    return max((code if code >= 0 else 1 for code in codes.values()), default=0)


def end_with_parent() -> None:
    """In a station's process: be asked to stop (SIGTERM) when the supervisor dies, however that ends."""
    parent = os.environ.get(SUPERVISOR)
    if parent is None:
        return
    ctypes.CDLL(None, use_errno=True).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)
    if os.getppid() != int(parent):  # it died before this was said
        os.kill(os.getpid(), signal.SIGTERM)
