"""Reviews, recipes and models: what is decided stays written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from db_examples import DENTED, SCRATCHED, inspection, model, raw, review
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings
from kizu_db.values import Review
from kizu_db.verifying import verify
from kizu_inspect.errors import RecordError
from kizu_inspect.results import Verdict


@pytest.fixture
def uid(records: Records) -> str:
    """A recorded inspection."""
    with records.unit() as unit:
        return unit.inspections.add(inspection())


def test_a_review_comes_back_and_shows_in_the_lists(records: Records, uid: str) -> None:
    new = review(uid)
    with records.unit() as unit:
        stored = unit.reviews.add(new)
    with records.unit() as unit:
        assert unit.reviews.of(uid) == [stored]
        assert unit.reviews.of("nobody") == []
        record = unit.inspections.get(uid)
        assert record is not None
        assert record.reviews == (stored,)
        assert unit.inspections.latest()[0].disposition == "defective"
    assert {name: getattr(stored, name) for name in vars(new)} == vars(new)
    assert stored.reviewed_at.tzinfo is not None


def test_a_list_can_leave_out_what_was_reviewed(records: Records, uid: str) -> None:
    with records.unit() as unit:
        other = unit.inspections.add(inspection())
        unit.reviews.add(review(uid))
    with records.unit(read_only=True) as unit:
        assert [row.uid for row in unit.inspections.latest(unreviewed=True)] == [other]
        assert [row.uid for row in unit.inspections.latest()] == [other, uid]


def test_a_repeated_form_stores_one_review(records: Records, uid: str) -> None:
    new = review(uid)
    with records.unit() as unit:
        first = unit.reviews.add(new)
    with records.unit() as unit:
        assert unit.reviews.add(replace(new, disposition="good", defect_class=None, decision="override")) == first
        assert unit.reviews.of(uid) == [first]


def test_a_double_click_stores_one_review(records: Records, uid: str) -> None:
    barrier = Barrier(2)
    stored: list[Review] = []
    new = review(uid)

    def click() -> None:
        barrier.wait()
        with records.unit() as unit:
            stored.append(unit.reviews.add(new))

    threads = [Thread(target=click) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stored) == 2
    assert stored[0] == stored[1]
    with records.unit() as unit:
        assert unit.reviews.of(uid) == stored[:1]


def test_a_correction_is_a_new_review_that_names_the_old_one(records: Records, uid: str) -> None:
    with records.unit() as unit:
        first = unit.reviews.add(review(uid))
        corrected = review(uid, disposition="good", defect_class=None, decision="override", supersedes=first.id)
        second = unit.reviews.add(corrected)
        assert unit.reviews.of(uid) == [first, second]
        assert unit.inspections.latest()[0].disposition == "good"
        with pytest.raises(RecordError, match="was corrected by somebody else"):
            unit.reviews.add(review(uid, supersedes=first.id))
        third = unit.reviews.add(review(uid, supersedes=second.id))
    assert third.supersedes == second.id


def test_reviews_that_make_no_sense_are_refused(records: Records, uid: str) -> None:
    with records.unit() as unit:
        other = unit.inspections.add(inspection())
        elsewhere = unit.reviews.add(review(other))
        cases = {
            "no such inspection": review("nobody"),
            "needs a reviewer": review(uid, reviewer=" "),
            "needs a nonce": review(uid, nonce=""),
            "no defect class": review(uid, disposition="good"),
            "does not belong to this inspection": review(uid, supersedes=elsewhere.id),
        }
        for message, new in cases.items():
            with pytest.raises(RecordError, match=message):
                unit.reviews.add(new)
        with pytest.raises(RecordError, match="does not belong"):
            unit.reviews.add(review(uid, supersedes=10**6))
        assert unit.reviews.of(uid) == []
    with pytest.raises(RecordError, match="ck_review_disposition"), records.unit() as unit:
        unit.reviews.add(review(uid, disposition="perhaps"))


def test_boxes_come_back_in_their_order_with_each_review(records: Records, uid: str, database: DatabaseSettings) -> None:
    with records.unit() as unit:
        first = unit.reviews.add(review(uid, boxes=(SCRATCHED, DENTED)))
        second = unit.reviews.add(review(uid, boxes=(DENTED,), supersedes=first.id))
        third = unit.reviews.add(review(uid, supersedes=second.id))
    with records.unit(read_only=True) as unit:
        record = unit.inspections.get(uid)
        assert record is not None
        assert [one.boxes for one in record.reviews] == [(SCRATCHED, DENTED), (DENTED,), ()]
        assert list(record.reviews) == unit.reviews.of(uid) == [first, second, third]
        told = [event.after or {} for event in unit.trail.latest() if event.action == "review.add"]
    assert [one.get("boxes") for one in reversed(told)] == [
        [[12, 20, 31, 39, "scratch"], [0, 0, 160, 120, "dent"]],
        [[0, 0, 160, 120, "dent"]],
        None,
    ]
    assert verify(database).findings == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"boxes": (replace(DENTED, x2=161),)}, "does not lie within the picture: found x 0 to 161"),
        ({"boxes": (replace(DENTED, y2=121),)}, "expected pixels of 160 × 120"),
        ({"boxes": (replace(DENTED, x1=-1),)}, "within the picture"),
        ({"boxes": (SCRATCHED, replace(SCRATCHED, x2=12))}, "within the picture"),
        ({"boxes": (replace(SCRATCHED, y1=39),)}, "within the picture"),
        ({"boxes": (replace(SCRATCHED, defect_class=" "),)}, "needs a defect class"),
        ({"boxes": (SCRATCHED,) * 51}, "too many boxes: found 51; expected at most 50"),
        ({"boxes": (SCRATCHED,), "disposition": "good", "defect_class": None}, "good part has no boxes"),
    ],
)
def test_boxes_that_make_no_sense_store_nothing(records: Records, uid: str, changes: dict[str, Any], message: str) -> None:
    with records.unit() as unit, pytest.raises(RecordError, match=message):
        unit.reviews.add(review(uid, **changes))
    with records.unit() as unit:
        assert unit.reviews.of(uid) == []
        assert len(unit.reviews.add(review(uid, boxes=(SCRATCHED,) * 50)).boxes) == 50


def test_a_picture_that_nobody_could_measure_takes_no_box(records: Records) -> None:
    with records.unit() as unit:
        broken = unit.inspections.add(inspection(Verdict.ERROR))
        with pytest.raises(RecordError, match="expected a picture whose size is known"):
            unit.reviews.add(review(broken, boxes=(SCRATCHED,)))


def test_a_box_that_was_changed_added_or_taken_is_found(records: Records, uid: str, database: DatabaseSettings) -> None:
    with records.unit() as unit:
        stored = unit.reviews.add(review(uid, boxes=(SCRATCHED, DENTED)))
        bare = unit.reviews.add(review(uid, supersedes=stored.id))
    with raw(database) as connection:
        connection.execute(text(f"INSERT INTO review_box VALUES ({bare.id}, 0, 1, 1, 5, 5, 'dent')"))
    changed = "changed since it was written: boxes"
    assert [str(one) for one in verify(database).findings] == [f"review {bare.id}: {changed}"]
    for change in ("UPDATE review_box SET x2 = 32 WHERE ordinal = 0", "DELETE FROM review_box WHERE ordinal = 1"):
        with raw(database) as connection:
            unguard(connection)
            connection.execute(text(change))
        assert f"review {stored.id}: {changed}" in [str(one) for one in verify(database).findings]


def unguard(connection: Connection) -> None:
    """Who may change the database's rules may change its rows: that is what the audit trail is for."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET session_replication_role = replica"))
    else:
        for name in ("no_update", "no_delete"):
            connection.execute(text(f"DROP TRIGGER IF EXISTS review_box_{name}"))


APPEND_ONLY = {
    "update-review": "UPDATE review SET disposition = 'good'",
    "delete-review": "DELETE FROM review",
    "update-box": "UPDATE review_box SET x1 = 0",
    "delete-box": "DELETE FROM review_box",
    "update-second": "UPDATE second_review SET disposition = 'good'",
    "delete-second": "DELETE FROM second_review",
    "update-recipe": "UPDATE recipe SET version = 7",
    "delete-recipe": "DELETE FROM recipe",
}


@pytest.mark.parametrize("statement", APPEND_ONLY.values(), ids=APPEND_ONLY.keys())
def test_the_database_refuses_to_change_what_was_decided(
    records: Records, database: DatabaseSettings, uid: str, statement: str
) -> None:
    with records.unit() as unit:
        stored = unit.reviews.add(review(uid, boxes=(SCRATCHED,)))
        unit.second_reviews.arrange(uid, share=1.0)
        unit.second_reviews.add(review(uid, reviewer="Kim"))
        recipe = unit.recipes.register("press-3", {"audit_share": 0.01}, None)
    with raw(database) as connection, pytest.raises(DBAPIError, match="rows are append-only"), connection.begin_nested():
        connection.execute(text(statement))
    with records.unit() as unit:
        assert unit.reviews.of(uid) == [stored]
        assert unit.recipes.register("press-3", {"audit_share": 0.01}, None) == recipe


def test_no_other_way_leads_around_append_only(records: Records, database: DatabaseSettings, uid: str) -> None:
    with records.unit() as unit:
        stored = unit.reviews.add(review(uid, boxes=(SCRATCHED,)))
        unit.second_reviews.arrange(uid, share=1.0)
        unit.second_reviews.add(review(uid, reviewer="Kim"))
    columns = "inspection_id, reviewer, disposition, decision, reason, nonce, reviewed_at"
    around = {
        "sqlite": [
            f"INSERT OR REPLACE INTO review ({columns}) SELECT {columns} FROM review",
            "INSERT OR REPLACE INTO second_review SELECT * FROM second_review",
            "INSERT OR REPLACE INTO review_box SELECT review_id, ordinal, 0, 0, 9, 9, 'dent' FROM review_box",
        ],
        "postgresql": ["TRUNCATE review CASCADE", "TRUNCATE review_box", "TRUNCATE second_review"],
    }
    with raw(database) as connection:
        if connection.dialect.name == "sqlite":
            connection.execute(text("PRAGMA recursive_triggers = OFF"))  # as in a program that knows nothing of Kizu
        for way in around[connection.dialect.name]:
            with pytest.raises(DBAPIError, match="rows are append-only"), connection.begin_nested():
                connection.execute(text(way))
    with records.unit() as unit:
        assert unit.reviews.of(uid) == [stored]


def test_a_recipe_has_a_new_version_for_each_change(records: Records) -> None:
    with records.unit() as unit:
        unit.models.register(model())
        unit.models.register(model("cd" * 32))
        register = unit.recipes.register
        first = register("press-3", {"audit_share": 0.01, "views": ("top", "side")}, model().hash)
        assert (first.version, first.content) == (1, {"audit_share": 0.01, "views": ["top", "side"]})
        assert first.created_at.tzinfo is not None
        # The order of the settings is no change.
        assert register("press-3", {"views": ["top", "side"], "audit_share": 0.01}, model().hash) == first
        retrained = register("press-3", dict(first.content), "cd" * 32)
        changed = register("press-3", {"audit_share": 0.02}, "cd" * 32)
        back = register("press-3", dict(first.content), model().hash)
        assert [retrained.version, changed.version, back.version] == [2, 3, 4]
        assert register("press-4", dict(first.content), model().hash).version == 1


def test_a_recipe_that_is_no_json_is_refused(records: Records) -> None:
    with records.unit() as unit, pytest.raises(RecordError, match=r"JSON cannot hold: found .*Path"):
        unit.recipes.register("press-3", {"bundle": Path("bundles/plates")}, None)


def test_two_programs_register_a_recipe_once(records: Records) -> None:
    barrier = Barrier(2)
    versions: list[int] = []

    def register() -> None:
        barrier.wait()
        with records.unit() as unit:
            versions.append(unit.recipes.register("press-3", {"audit_share": 0.01}, None).version)

    threads = [Thread(target=register) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert versions == [1, 1]


def test_a_model_is_registered_once(records: Records) -> None:
    promised = replace(model(), promise={"miss_rate": 0.05, "n": 59})
    with records.unit() as unit:
        unit.models.register(promised)
        unit.models.register(replace(promised, path=Path("moved/plates")))
        found = unit.models.get(promised.hash)
        assert unit.models.get("00" * 32) is None
    assert found is not None
    assert {name: getattr(found, name) for name in vars(promised)} == vars(promised)
    assert found.registered_at.tzinfo is not None


def test_two_reviews_of_one_part_at_once_are_both_kept_in_one_order(records: Records, database: DatabaseSettings) -> None:
    with records.unit() as unit:
        uids = [unit.inspections.add(inspection()) for _ in range(25)]
    barrier = Barrier(2)
    failed: list[Exception] = []

    def decide(disposition: str) -> None:
        try:
            for uid in uids:
                barrier.wait()
                with records.unit() as unit:
                    found = "scratch" if disposition == "defective" else None
                    unit.reviews.add(review(uid, disposition=disposition, defect_class=found))
        except Exception as exc:  # noqa: BLE001 - handed to the test's own thread
            failed.append(exc)
            barrier.abort()

    threads = [Thread(target=decide, args=(disposition,)) for disposition in ("good", "defective")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with records.unit(read_only=True) as unit:
        for uid in uids:
            standing = unit.reviews.of(uid)
            record = unit.inspections.get(uid)
            assert record is not None
            assert len(standing) == 2
            assert record.row.disposition == standing[-1].disposition
    assert verify(database).findings == ()


def test_of_two_reviewers_who_saw_the_same_the_second_is_told(records: Records, uid: str) -> None:
    barrier = Barrier(2)
    stored: list[bool] = []

    def decide() -> None:
        barrier.wait()
        with records.unit() as unit:
            free = unit.reviews.of(uid, hold=True) == []
            if free:
                unit.reviews.add(review(uid))
            stored.append(free)

    threads = [Thread(target=decide) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(stored) == [False, True]
    with records.unit(read_only=True) as unit:
        assert len(unit.reviews.of(uid)) == 1
