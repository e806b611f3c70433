"""PINs, badges and terminals in the records: whose they are, where they work, and when they end."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import text

from db_examples import raw
from kizu_db.permissions import Role, Way
from kizu_db.records import Records
from kizu_db.repositories.accounts import account_sha256
from kizu_db.repositories.credentials import PIN_TRIES
from kizu_db.settings import DatabaseSettings
from kizu_inspect.errors import NotAllowed, RecordError

HOUR = timedelta(hours=1)
BADGE = "ba" * 32


@pytest.fixture
def hall(records: Records) -> int:
    """The number of the known terminal "Hall 2", where Ana (admin) and Kim (viewer) have PINs, and Ana has a badge."""
    with records.unit() as unit:
        unit.users.add("Ana", Role.ADMIN, by="root")
        unit.users.add("Kim", Role.VIEWER, by="Ana")
        for name in ("Ana", "Kim"):
            unit.credentials.set_pin(name, f"pin of {name}", by="Ana", reason="new")
        unit.credentials.set_badge("ana", BADGE, by="Ana", reason="new")
        secret = unit.terminals.add(" Hall  2 ", by="Ana", reason="the line's own screen")
        found = unit.terminals.known_by(secret)
    assert found is not None
    assert (found.name, found.made_by, found.last_used_at) == ("Hall 2", "Ana", None)
    return found.id


def begin(records: Records, name: str, way: Way, proof: str | None, terminal: int | None, *, lasting: timedelta = HOUR) -> str:
    with records.unit() as unit:
        return unit.sign_ins.begin(name, lasting=lasting, way=way, proof=proof, terminal=terminal)


def role_of(records: Records, secret: str, *, at_terminal: timedelta = HOUR) -> Role | None:
    with records.unit(read_only=True) as unit:
        found = unit.sign_ins.whose(secret, idle=HOUR, idle_at_terminal=at_terminal)
    return None if found is None else found.user.role


def test_by_pin_or_badge_an_admin_is_an_inspector_and_a_viewer_stays_one(records: Records, hall: int) -> None:
    secrets = [
        begin(records, "ana", Way.PIN, "pin of Ana", hall),
        begin(records, "Ana", Way.BADGE, BADGE, hall),
        begin(records, "Kim", Way.PIN, "pin of Kim", hall),
        begin(records, "Ana", Way.PASSWORD, None, None),
    ]
    assert [role_of(records, one) for one in secrets] == [Role.INSPECTOR, Role.INSPECTOR, Role.VIEWER, Role.ADMIN]
    with records.unit(read_only=True) as unit:
        users = [unit.sign_ins.whose(one, idle=HOUR) for one in secrets]
        assert [one.user.at_terminal for one in users if one is not None] == [True, True, True, False]
        ana, kim = unit.users.people(idle=HOUR)
        assert sorted((one.way, one.terminal) for one in ana.came_in) == [
            ("badge", "Hall 2"), ("password", None), ("pin", "Hall 2"),
        ]  # fmt: skip
        assert (ana.has_pin, ana.has_badge, ana.has_password, kim.has_badge) == (True, True, False, False)
        (terminal,) = unit.terminals.list()
        assert terminal.last_used_at is not None
        told = [event.after for event in unit.trail.of("user", "Ana") if event.action == "user.sign_in"]
    assert told == [{"way": "pin", "terminal": "Hall 2"}, {"way": "badge", "terminal": "Hall 2"}, {"way": "password"}]


@pytest.mark.parametrize(
    ("way", "proof", "known"),
    [
        (Way.PIN, "pin of Kim", True), (Way.PIN, None, True), (Way.BADGE, None, True), (Way.PIN, "pin of Ana", False),
        (Way.BADGE, BADGE, False),
    ],
    ids=["another's PIN", "no PIN", "no badge", "PIN elsewhere", "badge elsewhere"],
)  # fmt: skip
def test_without_the_proof_or_a_known_terminal_nobody_comes_in(
    records: Records, hall: int, way: Way, proof: str | None, known: bool
) -> None:
    for terminal in (hall,) if known else (None, hall + 1):
        with pytest.raises(NotAllowed):
            begin(records, "Ana", way, proof, terminal)
    with records.unit(read_only=True) as unit:
        assert [one.came_in for one in unit.users.people(idle=HOUR)] == [(), ()]


def test_a_sign_in_at_a_terminal_is_idle_sooner(records: Records, hall: int, database: DatabaseSettings) -> None:
    quick, other = begin(records, "Ana", Way.BADGE, BADGE, hall), begin(records, "Ana", Way.PASSWORD, None, None)
    minute = timedelta(minutes=1)
    for secret in (quick, other):
        assert role_of(records, secret, at_terminal=minute) is not None
    with raw(database) as connection:
        back = "datetime(last_seen_at, '-5 minutes')" if records.file else "last_seen_at - interval '5 minutes'"
        connection.execute(text(f"UPDATE user_session SET last_seen_at = {back}"))
    with records.unit() as unit:
        unit.sign_ins.saw(quick, idle=HOUR, idle_at_terminal=minute)
        assert [len(one.came_in) for one in unit.users.people(idle=HOUR, idle_at_terminal=minute)] == [1, 0]
    assert role_of(records, quick, at_terminal=minute) is None, "it was over when it was used again"
    assert role_of(records, other, at_terminal=minute) is Role.ADMIN


def test_a_withdrawn_terminal_lets_nobody_in_and_those_there_out(records: Records, hall: int) -> None:
    there, elsewhere = begin(records, "Ana", Way.BADGE, BADGE, hall), begin(records, "Ana", Way.PASSWORD, None, None)
    with pytest.raises(NotAllowed), records.unit() as unit:
        unit.terminals.withdraw("Hall 2", by="Kim", reason="mine")
    with records.unit() as unit:
        unit.terminals.withdraw("HALL 2", by="Ana", reason="stolen")
        assert unit.terminals.list() == []
        added, withdrawn = unit.trail.of("terminal", "Hall 2")
        with pytest.raises(RecordError, match="no such terminal"):
            unit.terminals.withdraw("Hall 2", by="Ana", reason="again")
    assert (added.action, added.actor, added.reason) == ("terminal.add", "Ana", "the line's own screen")
    assert (withdrawn.action, withdrawn.before, withdrawn.after) == ("terminal.withdraw", {"known": True}, {"known": False})
    assert (role_of(records, there), role_of(records, elsewhere)) == (None, Role.ADMIN)
    with pytest.raises(NotAllowed):
        begin(records, "Ana", Way.BADGE, BADGE, hall)


def test_of_a_withdrawal_and_a_sign_in_at_once_none_outlives_the_terminal(records: Records, hall: int) -> None:
    begun = threading.Event()

    def withdraw() -> None:
        with records.unit() as other:
            begun.set()
            other.terminals.withdraw("Hall 2", by="Ana", reason="stolen")

    thread = threading.Thread(target=withdraw)
    with records.unit() as unit:
        secret = unit.sign_ins.begin("Ana", lasting=HOUR, way=Way.BADGE, proof=BADGE, terminal=hall)
        thread.start()
        if records.file is None:  # SQLite's only writer waits for its turn before it begins
            assert begun.wait(60)
    thread.join(60)
    assert role_of(records, secret) is None


@pytest.mark.usefixtures("hall")
def test_only_an_admin_makes_a_terminal_known_and_each_has_its_name(records: Records) -> None:
    for name, by, error in (("x", "Kim", NotAllowed), ("hall 2", "Ana", RecordError), ("  ", "Ana", RecordError)):
        with pytest.raises(error), records.unit() as unit:
            unit.terminals.add(name, by=by, reason="more")
    with records.unit(read_only=True) as unit:
        assert unit.terminals.known_by("guessed") is None
        assert [one.name for one in unit.terminals.list()] == ["Hall 2"]


def test_a_pin_that_is_guessed_wrong_ten_times_is_withdrawn(records: Records, hall: int) -> None:
    there = begin(records, "Ana", Way.PIN, "pin of Ana", hall)
    for number in range(PIN_TRIES):
        with records.unit() as unit:
            assert unit.credentials.pin_to_try(" ANA") == "pin of Ana", number
            unit.credentials.pin_was_wrong("pin of Ana")
    with records.unit() as unit:
        assert unit.credentials.pin_to_try("Ana") is None
        ana, kim = unit.users.people(idle=HOUR)
        told = unit.trail.of("user", "Ana")[-1]
    assert (ana.has_pin, kim.has_pin) == (False, True)
    assert (told.action, told.actor, told.before, told.after, told.reason) == (
        "user.pin", "Kizu", {"pin": True}, {"pin": False}, "wrong 10 times in a row",
    )  # fmt: skip
    assert role_of(records, there) is None
    with pytest.raises(NotAllowed):
        begin(records, "Ana", Way.PIN, "pin of Ana", hall)
    with records.unit() as unit:
        unit.credentials.set_pin("Ana", "another", by="Ana", reason="forgotten")
        assert unit.credentials.pin_to_try("Ana") == "another"


@pytest.mark.usefixtures("hall")
def test_a_try_counts_before_it_is_looked_at_and_a_right_one_begins_anew(records: Records) -> None:
    """Many at once are no more tries than one after the other: nobody said yet that any of them was wrong."""
    tries = []
    for _ in range(PIN_TRIES + 3):
        with records.unit() as unit:
            tries.append(unit.credentials.pin_to_try("Kim"))
    assert tries == ["pin of Kim"] * PIN_TRIES + [None] * 3
    with records.unit() as unit:
        unit.credentials.pin_was_right("pin of Kim")
        assert unit.credentials.pin_to_try("Kim") == "pin of Kim"
        unit.credentials.pin_was_wrong("pin of Kim")
        assert unit.credentials.pin_to_try("Kim") == "pin of Kim"
        unit.users.change("Kim", by="Ana", active=False)
        assert unit.credentials.pin_to_try("Kim") is None
        assert unit.credentials.pin_to_try("Nobody") is None


def test_one_badge_is_one_person_until_it_is_withdrawn(records: Records, hall: int) -> None:
    there = begin(records, "Ana", Way.BADGE, BADGE, hall)
    with pytest.raises(RecordError, match="This badge is that of Ana"), records.unit() as unit:
        unit.credentials.set_badge("Kim", BADGE, by="Ana", reason="new")
    with pytest.raises(NotAllowed), records.unit() as unit:
        unit.credentials.set_badge("Kim", "cc" * 32, by="Kim", reason="new")
    with records.unit() as unit:
        assert unit.credentials.whose_badge(BADGE) == "Ana"
        unit.credentials.set_badge("Ana", None, by="Ana", reason="lost")
        assert unit.credentials.whose_badge(BADGE) is None
        told = unit.trail.of("user", "Ana")[-1]
        unit.credentials.set_badge("Kim", BADGE, by="Ana", reason="found again")
        assert unit.credentials.whose_badge(BADGE) == "Kim"
        unit.users.change("Kim", by="Ana", active=False)
        assert unit.credentials.whose_badge(BADGE) is None
    assert (told.action, told.before, told.after, told.reason) == ("user.badge", {"badge": True}, {"badge": False}, "lost")
    assert role_of(records, there) is None
    with pytest.raises(NotAllowed):
        begin(records, "Ana", Way.BADGE, BADGE, hall)


@pytest.mark.usefixtures("hall")
def test_who_may_set_a_pin(records: Records) -> None:
    with records.unit() as unit:
        unit.credentials.set_pin("KIM", "own", by="kim", reason="mine")
    for name, by, error in (("Ana", "Kim", NotAllowed), ("Lee", "Ana", RecordError)):
        with pytest.raises(error), records.unit() as unit:
            unit.credentials.set_pin(name, "x", by=by, reason="why")
    with records.unit() as unit:
        assert (unit.credentials.pin_to_try("Kim"), unit.credentials.pin_to_try("Ana")) == ("own", "pin of Ana")


@pytest.mark.usefixtures("hall")
def test_an_account_is_one_persons_and_each_has_one(records: Records) -> None:
    first, second = account_sha256("https://login", "1"), account_sha256("https://login", "2")
    assert account_sha256("https://login1", "") != account_sha256("https://login", "1")

    def person(account: str, name: str, *, role: Role | None = None, newcomers: Role | None = None) -> str:
        with records.unit() as unit:
            return unit.accounts.person_of(account, name, role=role, newcomers=newcomers)

    assert (person(first, " KIM"), person(first, "Ana")) == ("Kim", "Kim")
    secret = begin(records, "Kim", Way.OIDC, first, None)
    for account, name in ((second, "Kim"), (second, "Nobody")):
        with pytest.raises(NotAllowed):
            person(account, name)
    with pytest.raises(NotAllowed):
        begin(records, "Kim", Way.OIDC, second, None)
    assert person(second, "Bo  Li", newcomers=Role.VIEWER) == "Bo Li"
    assert person(second, "Bo Li", role=Role.ENGINEER) == "Bo Li"
    third = account_sha256("https://login", "3")
    assert person(third, "Ana", role=Role.VIEWER) == "Ana"
    with pytest.raises(NotAllowed), records.unit() as unit:
        unit.accounts.forget("Kim", by="Kim", reason="mine")
    with records.unit() as unit:
        unit.accounts.forget("Kim", by="Ana", reason="another name")
        unit.users.change("Bo Li", by="Ana", active=False)
        assert {user.name: user.role for user in unit.users.list()} == {
            "Ana": Role.ADMIN, "Bo Li": Role.ENGINEER, "Kim": Role.VIEWER,
        }  # fmt: skip
        told = [(event.action, event.actor) for event in unit.trail.of("user", "Bo Li")]
    assert told[:3] == [
        ("user.add", "sign-in service"),
        ("user.account", "sign-in service"),
        ("user.change", "sign-in service"),
    ]
    assert role_of(records, secret) is None
    with pytest.raises(NotAllowed):
        person(second, "Bo Li")
    with pytest.raises(NotAllowed):
        begin(records, "Kim", Way.OIDC, first, None)


def test_nobody_becomes_the_first_person_by_an_account(records: Records) -> None:
    with pytest.raises(NotAllowed), records.unit() as unit:
        unit.accounts.person_of("aa" * 32, "Kim", role=None, newcomers=Role.ADMIN)


def test_nothing_that_lets_in_stands_in_the_records(records: Records, hall: int, database: DatabaseSettings) -> None:
    secret = begin(records, "Ana", Way.BADGE, BADGE, hall)
    with records.unit() as unit:
        terminal = unit.terminals.add("Gate", by="Ana", reason="second")
        salt = unit.credentials.badge_salt()
    assert salt is not None
    assert len(salt) == 32
    with raw(database) as connection:
        rows = [
            str(connection.execute(text(f"SELECT * FROM {table}")).all())
            for table in ("terminal", "user_session", "audit_event")
        ]
    assert secret not in "".join(rows)
    assert terminal not in "".join(rows)
    assert not any(hashed in rows[2] for hashed in (BADGE, "pin of"))
