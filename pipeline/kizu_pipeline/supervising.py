"""Several stations, a process each: none of them stops the others."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

import structlog

__all__ = ["end_with_parent", "is_supervised", "supervise", "tell_started"]

SUPERVISOR: Final = "KIZU_SUPERVISOR"
"""The environment variable by which a station's process knows whose child it is."""
STARTED: Final = "KIZU_STARTED"
"""The one that names the descriptor on which it tells that it runs."""
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
        self.code: int | None = None
        """What it ended with, once it is not started again."""
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._told = -1
        self._has_run = False
        self._began = 0.0
        self._pause_s = FIRST_PAUSE_S
        self._not_before = 0.0

    def turn(self, *, once: bool, stopping: bool) -> None:
        """Start it where that is due, and see whether it has ended."""
        if self.code is not None:
            return
        if self._process is None:
            if stopping:
                self.code = 0
            elif time.monotonic() >= self._not_before:
                self._start(once=once)
            return
        code = self._process.poll()
        if code is None:
            return
        with suppress(BlockingIOError):  # whoever still holds the other end is not waited for
            self._has_run |= os.read(self._told, 1) != b""
        os.close(self._told)
        self._process = None
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        if once or stopping:
            # One that was asked before it could listen has ended as it should.
            self.code = 0 if stopping and code == -signal.SIGTERM else code
        elif code == MISTAKE and not self._has_run:
            _log.error("station cannot start; all end", station=self.station, ended_by=how)
            self.code = code
        elif code == 0:  # its source has ended, as a video file does, or somebody asked this one alone to stop
            _log.warning("station ended; it is not started again", station=self.station)
            self.code = code
        else:
            self._ended(how)

    def _start(self, *, once: bool) -> None:
        """In a session of its own: a Ctrl+C is for the supervisor, which asks each station once."""
        self._began = time.monotonic()
        try:
            self._told, tells = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                self._process = subprocess.Popen(
                    self._command,
                    start_new_session=True,
                    pass_fds=(tells,),
                    env=os.environ | {SUPERVISOR: str(os.getpid()), STARTED: str(tells)},
                )
            except OSError:
                os.close(self._told)
                raise
            finally:
                os.close(tells)
        except OSError as error:  # no memory or no process to be had: that passes, and is no matter of the other stations
            if once:
                _log.error("station cannot start", station=self.station, error=str(error))
                self.code = 1
            else:
                self._ended(str(error))

    def _ended(self, how: str) -> None:
        """It starts again after a pause, which grows while it does not live long."""
        if time.monotonic() - self._began > SETTLED_S:
            self._pause_s = FIRST_PAUSE_S
        self._not_before = time.monotonic() + self._pause_s
        _log.error("station ended; it is started again", station=self.station, ended_by=how, in_s=self._pause_s)
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def ask_to_stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it whatever it does: what was in work is judged by the next start."""
        if self._process is not None:
            _log.error("station did not stop in time; it is killed", station=self.station)
            self._process.kill()


def supervise(commands: Mapping[str, Sequence[str]], *, once: bool, stop: threading.Event, stop_within_s: float) -> int:
    """Run each station's command in a process; the worst exit code of all.

    Until `stop`, which is passed on (SIGTERM; SIGKILL to who still runs after `stop_within_s` seconds), or with `once` until
    all have ended. A station that ends otherwise is started again. A mistake (exit code 2) of one that never ran ends all,
    since its settings will not mend themselves; of one that has told that they are good (`tell_started`) it is a fault, such
    as a folder that is gone, and ends nobody else.
    """
    children = [_Child(station, command) for station, command in commands.items()]
    kill_at: float | None = None
    while True:
        if kill_at is None and (stop.is_set() or (not once and any(child.code == MISTAKE for child in children))):
            kill_at = time.monotonic() + stop_within_s
            for child in children:
                child.ask_to_stop()
        for child in children:
            child.turn(once=once, stopping=kill_at is not None)
        if all(child.code is not None for child in children):
            return max((1 if child.code < 0 else child.code for child in children if child.code is not None), default=0)
        if kill_at is not None and time.monotonic() >= kill_at:
            kill_at += stop_within_s
            for child in children:
                child.kill()
        if kill_at is not None or stop.wait(_TURN_S):
            time.sleep(_TURN_S)


def end_with_parent() -> None:
    """In a station's process: be asked to stop (SIGTERM) when the supervisor dies, however that ends."""
    parent = os.environ.get(SUPERVISOR)
    if parent is None:
        return
    ctypes.CDLL(None, use_errno=True).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)
    if os.getppid() != int(parent):  # it died before this was said
        os.kill(os.getpid(), signal.SIGTERM)


def is_supervised() -> bool:
    """Whether the supervisor that started this process is there still."""
    return os.environ.get(SUPERVISOR) == str(os.getppid())


def tell_started() -> None:
    """In a station's process: tell the supervisor, where there is one, that the settings are good; the source may be absent."""
    descriptor = os.environ.pop(STARTED, None)
    if descriptor is not None:
        with suppress(OSError):  # a supervisor that has died is told of elsewhere
            os.write(int(descriptor), b"1")
            os.close(int(descriptor))
