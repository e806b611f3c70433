"""The browsers on the shop floor at which PINs and badges work."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from kizu_db.permissions import Action
from kizu_db.repositories.audit_trail import AuditTrail
from kizu_db.repositories.common import insert_unless_there
from kizu_db.repositories.people import folded, secret_sha256, tidy
from kizu_db.repositories.sign_ins import SignIns
from kizu_db.repositories.users import Users
from kizu_db.tables import TerminalTable
from kizu_db.values import Terminal
from kizu_inspect.errors import RecordError

__all__ = ["Terminals"]


class Terminals:
    """The known terminals: each a secret in a browser's cookie, of which only the hash is kept."""

    def __init__(self, session: Session, trail: AuditTrail, users: Users, sign_ins: SignIns) -> None:
        self._session = session
        self._trail = trail
        self._users = users
        self._sign_ins = sign_ins

    def add(self, name: str, *, by: str, reason: str) -> str:
        """Make a terminal known; the secret for its cookie. Raises RecordError for an empty or taken name, NotAllowed."""
        self._users.require(by, Action.MANAGE_USERS)
        name = tidy(name)
        if not name:
            raise RecordError("A terminal needs a name", found=repr(name), expected="where it stands")
        secret = secrets.token_urlsafe(32)
        values = {
            "name": name,
            "name_folded": folded(name),
            "token_sha256": secret_sha256(secret),
            "made_at": datetime.now(UTC),
            "made_by": by,
        }
        if insert_unless_there(self._session, TerminalTable, values) is None:
            raise RecordError("A terminal has that name", found=name, expected="another one, or withdraw that one first")
        self._trail.add("terminal.add", actor=by, subject="terminal", subject_id=name, after={"known": True}, reason=reason)
        return secret

    def withdraw(self, name: str, *, by: str, reason: str) -> str:
        """It is known no more, and who came in there by PIN or badge is out; its name.

        Raises RecordError for an unknown name, NotAllowed.
        """
        self._users.require(by, Action.MANAGE_USERS)
        # Held before its sign-ins end: one that is about to begin there comes before, or finds no terminal.
        query = select(TerminalTable).where(TerminalTable.name_folded == folded(name)).with_for_update()
        found = self._session.scalar(query)
        if found is None:
            raise RecordError("There is no such terminal", found=repr(name), next_step="`kizu user terminals` lists them.")
        self._sign_ins.end_at(found.id)
        self._session.delete(found)
        self._session.flush()
        self._trail.add(
            "terminal.withdraw", actor=by, subject="terminal", subject_id=found.name, before={"known": True},
            after={"known": False}, reason=reason,
        )  # fmt: skip
        return found.name

    def known_by(self, secret: str) -> Terminal | None:
        """The terminal whose cookie holds this secret."""
        found = self._session.scalar(select(TerminalTable).where(TerminalTable.token_sha256 == secret_sha256(secret)))
        return None if found is None else _value(found)

    def list(self) -> list[Terminal]:
        """All of them, by name."""
        return [_value(one) for one in self._session.scalars(select(TerminalTable).order_by(TerminalTable.name_folded))]


def _value(row: TerminalTable) -> Terminal:
    return Terminal(row.id, row.name, row.made_at, row.made_by, row.last_used_at)
