"""The page Admin: the audit trail, verifying the records, retention and holds."""

from __future__ import annotations

import ast
import json
import re
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import kizu_db
from dashboard_world import Plant, empty_plant, filled_plant, session_cookie
from db_examples import inspection
from kizu_dashboard import trail as trail_module
from kizu_dashboard.room import close_rooms, open_room
from kizu_dashboard.trail import SUBJECTS, Sought, change_text, read_trail
from kizu_db.permissions import Role
from kizu_db.settings import RetentionSettings
from kizu_inspect.errors import NotAllowed, RecordError
from kizu_inspect.results import Verdict
from pages_world import drawn, open_page, words
from test_dashboard_admin import filled, pressed, section, set_role, trail


@pytest.fixture
def plant(tmp_path: Path, cookies: dict[str, str]) -> Iterator[Plant]:
    """Ana, the admin, looks at it."""
    with filled_plant(tmp_path) as plant:
        cookies |= session_cookie(plant.config, "Ana")
        yield plant


def rows_of(test: AppTest) -> list[str]:
    """The numbers of the events that stand in the table."""
    return re.findall(r"<tr><td>([\d,]+)</td>", words(test))


def test_the_trail_is_turned_page_by_page_and_told_with_before_after_and_why(plant: Plant) -> None:
    with plant.room.records.unit() as unit:
        for _ in range(35):
            unit.users.change("Kim", by="Ana", role=Role.VIEWER, reason="<night> shift")
            unit.users.change("Kim", by="Ana", role=Role.INSPECTOR)
        newest = unit.trail.latest(limit=1)[0].id
    test = section(plant, "Audit trail")
    seen = [int(number) for number in rows_of(test)]
    assert "role: inspector → viewer" in words(test)
    assert "&lt;night&gt; shift" in words(test)

    def turned(label: str) -> list[int]:
        found = next(one for one in test.button if one.label == label)
        return [int(number) for number in rows_of(drawn(found.click().run()))]

    while not next(one for one in test.button if one.label == "Older").disabled:
        seen += turned("Older")
    assert seen == list(range(newest, 0, -1)), "each event once, to the first one"
    assert turned("Newest")[0] == newest
    drawn(test.selectbox(key="event").set_value(newest - 1).run())
    assert json.loads(test.json[0].value)["after"] == {"role": "viewer", "active": True}


def test_the_trail_is_narrowed_by_who_what_and_about(plant: Plant) -> None:
    uid = plant.uids["P-1002"]
    plant.review("P-1002")
    with plant.room.records.unit() as unit:
        unit.queue.escalate(plant.uids["P-1005"], by="Lee", why="too dark")
    escalated = "review.escalate"
    for query, action, count in (
        ({"who": "Lee"}, escalated, 1),
        ({"what": "user.sign"}, "user.sign_in", 1),
        ({"about": "review"}, "review.add", 1),
        ({"about": "inspection", "which": plant.uids["P-1005"]}, escalated, 1),
        ({"about": "inspection", "which": uid}, "", 0),
    ):
        test = open_page(plant.config, "admin.py", section="Audit trail", **query)
        assert len(rows_of(test)) == count, query
        assert action in words(test) if count else "No such event" in words(test)


def test_the_trail_can_be_narrowed_to_whatever_events_are_about(plant: Plant) -> None:
    told = {
        word.value.value
        for file in Path(kizu_db.__file__).parent.rglob("*.py")
        for word in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(word, ast.keyword) and word.arg == "subject" and isinstance(word.value, ast.Constant)
    }
    assert {"user", "inspection", "terminal"} <= told <= set(SUBJECTS)
    with plant.room.records.unit() as unit:
        unit.terminals.add("Hall 2", by="Ana", reason="shared")
    test = section(plant, "Audit trail")
    text = words(drawn(test.selectbox(key="about").select("terminal").run()))
    assert len(rows_of(test)) == 1
    assert "terminal Hall 2" in text


def test_a_rare_event_is_found_by_going_on(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail_module, "LOOKED_AT", 5)
    page = read_trail(plant.room, Sought(action="model.register"), before=None, limit=10)
    looks = 1
    while not page.events:
        assert page.older is not None
        page = read_trail(plant.room, Sought(action="model.register"), before=page.older, limit=10)
        looks += 1
    assert (page.events[0].id, page.older, looks > 1) == (1, None, True)


def test_what_changed_is_told_in_words() -> None:
    assert change_text({"role": "viewer", "active": True}, {"role": "admin", "active": True}) == "role: viewer → admin"
    assert change_text(None, {"n": 1}) == "n: 1"
    assert change_text({"n": [1]}, None) == "n: [1]"
    assert change_text({"n": 1}, {}) == "n: 1 → –"
    assert change_text(None, None) == ""
    assert len(change_text({"n": "x" * 5000, "m": "y" * 5000}, None)) <= 160


def test_the_records_are_verified_beside_the_pages_and_it_says_when(plant: Plant) -> None:
    plant.review("P-1002")
    test = section(plant, "Audit trail")
    assert "They were never verified here." in words(test)
    pressed(test, "verify")
    assert plant.room.verifying.wait(60)
    text = words(drawn(test.run()))
    assert "✓ All as written" in text
    assert ", by Ana" in text
    (event,) = trail(plant, "records", "all")
    assert (event.actor, event.action) == ("Ana", "records.verify")
    file = plant.room.records.file
    assert file is not None
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript("DROP TRIGGER review_no_update; UPDATE review SET reason = 'nothing' WHERE id = 1")
    pressed(test, "verify")
    assert plant.room.verifying.wait(60)
    text = words(drawn(test.run()))
    assert "▲ 1 finding in" in text
    assert "review 1: changed since it was written: reason" in text


def test_one_walk_at_a_time_and_only_for_who_may(plant: Plant) -> None:
    test = section(plant, "Audit trail")
    set_role(plant, "Ana", Role.INSPECTOR)
    assert "Ana may not verify the records" in pressed(test, "verify")
    assert plant.room.verifying.walk is None
    file = plant.room.records.file
    assert file is not None
    with ThreadPoolExecutor(8) as threads:
        both = threading.Barrier(8)

        def begin(_: int) -> bool:
            both.wait(60)
            try:
                plant.room.verifying.begin(by="Eun")
            except RecordError:
                return False
            return True

        begun = sum(threads.map(begin, range(8)))
    assert plant.room.verifying.wait(60)
    assert begun == len(trail(plant, "records", "all"))


def test_a_walk_that_is_cut_off_says_so_and_leaves_nothing(plant: Plant) -> None:
    plant.room.verifying.close()
    plant.room.verifying.begin(by="Ana")
    assert plant.room.verifying.wait(60)
    assert trail(plant, "records", "all") == []
    assert "The dashboard was ended meanwhile." in words(section(plant, "Audit trail"))


def test_the_role_is_asked_again_where_the_result_is_written(plant: Plant) -> None:
    with pytest.raises(NotAllowed, match="Kim may not verify"), plant.room.records.unit() as unit:
        unit.verifications.add(by="Kim", events=1, reviews=0, head="0" * 64, findings=[])


def held(plant: Plant) -> list[tuple[str, str, str]]:
    with plant.room.records.unit(read_only=True) as unit:
        return [(lot.name, lot.by, lot.reason) for lot in unit.lots.held()]


def test_the_rules_in_force_are_told_and_what_is_over_is_counted(tmp_path: Path, cookies: dict[str, str]) -> None:
    config = empty_plant(tmp_path)
    config = config.model_copy(update={"retention": RetentionSettings(pass_images_days=30, records_days=3000)})
    cookies |= session_cookie(config, "Eun")
    room = open_room(config.model_dump_json())
    try:
        for days, part in ((10, "young"), (31, "old"), (3001, "oldest")):
            at = datetime.now(UTC) - timedelta(days=days)
            told = {"part": part, "source_key": part, "judged_at": at, "image_sha256": "ab" * 32}
            with room.records.unit() as unit:
                unit.inspections.add(inspection(Verdict.PASS, **told))
        test = open_page(config, "admin.py", section="Retention")
        for name, rule in (("Pictures of PASS parts", "30 days"), ("Other pictures", "for ever"), ("Audit trail", "always")):
            assert f"<dt>{name}</dt><dd>{rule}</dd>" in words(test)
        text = pressed(test, "count-due")
        assert "<dt>Inspections that are over</dt><dd>1</dd>" in text
        assert "<dt>Pictures of others</dt><dd>1, of these 1 of passed parts</dd>" in text
    finally:
        close_rooms()


def test_a_lot_is_held_and_let_go_with_a_reason(plant: Plant) -> None:
    test = section(plant, "Retention")
    assert "Name the lot" in pressed(filled(test, hold_why="claim 4711"), "hold-now")
    assert "Say why" in pressed(filled(test, hold="L7", hold_why=""), "hold-now")
    assert "There is no such lot" in pressed(filled(test, hold="L8", hold_why="claim 4711"), "hold-now")
    assert held(plant) == []
    assert "The lot L7 is held" in pressed(filled(test, hold=" L7 "), "hold-now")
    assert held(plant) == [("L7", "Ana", "claim 4711")]
    assert "Choose a lot" in pressed(filled(test, unhold_why="settled"), "unhold-now")
    test.selectbox(key="unhold").set_value("L7")
    assert "The lot L7 is not held any more" in pressed(test, "unhold-now")
    assert held(plant) == []
    told = [(event.action, event.before, event.after, event.reason) for event in trail(plant, "lot", "L7")]
    assert told == [
        ("lot.hold", {"held": False}, {"held": True}, "claim 4711"),
        ("lot.release", {"held": True}, {"held": False}, "settled"),
    ]


def test_an_engineer_sees_holds_and_sets_none(plant: Plant, cookies: dict[str, str]) -> None:
    with plant.room.records.unit() as unit:
        unit.lots.hold("L7", by="Ana", reason="claim 4711")
    cookies |= session_cookie(plant.config, "Eun")
    test = section(plant, "Retention")
    assert "claim 4711" in words(test)
    assert not {"hold-now", "unhold-now"} & {one.key for one in test.button}


@pytest.mark.parametrize("key", ["hold-now", "unhold-now"])
def test_who_lost_the_role_meanwhile_sets_and_ends_no_hold(plant: Plant, key: str) -> None:
    with plant.room.records.unit() as unit:
        unit.inspections.add(inspection(lot="L8"))
        unit.lots.hold("L8", by="Ana", reason="claim")
    test = filled(section(plant, "Retention"), hold="L7", hold_why="why", unhold_why="why")
    test.selectbox(key="unhold").set_value("L8")
    set_role(plant, "Ana", Role.ENGINEER)
    assert "Ana may not hold a lot" in pressed(test, key)
    assert held(plant) == [("L8", "Ana", "claim")]
