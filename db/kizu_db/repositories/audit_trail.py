"""What was changed, by whom and why, as a chain that shows where it was broken."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from kizu_db.tables import AuditEventTable
from kizu_db.tables.base import clean_text
from kizu_db.values import AuditEvent

__all__ = ["GENESIS", "AuditTrail", "canonical_json", "canonical_time", "chain_hash"]

GENESIS = "0" * 64
"""What the first event names as the one before it."""

_LOCK = 0x6B697A76  # the advisory lock under which one program at a time appends to a PostgreSQL chain


@dataclass(frozen=True)
class _New:
    actor: str
    action: str
    subject: str
    subject_id: str
    before: str | None
    after: str | None
    reason: str


class AuditTrail:
    """The audit events: appended as their unit ends, in one order for all programs."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._new: list[_New] = []

    def add(
        self,
        action: str,
        *,
        actor: str,
        subject: str,
        subject_id: object,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        reason: str = "",
    ) -> None:
        """Append what was done to the chain, as this unit ends.

        `before` and `after` are what the subject was and is, as plain JSON values; None for nothing.
        """
        new = _New(
            actor=clean_text(actor),
            action=action,
            subject=subject,
            subject_id=clean_text(str(subject_id)),
            before=None if before is None else canonical_json(before),
            after=None if after is None else canonical_json(after),
            reason=clean_text(reason),
        )
        self._new.append(new)

    def latest(
        self,
        *,
        limit: int = 100,
        before: int | None = None,
        since: int | None = None,
        actor: str | None = None,
        action: str | None = None,
        subject: str | None = None,
        subject_id: str | None = None,
    ) -> list[AuditEvent]:
        """The newest events, newest first, at most `limit`; `before` is the id of the last one of the page before.

        Of this actor, about this subject, of actions that begin so ("user." for all about users), as far as they are given.
        What is rare is searched for through all events: `since` (an id) bounds that, for ids are without a gap.
        """
        self.flush()
        row = AuditEventTable
        query = select(row).order_by(row.id.desc()).limit(limit)
        bounds = ((before, row.id.__lt__), (since, row.id.__ge__))
        query = query.where(*(bounded_by(number) for number, bounded_by in bounds if number is not None))
        same = ((row.actor, actor), (row.subject, subject), (row.subject_id, subject_id))
        query = query.where(*(column == text for column, text in same if text is not None))
        if action is not None:
            query = query.where(row.action.startswith(action, autoescape=True))
        return [_value(found) for found in self._session.scalars(query)]

    def since(self, subject: str, at: datetime) -> Iterator[AuditEvent]:
        """The events about any subject of this kind since that moment, newest first."""
        self.flush()
        query = select(AuditEventTable).where(AuditEventTable.subject == subject).order_by(AuditEventTable.id.desc())
        for row in self._session.scalars(query, execution_options={"yield_per": 100}):
            if row.at < at:
                return
            yield _value(row)

    def of(self, subject: str, subject_id: object) -> list[AuditEvent]:
        """The events about one subject, oldest first."""
        self.flush()
        same = (AuditEventTable.subject == subject, AuditEventTable.subject_id == str(subject_id))
        return [_value(row) for row in self._session.scalars(select(AuditEventTable).where(*same).order_by(AuditEventTable.id))]

    def root(self) -> str | None:
        """The hash of the first event, which no other database has but a copy of this one; None where nothing happened yet."""
        return self._session.scalar(select(AuditEventTable.hash).order_by(AuditEventTable.id).limit(1))

    def flush(self) -> None:
        """Write this unit's events behind the last one. From here to its end no other program can append."""
        if not self._new:
            return
        if self._session.get_bind().dialect.name == "postgresql":  # on SQLite this unit is the only writer already
            self._session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        newest = select(AuditEventTable.id, AuditEventTable.hash).order_by(AuditEventTable.id.desc()).limit(1)
        last, previous = self._session.execute(newest).one_or_none() or (0, GENESIS)
        rows = []
        for number, new in enumerate(self._new, last + 1):
            at = datetime.now(UTC)
            told = (new.actor, new.action, new.subject, new.subject_id, new.before, new.after, new.reason)
            link = chain_hash(previous, number, canonical_time(at), *told)
            rows.append({"id": number, "at": at, **vars(new), "previous_hash": previous, "hash": link})
            previous = link
        self._session.execute(insert(AuditEventTable), rows)
        self._new.clear()


def canonical_json(content: Mapping[str, Any]) -> str:
    """The content in the one way in which it is hashed: keys in order, no spaces, ASCII."""
    return json.dumps(dict(content), sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical_time(when: datetime) -> str:
    """The time in the one way in which it is hashed: ISO 8601 in UTC with microseconds."""
    return when.astimezone(UTC).isoformat(timespec="microseconds")


def chain_hash(previous_hash: object, number: object, at: object, *told: object) -> str:
    """The SHA-256 of an event: of a JSON list of the hash before it, its number, its time and what it tells."""
    content = json.dumps([previous_hash, number, at, *told], separators=(",", ":"), default=repr)
    return hashlib.sha256(content.encode()).hexdigest()


def _value(row: AuditEventTable) -> AuditEvent:
    return AuditEvent(
        id=row.id,
        at=row.at,
        actor=row.actor,
        action=row.action,
        subject=row.subject,
        subject_id=row.subject_id,
        before=None if row.before is None else json.loads(row.before),
        after=None if row.after is None else json.loads(row.after),
        reason=row.reason,
    )
