"""A line that runs in a thread and answers over HTTP, for the tests of what it tells of itself."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any

import structlog
from prometheus_client.parser import text_string_to_metric_families

from kizu_pipeline.logs import let_hear
from kizu_pipeline.observing.settings import HttpSettings
from kizu_pipeline.summary import RunSummary
from line_world import ALL_PASS, LineWorld

PATIENCE_S = 60.0


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class ObservedLine:
    """A running line: its answers, and what its log says."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.stop = threading.Event()
        self.summary: RunSummary | None = None
        self.error: BaseException | None = None
        self.thread: threading.Thread | None = None
        self._said: list[str] = []
        self._changed = threading.Condition()

    def hear(self, _logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        """A processor of the log."""
        with self._changed:
            self._said.append(str(event["event"]))
            self._changed.notify_all()
        raise structlog.DropEvent

    def waits_for(self, event: str, times: int = 1) -> None:
        """Return once the log has said this so often."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._said.count(event) >= times, PATIENCE_S), self._said

    def ask(self, path: str, method: str = "GET") -> tuple[int, bytes]:
        """The status and the body of an answer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def reasons(self, path: str) -> tuple[int, str]:
        """The status and the reasons of /healthz or /readyz."""
        status, body = self.ask(path)
        return status, "; ".join(json.loads(body)["reasons"])

    def status(self) -> dict[str, Any]:
        """The whole state."""
        code, body = self.ask("/status.json")
        assert code == 200
        status: dict[str, Any] = json.loads(body)
        return status

    def turned_s(self) -> float:
        """When its loop turned last, in seconds after its start."""
        status = self.status()
        return float(status["uptime_s"] - status["heartbeat_age_s"])

    def samples(self) -> dict[tuple[str, ...], float]:
        """The metrics' values by name and the values of their labels but the station's."""
        code, body = self.ask("/metrics")
        assert code == 200
        found = {}
        for family in text_string_to_metric_families(body.decode()):
            for sample in family.samples:
                assert sample.labels.pop("station") == "press-3"
                found[(sample.name, *sample.labels.values())] = sample.value
        return found

    def until(self, holds: Callable[[], bool]) -> None:
        """Ask again and again until this holds."""
        for _ in range(int(PATIENCE_S / 0.05)):
            if holds():
                return
            threading.Event().wait(0.05)
        raise AssertionError(self.status())


@contextmanager
def observed_line(world: LineWorld, *, alive_s: float = 30.0, **run: Any) -> Iterator[ObservedLine]:
    """The world's line, running until the end of the block; waits for its first answer."""
    line = ObservedLine(free_port())
    http = HttpSettings(port=line.port, alive_s=alive_s)

    def work() -> None:
        try:
            line.summary = world.run(**{**ALL_PASS, "once": False, "stop": line.stop, "http": http, **run})
        except BaseException as error:  # noqa: BLE001 - told below, in the test's own thread
            line.error = error

    before = structlog.get_config()
    structlog.configure(processors=[let_hear, line.hear])
    thread = line.thread = threading.Thread(target=work)
    thread.start()
    try:
        line.waits_for("answers")
        yield line
    finally:
        line.stop.set()
        thread.join(PATIENCE_S)
        structlog.configure(**before)
    if line.error is not None:
        raise line.error
