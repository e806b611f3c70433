"""A PostgreSQL server that takes what is sent to it and answers nothing: who waits gives up, and goes on when it wakes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from sqlalchemy.exc import OperationalError

from db_examples import inspection, raw
from kizu_db import engine
from kizu_db.migrations import upgrade
from kizu_db.records import Records, Unit
from kizu_db.settings import DatabaseSettings
from kizu_db.uid import new_uid
from kizu_inspect.errors import RecordsAway
from server_world import frozen


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "PROMPT_ANSWER_S", 1.0)
    monkeypatch.setattr(engine, "ANSWER_S", 1.5)
    monkeypatch.setattr(engine, "_CONNECT_S", 2)
    monkeypatch.setattr(engine, "_IDLE_S", 0.0)  # each connection that lay there is asked whether the server is there


@pytest.fixture
def records(new_postgresql: Callable[[], DatabaseSettings]) -> Iterator[Records]:
    settings = new_postgresql()
    upgrade(settings)
    with Records.open(settings) as opened:
        yield opened


def parts(records: Records) -> set[str]:
    with records.unit(read_only=True) as unit:
        return {row.part for row in unit.inspections.latest()}


def add(unit: Unit, part: str, uid: str | None = None) -> None:
    unit.inspections.add(inspection(part=part, source_key=part), uid=uid)


@contextmanager
def giving_up(server: str) -> Iterator[Callable[[], object]]:
    """The server hangs from when that is called until the block ends, by an error that says so."""
    with pytest.raises(RecordsAway, match=r"gave no answer for \d+ s"), ExitStack() as hanging:
        yield lambda: hanging.enter_context(frozen(server))


@pytest.mark.parametrize("read_only", [True, False], ids=["read", "write"])
@pytest.mark.parametrize("prompt", [True, False], ids=["prompt", "patient"])
@pytest.mark.parametrize("used", [True, False], ids=["open", "new"])
def test_no_connection_waits_for_ever(
    records: Records, postgresql_server: str, *, read_only: bool, prompt: bool, used: bool
) -> None:
    """One that lay idle is asked for before it is given away, and a new one gets no answer either."""
    with records.unit() as unit:
        add(unit, "P0")
    if used:
        with records.unit(read_only=read_only, prompt=prompt) as unit:
            unit.inspections.latest()
    with frozen(postgresql_server), pytest.raises(RecordsAway), records.unit(read_only=read_only, prompt=prompt) as unit:
        unit.inspections.latest()
    assert parts(records) == {"P0"}


@pytest.mark.parametrize("prompt", [True, False], ids=["prompt", "patient"])
def test_a_statement_without_an_answer_is_given_up_and_nothing_of_it_kept(
    records: Records, postgresql_server: str, *, prompt: bool
) -> None:
    with giving_up(postgresql_server) as hang, records.unit(prompt=prompt) as unit:
        add(unit, "P0")
        hang()
        add(unit, "P1")
    assert parts(records) == set()
    with records.unit(prompt=True) as unit:
        add(unit, "P1")
    assert parts(records) == {"P1"}


def test_a_commit_whose_answer_is_lost_is_the_same_row(records: Records, postgresql_server: str) -> None:
    uid = new_uid()
    with giving_up(postgresql_server) as hang, records.unit(prompt=True) as unit:
        add(unit, "P0", uid)
        unit.finish()  # nothing is left but the commit
        hang()
    while not parts(records):  # the server wakes, and does what it was told before it sees that nobody waits
        time.sleep(0.01)
    with records.unit(prompt=True) as unit:
        assert unit.inspections.uid_of("folder incoming", "P0") == uid


def test_a_large_statement_that_is_not_taken_is_given_up(records: Records, postgresql_server: str) -> None:
    """More than the kernel keeps for the server: writing hangs as reading does."""
    with giving_up(postgresql_server) as hang, records.unit(prompt=True) as unit:
        add(unit, "P0")
        hang()
        unit.inspections.add(inspection(source_key="P1", image_name="x" * 20_000_000))
    assert parts(records) == set()


def test_claims_give_up_too(records: Records, postgresql_server: str) -> None:
    with records.unit() as unit:
        for part in ("P0", "P1", "P2"):
            add(unit, part)
    with records.claims() as claims:
        assert claims.take("kim") is not None
    with giving_up(postgresql_server) as hang, records.claims() as claims:
        hang()
        claims.take("kim")
    with records.claims() as claims:
        assert claims.take("kim") is not None


def test_what_is_slow_and_answers_is_waited_for(records: Records) -> None:
    """It is silence that is given up, and not work that takes long: a row comes every quarter of a second."""
    begun = time.monotonic()
    with records._engines["prompt"].connect() as connection:
        rows = connection.exec_driver_sql("SELECT repeat('x', 10000), pg_sleep(0.25) FROM generate_series(1, 8)").all()
    assert len(rows) == 8
    assert time.monotonic() - begun > engine.PROMPT_ANSWER_S


def test_nobody_who_opens_them_waits_for_ever(new_postgresql: Callable[[], DatabaseSettings]) -> None:
    settings = new_postgresql()
    upgrade(settings)
    with raw(settings) as other:
        other.exec_driver_sql("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(RecordsAway, match="no answer"):
            Records.open(settings)


def test_work_of_hours_is_not_cut_off(new_postgresql: Callable[[], DatabaseSettings]) -> None:
    """Counting all inspections anew says nothing until it is done."""
    settings = new_postgresql()
    upgrade(settings)
    with Records.open(settings, patient=True) as patient, patient._engines["write"].connect() as connection:
        connection.exec_driver_sql(f"SELECT pg_sleep({engine.ANSWER_S + 0.5})")
    with (
        pytest.raises(OperationalError, match="no answer"),
        Records.open(settings) as records,
        records._engines["write"].connect() as connection,
    ):
        connection.exec_driver_sql(f"SELECT pg_sleep({engine.ANSWER_S + 0.5})")


def test_closing_waits_for_nobody(new_postgresql: Callable[[], DatabaseSettings], postgresql_server: str) -> None:
    settings = new_postgresql()
    upgrade(settings)
    records = Records.open(settings)
    with records.unit(prompt=True) as unit:
        add(unit, "P0")
    with frozen(postgresql_server):
        records.close()
