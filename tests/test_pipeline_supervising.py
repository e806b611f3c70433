"""What keeps the stations' processes running, with small processes in their place."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import structlog

from kizu_pipeline import supervising
from kizu_pipeline.supervising import supervise

PATIENCE_S = 60.0
LISTEN = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
RUN_ON = "open(path, 'a').write('.'); time.sleep(600)\n"
TELL = "from kizu_pipeline.supervising import tell_started; tell_started()\n"


class Supervised:
    """A supervisor in a thread, and its log."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.stop = threading.Event()
        self.code: int | None = None
        self._said: list[tuple[str, str]] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def station(self, name: str, code: str) -> list[str]:
        """A command that runs this code; `path` is the file in which `starts` looks."""
        script = self.root / f"{name}.py"
        script.write_text(f"{LISTEN}path = {str(self.root / name)!r}\n{code}")
        return [sys.executable, str(script)]

    def starts(self, name: str) -> int:
        path = self.root / name
        return path.stat().st_size if path.exists() else 0

    def runs(self, commands: dict[str, Sequence[str]], *, once: bool = False, stop_within_s: float = PATIENCE_S) -> None:
        def work() -> None:
            self.code = supervise(commands, once=once, stop=self.stop, stop_within_s=stop_within_s)

        self._thread = threading.Thread(target=work)
        self._thread.start()

    def ends(self) -> int:
        """The exit code, once it has ended."""
        assert self._thread is not None
        self._thread.join(PATIENCE_S)
        assert self.code is not None, self._said
        return self.code

    def hear(self, _logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        with self._changed:
            self._said.append((str(event["station"]), str(event["event"])))
            self._changed.notify_all()
        raise structlog.DropEvent

    def says(self, station: str, event: str, times: int = 1) -> None:
        """Wait until the log has said this so often."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._said.count((station, event)) >= times, PATIENCE_S), self._said

    def said(self, station: str) -> list[str]:
        return [event for one, event in self._said if one == station]

    def until(self, holds: Callable[[], bool]) -> None:
        for _ in range(int(PATIENCE_S / 0.02)):
            if holds():
                return
            threading.Event().wait(0.02)
        raise AssertionError(self._said)


@pytest.fixture
def supervised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervised]:
    monkeypatch.setattr(supervising, "FIRST_PAUSE_S", 0.05)
    found = Supervised(tmp_path)
    before = structlog.get_config()
    structlog.configure(processors=[found.hear])
    try:
        yield found
    finally:
        found.stop.set()
        if found._thread is not None:
            found._thread.join(PATIENCE_S)
        structlog.configure(**before)


def test_a_mistake_at_the_start_ends_all(supervised: Supervised) -> None:
    supervised.runs({"a": supervised.station("a", "sys.exit(2)"), "b": supervised.station("b", RUN_ON)})
    assert supervised.ends() == 2
    assert supervised.said("a") == ["station cannot start; all end"]
    assert supervised.said("b") == []


def test_what_is_lost_while_it_runs_ends_no_other_station(supervised: Supervised) -> None:
    # A folder that is gone ends a station with exit code 2, and each new start too until it is back.
    lost = supervised.root / "lost"
    first = f"import os\nif os.path.exists({str(lost)!r}): sys.exit(2)\n{TELL}open({str(lost)!r}, 'w'); sys.exit(2)"
    later = f"import os\nif os.path.exists({str(lost)!r}): sys.exit(2)\n{RUN_ON}"
    supervised.runs({"a": supervised.station("a", first), "b": supervised.station("b", RUN_ON)})
    supervised.says("a", "station ended; it is started again", times=3)
    supervised.station("a", later)
    lost.unlink()
    supervised.until(lambda: supervised.starts("a") == 1)
    supervised.stop.set()
    assert supervised.ends() == 0
    assert supervised.starts("b") == 1
    assert supervised.said("b") == []


def test_one_that_cannot_be_started_is_tried_again(supervised: Supervised) -> None:
    program = supervised.root / "program"
    supervised.runs({"a": [str(program)], "b": supervised.station("b", RUN_ON)})
    supervised.says("a", "station ended; it is started again", times=2)
    supervised.until(lambda: supervised.starts("b") == 1)
    unfinished = supervised.root / "unfinished"
    unfinished.write_text(f"#!/bin/sh\nexec {' '.join(supervised.station('a', RUN_ON))}\n")
    unfinished.chmod(0o755)
    unfinished.rename(program)
    supervised.until(lambda: supervised.starts("a") == 1)
    supervised.stop.set()
    assert supervised.ends() == 0
    assert supervised.starts("b") == 1


def test_one_that_does_not_stop_is_killed_and_the_others_end_well(supervised: Supervised) -> None:
    deaf = supervised.station("a", f"signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{RUN_ON}")
    slow = "signal.signal(signal.SIGTERM, lambda *_: (open(path, 'a').write('.'), sys.exit(0)))\n"
    supervised.runs({"a": deaf, "b": supervised.station("b", slow + RUN_ON)}, stop_within_s=2.0)
    supervised.until(lambda: supervised.starts("a") == supervised.starts("b") == 1)
    supervised.stop.set()
    assert supervised.ends() == 1
    assert supervised.said("a") == ["station did not stop in time; it is killed"]
    assert supervised.starts("b") == 2  # it was asked, and ended by itself
    assert supervised.said("b") == []


def test_one_that_ends_well_is_left_alone(supervised: Supervised) -> None:
    supervised.runs({"a": supervised.station("a", f"{TELL}sys.exit(0)"), "b": supervised.station("b", RUN_ON)})
    supervised.says("a", "station ended; it is not started again")
    supervised.until(lambda: supervised.starts("b") == 1)
    supervised.stop.set()
    assert supervised.ends() == 0


def test_a_stop_while_a_station_waits_for_its_next_start_ends_at_once(
    supervised: Supervised, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "FIRST_PAUSE_S", 600.0)
    supervised.runs({"a": supervised.station("a", "sys.exit(1)")})
    supervised.says("a", "station ended; it is started again")
    supervised.stop.set()
    assert supervised.ends() == 0


@pytest.mark.parametrize(("a", "b", "worst"), [(0, 0, 0), (1, 0, 1), (1, 2, 2)])
def test_once_ends_with_the_worst_exit_code(a: int, b: int, worst: int, supervised: Supervised) -> None:
    codes = {"a": f"sys.exit({a})", "b": f"open(path, 'a').write('.'); sys.exit({b})"}
    supervised.runs({name: supervised.station(name, code) for name, code in codes.items()}, once=True)
    assert supervised.ends() == worst
    assert supervised.starts("b") == 1


def test_a_line_of_the_log_is_one_write() -> None:
    # A pipe of packets gives each write by itself, so that lines of several processes that share one would show torn.
    program = "import structlog; from kizu_pipeline.logs import configure_logging; configure_logging()\n"
    program += "for number in range(3): structlog.get_logger().info('said', number=number)"
    reader, writer = os.pipe2(os.O_DIRECT)
    try:
        with os.fdopen(writer, "wb") as stream:
            subprocess.run(
                [sys.executable, "-c", program],
                stderr=stream,
                check=True,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
                timeout=60,
            )
        packets = []
        while packet := os.read(reader, 65536):
            packets.append(packet)
    finally:
        os.close(reader)
    assert len(packets) == 3
    assert all(packet.startswith(b"{") and packet.endswith(b"}\n") for packet in packets)
