"""Who may do what, and who is signed in."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import text

from db_examples import inspection, raw, review
from kizu_db.permissions import Action, Role
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings
from kizu_inspect.errors import NotAllowed, RecordError

HOUR = timedelta(hours=1)

MAY = {
    Role.VIEWER: set(),
    Role.INSPECTOR: {Action.REPORT, Action.REVIEW},
    Role.ENGINEER: {
        Action.REPORT,
        Action.REVIEW,
        Action.SETTLE,
        Action.RELEASE_CLAIM,
        Action.RELEASE_FILE,
        Action.SET_LIMITS,
        Action.VERIFY,
    },
    Role.ADMIN: set(Action),
}


@pytest.mark.parametrize("role", Role)
def test_each_role_may_what_its_work_needs(records: Records, role: Role) -> None:
    with records.unit() as unit:
        unit.users.add("Ana", Role.ADMIN, by="root")
        if role is not Role.ADMIN:
            unit.users.add("Mina", role, by="Ana")
        name = "mina " if role is not Role.ADMIN else "ANA"
        for action in Action:
            if action in MAY[role]:
                unit.users.require(name, action)
            else:
                with pytest.raises(NotAllowed, match=f"may not {action}: found role {role}; expected the role {action.least}"):
                    unit.users.require(name, action)


def test_while_nobody_is_entered_everybody_may_work(records: Records) -> None:
    with records.unit() as unit:
        for action in Action:
            unit.users.require("whoever", action)
        unit.users.add("Ana", Role.ADMIN, by="whoever")
        with pytest.raises(NotAllowed, match="whoever may not review: found nobody of that name"):
            unit.users.require("whoever", Action.REVIEW)


def test_a_review_asks_who_may_in_the_function_that_writes(records: Records) -> None:
    with records.unit() as unit:
        uid = unit.inspections.add(inspection())
        unit.users.add("Ana", Role.ADMIN, by="root")
        unit.users.add("Vera", Role.VIEWER, by="Ana")
        for name in ("Vera", "nobody"):
            with pytest.raises(NotAllowed):
                unit.reviews.add(review(uid, reviewer=name))
        assert unit.reviews.of(uid) == []
        unit.users.change("Vera", by="Ana", role=Role.INSPECTOR)
        unit.reviews.add(review(uid, reviewer="Vera"))
        unit.users.change("Vera", by="Ana", active=False)
        with pytest.raises(NotAllowed, match="found a user who was let out"):
            unit.reviews.add(review(uid, reviewer="Vera"))


def test_somebody_can_always_manage_the_others(records: Records) -> None:
    with records.unit() as unit:
        with pytest.raises(RecordError, match="first user must manage the others: found role inspector"):
            unit.users.add("Kim", Role.INSPECTOR, by="root")
        unit.users.add("Ana", Role.ADMIN, by="root")
        for change in ({"role": Role.ENGINEER}, {"active": False}):
            with pytest.raises(RecordError, match="Ana is the last admin"):
                unit.users.change("ana", by="Ana", **change)  # type: ignore[arg-type]
        unit.users.add("Bo", Role.ADMIN, by="Ana")
        unit.users.change("Ana", by="Bo", role=Role.VIEWER)
        with pytest.raises(NotAllowed):
            unit.users.change("Bo", by="Ana", role=Role.VIEWER)
        assert [(user.name, user.role, user.active) for user in unit.users.list()] == [
            ("Ana", Role.VIEWER, True), ("Bo", Role.ADMIN, True),
        ]  # fmt: skip


def test_two_admins_cannot_take_the_role_from_each_other_at_once(records: Records) -> None:
    with records.unit() as unit:
        unit.users.add("Ana", Role.ADMIN, by="root")
        unit.users.add("Bo", Role.ADMIN, by="Ana")
    both = threading.Barrier(2)
    failed: list[Exception] = []

    def demote(name: str, by: str) -> None:
        both.wait(60)
        try:
            with records.unit() as unit:
                unit.users.change(name, by=by, role=Role.VIEWER)
        except (RecordError, NotAllowed) as error:  # the last admin, or no admin any more
            failed.append(error)

    threads = [threading.Thread(target=demote, args=names) for names in (("Ana", "Bo"), ("Bo", "Ana"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(failed) == 1
    with records.unit(read_only=True) as unit:
        assert sorted(user.role for user in unit.users.list()) == [Role.ADMIN, Role.VIEWER]


def test_who_manages_the_others_sees_who_is_signed_in_and_ends_it(records: Records) -> None:
    with records.unit() as unit:
        unit.users.add("Ana", Role.ADMIN, by="root", password_hash="hash")
        unit.users.add("Mina", Role.ENGINEER, by="Ana")
        secrets = [unit.sign_ins.begin(name, lasting=HOUR) for name in ("Ana", "Mina", "Mina")]
        over = unit.sign_ins.begin("Mina", lasting=-HOUR)
    with records.unit(read_only=True) as unit:
        ana, mina = unit.users.people(idle=HOUR)
        assert [(one.user.name, one.has_password, len(one.came_in)) for one in (ana, mina)] == [
            ("Ana", True, 1),
            ("Mina", False, 2),
        ]
        assert mina.came_in[0].last_seen_at >= mina.came_in[1].last_seen_at
        assert [one.came_in for one in unit.users.people(idle=-HOUR)] == [()] * 2
    with pytest.raises(NotAllowed), records.unit() as unit:
        unit.users.end_sign_ins("Ana", by="Mina")
    with pytest.raises(RecordError, match="no such user"), records.unit() as unit:
        unit.users.end_sign_ins("Nobody", by="Ana")
    with records.unit() as unit:
        assert unit.users.end_sign_ins("mina", by="Ana", reason="lost phone") == 3, "one was over, and not yet removed"
        told = unit.trail.of("user", "Mina")[-1]
        assert (told.action, told.before, told.after, told.reason) == (
            "user.sign_out", {"sign_ins": 3}, {"sign_ins": 0}, "lost phone",
        )  # fmt: skip
    with records.unit(read_only=True) as unit:
        signed_in = [unit.sign_ins.whose(secret, idle=HOUR) for secret in (*secrets, over)]
    assert [one is not None for one in signed_in] == [True, False, False, False]


def test_names_are_taken_in_upper_and_lower_case(records: Records) -> None:
    with records.unit() as unit:
        unit.users.add("Ana", Role.ADMIN, by="root")
        for name, message in (("aNA", "name is taken"), ("  ", "needs a name")):
            with pytest.raises(RecordError, match=message):
                unit.users.add(name, Role.ADMIN, by="Ana")
        with pytest.raises(RecordError, match="no such user: found 'Kim'"):
            unit.users.change("Kim", by="Ana", active=True)


def test_changes_of_users_are_told(records: Records) -> None:
    with records.unit() as unit:
        unit.users.add("Ana", Role.ADMIN, by="root")
        unit.users.add("Kim", Role.VIEWER, by="Ana")
        unit.users.change("Kim", by="Ana", role=Role.ENGINEER)
        (added, changed) = unit.trail.of("user", "Kim")
    assert (added.before, added.after) == (None, {"role": "viewer", "active": True})
    assert (changed.before, changed.after) == ({"role": "viewer", "active": True}, {"role": "engineer", "active": True})


def test_a_session_stands_for_its_user_until_it_ends(records: Records, database: DatabaseSettings) -> None:
    with records.unit() as unit:
        unit.users.add("Ana", Role.ADMIN, by="root")
        unit.users.add("Kim", Role.VIEWER, by="Ana")
        ended = unit.sign_ins.begin("Kim", lasting=timedelta(seconds=-1))
        assert unit.sign_ins.whose(ended, idle=HOUR) is None
        secret, other = unit.sign_ins.begin("kim", lasting=HOUR), unit.sign_ins.begin("Kim", lasting=HOUR)
        signed_in = unit.sign_ins.whose(secret, idle=HOUR)
        assert signed_in is not None
        assert (signed_in.user.name, signed_in.user.role) == ("Kim", Role.VIEWER)
        assert unit.sign_ins.whose("guessed", idle=HOUR) is None
        assert unit.sign_ins.whose(other, idle=timedelta(seconds=-1)) is None
    with raw(database) as connection:
        kept = connection.execute(text("SELECT token_sha256 FROM user_session")).scalars().all()
    assert secret not in kept
    assert len(kept) == 2, "a sign-in clears away what has ended"
    with records.unit() as unit:
        unit.sign_ins.end(secret)
        assert unit.sign_ins.whose(secret, idle=HOUR) is None
        again = unit.sign_ins.begin("Kim", lasting=HOUR)
        unit.users.change("Kim", by="Ana", active=False)
        assert unit.sign_ins.whose(again, idle=HOUR) is None
        with pytest.raises(NotAllowed, match="may not sign in"):
            unit.sign_ins.begin("Kim", lasting=HOUR)


def test_a_look_writes_nothing_and_a_use_that_is_noted_keeps_the_session(records: Records, database: DatabaseSettings) -> None:
    with records.unit() as unit:
        unit.users.add("Ana", Role.ADMIN, by="root")
        secret = unit.sign_ins.begin("Ana", lasting=HOUR)
    with raw(database) as connection:
        connection.execute(text("UPDATE user_session SET last_seen_at = '2001-01-01 00:00:00+00:00'"))
    with records.unit(read_only=True) as unit:  # where a write would be refused
        assert unit.sign_ins.whose(secret, idle=HOUR) is None
        old = unit.sign_ins.whose(secret, idle=timedelta(days=40_000))
    assert old is not None
    assert old.last_seen_at.year == 2001
    with records.unit() as unit:
        unit.sign_ins.saw(secret, idle=HOUR)
        assert unit.sign_ins.whose(secret, idle=HOUR) is None, "a session that was idle for too long is over for good"
        unit.sign_ins.saw(secret, idle=timedelta(days=40_000))
        assert unit.sign_ins.whose(secret, idle=HOUR) is not None


@pytest.mark.parametrize("spelling", ["Kim Min-ji", " kim  MIN-JI ", "Kim\u3000Min-ji", "\uff2bim Min-ji"])
def test_all_spellings_of_a_name_are_one_person(records: Records, spelling: str) -> None:
    with records.unit() as unit:
        unit.users.add("Ana", Role.ADMIN, by="root")
        unit.users.add("Kim Min-ji", Role.INSPECTOR, by="Ana")
        unit.users.require(spelling, Action.REVIEW)
        with pytest.raises(RecordError, match="name is taken"):
            unit.users.add(spelling, Role.VIEWER, by="Ana")


@pytest.mark.parametrize("unseen", ["\u200b", "\u202e", "\xad", "\u3164", "\u034f", "\ufe0f", "\0", "\udc80"])
def test_nobody_is_entered_under_a_name_that_reads_as_anothers(records: Records, unseen: str) -> None:
    with records.unit() as unit:
        unit.users.add("Ana", Role.ADMIN, by="root")
        with pytest.raises(RecordError, match="a character that nobody sees") as raised:
            unit.users.add(f"An{unseen}a", Role.VIEWER, by="Ana")
        assert unseen not in str(raised.value), "it is told as one can read it"
        with pytest.raises(NotAllowed):
            unit.accounts.person_of("aa" * 32, f"Ana{unseen}", role=None, newcomers=Role.VIEWER)
        assert [user.name for user in unit.users.list()] == ["Ana"]


def test_a_name_in_hangul_is_the_same_from_any_keyboard(records: Records) -> None:
    composed, parts = "\uae40\ubbfc\uc9c0", "\u1100\u1175\u11b7\u1106\u1175\u11ab\u110c\u1175"
    with records.unit() as unit:
        assert unit.users.add(parts, Role.ADMIN, by="root").name == composed
        unit.users.require(composed, Action.MANAGE_USERS)


def test_who_was_entered_before_names_were_folded_whole_is_still_found(records: Records, database: DatabaseSettings) -> None:
    with records.unit() as unit:
        unit.users.add("Ana", Role.ADMIN, by="root")
    with raw(database) as connection:
        connection.execute(text("UPDATE user_account SET name = 'An  A', name_folded = 'an  a'"))
    with records.unit() as unit:
        unit.users.require("An  A", Action.MANAGE_USERS)
        with pytest.raises(RecordError, match="name is taken"):
            unit.users.add("An  A", Role.VIEWER, by="An  A")


def test_another_password_ends_the_sessions_and_is_told_without_its_hash(records: Records) -> None:
    with records.unit() as unit:
        unit.users.add("Ana", Role.ADMIN, by="root")
        unit.users.add("Kim", Role.VIEWER, by="Ana", password_hash="first hash")
        kims = unit.sign_ins.begin("Kim", lasting=HOUR, proof="first hash")
        anas = unit.sign_ins.begin("Ana", lasting=HOUR)
        unit.users.set_password("kim", "second hash", by="KIM")
        assert unit.sign_ins.whose(kims, idle=HOUR) is None
        assert unit.sign_ins.whose(anas, idle=HOUR) is not None
        assert unit.users.password_hash("KIM ") == "second hash"
        with pytest.raises(NotAllowed):
            unit.sign_ins.begin("Kim", lasting=HOUR, proof="first hash")
        with pytest.raises(NotAllowed, match="Kim may not manage users"):
            unit.users.set_password("Ana", "x", by="Kim")
        with pytest.raises(RecordError, match="no such user: found 'Lee'"):
            unit.users.set_password("Lee", "x", by="Ana")
        told = unit.trail.of("user", "Kim")
    assert [event.action for event in told] == ["user.add", "user.sign_in", "user.password"]
    assert "hash" not in str(told)


def test_a_sign_in_by_the_old_password_does_not_outlive_it(records: Records) -> None:
    """Both at once: the new password comes before the sign-in, which it refuses, or after it, and ends it."""
    with records.unit() as unit:
        unit.users.add("Ana", Role.ADMIN, by="root", password_hash="old")
    begun, secrets = threading.Event(), []

    def reset() -> None:
        with records.unit() as other:
            begun.set()
            other.users.set_password("Ana", "new", by="Ana")

    thread = threading.Thread(target=reset)
    with records.unit() as unit:
        secrets.append(unit.sign_ins.begin("Ana", lasting=HOUR, proof="old"))
        thread.start()
        if records.file is None:  # SQLite's only writer waits for its turn before it begins
            assert begun.wait(60)
    thread.join(60)
    with records.unit(read_only=True) as unit:
        assert unit.users.password_hash("Ana") == "new"
        assert unit.sign_ins.whose(secrets[0], idle=HOUR) is None


def test_who_is_let_out_has_no_password(records: Records) -> None:
    with records.unit() as unit:
        unit.users.add("Ana", Role.ADMIN, by="root")
        unit.users.add("Kim", Role.VIEWER, by="Ana", password_hash="x")
        unit.users.change("Kim", by="Ana", active=False)
        assert unit.users.password_hash("Kim") is None
