"""The files that were made of the records."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from kizu_db.permissions import Action
from kizu_db.repositories.audit_trail import AuditTrail
from kizu_db.repositories.common import plain_json
from kizu_db.repositories.users import Users
from kizu_db.tables import ReportTable
from kizu_db.uid import new_uid
from kizu_db.values import MadeReport

__all__ = ["Reports"]


class Reports:
    """Which reports were made, by whom, of what: a file in hand is told from a changed one by its hash."""

    def __init__(self, session: Session, trail: AuditTrail, users: Users) -> None:
        self._session = session
        self._trail = trail
        self._users = users

    def add(self, kind: str, data: bytes, content: Mapping[str, Any], *, by: str, software: str) -> MadeReport:
        """Record a report: its kind ("csv", "pdf"), its bytes (only their hash is kept), and what it was made of.

        Raises NotAllowed where `by` may not make reports, RecordError for what JSON cannot hold.
        """
        self._users.require(by, Action.REPORT)
        made = MadeReport(
            uid=new_uid(),
            kind=kind,
            content=plain_json(content, "A report's filter"),
            made_at=datetime.now(UTC),
            made_by=by,
            software=software,
            sha256=hashlib.sha256(data).hexdigest(),
            size_bytes=len(data),
        )
        self._session.execute(insert(ReportTable).values(**vars(made)))
        told = {"kind": kind, "content": made.content, "sha256": made.sha256}
        self._trail.add("report.make", actor=by, subject="report", subject_id=made.uid, after=told)
        return made

    def tell_of_export(self, kind: str, content: Mapping[str, Any], *, by: str) -> None:
        """Tell the audit trail that records leave the house, and which. Raises NotAllowed where `by` may not export."""
        self._users.require(by, Action.REPORT)
        self._trail.add("export.make", actor=by, subject="export", subject_id=kind, after=plain_json(content, "An export"))

    def latest(self, *, limit: int = 100) -> list[MadeReport]:
        """The reports made last, newest first, at most `limit`."""
        found = self._session.scalars(
            select(ReportTable).order_by(ReportTable.made_at.desc(), ReportTable.uid.desc()).limit(limit)
        )
        names = ("uid", "kind", "content", "made_at", "made_by", "software", "sha256", "size_bytes")
        return [MadeReport(**{name: getattr(row, name) for name in names}) for row in found]
