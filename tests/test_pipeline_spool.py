"""While the database is away the line goes on: results wait in the spool, and are recorded once, in order, when it is back."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kizu_db import engine
from kizu_db.migrations import upgrade
from kizu_db.records import Unit
from kizu_db.settings import DatabaseSettings
from kizu_db.values import ExplanationState
from kizu_inspect.errors import RecordError, RecordsAway
from kizu_inspect.results import Verdict
from kizu_pipeline import spool as spooling
from kizu_pipeline.explaining import ExplanationStep
from kizu_pipeline.observing.state import LineState
from kizu_pipeline.publishing.settings import WebhookTarget
from kizu_pipeline.spool import Spool
from kizu_pipeline.stages.putting_away import PuttingAway
from line_world import ALL_PASS, ALL_REJECT, LineWorld, names_in
from plc_world import READY, Plc
from publish_world import Receiver
from server_world import frozen
from test_pipeline_away import hearing_that_they_are_away, on_a_server, rename_database
from test_pipeline_signal import line, wait_until


@pytest.fixture(autouse=True)
def _soon_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "WAIT_S", 0.2)  # how long SQLite waits for another writer before it says that it is locked
    monkeypatch.setattr(engine, "PROMPT_S", 0.2)


@contextmanager
def other_program(world: LineWorld) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(world.root / "kizu.db", isolation_level=None, timeout=20, check_same_thread=False)) as other:
        yield other


@contextmanager
def locked(world: LineWorld) -> Iterator[None]:
    """Another program holds the database."""
    with other_program(world) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def drop(world: LineWorld, *numbers: int) -> None:
    for number in numbers:
        world.drop(f"P{number}.png", seed=number)
        wait_until(lambda number=number: not (world.incoming / f"P{number}.png").exists())  # type: ignore[misc]


def die(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def waiting(world: LineWorld) -> list[str]:
    return [name for name in names_in(world.incoming) if not name.startswith(".")]


def parts(world: LineWorld) -> list[str]:
    return [record.row.part for record in world.inspections()]


def spool_of(world: LineWorld) -> Path:
    return world.images.path / ".spool" / "press-3.db"


def waiting_in_spool(world: LineWorld) -> int:
    """Rows; 0 before there is one."""
    with closing(sqlite3.connect(spool_of(world), timeout=20)) as file:
        if file.execute("SELECT count(*) FROM sqlite_master WHERE name = 'batch'").fetchone() == (0,):
            return 0
        return int(file.execute("SELECT coalesce(sum(rows), 0) FROM batch").fetchone()[0])


def test_the_line_goes_on_and_everything_is_recorded_in_order(world: LineWorld) -> None:
    with line(world, **ALL_REJECT, policy="flagged"):
        drop(world, 0, 1)
        wait_until(lambda: len(parts(world)) == 2)
        with locked(world):
            drop(world, 2, 3, 4)  # judged and put away
            world.drop("P5.png", b"no picture")
            wait_until(lambda: waiting(world) == [])
            assert parts(world) == ["P0", "P1"]
            released = datetime.now(UTC)
        drop(world, 6)
        wait_until(lambda: len(parts(world)) == 7)
        wait_until(lambda: all(one.row.explanation_state is not ExplanationState.PENDING for one in world.inspections()))
    assert parts(world) == [f"P{number}" for number in range(7)]
    records = world.inspections()
    assert [one.row.verdict for one in records] == [Verdict.REJECT] * 5 + [Verdict.ERROR, Verdict.REJECT]
    assert [one.row.explanation_state is ExplanationState.DONE for one in records] == [True] * 5 + [False, True]
    assert all(one.row.judged_at < released for one in records[:6])
    assert waiting_in_spool(world) == 0
    with world.records.unit(read_only=True) as unit:
        (aside,) = unit.quarantine.latest()
    assert (aside.error, aside.quarantined_at) == (records[5].row.reason, records[5].row.judged_at)


def test_a_server_that_is_away_does_not_stop_the_line(
    tmp_path: Path, line_bundle: Path, new_postgresql: Callable[[], DatabaseSettings], postgresql_server: str
) -> None:
    with on_a_server(tmp_path, line_bundle, new_postgresql(), postgresql_server) as (world, server):
        with line(world, **ALL_PASS):
            drop(world, 0)
            wait_until(lambda: parts(world) == ["P0"])
            server.leave()
            drop(world, 1, 2)
            assert waiting_in_spool(world) == 2
            server.come_back()
            wait_until(lambda: waiting_in_spool(world) == 0)
            drop(world, 3)
        assert parts(world) == ["P0", "P1", "P2", "P3"]


def test_a_server_that_hangs_does_not_stop_the_line(
    tmp_path: Path,
    line_bundle: Path,
    new_postgresql: Callable[[], DatabaseSettings],
    postgresql_server: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "PROMPT_ANSWER_S", 1.0)
    monkeypatch.setattr(spooling, "_LONGEST_PAUSE_S", 0.5)
    with on_a_server(tmp_path, line_bundle, new_postgresql(), postgresql_server) as (world, _):
        with line(world, **ALL_REJECT, policy="flagged"):
            drop(world, 0)
            wait_until(lambda: all(one.row.explanation_state is ExplanationState.DONE for one in world.inspections()))
            wait_until(lambda: parts(world) == ["P0"])
            with frozen(postgresql_server):
                drop(world, 1, 2, 3)
                assert waiting_in_spool(world) == 3
            wait_until(lambda: waiting_in_spool(world) == 0)
            drop(world, 4)
            wait_until(lambda: len(parts(world)) == 5)
            wait_until(lambda: all(one.row.explanation_state is ExplanationState.DONE for one in world.inspections()))
        assert parts(world) == ["P0", "P1", "P2", "P3", "P4"]


@pytest.fixture
def hang_at_commit(postgresql_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[ExitStack], None]]:
    """Lets the server hang, until that ends, as the next picture's unit has nothing left to do but its commit."""

    def hang(until: ExitStack) -> None:
        def finish(unit: Unit) -> None:
            finished(unit)
            if unit.inspections._parts:  # the line's own unit: others add no part
                monkeypatch.setattr(Unit, "finish", finished)
                until.enter_context(frozen(postgresql_server))

        finished = Unit.finish
        monkeypatch.setattr(Unit, "finish", finish)

    monkeypatch.setattr(engine, "PROMPT_ANSWER_S", 1.0)
    monkeypatch.setattr(engine, "ANSWER_S", 1.0)
    monkeypatch.setattr(spooling, "_LONGEST_PAUSE_S", 0.5)
    return hang


def test_a_row_that_a_hanging_server_was_told_and_did_not_answer_is_there_once(
    tmp_path: Path,
    line_bundle: Path,
    new_postgresql: Callable[[], DatabaseSettings],
    postgresql_server: str,
    hang_at_commit: Callable[[ExitStack], None],
) -> None:
    """The server keeps it when it wakes, and the spool has it too."""
    with on_a_server(tmp_path, line_bundle, new_postgresql(), postgresql_server) as (world, _):
        with line(world, **ALL_PASS), ExitStack() as hanging:
            drop(world, 0)
            wait_until(lambda: parts(world) == ["P0"])
            hang_at_commit(hanging)
            drop(world, 1)
            assert waiting_in_spool(world) == 1
            hanging.close()
            wait_until(lambda: waiting_in_spool(world) == 0)
            drop(world, 2)
        assert parts(world) == ["P0", "P1", "P2"]


def test_such_a_row_is_told_as_ok_where_the_line_waits_for_the_server(
    tmp_path: Path,
    line_bundle: Path,
    new_postgresql: Callable[[], DatabaseSettings],
    postgresql_server: str,
    hang_at_commit: Callable[[ExitStack], None],
    plc: Plc,
) -> None:
    """The line finds its own row, and not that of another service."""
    with on_a_server(tmp_path, line_bundle, new_postgresql(), postgresql_server) as (world, _):
        with line(world, **ALL_PASS, line={"signal": plc.settings()}, runtime={"spool_rows": 0}), ExitStack() as hanging:
            plc.until(lambda: plc.states and plc.states[-1][1] == READY)
            with hearing_that_they_are_away(hanging.close, words="records are away; waiting", times=1):
                hang_at_commit(hanging)
                drop(world, 0)
            plc.until(lambda: plc.codes() == [("P0", "OK")])
        assert parts(world) == ["P0"]


def test_a_stop_leaves_them_to_the_next_start_which_records_them_first(world: LineWorld) -> None:
    with other_program(world) as other:
        with line(world, **ALL_PASS):
            drop(world, 0)
            wait_until(lambda: parts(world) == ["P0"])
            other.execute("BEGIN IMMEDIATE")
            drop(world, 1, 2)
        assert parts(world) == ["P0"]
        other.execute("ROLLBACK")
    world.drop("P3.png", seed=3)
    assert world.run(**ALL_PASS).files == 1
    assert parts(world) == ["P0", "P1", "P2", "P3"]
    assert len(names_in(world.done)) == 4


def test_a_file_whose_row_waits_is_only_put_away(world: LineWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_off() -> None:
        with other_program(world) as other, line(world, **ALL_PASS):
            drop(world, 0)
            wait_until(lambda: parts(world) == ["P0"])
            other.execute("BEGIN IMMEDIATE")
            monkeypatch.setattr(PuttingAway, "put_away", die)
            world.drop("P1.png", seed=1)
            wait_until(lambda: spool_of(world).exists() and waiting_in_spool(world) == 1)

    with pytest.raises(AssertionError, match="KeyboardInterrupt"):
        cut_off()
    monkeypatch.undo()
    assert waiting(world) == ["P1.png"]
    summary = world.run(**ALL_PASS)
    assert (summary.files, summary.only_moved) == (0, 1)
    assert (parts(world), names_in(world.done)) == (["P0", "P1"], ["P0.png", "P1.png"])


def test_a_kill_between_records_and_spool_gives_no_row_and_no_event_twice(
    world: LineWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    station = {"views": ("left", "right")}
    source = world.folder(part_pattern="(?P<part>[^_]+)_(?P<view>.+)")
    with Receiver() as receiver:
        publish = WebhookTarget(kind="webhook", url=receiver.url)

        def drop_part(number: int) -> None:
            for view in ("left", "right"):
                world.drop(f"P{number}_{view}.png", seed=number)
            wait_until(lambda: waiting(world) == [])

        def cut_off() -> None:
            with line(world, **ALL_PASS, source=source, publish=publish, line=station):
                drop_part(0)
                receiver.wait(3)
                with locked(world):
                    drop_part(1)
                    monkeypatch.setattr(Spool, "_drop", die)
                receiver.wait(6)

        with pytest.raises(AssertionError, match="KeyboardInterrupt"):
            cut_off()
        monkeypatch.undo()
        assert waiting_in_spool(world) == 2
        world.run(**ALL_PASS, source=source, publish=publish, line=station)
        assert waiting_in_spool(world) == 0
    first = {event["event_id"]: event["kind"] for event in receiver.events}  # one cut off before it was settled comes again
    assert list(first.values()) == ["inspection", "inspection", "part"] * 2
    assert parts(world) == ["P0", "P0", "P1", "P1"]


def test_the_plc_hears_ok_meanwhile_and_the_records_say_so_later(world: LineWorld, plc: Plc) -> None:
    with line(world, **ALL_PASS, line={"signal": plc.settings()}):
        plc.until(lambda: plc.states and plc.states[-1][1] == READY)
        drop(world, 0)
        wait_until(lambda: parts(world) == ["P0"])
        with locked(world):
            world.drop("P1.png")
            plc.until(lambda: plc.codes() == [("P0", "OK"), ("P1", "OK")])
            assert parts(world) == ["P0"]
        wait_until(lambda: len(parts(world)) == 2 and world.inspections()[1].signal)
    signal = world.inspections()[1].signal
    assert signal is not None
    assert signal.sent == "OK"
    assert signal.acknowledged_at is not None


def test_a_part_of_several_views_is_judged_meanwhile_and_told_once(world: LineWorld, plc: Plc) -> None:
    source = world.folder(part_pattern="(?P<part>[^_]+)_(?P<view>.+)")
    with Receiver() as receiver:
        publish = WebhookTarget(kind="webhook", url=receiver.url)
        station = {"signal": plc.settings(), "views": ("left", "right")}
        with line(world, **ALL_PASS, source=source, publish=publish, line=station):
            plc.until(lambda: plc.states and plc.states[-1][1] == READY)
            world.drop("P0_left.png")
            receiver.wait(1)
            with locked(world):
                world.drop("P0_right.png")
                plc.until(lambda: plc.codes() == [("P0", "OK")])
                assert len(receiver.events) == 1
            wait_until(lambda: receiver.events[-1]["kind"] == "part")
    heard = list({event["event_id"]: event for event in receiver.events}.values())  # one that could not be settled comes again
    assert [event["kind"] for event in heard] == ["inspection", "inspection", "part"]
    assert {view["inspection"] for view in heard[2]["views"]} == {one.row.uid for one in world.inspections()}
    assert len(world.inspections()) == 2


def test_a_database_that_goes_while_maps_are_recorded_ends_nothing(world: LineWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk: what is read is there, and what is written is refused."""
    refused = [RecordsAway("disk is full")] * 2

    def store(self: ExplanationStep, outcomes: Mapping[str, Any]) -> None:
        if refused:
            raise refused.pop()
        stored(self, outcomes)

    stored = ExplanationStep._store
    monkeypatch.setattr(ExplanationStep, "_store", store)
    with line(world, **ALL_REJECT, policy="flagged"):
        drop(world, 0, 1)
        wait_until(lambda: [one.row.explanation_state for one in world.inspections()] == [ExplanationState.DONE] * 2)
    assert refused == []


def test_what_lay_there_at_the_start_waits_for_the_records(world: LineWorld) -> None:
    """It may have its row: judged again the control could hear another verdict."""
    count = 24  # more than the line reads ahead
    for number in range(count):
        world.drop(f"P{number}.png", seed=number)
    stop, left = threading.Event(), []

    def after(done: int) -> None:
        if done == 2:
            rename_database(world, "kizu", "lost")

    def let_go() -> None:
        left.append(len(waiting(world)))
        stop.set()

    with hearing_that_they_are_away(let_go, words="records are away; waiting", times=1), pytest.raises(RecordsAway):
        world.run(**ALL_PASS, once=False, max_batch=1, progress=after, stop=stop)
    rename_database(world, "lost", "kizu")
    assert left[0] > count / 2
    world.run(**ALL_PASS)
    assert sorted(parts(world)) == sorted(f"P{number}" for number in range(count))
    assert len(names_in(world.done)) == count


def test_a_full_spool_waits(world: LineWorld) -> None:
    with line(world, **ALL_PASS, max_batch=1, runtime={"spool_rows": 2}):
        drop(world, 0)
        wait_until(lambda: parts(world) == ["P0"])
        with locked(world), hearing_that_they_are_away(lambda: None) as said:
            drop(world, 1, 2)
            world.drop("P3.png", seed=3)
            wait_until(lambda: "records are away; waiting" in said)
            assert waiting_in_spool(world) == 2
            assert waiting(world) == ["P3.png"]
        wait_until(lambda: len(parts(world)) == 4)
    assert parts(world) == ["P0", "P1", "P2", "P3"]


def test_a_database_that_was_replaced_gets_nothing(world: LineWorld) -> None:
    def replace() -> None:
        """Under the writer's lock, so that nothing of the old one is written meanwhile."""
        for ending in (".db", ".db-wal", ".db-shm"):
            if (world.root / f"kizu{ending}").exists():
                (world.root / f"kizu{ending}").rename(world.root / f"lost{ending}")
        upgrade(DatabaseSettings(url=f"sqlite:///{world.root / 'kizu.db'}"))

    stop = threading.Event()

    def work() -> None:
        drop(world, 0)
        wait_until(lambda: parts(world) == ["P0"])
        with locked(world):
            drop(world, 1)
            replace()
        stop.wait(20)

    thread = threading.Thread(target=work)
    thread.start()
    with pytest.raises(RecordError, match="is not the one that this program opened"):
        world.run(**ALL_PASS, once=False, stop=stop)
    stop.set()
    thread.join()
    assert waiting_in_spool(world) == 1
    with closing(sqlite3.connect(world.root / "kizu.db")) as other:
        assert other.execute("SELECT count(*) FROM inspection").fetchone() == (0,)


NEVER = threading.Event()
STATE = LineState("x", stop=NEVER)
