"""OK or NG for each part, to a real Modbus server that plays the PLC; silence, lateness and lost connections are NG."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from kizu_db import engine
from kizu_db.repositories.inspections import Inspections
from kizu_db.values import InspectionRecord
from kizu_inspect.errors import ConfigError
from kizu_inspect.results import Verdict
from kizu_pipeline import patience
from kizu_pipeline.line_signal import exchange
from kizu_pipeline.line_signal.base import Code, Result
from kizu_pipeline.line_signal.modbus import ModbusLink
from kizu_pipeline.line_signal.settings import ModbusSignal
from line_world import ALL_PASS, ALL_REJECT, ALL_REVIEW, LineWorld, drawn_png, names_in
from plc_world import BUSY, FAULT, MAP, READY, Plc


@contextmanager
def line(world: LineWorld, **settings: Any) -> Iterator[None]:
    """The service, judging beside the test until the block ends."""
    stop, failed = threading.Event(), []

    def run() -> None:
        try:
            world.run(**{"policy": "on_demand", **settings, "once": False, "stop": stop})
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()
    assert failed == []


def told(world: LineWorld) -> dict[str, tuple[str, str | None, bool]]:
    """By part its verdict, what the records say was sent, and whether that was acknowledged."""
    return {record.row.part: (record.row.verdict.value, *_sent(record)) for record in world.inspections()}


def _sent(record: InspectionRecord) -> tuple[str | None, bool]:
    return (None, False) if record.signal is None else (record.signal.sent, record.signal.acknowledged_at is not None)


@pytest.mark.parametrize(
    ("limits", "review_signal", "verdict", "code"),
    [
        pytest.param(ALL_PASS, "NG", "PASS", "OK", id="pass"),
        pytest.param(ALL_REJECT, "OK", "REJECT", "NG", id="reject"),
        pytest.param(ALL_REVIEW, "NG", "REVIEW", "NG", id="review"),
        pytest.param(ALL_REVIEW, "OK", "REVIEW", "OK", id="review that may pass"),
    ],
)
def test_each_part_gets_its_signal_once(
    limits: dict[str, float], review_signal: str, verdict: str, code: str, world: LineWorld, plc: Plc
) -> None:
    for number in range(5):
        world.drop(f"P{number}.png", seed=number)
    world.drop("P9.png", b"\x89PNG no picture")
    world.run(**limits, policy="on_demand", line={"signal": plc.settings(), "review_signal": review_signal})
    assert sorted(plc.codes()) == [*((f"P{number}", code) for number in range(5)), ("P9", "NG")]
    assert len({result.sequence for result in plc.taken}) == 6
    assert told(world) == {f"P{number}": (verdict, code, True) for number in range(5)} | {"P9": ("ERROR", "NG", True)}
    assert plc.states[-1][1:] == (0, 0)  # nobody is ready any more
    assert not plc.shows_ok


def test_an_ok_is_shown_only_once_its_row_is_recorded(world: LineWorld, plc: Plc) -> None:
    recorded: list[list[str]] = []
    plc.on_result = lambda _: recorded.append([record.row.verdict.value for record in world.inspections()])
    world.drop("P0.png")
    world.run(**ALL_PASS, line={"signal": plc.settings()})
    assert recorded == [["PASS"]]


def test_a_result_stands_over_zeros_and_is_taken_back_when_acknowledged(world: LineWorld, plc: Plc) -> None:
    for number in range(3):
        world.drop(f"P{number}.png", seed=number)
    world.run(**ALL_PASS, line={"signal": plc.settings()})
    zeros = [MAP.read_result(words) is None for address, words in plc.writes if address]
    assert all(zeros[:-8])  # as below
    assert zeros[-8:] == [True, *([False, True] * 3), True]


@pytest.mark.parametrize("code", [Code.OK, Code.NG])
def test_a_half_written_result_is_none(code: Code) -> None:
    """However far the words of a result, or of the zeros after it, have come, from either end."""
    none, whole = MAP.result(None), MAP.result(Result(0x0001_0002, code, 7, "P1"))
    for before, after in ((none, whole), (whole, none)):
        for some in range(len(whole) + 1):
            for words in (after[:some] + before[some:], before[:some] + after[some:]):
                found = MAP.read_result(words)
                assert found is None or (found.sequence, found.code, words[2]) == (0x0001_0002, code, code)


def test_zeros_between_two_results_keep_an_ok_from_the_next() -> None:
    """Whichever words of an NG have come, it never reads as the OK before it."""
    none, after = MAP.result(None), MAP.result(Result(6, Code.NG, 0, "P2"))
    for arrived in range(2 ** len(after[:3])):
        words = [new if arrived >> min(index, 2) & 1 else old for index, (old, new) in enumerate(zip(none, after, strict=True))]
        found = MAP.read_result(words)
        assert found is None or found.code is Code.NG


def test_parts_that_do_not_fit_the_registers_stay_apart() -> None:
    long = "A-very-long-serial-number-of-a-part-"
    shown = {MAP.read_result(MAP.result(Result(1, Code.OK, 0, part))) for part in (f"{long}1", f"{long}2", "부품-1", "부품-2")}
    parts = {result.part for result in shown if result is not None}
    assert len(parts) == 4
    assert all(len(part) <= 32 and "~" in part for part in parts)
    fits = MAP.read_result(MAP.result(Result(1, Code.OK, 0, "P" * 32)))
    assert fits is not None
    assert fits.part == "P" * 32


def test_a_result_that_is_not_acknowledged_gives_way_to_the_next(world: LineWorld, plc: Plc) -> None:
    plc.acknowledges = False
    for number in range(3):
        world.drop(f"P{number}.png", seed=number)
    world.run(**ALL_PASS, line={"signal": plc.settings(acknowledge_ms=30)})
    assert plc.codes() == [("P0", "OK"), ("P1", "OK"), ("P2", "OK")]
    codes = [words[2] for address, words in plc.writes if address]
    # On a busy machine the PLC may be away for a moment before the first part: each connection begins with no code.
    assert set(codes[:-8]) <= {0}
    assert codes[-8:] == [0, 1, 0, 1, 0, 1, 0, 0]
    assert told(world) == {f"P{number}": ("PASS", "OK", False) for number in range(3)}
    assert all("not acknowledged within 30 ms" in record.signal.note for record in world.inspections() if record.signal)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "WAIT_S", 0.2)
    monkeypatch.setattr(engine, "PROMPT_S", 0.2)
    monkeypatch.setattr(patience, "FIRST_S", 0.05)


@pytest.mark.usefixtures("impatient")
def test_a_part_without_a_verdict_is_ng_at_its_deadline_and_the_late_pass_an_error(world: LineWorld, plc: Plc) -> None:
    with (
        closing(sqlite3.connect(world.root / "kizu.db", isolation_level=None)) as other,
        line(world, **ALL_PASS, line={"signal": plc.settings(), "verdict_deadline_ms": 1000}, runtime={"spool_rows": 0}),
    ):
        plc.until(lambda: plc.states and plc.states[-1][1] == READY)
        other.execute("BEGIN IMMEDIATE")
        world.drop("P0.png")
        plc.until(lambda: plc.states[-1][1] == READY | BUSY)
        plc.until(lambda: plc.codes() == [("P0", "NG")])
        plc.until(lambda: plc.states[-1][1] == READY | FAULT)
        other.execute("ROLLBACK")
        plc.until(lambda: plc.states[-1][1] == READY)
        world.drop("P1.png", seed=1)
        plc.until(lambda: len(plc.taken) > 1)
    assert plc.codes() == [("P0", "NG"), ("P1", "OK")]
    first, second = world.inspections()
    assert (first.row.verdict, second.row.verdict) == (Verdict.ERROR, Verdict.PASS)
    assert first.row.reason.startswith("late: the verdict PASS came ")
    assert "after the deadline of 1000 ms" in first.row.reason
    assert first.signal is not None
    assert (first.signal.sent, first.signal.note) == ("NG", "late: no verdict by the deadline")
    assert first.signal.late_ms is not None
    assert first.signal.late_ms > 0


def test_a_deadline_holds_without_a_plc(world: LineWorld) -> None:
    world.drop("P0.png")
    world.run(**ALL_REJECT, line={"verdict_deadline_ms": 0.001})
    record = world.only()
    assert (record.row.verdict, record.signal, record.explanations) == (Verdict.ERROR, None, ())
    assert record.row.reason.startswith("late: the verdict REJECT came ")


def test_a_part_in_time_keeps_its_verdict(world: LineWorld) -> None:
    world.drop("P0.png")
    world.run(**ALL_REJECT, line={"verdict_deadline_ms": 3_600_000})
    assert world.only().row.verdict is Verdict.REJECT


def test_an_ok_that_waited_too_long_for_its_turn_is_ng(world: LineWorld, plc: Plc) -> None:
    plc.acknowledges = False
    for number in range(2):
        world.drop(f"P{number}.png", seed=number)
    world.run(**ALL_PASS, line={"signal": plc.settings(acknowledge_ms=300, send_within_ms=100)})
    assert plc.codes() == [("P0", "OK"), ("P1", "NG")]
    second = world.inspections()[1]
    assert (second.row.verdict, second.signal is not None and second.signal.sent) == (Verdict.PASS, "NG")
    assert second.signal is not None
    assert second.signal.note.startswith("late: the OK could not be sent in time")


def test_a_verdict_of_another_row_is_no_ok(world: LineWorld, plc: Plc, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another service recorded the same work in the meantime, nobody here knows as what."""
    world.drop("P0.png")
    world.run(**ALL_REJECT, line={})
    (world.done / "P0.png").rename(world.incoming / "P0.png")
    monkeypatch.setattr(Inspections, "uids_of", lambda *_: {})  # it came after the look-up
    world.run(**ALL_PASS, line={"signal": plc.settings()})
    assert plc.codes() == [("P0", "NG")]
    assert told(world) == {"P0": ("REJECT", "NG", True)}


def test_a_plc_that_comes_after_the_service_and_goes_and_comes_back(world: LineWorld, plc: Plc) -> None:
    plc.stop()
    with line(world, **ALL_PASS, line={"signal": plc.settings(send_within_ms=100)}):
        world.drop("P0.png")
        wait_until(lambda: told(world) == {"P0": ("PASS", "none", False)})
        plc.start()
        plc.until(lambda: plc.states)
        world.drop("P1.png", seed=1)
        plc.until(lambda: plc.codes() == [("P1", "OK")])
        plc.stop()
        world.drop("P2.png", seed=2)
        wait_until(lambda: told(world).get("P2") == ("PASS", "none", False))
        beats = len(plc.states)
        plc.start()
        plc.until(lambda: len(plc.states) > beats)
        world.drop("P3.png", seed=3)
        plc.until(lambda: len(plc.taken) > 1)
    assert plc.codes() == [("P1", "OK"), ("P3", "OK")]  # no OK came late
    notes = {record.row.part: record.signal.note for record in world.inspections() if record.signal}
    assert notes == {"P0": LOST, "P1": "", "P2": LOST, "P3": ""}


LOST = "late: not sent, the control was away"


def wait_until(done: Callable[[], object]) -> None:
    """For what the records say, which nobody announces."""
    until = time.monotonic() + 20
    while not done():
        assert time.monotonic() < until
        threading.Event().wait(0.02)


LINE_WITH_A_PLC = """
import json
import sys
from pathlib import Path
from kizu_pipeline.signals import stop_on_signals
from line_world import ALL_PASS, LineWorld

with LineWorld(Path(sys.argv[1]), Path(sys.argv[2])) as world, stop_on_signals() as stop:
    world.run(**ALL_PASS, once=False, stop=stop, policy="on_demand", line={"signal": json.loads(sys.argv[3])})
"""


def test_a_killed_service_falls_silent_and_the_next_one_repeats_no_number(tmp_path: Path, line_bundle: Path, plc: Plc) -> None:
    root = tmp_path / "line"
    root.mkdir()
    command = [sys.executable, "-c", LINE_WITH_A_PLC, str(root), str(line_bundle), json.dumps(plc.settings())]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])}
    for number in range(2):
        dead = plc.heartbeat
        with subprocess.Popen(command, env=environment) as process:
            try:
                plc.until(lambda dead=dead: plc.heartbeat != dead)  # type: ignore[misc]
                waiting = tmp_path / "waiting.png"
                waiting.write_bytes(drawn_png(number))
                waiting.rename(root / "incoming" / f"P{number}.png")
                plc.until(lambda number=number: plc.codes()[number:] == [(f"P{number}", "OK")])  # type: ignore[misc]
                assert plc.heartbeat_within(10)
            finally:
                process.kill()
        assert plc.states[-1][1] & READY  # it had no time to say that it ends: only the heartbeat tells
        assert not plc.heartbeat_within(0.3)
        plc.forget()
    first, second = plc.taken
    assert 0 < first.sequence < second.sequence


def test_numbers_that_the_plc_knows_are_not_given_again_by_new_records(world: LineWorld, plc: Plc) -> None:
    link = ModbusLink(ModbusSignal.model_validate(plc.settings()))
    link.connect()
    link.show(Result(1, Code.NG, 0, "before"))  # acknowledged, and left there
    link.close()
    world.drop("P0.png")
    world.run(**ALL_PASS, line={"signal": plc.settings()})
    assert [result.sequence for result in plc.taken] == [1, 2]


def test_a_missing_package_is_named_before_anything_is_judged(
    world: LineWorld, plc: Plc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pymodbus.client", None)
    world.drop("P0.png")
    with pytest.raises(ConfigError, match=r"found no pymodbus; expected kizu\[modbus\]. Run `pip install 'kizu\[modbus\]'`"):
        world.run(**ALL_PASS, line={"signal": plc.settings()})
    assert (world.inspections(), names_in(world.incoming)) == ([], ["P0.png"])


def test_a_plc_without_these_registers_is_named_and_the_line_goes_on(
    world: LineWorld, plc: Plc, capsys: pytest.CaptureFixture[str]
) -> None:
    world.drop("P0.png")
    world.run(**ALL_PASS, line={"signal": plc.settings(commands_address=500, send_within_ms=10)})
    assert told(world) == {"P0": ("PASS", "none", False)}
    assert "to a read of the holding registers 500 to 518" in capsys.readouterr().out


def test_a_plc_that_takes_connections_and_never_answers_costs_no_verdict(world: LineWorld, plc: Plc) -> None:
    for number in range(3):
        world.drop(f"P{number}.png", seed=number)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = plc.settings(port=silent.getsockname()[1], timeout_ms=50, send_within_ms=10)
        world.run(**ALL_PASS, line={"signal": settings})
    assert told(world) == {f"P{number}": ("PASS", "none", False) for number in range(3)}


def test_of_more_results_than_the_queue_holds_the_oldest_is_silence(
    world: LineWorld, plc: Plc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "QUEUED_MOST", 2)
    monkeypatch.setattr(exchange, "DRAIN_S", 0.2)
    plc.stop()
    for number in range(5):
        world.drop(f"P{number}.png", seed=number)
    world.run(**ALL_PASS, line={"signal": plc.settings()})
    plc.start()
    notes = [record.signal.note for record in world.inspections() if record.signal]
    assert notes == ["not sent: too many results waited"] * 3 + ["not sent: the service stopped"] * 2


def test_counts_are_told_at_the_end(world: LineWorld, plc: Plc, capsys: pytest.CaptureFixture[str]) -> None:
    world.drop("P0.png")
    world.run(**ALL_PASS, line={"verdict_deadline_ms": 0.001})
    world.drop("P1.png", seed=1)
    world.run(**ALL_PASS, line={"signal": plc.settings()})
    said = [" ".join(told.split()) for told in capsys.readouterr().out.splitlines()]
    assert any(told.endswith("deadlines ended late=1") for told in said), said
    assert any(told.endswith("signal ended connected=1 ok=1") for told in said), said
