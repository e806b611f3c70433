"""Two people change the same thing at once: what the first decided is not written over, and the second is told."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy.engine import make_url

from db_examples import inspection
from kizu_db.permissions import Role
from kizu_db.records import Records, Unit
from kizu_db.settings import DatabaseSettings
from kizu_inspect.errors import KizuError, NotAllowed, RecordError

Step = Callable[[Unit], object]


@pytest.fixture
def people(records: Records) -> Records:
    """Records with the admins Ana and Bo, and Kim, a viewer."""
    with records.unit() as unit:
        unit.users.add("Ana", Role.ADMIN, by="root")
        unit.users.add("Bo", Role.ADMIN, by="Ana")
        unit.users.add("Kim", Role.VIEWER, by="Ana")
    return records


def both(records: Records, database: DatabaseSettings, first: Step, second: Step) -> KizuError | None:
    """The second begins before the first is kept, and has to wait for it; why it was refused, if it was.

    On SQLite it waits for its turn, before it reads anything; on PostgreSQL for a row, after it has read others.
    """
    refusal: list[KizuError] = []

    def begin() -> None:
        try:
            with records.unit() as unit:
                second(unit)
        except KizuError as error:
            refusal.append(error)

    thread = threading.Thread(target=begin)
    with records.unit() as unit:
        first(unit)
        thread.start()
        if database.file is None:
            _until_it_waits(database, thread)
    thread.join(60)
    assert not thread.is_alive()
    return refusal[0] if refusal else None


def _until_it_waits(database: DatabaseSettings, thread: threading.Thread) -> None:
    """Until a program of this database waits for a row that another one has."""
    server = make_url(database.url).set(drivername="postgresql").render_as_string(hide_password=False)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with psycopg.connect(server, autocommit=True) as connection:
        while connection.execute(waiting).fetchone() == (0,):
            assert thread.is_alive(), "it did not wait"
            connection.execute("SELECT pg_sleep(0.01)")


LET_OUT: Step = lambda unit: unit.users.change("Kim", by="Ana", active=False)  # noqa: E731 - one of a pair
GIVE_ROLE: Step = lambda unit: unit.users.change("Kim", by="Bo", role=Role.ENGINEER)  # noqa: E731


@pytest.mark.parametrize(("first", "second"), [(LET_OUT, GIVE_ROLE), (GIVE_ROLE, LET_OUT)], ids=["out, role", "role, out"])
def test_who_is_let_out_stays_out_whatever_role_is_given_at_once(
    people: Records, database: DatabaseSettings, first: Step, second: Step
) -> None:
    assert both(people, database, first, second) is None
    with people.unit(read_only=True) as unit:
        kim = next(user for user in unit.users.list() if user.name == "Kim")
        told = [(event.before, event.after) for event in unit.trail.of("user", "Kim")[1:]]
    assert (kim.role, kim.active) == (Role.ENGINEER, False)
    assert told[0][1] == told[1][0], "the second change begins where the first one ended"


def test_an_account_with_new_groups_does_not_let_in_who_is_let_out_at_once(people: Records, database: DatabaseSettings) -> None:
    with people.unit() as unit:
        assert unit.accounts.person_of("aa" * 32, "Kim", role=None, newcomers=None) == "Kim"

    def come_in(unit: Unit) -> None:
        unit.accounts.person_of("aa" * 32, "Kim", role=Role.ENGINEER, newcomers=None)

    refusal = both(people, database, LET_OUT, come_in)
    assert isinstance(refusal, NotAllowed)
    assert "found a user who was let out" in str(refusal)
    with people.unit(read_only=True) as unit:
        assert [user.active for user in unit.users.list() if user.name == "Kim"] == [False]


@pytest.mark.parametrize("role", [None, Role.ENGINEER], ids=["as entered", "role of the groups"])
def test_of_two_accounts_with_one_name_the_second_is_not_that_person(
    people: Records, database: DatabaseSettings, role: Role | None
) -> None:
    def come_in(account: str) -> Step:
        return lambda unit: unit.accounts.person_of(account, "Kim", role=role, newcomers=None)

    refusal = both(people, database, come_in("aa" * 32), come_in("bb" * 32))
    assert isinstance(refusal, NotAllowed)
    assert "Kim has another account" in str(refusal)
    with people.unit() as unit:
        assert come_in("aa" * 32)(unit) == "Kim"
        assert [event.action for event in unit.trail.of("user", "Kim")].count("user.account") == 1


def test_a_held_lot_keeps_who_held_it_first_and_why(people: Records, database: DatabaseSettings) -> None:
    with people.unit() as unit:
        unit.inspections.add(inspection(lot="L7"))

    def hold(by: str, reason: str) -> Step:
        return lambda unit: unit.lots.hold("L7", by=by, reason=reason)

    refusal = both(people, database, hold("Ana", "claim 4711"), hold("Bo", "mine"))
    assert isinstance(refusal, RecordError)
    assert "The lot L7 is held already" in str(refusal)
    with people.unit(read_only=True) as unit:
        assert [(lot.by, lot.reason) for lot in unit.lots.held()] == [("Ana", "claim 4711")]
        assert len(unit.trail.of("lot", "L7")) == 1
