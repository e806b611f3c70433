"""The page Admin: who sees what there, and what is stored of what is done to people, claims and files."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from html import escape
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard_world import PEOPLE, Plant, filled_plant, session_cookie
from kizu_dashboard.signing_in.passwords import matches
from kizu_dashboard.signing_in.sessions import cookie_name
from kizu_db.permissions import Role, Way
from kizu_db.values import AuditEvent
from pages_world import drawn, open_page, words
from signing_world import PASSWORD


@pytest.fixture
def plant(tmp_path: Path, cookies: dict[str, str]) -> Iterator[Plant]:
    """Ana, the admin, looks at it."""
    with filled_plant(tmp_path) as plant:
        cookies |= session_cookie(plant.config, "Ana")
        yield plant


def section(plant: Plant, name: str) -> AppTest:
    return open_page(plant.config, "admin.py", section=name)


def filled(test: AppTest, **fields: str) -> AppTest:
    """With this text in these fields; blanks in keys for underscores."""
    for key, value in fields.items():
        test.text_input(key=key.replace("_", "-")).set_value(value)
    return test


def pressed(test: AppTest, key: str) -> str:
    """What the page then says."""
    return words(drawn(test.button(key=key).click().run()))


def of_person(plant: Plant, name: str) -> AppTest:
    return drawn(section(plant, "People").selectbox(key="person").select(name).run())


def trail(plant: Plant, subject: str, subject_id: str) -> list[AuditEvent]:
    with plant.room.records.unit(read_only=True) as unit:
        return unit.trail.of(subject, subject_id)


def roles(plant: Plant) -> dict[str, Role]:
    with plant.room.records.unit(read_only=True) as unit:
        return {user.name: user.role for user in unit.users.list()}


def set_role(plant: Plant, name: str, role: Role) -> None:
    with plant.room.records.unit() as unit:
        if name == "Ana":
            unit.users.change("Eun", by="Ana", role=Role.ADMIN)  # somebody must be
        unit.users.change(name, by="Ana", role=role)


@pytest.mark.parametrize("name", ["Vera", "Kim"])
def test_viewers_and_inspectors_see_nothing_of_it(plant: Plant, cookies: dict[str, str], name: str) -> None:
    cookies |= session_cookie(plant.config, name)
    test = open_page(plant.config, "admin.py")
    text = words(test)
    assert f"It needs the role engineer or one above; you are {PEOPLE[name]}." in text
    assert "Ana" not in text
    assert not [one for one in (*test.button, *test.text_input, *test.selectbox) if one.key]


def test_people_are_listed_with_what_they_may_and_whether_they_are_signed_in(plant: Plant) -> None:
    text = words(section(plant, "People"))
    assert "<td>Eun</td><td>engineer</td><td></td><td>none</td><td>–</td>" in text
    assert "<td>Ana</td><td>admin</td><td></td><td>none</td><td>password</td>" in text


def test_who_is_added_signs_in_by_the_password_and_the_trail_says_why(plant: Plant) -> None:
    test = filled(section(plant, "People"), new_name=" Bo  Li ", new_password=PASSWORD, new_password_again=PASSWORD)
    test.selectbox(key="new-role").select(Role.ENGINEER)
    assert "Say why" in pressed(test, "add")
    assert roles(plant) == PEOPLE
    assert test.text_input(key="new-name").value == " Bo  Li "
    assert test.text_input(key="new-password").value == "", "a password is never kept in the page"
    filled(test, new_password=PASSWORD, new_password_again=PASSWORD, new_why="second shift")
    assert "✓ Bo Li is engineer" in pressed(test, "add")
    assert [test.text_input(key=key).value for key in ("new-name", "new-password", "new-why")] == ["", "", ""]
    assert test.selectbox(key="new-role").value is Role.INSPECTOR, "the next one is no engineer unless somebody says so"
    assert [one.value for one in test.warning] == []
    with plant.room.records.unit(read_only=True) as unit:
        assert matches(PASSWORD, unit.users.password_hash("bo li"))
    (event,) = trail(plant, "user", "Bo Li")
    assert (event.actor, event.action, event.before, event.after, event.reason) == (
        "Ana", "user.add", None, {"role": "engineer", "active": True}, "second shift",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "again", "said"),
    [("correct horse 7", "correct horse 8", "The two passwords differ"), ("short", "short", "The password cannot be taken")],
)
def test_a_password_that_cannot_be_taken_enters_nobody(plant: Plant, typed: str, again: str, said: str) -> None:
    test = filled(section(plant, "People"), new_name="Bo", new_password=typed, new_password_again=again, new_why="new")
    assert said in pressed(test, "add")
    assert roles(plant) == PEOPLE


def test_who_is_entered_without_a_password_cannot_sign_in(plant: Plant) -> None:
    test = filled(section(plant, "People"), new_name="Bo", new_why="only in commands")
    assert "Bo is inspector, without a password" in pressed(test, "add")
    with plant.room.records.unit(read_only=True) as unit:
        assert unit.users.password_hash("Bo") is None


def test_a_role_is_given_and_a_person_let_out_and_in_again(plant: Plant) -> None:
    secret = plant.session("Kim")
    test = of_person(plant, "Kim")
    test.selectbox(key="role-Kim").select(Role.ENGINEER)
    assert "Kim is engineer" in pressed(filled(test, why_Kim="trained"), "give-role-Kim")
    assert roles(plant)["Kim"] is Role.ENGINEER
    assert plant.room.sessions.whose(secret) is not None
    assert "Kim is let out" in pressed(filled(test, why_Kim="left the plant"), "let-Kim")
    assert plant.room.sessions.whose(secret) is None
    assert "Kim may sign in again" in pressed(filled(test, why_Kim="came back"), "let-Kim")
    told = [(event.before, event.after, event.reason) for event in trail(plant, "user", "Kim") if event.action == "user.change"]
    engineer_in, engineer_out = ({"role": "engineer", "active": active} for active in (True, False))
    assert told == [
        ({"role": "inspector", "active": True}, engineer_in, "trained"),
        (engineer_in, engineer_out, "left the plant"),
        (engineer_out, engineer_in, "came back"),
    ]


def test_another_password_and_the_end_of_sign_ins_sign_a_person_out(plant: Plant) -> None:
    first, test = plant.session("Kim"), of_person(plant, "Kim")
    fields = {"change_Kim_password": PASSWORD, "change_Kim_password_again": PASSWORD, "why_password_Kim": "forgotten"}
    assert "Kim has another password" in pressed(filled(test, **fields), "set-password-Kim")
    assert plant.room.sessions.whose(first) is None
    with plant.room.records.unit(read_only=True) as unit:
        assert matches(PASSWORD, unit.users.password_hash("Kim"))
    second = plant.session("Kim")
    drawn(test.run())
    assert "Kim is signed out everywhere: 1 sign-in ended" in pressed(filled(test, why_Kim="lost phone"), "end-Kim")
    assert plant.room.sessions.whose(second) is None
    assert [event.reason for event in trail(plant, "user", "Kim") if event.reason] == ["forgotten", "lost phone"]


def test_the_last_admin_stays(plant: Plant) -> None:
    test = of_person(plant, "Ana")
    test.selectbox(key="role-Ana").select(Role.VIEWER)
    assert "Ana is the last admin" in pressed(filled(test, why_Ana="holidays"), "give-role-Ana")
    assert "Ana is the last admin" in pressed(filled(test, why_Ana="holidays"), "let-Ana")
    assert roles(plant) == PEOPLE


@pytest.mark.parametrize(
    "key", ["add", "give-role-Kim", "let-Kim", "end-Kim", "set-password-Kim", "set-pin-Kim", "give-badge-Kim"]
)
def test_who_lost_the_role_meanwhile_changes_no_person(plant: Plant, key: str) -> None:
    secret, test = plant.session("Kim"), of_person(plant, "Kim")
    test.selectbox(key="role-Kim").select(Role.ADMIN)
    filled(test, new_name="Bo", new_why="why", why_Kim="why", why_password_Kim="why")
    filled(test, new_password=PASSWORD, new_password_again=PASSWORD)
    filled(test, change_Kim_password=PASSWORD, change_Kim_password_again=PASSWORD)
    filled(
        test, pin_of_Kim="492817", pin_again_of_Kim="492817", why_pin_Kim="why", badge_of_Kim="0412 77A9", why_badge_Kim="why"
    )
    set_role(plant, "Ana", Role.ENGINEER)
    before, events = roles(plant), len(trail(plant, "user", "Kim"))
    assert "Ana may not manage users" in pressed(test, key)
    assert roles(plant) == before
    assert len(trail(plant, "user", "Kim")) == events
    assert plant.room.sessions.whose(secret) is not None
    with plant.room.records.unit(read_only=True) as unit:
        assert unit.users.password_hash("Kim") is None


def test_an_admin_who_came_in_by_badge_meanwhile_changes_no_person(plant: Plant, cookies: dict[str, str]) -> None:
    """The page was drawn for the admin, the button is there, and the records would let the person."""
    test = of_person(plant, "Kim")
    with plant.room.records.unit() as unit:
        unit.credentials.set_badge("Ana", "ba" * 32, by="Ana", reason="new")
        terminal = unit.terminals.known_by(unit.terminals.add("Hall 2", by="Ana", reason="shared"))
    assert terminal is not None
    secret = plant.room.sessions.begin("Ana", way=Way.BADGE, proof="ba" * 32, terminal=terminal.id)
    cookies[cookie_name(plant.config.dashboard)] = secret
    assert "By PIN or badge nobody does that" in pressed(filled(test, why_Kim="why"), "let-Kim")
    with plant.room.records.unit(read_only=True) as unit:
        assert all(user.active for user in unit.users.list())


def test_pin_and_badge_are_given_with_a_reason_and_never_kept_in_the_page(plant: Plant) -> None:
    test = filled(of_person(plant, "Kim"), pin_of_Kim="492817", pin_again_of_Kim="492818", why_pin_Kim="new")
    assert "The two PINs differ" in pressed(test, "set-pin-Kim")
    assert [test.text_input(key=key).value for key in ("pin-of-Kim", "pin-again-of-Kim")] == ["", ""]
    filled(test, pin_of_Kim="1111", pin_again_of_Kim="1111")
    assert "The PIN cannot be taken" in pressed(test, "set-pin-Kim")
    filled(test, badge_of_Kim="short")
    assert "The badge cannot be taken" in pressed(filled(test, why_badge_Kim="new"), "give-badge-Kim")
    assert "Say why" in pressed(filled(test, badge_of_Kim="0412 77A9", why_badge_Kim=" "), "give-badge-Kim")
    assert test.text_input(key="badge-of-Kim").value == ""
    assert [one.disabled for one in test.button if one.key in ("no-pin-Kim", "no-badge-Kim")] == [True, True]
    assert [event.action for event in trail(plant, "user", "Kim")] == ["user.add"]


def test_an_engineer_manages_no_people(plant: Plant, cookies: dict[str, str]) -> None:
    cookies |= session_cookie(plant.config, "Eun")
    test = section(plant, "People")
    assert "Vera" not in words(test)
    assert not [one.key for one in test.button if one.key == "add"]


def taken(plant: Plant, reviewer: str) -> str:
    """The part that this reviewer gets on the screen."""
    with plant.room.records.claims() as claims:
        claim = claims.take(reviewer)
    assert claim is not None
    return claim.uid_inspection


def part_of(plant: Plant, uid: str) -> str:
    return escape(next(part for part, one in plant.uids.items() if one == uid))


def holders(plant: Plant) -> list[tuple[str, str]]:
    with plant.room.records.unit(read_only=True) as unit:
        return [(one.uid_inspection, one.reviewer) for one in unit.queue.claims()]


def test_an_engineer_takes_a_part_from_who_has_gone_home(plant: Plant, cookies: dict[str, str]) -> None:
    cookies |= session_cookie(plant.config, "Eun")
    assert "Nobody has a part on the screen" in words(section(plant, "Claims"))
    uid, other = taken(plant, "Kim"), taken(plant, "Lee")
    test = section(plant, "Claims")
    assert f'<a href="/part?uid={uid}">{part_of(plant, uid)}</a></td><td>press-3</td><td>Kim</td>' in words(test)
    assert "Choose a part" in pressed(filled(test, claim_why="gone home"), "release-claim-now")
    test.selectbox(key="claim").set_value(uid)
    assert "Say why" in pressed(filled(test, claim_why="  "), "release-claim-now")
    assert holders(plant) == [(uid, "Kim"), (other, "Lee")]
    assert "The part is free; Kim had it" in pressed(filled(test, claim_why="gone home"), "release-claim-now")
    assert holders(plant) == [(other, "Lee")]
    (event,) = [one for one in trail(plant, "inspection", uid) if one.action == "claim.release"]
    assert (event.actor, event.reason) == ("Eun", "gone home")


def test_a_claim_that_changed_hands_meanwhile_stays(plant: Plant) -> None:
    uid = taken(plant, "Kim")
    test = section(plant, "Claims")
    test.selectbox(key="claim").set_value(uid)
    with plant.room.records.claims() as claims:
        claims.release(uid, by="Kim")
    assert taken(plant, "Lee") == uid
    assert "Kim has not got this part any more" in pressed(filled(test, claim_why="gone home"), "release-claim-now")
    assert holders(plant) == [(uid, "Lee")]


def test_who_lost_the_role_meanwhile_releases_no_claim(plant: Plant) -> None:
    uid = taken(plant, "Kim")
    test = section(plant, "Claims")
    test.selectbox(key="claim").set_value(uid)
    set_role(plant, "Ana", Role.INSPECTOR)
    assert "Ana may not release a claim" in pressed(filled(test, claim_why="gone home"), "release-claim-now")
    assert holders(plant) == [(uid, "Kim")]


def test_a_file_in_quarantine_is_shown_with_its_reason_and_the_command_that_gives_it_back(plant: Plant) -> None:
    assert "Nothing is in quarantine" in words(section(plant, "Quarantine"))
    first, second = plant.uids["P-1010"], plant.uids["P-1001"]
    with plant.room.records.unit() as unit:
        unit.quarantine.add(first, "12 bytes <missing>")
        unit.quarantine.add(second, "no picture")
        unit.quarantine.release(second, by="Ana", reason="disk repaired", file="released/plate_0.png")
    test = section(plant, "Quarantine")
    text = words(test)
    assert f'<a href="/part?uid={first}">plate_9.png</a></td><td>press-3</td>' in text
    assert "12 bytes &lt;missing&gt;" in text
    assert "no picture" not in text
    drawn(test.selectbox(key="quarantined").set_value(first).run())
    drawn(test.text_input(key="quarantine-why").set_value("disk's repaired").run())
    command = shlex.split(test.code[0].value)
    assert command[:4] == ["kizu", "quarantine", "release", first]
    assert command[4:] == ["--station", "press-3", "--reason", "disk's repaired", "--by", "Ana"]
    text = words(drawn(test.toggle(key="released").set_value(True).run()))
    assert "no picture" in text
    assert ", Ana</td>" in text
