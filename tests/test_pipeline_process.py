"""The line as a process of its own: killed, asked to stop, logging."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import redirect_stderr
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import structlog

from kizu_db.values import ExplanationState
from kizu_pipeline.locks import LOCK_NAME
from kizu_pipeline.logs import configure_logging
from kizu_pipeline.signals import stop_on_signals
from line_world import LineWorld, drawn_png, names_in

KILL_NINE = Path(__file__).parents[1] / "benchmarks" / "acceptance" / "kill_nine.py"

LINE_THAT_RUNS_ON = """
import sys
from pathlib import Path
from kizu_pipeline.logs import configure_logging
from kizu_pipeline.signals import stop_on_signals
from line_world import ALL_REJECT, LineWorld

configure_logging()
with LineWorld(Path(sys.argv[1]), Path(sys.argv[2])) as world, stop_on_signals() as stop:
    world.run(**ALL_REJECT, once=False, stop=stop, max_batch=2)
"""


@pytest.fixture
def kill_nine(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("kill_nine", KILL_NINE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "kill_nine", module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("once", [pytest.param(False, id="watching"), pytest.param(True, id="once")])
def test_killed_at_random_moments_and_restarted_gives_one_row_a_file(
    once: bool, kill_nine: ModuleType, tmp_path: Path, line_bundle: Path
) -> None:
    outcome = kill_nine.kill_and_restart(tmp_path, files=60, kills=2, seed=1, slowly=0.5, once=once, bundle=line_bundle)
    assert outcome.passed, outcome
    assert len(outcome.killed_after_files) == 2


def parsed(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The log's events; what is no JSON object, such as a traceback, fails the test with its text."""
    rest = iter(lines)
    for line in rest:
        if not line.startswith("{"):
            pytest.fail(line + "".join(rest))
        yield json.loads(line)


@pytest.mark.parametrize("asked_by", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_finishes_what_is_in_work_and_ends_cleanly(
    tmp_path: Path, line_bundle: Path, asked_by: signal.Signals
) -> None:
    incoming = tmp_path / "line" / "incoming"
    (tmp_path / "line").mkdir()
    waiting = tmp_path / "line" / "waiting"
    waiting.mkdir()
    for number in range(40):
        (waiting / f"P{number}.png").write_bytes(drawn_png(number))
    command = [sys.executable, "-c", LINE_THAT_RUNS_ON, str(tmp_path / "line"), str(line_bundle)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as line:
        assert line.stderr is not None
        events = parsed(line.stderr)
        assert next(event for event in events if event["event"] == "started")["station"] == "press-3"
        for path in waiting.iterdir():
            path.rename(incoming / path.name)
        assert next(event for event in events if event["event"] == "inspected")["verdict"] == "REJECT"
        line.send_signal(asked_by)
        ended = list(events)[-1]
        assert line.wait(timeout=60) == 0
    assert (ended["event"], ended["stopped"]) == ("ended", True)
    assert ended["files"] == len(names_in(tmp_path / "line" / "done"))
    with LineWorld(tmp_path / "line", line_bundle) as world:
        states = Counter(record.row.explanation_state for record in world.inspections())
    assert states == Counter({ExplanationState.DONE: ended["explained"]}) + Counter(
        {ExplanationState.PENDING: ended["files"] - ended["explained"]}
    )
    assert ended["explained"] > 0
    assert ended["files"] + len(names_in(incoming)) == 40
    assert LOCK_NAME not in names_in(incoming)


def test_signal_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stop_on_signals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(timeout=10)
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL  # a second one ends the process at once
    assert signal.getsignal(signal.SIGTERM) == before


def test_log_is_one_json_object_a_line() -> None:
    stream = io.StringIO()
    configure_logging(stream)
    structlog.get_logger("kizu.line").info("inspected", part="부품", verdict="PASS")
    try:
        raise OSError("torn")
    except OSError:
        structlog.get_logger("kizu.line").exception("failed")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert (first["event"], first["part"], first["level"]) == ("inspected", "부품", "info")
    assert first["timestamp"].endswith("Z")
    assert second["exception"][0]["exc_value"] == "torn"


def test_log_outlives_a_replaced_standard_error() -> None:
    with redirect_stderr(io.StringIO()) as borrowed:
        configure_logging()
    borrowed.close()
    with redirect_stderr(io.StringIO()) as current:
        structlog.get_logger("kizu.line").info("inspected")
    assert json.loads(current.getvalue())["event"] == "inspected"


def test_two_lines_in_one_database_do_not_disturb_each_other(tmp_path: Path, line_bundle: Path) -> None:
    with LineWorld(tmp_path, line_bundle) as world:
        folders = [tmp_path / name for name in ("left", "right")]
        for folder in folders:
            folder.mkdir()
            for number in range(12):
                (folder / f"P{number}.png").write_bytes(drawn_png(number))
        summaries = []
        lines = [
            threading.Thread(target=lambda folder=folder: summaries.append(world.run(source=world.folder(path=folder))))
            for folder in folders
        ]
        for line in lines:
            line.start()
        for line in lines:
            line.join()
        assert [summary.files for summary in summaries] == [12, 12]
        assert len(world.inspections()) == 24
        assert len(names_in(world.done)) == 24
