"""When the records were verified, by whom, and what was found: told by the audit trail itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kizu_db.permissions import Action
from kizu_db.repositories.audit_trail import AuditTrail
from kizu_db.repositories.users import Users
from kizu_db.values import AuditEvent

__all__ = ["Verifications"]

_SUBJECT: Final = ("records", "all")
_MOST_TOLD: Final = 20


class Verifications:
    """The walks through the whole records (`verifying.py`)."""

    def __init__(self, trail: AuditTrail, users: Users) -> None:
        self._trail = trail
        self._users = users

    def require(self, by: str) -> None:
        """Raise NotAllowed unless this person may verify the records."""
        self._users.require(by, Action.VERIFY)

    def add(self, *, by: str, events: int, reviews: int, head: str, findings: Sequence[str]) -> None:
        """Tell what a walk found: how many audit events and reviews it saw, the last event's hash, and what is wrong.

        The first findings are told in words, all are counted. Raises NotAllowed.
        """
        self.require(by)
        subject, subject_id = _SUBJECT
        told = {"events": events, "reviews": reviews, "head": head, "findings": len(findings), "first": findings[:_MOST_TOLD]}
        self._trail.add("records.verify", actor=by, subject=subject, subject_id=subject_id, after=told)

    def last(self) -> AuditEvent | None:
        """The last one; None where there was none."""
        subject, subject_id = _SUBJECT
        return next(iter(self._trail.latest(subject=subject, subject_id=subject_id, limit=1)), None)
