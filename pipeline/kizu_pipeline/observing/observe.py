"""Everything that watches one run of one station, made in one place."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from kizu_pipeline.disk import DiskGuard
from kizu_pipeline.logs import hearing_errors
from kizu_pipeline.observing.intake import ObservedIntake, observed
from kizu_pipeline.observing.state import LineState
from kizu_pipeline.settings import RuntimeSettings
from kizu_pipeline.sources.base import Intake

__all__ = ["Observer", "observe"]


class Observer:
    """The state of one run, and what feeds it."""

    def __init__(self, state: LineState, disk: DiskGuard, stop: threading.Event) -> None:
        self.state = state
        self._disk = disk
        self._stop = stop

    def watching(self, opened: AbstractContextManager[Intake]) -> AbstractContextManager[ObservedIntake]:
        """The station's source, watched. Raises what opening it raises."""
        return observed(opened, self.state, self._disk, self._stop)


@contextmanager
def observe(
    station: str, runtime: RuntimeSettings, stop: threading.Event, *, images: Path, database: Path | None
) -> Iterator[Observer]:
    """Watch one run, and answer over HTTP where that is configured. `database` is the SQLite file, where there is one.

    Enter it first: the line answers while its model is loaded. Raises ConfigError: the address cannot be listened on.
    """
    alive_s = 30.0 if runtime.http is None else runtime.http.alive_s
    state = LineState(station, stop=stop, alive_s=alive_s)
    paths = {"images": images} | ({} if database is None else {"database": database})
    disk = DiskGuard(runtime.disk, paths)
    state.watch_disk(disk)
    with hearing_errors(state.failed), _served(runtime, state):
        try:
            yield Observer(state, disk, stop)
        finally:
            state.ended()


def _served(runtime: RuntimeSettings, state: LineState) -> AbstractContextManager[None]:
    if runtime.http is None:
        return nullcontext()
    from kizu_pipeline.observing.server import serve_state  # what nobody asks for need not be loaded

    return serve_state(runtime.http, state)
