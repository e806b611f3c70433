"""Limits that people choose: a recipe version each, with who, why and what was seen; and when they hold."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Barrier, Thread
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from db_examples import inspection, model, raw
from kizu_db.migrations import downgrade, upgrade
from kizu_db.permissions import Role
from kizu_db.records import Records
from kizu_db.repositories.limits import ChosenBy
from kizu_db.settings import DatabaseSettings
from kizu_db.values import ChosenLimits, RecipeRow
from kizu_db.verifying import verify
from kizu_inspect.errors import NotAllowed, RecordError

FILE: Mapping[str, Any] = {"bundle": "bundles/plates", "audit_share": 0.01, "pass_below": None, "reject_from": None}
SEEN = {"reviewed": 46, "miss_rate": {"value": 0.02, "upper": 0.08}}


@pytest.fixture
def line(records: Records) -> Records:
    """Records of a station that has run once, with an engineer and an inspector."""
    with records.unit() as unit:
        unit.models.register(model())
        unit.users.add("Ana", Role.ADMIN, by="root")
        unit.users.add("Eun", Role.ENGINEER, by="Ana")
        unit.users.add("Kim", Role.INSPECTOR, by="Ana")
    start(records)
    return records


def start(records: Records, model_hash: str = model().hash, **changes: object) -> RecipeRow:
    """What a line that starts with this kizu.yaml is to judge by."""
    with records.unit() as unit:
        return unit.recipes.register("press-3", {**FILE, **changes}, model_hash, by="station press-3")


def by(after: int, name: str = "Eun", reason: str = "too many good parts rejected") -> ChosenBy:
    return ChosenBy(name, reason, after)


def choose(records: Records, pass_below: float = 0.1, reject_from: float = 0.8, *, who: ChosenBy, **told: Any) -> RecipeRow:
    with records.unit() as unit:
        return unit.limits.choose(
            "press-3", pass_below, reject_from, by=who, **({"model_hash": model().hash, "seen": SEEN} | told)
        )


def test_chosen_limits_are_a_version_with_who_why_and_what_was_seen(line: Records, database: DatabaseSettings) -> None:
    new = choose(line, who=by(1))
    assert (new.version, new.limits, dict(new.content)) == (2, (0.1, 0.8), {**FILE, "pass_below": 0.1, "reject_from": 0.8})
    assert new.chosen == ChosenLimits(version=2, by="Eun", reason="too many good parts rejected", seen=SEEN)
    assert not new.set_by_file
    with line.unit(read_only=True) as unit:
        (event,) = unit.trail.of("recipe", new.id)
        assert unit.recipes.newest("press-3", limit=5)[0] == new
    assert (event.action, event.actor, event.reason) == ("recipe.version", "Eun", "too many good parts rejected")
    assert event.before is not None
    assert event.after is not None
    assert (event.before["content"]["pass_below"], event.after["content"]["pass_below"]) == (None, 0.1)
    assert event.after["seen"] == SEEN
    assert start(line) == new  # the line takes them, and makes no version of its own
    assert verify(database).findings == ()


def test_where_the_file_sets_a_limit_it_wins_and_where_it_no_longer_does_the_chosen_ones_come_back(line: Records) -> None:
    chosen = choose(line, who=by(1))
    own = start(line, pass_below=0.3)
    assert (own.version, own.limits, own.chosen, own.set_by_file) == (3, (0.3, None), None, True)
    with pytest.raises(RecordError, match=r"sets its limits itself, and wins: found pass_below: 0\.3; expected neither"):
        choose(line, 0.2, who=by(3))
    with pytest.raises(RecordError, match="sets its limits itself"), line.unit() as unit:
        unit.limits.take_again("press-3", 2, by=by(3))
    back = start(line)
    assert (back.version, back.limits, back.chosen) == (4, chosen.limits, chosen.chosen)
    other = start(line, audit_share=0.5)  # a change of something else carries them on
    assert (other.version, other.limits, other.chosen, other.content["audit_share"]) == (5, chosen.limits, chosen.chosen, 0.5)


def test_the_same_numbers_from_the_file_are_a_version_that_says_so(line: Records) -> None:
    choose(line, who=by(1))
    assert start(line, pass_below=0.1, reject_from=0.8).set_by_file


def test_limits_of_another_model_do_not_hold_and_are_refused(line: Records) -> None:
    chosen = choose(line, who=by(1))
    with line.unit() as unit:
        unit.models.register(model("cd" * 32))
    retrained = start(line, "cd" * 32)
    assert (retrained.version, retrained.limits, retrained.chosen) == (3, (None, None), None)
    with pytest.raises(RecordError, match=r"another model than that of press-3: found model abab.*expected model cdcd"):
        choose(line, who=by(3))
    with pytest.raises(RecordError, match=r"The limits of version 2 are for the scores of another model"), line.unit() as unit:
        unit.limits.take_again("press-3", 2, by=by(3))
    assert start(line).limits == chosen.limits  # the former model is back, and with it what was chosen for it


def test_an_earlier_version_is_taken_again_as_a_new_one(line: Records) -> None:
    choose(line, who=by(1))
    choose(line, 0.2, 0.9, who=by(2))
    with line.unit() as unit:
        again = unit.limits.take_again("press-3", 2, by=by(3, reason="the lamp was it"))
        assert (again.version, again.limits) == (4, (0.1, 0.8))
        assert again.chosen == ChosenLimits(version=4, by="Eun", reason="the lamp was it", seen={"again": 2})
        own = unit.limits.take_again("press-3", 1, by=by(4))
        assert (own.version, own.limits, own.set_by_file) == (5, (None, None), False)
        with pytest.raises(RecordError, match="press-3 has no version 9: found versions 1 to 5"):
            unit.limits.take_again("press-3", 9, by=by(5))
    assert start(line) == own


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ((float("nan"), 0.8), "pass_below is no limit of a score: found nan"),
        ((0.1, float("inf")), "reject_from is no limit of a score: found inf"),
        ((-0.1, 0.8), "pass_below is no limit of a score: found -0.1"),
        ((0.1, 1.5), "reject_from is no limit of a score: found 1.5; expected a number from 0 to 1"),
        ((True, 1.0), "pass_below is no limit of a score: found True"),
        ((0.8, 0.1), "The PASS limit lies above the REJECT limit: found 0.8 and 0.1"),
    ],
)
def test_what_is_no_limit_is_refused_with_a_sentence(line: Records, limits: tuple[float, float], said: str) -> None:
    with pytest.raises(RecordError, match=said):
        choose(line, *limits, who=by(1))
    assert start(line).version == 1


def test_nobody_chooses_without_the_role_a_reason_or_a_look_at_the_newest(line: Records) -> None:
    refused: list[tuple[type[Exception], str, ChosenBy]] = [
        (NotAllowed, "Kim may not set a station's limits: found role inspector; expected the role engineer", by(1, "Kim")),
        (RecordError, "Say why: found no reason", by(1, reason="  ")),
        (RecordError, "changed meanwhile: found version 1; expected version 0, as looked at", by(0)),
    ]
    for kind, said, who in refused:
        with pytest.raises(kind, match=said):
            choose(line, who=who)
    with pytest.raises(RecordError, match="press-9 has no recipe yet"), line.unit() as unit:
        unit.limits.take_again("press-9", 1, by=by(1))
    with line.unit() as unit:  # the role is asked in the transaction that writes
        unit.users.change("Eun", by="Ana", role=Role.INSPECTOR)
    with pytest.raises(NotAllowed):
        choose(line, who=by(1))
    choose(line, who=by(1, "Ana"))
    with pytest.raises(RecordError, match="press-3 has these limits already: found version 2"):
        choose(line, who=by(2, "Ana"))
    assert start(line).version == 2


def test_of_two_engineers_at_once_one_is_told_to_look_again(line: Records) -> None:
    barrier = Barrier(2)
    made: list[int] = []
    told: list[str] = []

    def save(pass_below: float) -> None:
        barrier.wait()
        try:
            made.append(choose(line, pass_below, who=by(1)).version)
        except RecordError as error:
            told.append(str(error))

    threads = [Thread(target=save, args=(number / 10,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [2]
    assert len(told) == 1
    assert "changed meanwhile" in told[0]


def test_that_a_line_judges_by_them_is_told_once_and_each_inspection_is_counted(line: Records) -> None:
    first, chosen = start(line), choose(line, who=by(1))
    with line.unit() as unit:
        for recipe in (first, first, chosen):
            unit.inspections.add(inspection(recipe_id=recipe.id))
    for _ in range(2):
        with line.unit() as unit:
            unit.limits.taken(chosen)
    with line.unit(read_only=True) as unit:
        events = unit.trail.of("recipe", chosen.id)
        counted = [unit.limits.judged_by(recipe.id, most=most) for recipe, most in ((first, 10), (chosen, 10), (first, 1))]
    assert [(event.actor, event.action) for event in events] == [("Eun", "recipe.version"), ("station press-3", "recipe.taken")]
    assert counted == [2, 1, 1]


def test_choices_are_kept_unchanged_and_outlive_a_step_back(line: Records, database: DatabaseSettings) -> None:
    chosen = choose(line, who=by(1))
    again = "INSERT OR REPLACE INTO chosen_limits SELECT * FROM chosen_limits"
    around = "TRUNCATE chosen_limits" if database.file is None else again
    for way in ("UPDATE chosen_limits SET reason = 'x'", "DELETE FROM chosen_limits", around):
        with raw(database) as connection, pytest.raises(DBAPIError, match="rows are append-only"), connection.begin_nested():
            connection.execute(text(way))
    line.close()
    downgrade(database, "0007")
    upgrade(database)
    with Records.open(database) as records:
        assert start(records) == chosen
    assert verify(database).findings == ()


def test_a_forged_choice_is_found(line: Records, database: DatabaseSettings) -> None:
    choose(line, who=by(1))
    with raw(database) as connection:
        for name in ("no_update", "append_only"):
            on = "" if database.file is not None else " ON chosen_limits"
            connection.execute(text(f"DROP TRIGGER IF EXISTS chosen_limits_{name}{on}"))
        connection.execute(text("UPDATE chosen_limits SET chosen_by = 'Kim'"))
    assert [str(finding) for finding in verify(database).findings] == ["recipe 2: changed since it was written: chosen_by"]
