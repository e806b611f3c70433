"""What is let go, what stays, and what the audit trail says of it."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from db_examples import DENTED, SCRATCHED, explanation, inspection, raw, review
from kizu_db.exports.pages import each_record
from kizu_db.image_store import ImageStore
from kizu_db.permissions import Role
from kizu_db.records import Records
from kizu_db.repositories.retention import Retention
from kizu_db.retention import Pruned, prune, what_is_due
from kizu_db.settings import DatabaseSettings, RetentionSettings
from kizu_db.values import DueInspection, ExplanationState
from kizu_db.verifying import verify, verify_images
from kizu_inspect.errors import NotAllowed, RecordError
from kizu_inspect.results import Verdict

NOW = datetime(2026, 6, 1, tzinfo=UTC)
RULES = RetentionSettings(pass_images_days=30, flagged_images_days=60, records_days=90)
COUNTED = (
    "part",
    "inspection",
    "heatmap",
    "region",
    "review",
    "review_box",
    "second_review",
    "review_queue",
    "rollup_minute",
    "rollup_hour",
    "rollup_reviewed",
)


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "images")


def put(store: ImageStore, content: str, *, hours_ago: float = 48) -> str:
    """A picture that was stored some time ago; its name."""
    name = store.put(content.encode(), suffix=".png")
    when = time.time() - hours_ago * 3600
    os.utime(store.path_of(name), (when, when))
    return name


def add(records: Records, store: ImageStore, name: str, days: float, verdict: Verdict = Verdict.PASS, **changes: Any) -> str:
    """An inspection some days before NOW, with a picture of its own."""
    told: dict[str, Any] = {"part": name, "judged_at": NOW - timedelta(days=days)} | changes
    if "image_sha256" not in told:
        told["image_sha256"] = put(store, name)
    with records.unit() as unit:
        return unit.inspections.add(inspection(verdict, **told))


def kept(records: Records) -> dict[str, bool]:
    """Each inspection on record by its part: whether its picture is kept."""
    with records.unit(read_only=True) as unit:
        return {row.part: row.kept_image is not None for row in unit.inspections.latest(limit=1000)}


def let_go(records: Records, store: ImageStore, rules: RetentionSettings = RULES) -> Pruned:
    return prune(records, store, rules, by="Mina", reason="yearly", now=NOW)


def rows(settings: DatabaseSettings) -> dict[str, int]:
    with raw(settings) as connection:
        return {table: connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0 for table in COUNTED}


def test_pictures_of_passed_and_of_flagged_parts_have_each_their_time(
    records: Records, store: ImageStore, database: DatabaseSettings
) -> None:
    for days in (10, 29, 31, 59, 61, 89):
        for verdict in Verdict:
            add(records, store, f"{verdict} {days}", days, verdict)
    add(records, store, "drawn", 40, audit=True, audit_probability=0.1)
    escaped = add(records, store, "escaped", 40)
    with records.unit() as unit:
        unit.reviews.add(review(escaped))
    due = what_is_due(records, RULES, now=NOW)
    some = what_is_due(records, RULES, now=NOW, most=3)
    assert some.passed_images + some.flagged_images == 3, "a count that ends early says that it reached its end"
    assert all(kept(records).values()), "a dry run changes nothing"
    gone = let_go(records, store)
    assert (due.records, due.passed_images, due.flagged_images) == (0, 4, 6)
    assert (gone.records, gone.passed_images, gone.flagged_images, gone.files) == (0, 4, 6, 10)
    flagged = {f"{verdict} {days}" for verdict in ("REVIEW", "REJECT", "ERROR") for days in (61, 89)}
    lost = {part for part, there in kept(records).items() if not there}
    assert lost == {"PASS 31", "PASS 59", "PASS 61", "PASS 89"} | flagged
    assert gone.freed_bytes == sum(len(part) for part, there in kept(records).items() if not there)
    assert list(verify_images(records, store)) == []
    assert verify(database).findings == ()
    assert let_go(records, store) == Pruned(), "a second time nothing is due"


def test_records_go_with_all_that_hangs_on_them(records: Records, store: ImageStore, database: DatabaseSettings) -> None:
    new = add(records, store, "new", 10, Verdict.REJECT)
    before = rows(database)
    old = [add(records, store, f"old {n}", 91 + n, Verdict.REJECT, part="old", view=str(n)) for n in range(3)]
    with records.unit() as unit:
        first = unit.reviews.add(review(old[0], boxes=(SCRATCHED, DENTED)))
        second = unit.reviews.add(review(old[0], disposition="good", defect_class=None, supersedes=first.id))
        unit.second_reviews.arrange(old[0], share=1.0)
        assert unit.second_reviews.add(review(old[0], reviewer="Kim"))
        (third,) = unit.second_reviews.of(old[0])
        for uid in old:
            unit.inspections.store_explanation(uid, explanation())
    due = what_is_due(records, RULES, now=NOW)
    gone = let_go(records, store)
    assert (due.records, due.flagged_images) == (gone.records, gone.flagged_images) == (3, 0)
    assert gone.files == 3
    assert rows(database) == before
    with records.unit(read_only=True) as unit:
        assert [row.uid for row in unit.inspections.latest()] == [new]
        event = unit.trail.latest(limit=1)[0]
        counted = unit.rollups.verdicts()
    assert (event.action, event.actor, event.reason) == ("prune.records", "Mina", "yearly")
    assert event.before is not None
    assert set(event.before["inspections"]) == set(old)
    assert sorted(event.before["reviews"]) == [first.id, second.id]
    assert event.before["second_reviews"] == [third.id]
    assert counted[Verdict.REJECT] == 1
    assert verify(database).findings == ()
    with records.unit() as unit:
        unit.rollups.rebuild()
        assert unit.rollups.verdicts() == counted


def test_a_held_lot_stays_until_it_is_released(records: Records, store: ImageStore) -> None:
    for lot in ("L7", "L8", None):
        add(records, store, f"old {lot}", 200, lot=lot)
        add(records, store, f"middle {lot}", 40, lot=lot)
    with records.unit() as unit:
        unit.lots.hold("L7", by="Kim", reason="claim 4711")
        assert [(lot.name, lot.by, lot.reason) for lot in unit.lots.held()] == [("L7", "Kim", "claim 4711")]
        with pytest.raises(RecordError, match="held already"):
            unit.lots.hold("L7", by="Kim", reason="again")
        with pytest.raises(RecordError, match="no such lot"):
            unit.lots.hold("L9", by="Kim", reason="unknown")
        with pytest.raises(RecordError, match="needs a name and a reason"):
            unit.lots.hold("L8", by="Kim", reason=" ")
    assert let_go(records, store).records == 2
    assert kept(records) == {"old L7": True, "middle L7": True, "middle L8": False, "middle None": False}
    with records.unit() as unit:
        unit.lots.release("L7", by="Kim", reason="settled")
        with pytest.raises(RecordError, match="not held"):
            unit.lots.release("L7", by="Kim", reason="settled")
        assert [event.action for event in unit.trail.of("lot", "L7")] == ["lot.hold", "lot.release"]
    assert let_go(records, store).records == 1
    assert kept(records) == {"middle L7": False, "middle L8": False, "middle None": False}


def test_what_waits_for_its_map_stays(records: Records, store: ImageStore) -> None:
    uid = add(records, store, "pending", 200, Verdict.REJECT, explanation_state=ExplanationState.PENDING)
    assert let_go(records, store) == Pruned()
    with records.unit() as unit:
        unit.inspections.store_explanation(uid, explanation())
    assert let_go(records, store).records == 1


def test_a_picture_that_another_inspection_has_stays(records: Records, store: ImageStore) -> None:
    shared = put(store, "the same photo twice")
    add(records, store, "old", 40, image_sha256=shared)
    add(records, store, "new", 5, image_sha256=shared)
    gone = let_go(records, store)
    assert (gone.passed_images, gone.files) == (1, 0)
    assert store.get(shared)
    assert list(verify_images(records, store)) == []


def test_a_picture_that_was_just_put_again_stays(records: Records, store: ImageStore) -> None:
    """A line has stored it, and is about to record its inspection."""
    name = put(store, "a photo")
    add(records, store, "old", 40, image_sha256=name)
    store.put(b"a photo", suffix=".png")
    assert (let_go(records, store).files, store.get(name)) == (0, b"a photo")


def test_nothing_is_let_go_without_rules(records: Records, store: ImageStore) -> None:
    add(records, store, "old", 4000, Verdict.REJECT)
    assert let_go(records, store, RetentionSettings()) == what_is_due(records, RetentionSettings(), now=NOW) == Pruned()


def test_more_than_a_piece_goes_in_pieces(records: Records, store: ImageStore, database: DatabaseSettings) -> None:
    with records.unit() as unit:
        for number in range(230):
            unit.inspections.add(inspection(Verdict.PASS, judged_at=NOW - timedelta(days=200), part=f"P{number}"))
    seen: list[int] = []
    gone = prune(records, store, RULES, by="Mina", now=NOW, progress=lambda done: seen.append(done.records))
    assert (gone.records, seen) == (230, [100, 200, 230])
    assert rows(database)["part"] == 0
    assert verify(database).findings == ()


def test_files_that_a_killed_prune_left_go_with_the_next_one(records: Records, store: ImageStore) -> None:
    add(records, store, "old", 40)
    left = put(store, "old")
    with records.unit() as unit:
        due = unit.retention.due_images(RULES.ends(NOW), limit=10)
        unit.retention.drop_images(due, by="Mina", reason="yearly")
    # Here it was killed: the record says that the picture went, and it is still there.
    (found,) = list(verify_images(records, store))
    assert (found.subject, found.subject_id) == ("picture", left)
    assert let_go(records, store).files == 1
    assert list(verify_images(records, store)) == []


def test_pictures_without_a_row_and_rows_without_a_picture_are_found(records: Records, store: ImageStore) -> None:
    lost = put(store, "lost")
    add(records, store, "lost", 1)
    add(records, store, "sound", 1)
    store.path_of(lost).unlink()
    stray = put(store, "stray")
    fresh = store.put(b"about to be recorded", suffix=".png")
    found = {one.subject_id: one.what for one in verify_images(records, store)}
    assert set(found) == {lost, stray}
    assert "not in the image store: restore it" in found[lost]
    assert "no inspection has it" in found[stray]
    assert store.get(fresh)


def test_reviews_cannot_be_deleted_but_by_retention(records: Records, database: DatabaseSettings, store: ImageStore) -> None:
    uid = add(records, store, "reviewed", 10, Verdict.REJECT)
    with records.unit() as unit:
        unit.reviews.add(review(uid))
    with raw(database) as connection:
        assert connection.scalar(text("SELECT count(*) FROM prune_permit")) == 0
        with pytest.raises(DBAPIError, match="rows are append-only"), connection.begin_nested():
            connection.execute(text("DELETE FROM review"))


def test_only_an_admin_lets_go(records: Records, store: ImageStore) -> None:
    add(records, store, "old", 40)
    with records.unit() as unit:
        unit.users.add("Ana", Role.ADMIN, by="root")
        unit.users.add("Mina", Role.ENGINEER, by="Ana")
    with pytest.raises(NotAllowed, match=r"Mina may not prune: found role engineer; expected the role admin"):
        let_go(records, store)
    assert kept(records) == {"old": True}


def test_rules_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"flagged_images_days \(60\) is longer than records_days \(50\)"):
        RetentionSettings(flagged_images_days=60, records_days=50)
    with pytest.raises(ValidationError):
        RetentionSettings(records_days=0)


def test_a_removed_picture_is_gone_and_counted_once(store: ImageStore) -> None:
    name = put(store, "a photo", hours_ago=2)
    assert hashlib.sha256(b"a photo").hexdigest() == name
    assert store.remove(name, unless_put_within=timedelta(hours=3)) is None
    assert store.remove(name, unless_put_within=timedelta(hours=1)) == len(b"a photo")
    assert store.remove(name, unless_put_within=timedelta(hours=1)) is None
    assert store.remove("ab" * 32, unless_put_within=timedelta(0)) is None
    with pytest.raises(RecordError, match="is not in the image store"):
        store.get(name)


class Meanwhile:
    """Does something once, in a thread of its own, between what a prune lists and what it lets go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> None:
        self._listed = Retention.due_records
        self._work = work
        self._done = False
        monkeypatch.setattr(Retention, "due_records", self._due_records_then_work(self._listed))

    def _due_records_then_work(self, listed: Callable[..., list[DueInspection]]) -> Callable[..., list[DueInspection]]:
        def due(retention: Retention, *arguments: Any, **asked: Any) -> list[DueInspection]:
            found = listed(retention, *arguments, **asked)
            if found and asked.get("among") is None and not self._done:
                self._done = True
                thread = Thread(target=self._work)
                thread.start()
                thread.join()
            return found

        return due


def test_a_lot_that_is_held_meanwhile_stays(records: Records, store: ImageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    add(records, store, "old", 200, lot="L7")

    def hold() -> None:
        with records.unit() as unit:
            unit.lots.hold("L7", by="Kim", reason="claim")

    Meanwhile(monkeypatch, hold)
    assert let_go(records, store) == Pruned()
    assert kept(records) == {"old": True}


def test_a_part_that_is_reviewed_meanwhile_goes_with_its_review_told(
    records: Records, store: ImageStore, database: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = add(records, store, "old", 200, Verdict.REJECT)
    stored: list[int] = []

    def decide() -> None:
        with records.unit() as unit:
            stored.append(unit.reviews.add(review(uid)).id)

    Meanwhile(monkeypatch, decide)
    assert let_go(records, store).records == 1
    with records.unit(read_only=True) as unit:
        event = unit.trail.latest(limit=1)[0]
    assert event.before is not None
    assert event.before["reviews"] == stored
    assert verify(database).findings == ()


def test_prunes_reviewers_and_a_line_at_once_leave_all_in_order(
    records: Records, store: ImageStore, database: DatabaseSettings
) -> None:
    with records.unit() as unit:
        uids = [
            unit.inspections.add(inspection(judged_at=NOW - timedelta(days=days), part=f"P{n}", lot="L7"))
            for n, days in enumerate([200, 10] * 120)
        ]
    together = Barrier(4)
    failed: list[Exception] = []

    def run(work: Callable[[], object]) -> None:
        together.wait()
        try:
            work()
        except Exception as exc:  # noqa: BLE001 - handed to the test's own thread
            failed.append(exc)

    def decide() -> None:
        for uid in uids[::-1]:
            with suppress(RecordError), records.unit() as unit:  # some are gone by then
                unit.reviews.add(review(uid))

    def see_again() -> None:
        for n in range(0, 240, 2):
            with records.unit() as unit:
                unit.inspections.add(inspection(part=f"P{n}", lot="L7", judged_at=NOW))

    def let() -> None:
        let_go(records, store)

    threads = [Thread(target=run, args=(work,)) for work in (let, let, decide, see_again)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert verify(database).findings == ()
    with records.unit() as unit:
        assert sum(unit.rollups.verdicts().values()) == 240
        unit.rollups.rebuild()
        assert sum(unit.rollups.verdicts().values()) == 240


def test_the_number_of_a_pruned_review_is_nobody_elses(records: Records, store: ImageStore, database: DatabaseSettings) -> None:
    for round_ in range(3):
        uid = add(records, store, f"old {round_}", 200, Verdict.REJECT)
        with records.unit() as unit:
            unit.reviews.add(review(uid))
        assert let_go(records, store).records == 1
    with records.unit() as unit:
        told = [event.subject_id for event in unit.trail.latest() if event.subject == "review"]
    assert len(set(told)) == 3
    assert verify(database).findings == ()


def test_an_export_goes_on_where_what_it_read_last_is_pruned(records: Records, store: ImageStore) -> None:
    with records.unit() as unit:
        for number in range(500):
            days = 200 if number < 250 else 1
            unit.inspections.add(inspection(Verdict.PASS, judged_at=NOW - timedelta(days=days), part=f"P{number}"))
    read = each_record(records)
    first = [next(read).row.part for _ in range(200)]
    let_go(records, store)
    rest = [record.row.part for record in read]
    assert first == [f"P{number}" for number in range(200)]
    assert rest == [f"P{number}" for number in range(250, 500)]
