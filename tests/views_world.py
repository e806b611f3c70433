"""A station whose parts have two views, for its tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from line_world import LineWorld
from plc_world import Plc

PATTERN = "(?:(?P<lot>[^_]+)_)?(?P<part>[^_]+)_(?P<view>[^_]+)"
VIEWS = ("top", "bottom")
LONG_S = 60.0


def settings(world: LineWorld, within_s: float = LONG_S, *, plc: Plc | None = None, **line: Any) -> dict[str, Any]:
    """What LineWorld.run takes."""
    told = {} if plc is None else {"signal": plc.settings()}
    return {
        "source": world.folder(part_pattern=PATTERN),
        "policy": "on_demand",
        "line": {"views": VIEWS, "views_within_s": within_s, **told, **line},
    }


def rows(world: LineWorld) -> list[tuple[str, str | None, str]]:
    """Part, view and verdict of each row, in order of recording."""
    return [(row.part, row.view, row.verdict.value) for row in (record.row for record in world.inspections())]


def judged(said: str) -> list[str]:
    """What the log says of parts."""
    return [" ".join(line.split()).split("part judged ")[1] for line in said.splitlines() if "part judged" in line]


class Line:
    """The service, beside the test."""

    def __init__(self) -> None:
        self._done = 0
        self._more = threading.Condition()

    def progress(self, done: int) -> None:
        with self._more:
            self._done = done
            self._more.notify_all()

    def until(self, done: int) -> None:
        """So many pictures have their rows."""
        with self._more:
            assert self._more.wait_for(lambda: self._done >= done, 30)


@contextmanager
def line(world: LineWorld, **given: Any) -> Iterator[Line]:
    stop, failed, running = threading.Event(), [], Line()

    def run() -> None:
        try:
            world.run(once=False, stop=stop, progress=running.progress, **given)
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield running
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()
    assert failed == []


def until_rows(world: LineWorld, count: int) -> None:
    """For what the records say, which nobody announces."""
    for _ in range(1000):
        if len(world.inspections()) >= count:
            return
        threading.Event().wait(0.02)
    raise AssertionError(rows(world))
