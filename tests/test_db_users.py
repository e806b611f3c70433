"""Who may do what, and who is signed in."""

from __future__ import annotations

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
    Role.VIEWER: {Action.REPORT},
    Role.INSPECTOR: {Action.REPORT, Action.REVIEW},
    Role.ENGINEER: {Action.REPORT, Action.REVIEW, Action.RELEASE_CLAIM, Action.RELEASE_FILE},
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
        secret, other = unit.users.sign_in("kim", lasting=HOUR), unit.users.sign_in("Kim", lasting=HOUR)
        ended = unit.users.sign_in("Kim", lasting=timedelta(seconds=-1))
        user = unit.users.signed_in(secret, idle=HOUR)
        assert user is not None
        assert (user.name, user.role) == ("Kim", Role.VIEWER)
        assert unit.users.signed_in(ended, idle=HOUR) is None
        assert unit.users.signed_in("guessed", idle=HOUR) is None
        assert unit.users.signed_in(other, idle=timedelta(seconds=-1)) is None
        assert unit.users.signed_in(other, idle=HOUR) is None, "an idle session is ended for good"
    with raw(database) as connection:
        kept = connection.execute(text("SELECT token_sha256 FROM user_session")).scalars().all()
    assert secret not in kept
    assert len(kept) == 1
    with records.unit() as unit:
        unit.users.sign_out(secret)
        assert unit.users.signed_in(secret, idle=HOUR) is None
        again = unit.users.sign_in("Kim", lasting=HOUR)
        unit.users.change("Kim", by="Ana", active=False)
        assert unit.users.signed_in(again, idle=HOUR) is None
        with pytest.raises(NotAllowed, match="may not sign in"):
            unit.users.sign_in("Kim", lasting=HOUR)
