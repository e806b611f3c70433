"""The audit trail: what it tells, and that no byte of it, or of a review, changes unseen."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from threading import Barrier, Thread
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy import inspect as look_into

from db_examples import inspection, model, raw, review
from kizu_db.engine import make_engine
from kizu_db.permissions import Role
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings
from kizu_db.values import AuditEvent
from kizu_db.verifying import Finding, verify
from kizu_inspect.errors import NotAllowed


@pytest.fixture
def told(records: Records) -> list[AuditEvent]:
    """A plant in which something of each kind was changed; its events, oldest first."""
    with records.unit() as unit:
        unit.models.register(model(), by="station press-3")
        unit.recipes.register("press-3", {"pass_below": 0.1}, model().hash, by="station press-3")
    with records.unit() as unit:
        unit.recipes.register("press-3", {"pass_below": 0.2}, model().hash, by="Mina")
        uid = unit.inspections.add(inspection(lot="L7"))
        first = unit.reviews.add(review(uid, reason="Kratzer über \N{MICRO SIGN}"))
        unit.reviews.add(review(uid, disposition="good", defect_class=None, decision="override", supersedes=first.id))
        unit.lots.hold("L7", by="Mina", reason="a claim")
        unit.reports.add("csv", b"a,b", {"station": None}, by="Mina", software="Kizu")
        unit.users.add("Mina", Role.ADMIN, by="root")
    with records.unit(read_only=True) as unit:
        return unit.trail.latest()[::-1]


def test_every_change_is_told_with_who_when_before_after_and_why(told: list[AuditEvent], records: Records) -> None:
    assert [(event.id, event.action, event.actor) for event in told] == [
        (1, "model.register", "station press-3"), (2, "recipe.version", "station press-3"), (3, "recipe.version", "Mina"),
        (4, "review.add", "Mina"), (5, "review.add", "Mina"), (6, "lot.hold", "Mina"), (7, "report.make", "Mina"),
        (8, "user.add", "root"),
    ]  # fmt: skip
    assert told[0].after is not None
    assert (told[0].subject_id, told[0].after["name"]) == (model().hash, "plates")
    assert told[2].before is not None
    assert told[2].after is not None
    assert (told[2].before["content"], told[2].after["content"]) == ({"pass_below": 0.1}, {"pass_below": 0.2})
    assert (told[3].before, told[3].reason) == (None, "Kratzer über µ")
    assert told[4].before == {"disposition": "defective", "defect_class": "scratch"}
    assert told[4].after is not None
    assert (told[4].after["disposition"], told[4].after["supersedes"]) == ("good", int(told[3].subject_id))
    assert (told[5].subject, told[5].subject_id, told[5].reason) == ("lot", "L7", "a claim")
    assert all(event.at.tzinfo is UTC for event in told)
    with records.unit(read_only=True) as unit:
        assert unit.trail.of("recipe", told[2].subject_id) == [told[2]]
        assert unit.trail.latest(limit=2, before=4) == [told[2], told[1]]


def test_the_trail_is_narrowed_by_who_what_about_what_and_where(told: list[AuditEvent], records: Records) -> None:
    with records.unit(read_only=True) as unit:
        find = unit.trail.latest
        assert [event.id for event in find(actor="Mina")] == [7, 6, 5, 4, 3]
        assert [event.id for event in find(action="re")] == [7, 5, 4, 3, 2]
        assert find(action="%") == []
        assert [event.id for event in find(action="review.", actor="Mina", limit=1, before=5)] == [4]
        assert find(subject="lot", subject_id="L7") == [told[5]]
        assert [event.id for event in find(since=3, before=6)] == [5, 4, 3]
        assert find(actor="Mina", since=8) == []


def test_a_walk_tells_how_far_it_is_and_ends_where_it_is_told_to(told: list[AuditEvent], database: DatabaseSettings) -> None:
    seen: list[int] = []
    verify(database, progress=seen.append)
    assert seen == [len(told)]

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify(database, progress=stop)
    assert verify(database).findings == ()


def test_a_verification_is_told_with_what_it_found_by_who_may(told: list[AuditEvent], records: Records) -> None:
    del told
    with records.unit() as unit:
        unit.users.add("Kim", Role.INSPECTOR, by="Mina")
        assert unit.verifications.last() is None
        findings = [f"review {number}: changed" for number in range(30)]
        unit.verifications.add(by="Mina", events=9, reviews=2, head="ab" * 32, findings=findings)
        last = unit.verifications.last()
    assert last is not None
    assert last.after == {"events": 9, "reviews": 2, "head": "ab" * 32, "findings": 30, "first": findings[:20]}
    with pytest.raises(NotAllowed, match="Kim may not verify the records"), records.unit() as unit:
        unit.verifications.add(by="Kim", events=9, reviews=2, head="ab" * 32, findings=[])
    with records.unit(read_only=True) as unit:
        assert unit.verifications.last() == last


def test_the_chain_is_that_of_its_description(told: list[AuditEvent], database: DatabaseSettings) -> None:
    """Computed here once more, from the columns as any program reads them."""
    previous = "0" * 64
    with raw(database) as connection:
        for row in connection.execute(text("SELECT * FROM audit_event ORDER BY id")).mappings():
            at = row["at"]
            at = (
                at.replace(" ", "T") + "+00:00"
                if isinstance(at, str)
                else at.astimezone(UTC).isoformat(timespec="microseconds")
            )
            names = ("actor", "action", "subject", "subject_id", "before", "after", "reason")
            content = json.dumps([previous, row["id"], at, *(row[name] for name in names)], separators=(",", ":"))
            assert row["previous_hash"] == previous
            previous = hashlib.sha256(content.encode()).hexdigest()
            assert row["hash"] == previous
    verified = verify(database, head=previous)
    assert (verified.findings, verified.events, verified.reviews, verified.head) == ((), len(told), 2, previous)


@contextmanager
def unguarded(settings: DatabaseSettings) -> Iterator[Connection]:
    """As for somebody who knows how to get around the database's own refusals, but for checks on PostgreSQL."""
    engine = make_engine(settings, foreign_keys=False)
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "sqlite":
                for (name,) in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
                    connection.execute(text(f"DROP TRIGGER {name}"))
                connection.execute(text("PRAGMA ignore_check_constraints = ON"))
            else:
                connection.execute(text("SET session_replication_role = replica"))
            yield connection
    finally:
        engine.dispose()


def flipped(value: Any) -> Any:
    """The value with one bit changed, of a text in its last byte."""
    if isinstance(value, str):
        return value[:-1] + chr(ord(value[-1]) ^ 0x40)
    if isinstance(value, datetime):
        return value.replace(microsecond=value.microsecond ^ 1)
    return value ^ 1


CHECKED = {"disposition", "decision"}
"""Columns in which PostgreSQL refuses what is no word of theirs."""


def columns(settings: DatabaseSettings, table: str) -> list[str]:
    with raw(settings) as connection:
        return [column["name"] for column in look_into(connection).get_columns(table)]


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(("table", "kind"), [("audit_event", "audit event"), ("review", "review")])
def test_a_flipped_byte_is_found_by_its_id(database: DatabaseSettings, table: str, kind: str) -> None:
    """In every column of every row that holds something."""
    tried = 0
    with raw(database) as connection:
        rows = [dict(row) for row in connection.execute(text(f"SELECT * FROM {table} ORDER BY id")).mappings()]
    for row in rows:
        for name in columns(database, table):
            if (
                row[name] in (None, "")
                or (name in CHECKED and (database.file is None or name == "inspection_id"))
                or name == "id"
            ):
                continue
            change = text(f'UPDATE {table} SET "{name}" = :value WHERE id = :id')
            with unguarded(database) as connection:
                connection.execute(change, {"value": flipped(row[name]), "id": row["id"]})
            findings = verify(database).findings
            assert (kind, str(row["id"])) in [(one.subject, one.subject_id) for one in findings], (row["id"], name, findings)
            with unguarded(database) as connection:
                connection.execute(change, {"value": row[name], "id": row["id"]})
            tried += 1
    assert tried > 12
    assert verify(database).findings == ()


@pytest.mark.usefixtures("told")
def test_another_disposition_is_found_where_the_checks_allow_it(database: DatabaseSettings) -> None:
    with unguarded(database) as connection:
        connection.execute(text("UPDATE review SET disposition = 'good', decision = 'override' WHERE id = 1"))
    assert Finding("review", "1", "changed since it was written: decision, disposition") in verify(database).findings


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_flipped_byte_in_the_file_itself_is_found(records: Records, database: DatabaseSettings) -> None:
    records.close()
    assert database.file is not None
    with closing(sqlite3.connect(database.file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    sound = database.file.read_bytes()
    needles = {b"seen under the lamp": {("review", "2"), ("audit event", "5")}, b'"pass_below":0.2': {("audit event", "3")}}
    found: set[tuple[str, str]] = set()
    for needle, owners in needles.items():
        places = [match.start() for match in re.finditer(re.escape(needle), sound)]
        assert places
        for place in places:
            database.file.write_bytes(sound[: place + 3] + bytes([sound[place + 3] ^ 0xFF]) + sound[place + 4 :])
            hit = owners & {(one.subject, one.subject_id) for one in verify(database).findings}
            assert hit, (needle, place)
            found |= hit
    assert found == {("review", "2"), ("audit event", "5"), ("audit event", "3")}
    database.file.write_bytes(sound)
    assert verify(database).findings == ()


@pytest.mark.usefixtures("told")
def test_what_is_missing_or_added_is_found(database: DatabaseSettings) -> None:
    head = verify(database).head
    with unguarded(database) as connection:
        connection.execute(text("DELETE FROM review WHERE id = 2"))
        connection.execute(
            text(
                "INSERT INTO review (id, inspection_id, reviewer, disposition, decision, reason, nonce, reviewed_at) "
                "SELECT 9, inspection_id, reviewer, disposition, decision, reason, 'other', reviewed_at FROM review"
            )
        )
        connection.execute(text("DELETE FROM audit_event WHERE id = 3"))
        connection.execute(text("UPDATE rollup_hour SET inspections = 7"))
    found = [str(one) for one in verify(database).findings]
    assert "review 2: the audit trail tells of it, and it is not there" in found
    assert "review 9: the audit trail does not tell of it" in found
    assert "audit event 3: it is missing: event 4 follows" in found
    assert "rollups rollup_hour: 7 counted, 1 there: run `kizu db rebuild-rollups`" in found
    assert any(one.endswith("its current disposition is not that of its latest review") for one in found)
    with unguarded(database) as connection:
        connection.execute(text("DELETE FROM audit_event WHERE id > 6"))
    assert not [one for one in verify(database).findings if one.subject_id == head]
    (cut,) = [one for one in verify(database, head=head).findings if one.subject_id == head]
    assert "the trail's end is gone" in cut.what


@pytest.mark.usefixtures("told")
def test_a_changed_recipe_or_model_is_found(database: DatabaseSettings) -> None:
    with unguarded(database) as connection:
        connection.execute(text("UPDATE recipe SET content = '{\"pass_below\": 0.9}' WHERE version = 1"))
        connection.execute(text("UPDATE model SET good = 'scratch'"))
    found = sorted((one.subject, one.what) for one in verify(database).findings)
    assert found == [
        ("model", "changed since it was written: good"), ("recipe", "changed since it was written: content"),
    ]  # fmt: skip


def test_programs_at_once_make_one_chain(records: Records, database: DatabaseSettings) -> None:
    with records.unit() as unit:
        uids = [unit.inspections.add(inspection()) for _ in range(40)]
    barrier = Barrier(4)
    failed: list[Exception] = []

    def decide(mine: list[str]) -> None:
        barrier.wait()
        try:
            for uid in mine:
                with records.unit() as unit:
                    unit.reviews.add(review(uid))
        except Exception as exc:  # noqa: BLE001 - handed to the test's own thread
            failed.append(exc)

    threads = [Thread(target=decide, args=(uids[n::4],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    verified = verify(database)
    assert (verified.findings, verified.events, verified.reviews) == ((), 40, 40)


def test_a_unit_that_fails_tells_nothing(records: Records, database: DatabaseSettings) -> None:
    def decide_and_fail() -> None:
        with records.unit() as unit:
            unit.reviews.add(review(unit.inspections.add(inspection())))
            assert len(unit.trail.latest()) == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        decide_and_fail()
    assert verify(database).events == 0
