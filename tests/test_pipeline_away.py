"""Records that are away for a while cost the line time alone; records that are others end it before anything moves."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from sqlalchemy.engine import make_url

from kizu_db import engine
from kizu_db.migrations import upgrade
from kizu_db.settings import DatabaseSettings
from kizu_db.values import ExplanationState
from kizu_inspect.errors import RecordError, RecordsAway
from kizu_inspect.results import Verdict
from kizu_pipeline import explaining, patience
from kizu_pipeline.stages.attempts import JOURNAL_NAME, MAX_ATTEMPTS
from kizu_pipeline.summary import RunSummary
from line_world import ALL_PASS, ALL_REJECT, LineWorld, names_in

PARTS = 6


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "WAIT_S", 0.2)  # how long SQLite waits for another writer before it says that it is locked
    monkeypatch.setattr(engine, "PROMPT_S", 0.2)
    monkeypatch.setattr(patience, "FIRST_S", 0.05)


@pytest.fixture
def world(tmp_path: Path, line_bundle: Path) -> Iterator[LineWorld]:
    with LineWorld(tmp_path, line_bundle) as made:
        drop_parts(made)
        yield made


def drop_parts(world: LineWorld) -> None:
    for number in range(PARTS):
        world.drop(f"P{number}.png", seed=number)


@contextmanager
def hearing_that_they_are_away(
    then: Callable[[], object], *, words: str = "records are", times: int = 3
) -> Iterator[list[str]]:
    """What the line said of records; the third time that it finds them away, `then` brings them back."""
    said: list[str] = []

    def listen(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        if str(event["event"]).startswith(words):
            said.append(str(event["event"]))
            if len(said) == times:
                then()
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[listen])
    try:
        yield said
    finally:
        structlog.configure(**before)


def once(act: Callable[[], object]) -> Callable[[int], None]:
    """A `progress` that acts after the first batch."""
    left = [act]
    return lambda _done: left.pop()() and None if left else None


def all_are_there(world: LineWorld, summary: RunSummary) -> None:
    assert summary.files == PARTS
    assert [record.row.part for record in world.inspections()] == [f"P{number}" for number in range(PARTS)]
    assert names_in(world.incoming) == []
    assert len(names_in(world.done)) == PARTS


def test_a_locked_database_is_waited_for(world: LineWorld) -> None:
    with closing(sqlite3.connect(world.root / "kizu.db", isolation_level=None, check_same_thread=False)) as other:
        with hearing_that_they_are_away(lambda: other.execute("ROLLBACK")) as said:
            summary = world.run(**ALL_PASS, progress=once(lambda: other.execute("BEGIN IMMEDIATE")))
        assert said == ["records are away; waiting"] * 3 + ["records are back"]
    all_are_there(world, summary)


@dataclass
class Server:
    """One database of a PostgreSQL server that lets nobody in to it when it is told so."""

    connection: psycopg.Connection[Any]
    name: str

    def leave(self) -> None:
        self.connection.execute(f'ALTER DATABASE "{self.name}" ALLOW_CONNECTIONS false'.encode())
        self.connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (self.name,))

    def come_back(self) -> None:
        self.connection.execute(f'ALTER DATABASE "{self.name}" ALLOW_CONNECTIONS true'.encode())


@contextmanager
def on_a_server(tmp_path: Path, bundle: Path, database: DatabaseSettings, url: str) -> Iterator[tuple[LineWorld, Server]]:
    """A line whose records are in this database of the server at `url`."""
    name = make_url(database.url).database
    assert name is not None
    with LineWorld(tmp_path, bundle, database=database) as world, closing(psycopg.connect(url, autocommit=True)) as connection:
        yield world, Server(connection, name)


def test_a_server_that_is_away_is_waited_for(
    tmp_path: Path, line_bundle: Path, new_postgresql: Callable[[], DatabaseSettings], postgresql_server: str
) -> None:
    with on_a_server(tmp_path, line_bundle, new_postgresql(), postgresql_server) as (world, server):
        drop_parts(world)
        with hearing_that_they_are_away(server.come_back) as said:
            summary = world.run(**ALL_REJECT, progress=once(server.leave))
        assert said[-1] == "records are back"
        all_are_there(world, summary)
        assert {record.row.explanation_state for record in world.inspections()} == {ExplanationState.DONE}


def test_an_image_store_that_takes_nothing_is_waited_for(world: LineWorld) -> None:
    kept = world.root / "kept"

    def leave() -> None:
        world.images.path.rename(kept)
        world.images.path.write_text("a file where the store's folder should be")

    def come_back() -> None:
        world.images.path.unlink()
        kept.rename(world.images.path)

    more = 40  # than the line reads ahead
    for number in range(PARTS, more):
        world.drop(f"P{number}.png", seed=number)
    with hearing_that_they_are_away(come_back) as said:
        summary = world.run(**ALL_PASS, max_batch=1, progress=once(leave))
    assert "records are back" in said
    assert summary.files == len(world.inspections()) == len(names_in(world.done)) == more
    assert names_in(world.incoming) == []


def leave_maps_pending(world: LineWorld) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(explaining, "explain_each", die)
        with pytest.raises(KeyboardInterrupt):
            world.run(**ALL_REJECT, max_batch=PARTS)


def test_a_store_that_is_away_fails_no_map(world: LineWorld) -> None:
    leave_maps_pending(world)
    kept = world.images.path.rename(world.root / "kept")
    with pytest.raises(RecordsAway, match="is not in the image store"):  # and not as if all were done
        world.run(**ALL_REJECT, runtime={"once_waits_s": 0.5})
    assert {record.row.explanation_state for record in world.inspections()} == {ExplanationState.PENDING}
    kept.rename(world.images.path)
    assert world.run(**ALL_REJECT).pending_made == PARTS


def test_pending_maps_are_made_once_the_store_is_back_before_once_ends(
    world: LineWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_maps_pending(world)
    kept = world.images.path.rename(world.root / "kept")
    monkeypatch.setattr(explaining, "AWAY_S", 0.05)
    with hearing_that_they_are_away(lambda: kept.rename(world.images.path), words="pending maps must wait", times=1):
        assert world.run(**ALL_REJECT).pending_made == PARTS


def test_once_does_not_wait_for_ever(world: LineWorld) -> None:
    world.images.path.write_text("a file where the store's folder should be")
    with pytest.raises(RecordsAway, match="could not be stored"):
        world.run(**ALL_PASS, runtime={"once_waits_s": 0.2})
    assert (world.inspections(), len(names_in(world.incoming))) == ([], PARTS)
    world.images.path.unlink()
    all_are_there(world, world.run(**ALL_PASS))


def test_a_line_that_waits_can_be_stopped_and_the_next_one_goes_on(world: LineWorld) -> None:
    stop = threading.Event()
    with closing(sqlite3.connect(world.root / "kizu.db", isolation_level=None, check_same_thread=False)) as other:
        with hearing_that_they_are_away(stop.set), pytest.raises(RecordsAway, match="database is locked"):
            world.run(**ALL_PASS, stop=stop, progress=once(lambda: other.execute("BEGIN IMMEDIATE")))
        other.execute("ROLLBACK")
    before = len(world.inspections())
    assert 0 < before < PARTS
    assert world.run(**ALL_PASS).files == PARTS - before
    assert len(world.inspections()) == PARTS


def test_no_picture_is_blamed_for_ends_while_the_records_are_away(world: LineWorld) -> None:
    world.images.path.write_text("a file where the store's folder should be")
    blamed: list[bool] = []

    def end() -> None:
        blamed.append((world.incoming / JOURNAL_NAME).exists())  # what a start after a kill at this moment would read
        stop.set()

    for _ in range(MAX_ATTEMPTS):
        stop = threading.Event()
        with hearing_that_they_are_away(end), pytest.raises(RecordsAway):
            world.run(**ALL_PASS, stop=stop)
    assert blamed == [False] * MAX_ATTEMPTS
    world.images.path.unlink()
    all_are_there(world, world.run(**ALL_PASS))
    assert {record.row.verdict for record in world.inspections()} == {Verdict.PASS}


def rename_database(world: LineWorld, before: str, after: str) -> None:
    for ending in (".db", ".db-wal", ".db-shm"):
        if (world.root / f"{before}{ending}").exists():
            (world.root / f"{before}{ending}").rename(world.root / f"{after}{ending}")


def test_a_database_file_that_is_gone_is_waited_for_and_nothing_moves(world: LineWorld) -> None:
    moved: list[int] = []

    def come_back() -> None:
        moved.append(len(names_in(world.done)))
        assert not (world.root / "kizu.db").exists()  # no empty one was made in its place
        rename_database(world, "lost", "kizu")

    with hearing_that_they_are_away(come_back) as said:
        summary = world.run(**ALL_PASS, progress=once(lambda: rename_database(world, "kizu", "lost")))
    assert said[-1] == "records are back"
    assert moved == [4]  # the first batch, which is recorded
    all_are_there(world, summary)


def test_a_database_that_is_another_one_ends_the_line_before_anything_moves(world: LineWorld) -> None:
    def replace() -> None:
        rename_database(world, "kizu", "lost")
        upgrade(DatabaseSettings(url=f"sqlite:///{world.root / 'kizu.db'}"))

    with pytest.raises(RecordError, match="is not the one that this program opened: found another file under its name"):
        world.run(**ALL_PASS, progress=once(replace))
    assert len(names_in(world.done)) == 4
    assert len(names_in(world.incoming)) == PARTS - 4  # and no journal: it was no picture's doing
    rename_database(world, "kizu", "other")
    rename_database(world, "lost", "kizu")
    assert world.run(**ALL_PASS).files == PARTS - 4
    assert len(world.inspections()) == PARTS
