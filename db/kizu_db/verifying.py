"""Whether the records are what was written: the audit trail's chain, and what it tells of against the rows themselves.

Everything is read as the database holds it, past our own types: a changed byte may make a time that is none.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from kizu_db.engine import connected
from kizu_db.image_store import ImageStore
from kizu_db.migrations import require_current
from kizu_db.records import Records
from kizu_db.repositories.audit_trail import GENESIS, canonical_time, chain_hash
from kizu_db.settings import DatabaseSettings

__all__ = ["Finding", "Verification", "verify", "verify_images"]

_AT_ONCE = 1000
_ABOUT_TO_BE_RECORDED = timedelta(hours=1)
_EVENT = ("id", "at", "actor", "action", "subject", "subject_id", "before", "after", "reason", "previous_hash", "hash")
_KEPT: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "review": (
        "SELECT review.*, uid AS inspection FROM review JOIN inspection ON inspection.id = review.inspection_id",
        (
            "id", "reviewer", "disposition", "defect_class", "decision", "treatment", "reason", "shown_ms", "nonce",
            "supersedes", "inspection", "reviewed_at", "boxes",
        ),
    ),
    "second_review": (
        "SELECT second_review.*, uid AS inspection FROM second_review JOIN inspection ON inspection.id = "
        "second_review.inspection_id",
        (
            "id", "reviewer", "disposition", "defect_class", "decision", "treatment", "reason", "shown_ms", "nonce",
            "inspection", "reviewed_at", "boxes",
        ),
    ),
    "recipe": (
        "SELECT * FROM recipe LEFT JOIN chosen_limits ON recipe_id = recipe.id",
        ("id", "station", "version", "content", "model_hash", "created_at", "chosen_as", "chosen_by", "reason", "seen"),
    ),
    "model": ("SELECT * FROM model", ("hash", "name", "classes", "good", "path", "spec", "promise", "registered_at")),
}  # fmt: skip
"""Of what the audit trail keeps a copy: where it lies, and which columns."""

_PRUNED = {"review": "reviews", "second_review": "second_reviews"}
"""What goes with its inspection, and by which name the event of it tells the ids."""

_JSON = {"content", "classes", "spec", "promise", "seen", "boxes"}
_TIMES = {"at", "reviewed_at", "created_at", "registered_at"}


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was written."""

    subject: str
    """"audit event", "review", "second_review", "recipe", "model", "inspection", "picture", "rollups" or "file"."""
    subject_id: str
    what: str

    def __str__(self) -> str:
        return f"{self.subject} {self.subject_id}: {self.what}"


@dataclass(frozen=True)
class Verification:
    """What was looked at, and what was found wrong."""

    findings: tuple[Finding, ...]
    events: int
    """Links of the audit trail."""
    reviews: int
    head: str
    """The last link's hash: noted elsewhere, it also shows that nobody cut off the trail's end."""


def verify(
    settings: DatabaseSettings, *, head: str | None = None, progress: Callable[[int], None] = lambda _: None
) -> Verification:
    """Walk the audit trail from its first event, and compare reviews, recipes and models with what it says of them.

    Also: the current disposition with the latest review, the rollups with a count of the rows, and, for SQLite, the file's own
    integrity. `head` is the hash that was the last event's some time ago: it must still be there, for an end that was cut off
    leaves a chain that holds. `progress` is told how many events were looked at, each thousand; what it raises ends the walk.
    Reads one state and holds up nobody. Raises SchemaError, RecordError where the database is away.
    """
    require_current(settings)
    with connected(settings) as connection, _as_it_is(connection):
        found, walk = _Found(list(_damage(connection))), _Walk(connection, progress)
        for step in (walk.chain, walk.without_event, walk.dispositions, walk.rollups):
            found.gather(step.__name__, step())
        if head is not None:
            found.gather("head", walk.without_end(head))
        reviews = found.count(lambda: connection.scalar(text("SELECT count(*) FROM review")))
        return Verification(tuple(found.findings), walk.events, reviews, walk.head)


def verify_images(records: Records, store: ImageStore) -> Iterator[Finding]:
    """Pictures that inspections have and the store has not, and pictures in the store that no inspection has.

    A picture that was stored within the last hour may still be about to get its inspection.
    """
    for first, last, there in store.shards(fresh=_ABOUT_TO_BE_RECORDED):
        with records.unit(read_only=True) as unit:
            kept = unit.retention.kept_images(first, last)
        # Looked at once more, for a line or a prune may have been at work between the two looks.
        for sha256 in sorted(name for name in kept - there.keys() if not store.has(name)):
            with records.unit(read_only=True) as unit:
                gone = not unit.retention.image_is_kept(sha256)
            if not gone:
                what = "an inspection has it, and it is not in the image store: restore it from a backup"
                yield Finding("picture", sha256, what)
        for sha256 in sorted(name for name, settled in there.items() if settled and name not in kept and store.has(name)):
            yield Finding(
                "picture", sha256, "no inspection has it; nothing removes it by itself, for another database may use this store"
            )


class _Found:
    """What is wrong so far. A file that is damaged in one place is read on in the others."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings

    def gather(self, step: str, findings: Iterable[Finding]) -> None:
        try:
            for finding in findings:
                self.findings.append(finding)
        except SQLAlchemyError as exc:
            self.findings.append(Finding("file", step, f"it cannot be read: {getattr(exc, 'orig', None) or exc}"))

    def count(self, number: Callable[[], int | None]) -> int:
        try:
            return number() or 0
        except SQLAlchemyError:
            return 0


class _Walk:
    """One walk through one state of a database."""

    def __init__(self, connection: Connection, progress: Callable[[int], None]) -> None:
        self._connection = connection
        self._progress = progress
        self.events = 0
        self.head = GENESIS

    def chain(self) -> Iterator[Finding]:
        """Each event against the one before, and each copy in it against its row."""
        expected = 1
        gone: dict[str, set[str]] = {kind: set() for kind in _KEPT}
        for events in self._pages(f"SELECT {', '.join(_EVENT)} FROM audit_event", "id"):
            told: dict[str, dict[str, Mapping[str, Any]]] = {kind: {} for kind in _KEPT}
            pruned: dict[str, set[str]] = {kind: set() for kind in _PRUNED}
            for event in events:
                self.events += 1
                yield from self._link(event, expected)
                expected = event["id"] + 1 if isinstance(event["id"], int) else expected + 1
                self.head = str(event["hash"])
                after = _loaded(event["after"])
                if event["subject"] in told and isinstance(after, dict):
                    told[event["subject"]][str(event["subject_id"])] = after
                if event["action"] == "prune.records":
                    before = _loaded(event["before"])
                    for kind, name in _PRUNED.items():
                        pruned[kind].update(map(str, before.get(name, ()) if isinstance(before, dict) else ()))
            self._progress(self.events)
            for kind, copies in told.items():
                rows = self._rows(kind, copies)
                for key, copy in copies.items():
                    if key not in rows:
                        gone[kind].add(key)
                    elif changed := sorted(name for name in _KEPT[kind][1] if rows[key].get(name) != copy.get(name)):
                        yield Finding(kind, key, f"changed since it was written: {', '.join(changed)}")
            for kind, keys in pruned.items():
                gone[kind] -= keys
        for kind, keys in gone.items():
            for key in sorted(keys, key=lambda key: (len(key), key)):
                yield Finding(kind, key, "the audit trail tells of it, and it is not there")

    def without_end(self, head: str) -> Iterator[Finding]:
        """The hash of a former last event, where no event has it any more."""
        if self._connection.scalar(text("SELECT id FROM audit_event WHERE hash = :head"), {"head": head}) is None:
            yield Finding("audit event", head, "no event has this hash any more: the trail's end is gone")

    def without_event(self) -> Iterator[Finding]:
        """Rows that the audit trail does not tell of."""
        for kind in _KEPT:
            key = "hash" if kind == "model" else "id"
            query = (
                f"SELECT {kind}.{key} FROM {kind} LEFT JOIN audit_event ON subject = '{kind}' "
                f"AND subject_id = CAST({kind}.{key} AS TEXT) WHERE audit_event.id IS NULL ORDER BY 1"
            )
            for (number,) in self._connection.execute(text(query)):
                yield Finding(kind, str(number), "the audit trail does not tell of it")

    def dispositions(self) -> Iterator[Finding]:
        """Inspections whose current disposition is not that of their latest review."""
        latest = "SELECT inspection_id, max(id) AS id FROM review GROUP BY inspection_id"
        query = (
            "SELECT inspection.uid FROM inspection LEFT JOIN "
            f"(SELECT r.* FROM review r JOIN ({latest}) last ON last.id = r.id) review ON review.inspection_id = inspection.id "
            "WHERE (inspection.disposition IS NOT NULL OR review.id IS NOT NULL) AND "
            "(coalesce(inspection.disposition, '') <> coalesce(review.disposition, '') "
            "OR coalesce(inspection.defect_class, '') <> coalesce(review.defect_class, '')) ORDER BY inspection.id"
        )
        for (uid,) in self._connection.execute(text(query)):
            yield Finding("inspection", str(uid), "its current disposition is not that of its latest review")

    def rollups(self) -> Iterator[Finding]:
        """Whether the rollups' sums are those of the rows; single minutes are compared by `kizu db rebuild-rollups`."""
        for table, rows in (
            ("rollup_minute", "SELECT count(*) FROM inspection"),
            ("rollup_hour", "SELECT count(*) FROM inspection"),
            ("rollup_reviewed", "SELECT count(*) FROM inspection WHERE disposition IS NOT NULL"),
        ):
            counted = self._connection.scalar(text(f"SELECT coalesce(sum(inspections), 0) FROM {table}"))
            there = self._connection.scalar(text(rows))
            if counted != there:
                yield Finding("rollups", table, f"{counted} counted, {there} there: run `kizu db rebuild-rollups`")

    def _link(self, event: Mapping[str, Any], expected: int) -> Iterator[Finding]:
        number = str(event["id"])
        if event["id"] != expected:
            yield Finding("audit event", str(expected), f"it is missing: event {number} follows")
        elif event["previous_hash"] != self.head:
            yield Finding("audit event", number, "it does not follow from the event before")
        told = (event[name] for name in _EVENT[1:-2])
        if event["hash"] != chain_hash(event["previous_hash"], event["id"], *told):
            yield Finding("audit event", number, "changed since it was written")

    def _rows(self, kind: str, copies: Mapping[str, object]) -> dict[str, dict[str, Any]]:
        """The rows of one kind by key, as the audit trail would keep them."""
        query, names = _KEPT[kind]
        key = names[0]
        keys: list[Any] = list(copies) if kind == "model" else [int(one) for one in copies if one.isdecimal() and len(one) < 19]
        if not keys:
            return {}
        places = ", ".join(f":k{n}" for n in range(len(keys)))
        found = self._connection.execute(
            text(f"{query} WHERE {kind}.{key} IN ({places})"), {f"k{n}": k for n, k in enumerate(keys)}
        )
        rows = {str(row[key]): {name: _plain(name, row.get(name)) for name in names} for row in found.mappings()}
        if kind == "review":
            self._add_boxes(rows)
        return rows

    def _add_boxes(self, reviews: Mapping[str, dict[str, Any]]) -> None:
        """What was drawn with these reviews; nothing where nothing was, as the audit trail tells it."""
        if not reviews:
            return
        places = ", ".join(f":k{n}" for n in range(len(reviews)))
        query = f"SELECT * FROM review_box WHERE review_id IN ({places}) ORDER BY review_id, ordinal"
        for box in self._connection.execute(text(query), {f"k{n}": int(k) for n, k in enumerate(reviews)}).mappings():
            drawn = reviews[str(box["review_id"])]
            drawn["boxes"] = [*(drawn["boxes"] or ()), [box[name] for name in ("x1", "y1", "x2", "y2", "defect_class")]]

    def _pages(self, query: str, key: str) -> Iterator[list[dict[str, Any]]]:
        after = -(2**62)
        while True:
            found = self._connection.execute(
                text(f"{query} WHERE {key} > :after ORDER BY {key} LIMIT :limit"), {"after": after, "limit": _AT_ONCE}
            )
            rows = [{name: _plain(name, value) for name, value in row.items()} for row in found.mappings()]
            if not rows:
                return
            yield rows
            after = rows[-1][key]


def _plain(name: str, value: Any) -> Any:
    """A column's value as the audit trail writes it."""
    if name in _TIMES and isinstance(value, datetime):
        return canonical_time(value)
    if name in _TIMES and isinstance(value, str):
        return f"{value.replace(' ', 'T')}+00:00"  # SQLite keeps the time's own text
    if name in _JSON and isinstance(value, str):
        return _loaded(value)
    return value


def _loaded(content: object) -> Any:
    try:
        return json.loads(content) if isinstance(content, str) else content
    except ValueError:
        return content


def _damage(connection: Connection) -> Iterator[Finding]:
    """What SQLite itself finds wrong with its file."""
    if connection.dialect.name != "sqlite":
        return
    try:
        for (said,) in connection.execute(text("PRAGMA integrity_check(20)")):
            if said != "ok":
                yield Finding("file", str(connection.engine.url.database), str(said))
    except SQLAlchemyError as exc:
        yield Finding("file", str(connection.engine.url.database), str(getattr(exc, "orig", None) or exc))


class _as_it_is:  # noqa: N801 - used like a function
    """SQLite's text as it lies there, also where it is no UTF-8 any more."""

    def __init__(self, connection: Connection) -> None:
        self._driver = connection.connection.driver_connection

    def __enter__(self) -> None:
        if isinstance(self._driver, sqlite3.Connection):
            self._driver.text_factory = lambda data: data.decode("utf-8", "surrogateescape")

    def __exit__(self, *_: object) -> None:
        if isinstance(self._driver, sqlite3.Connection):
            self._driver.text_factory = str
