"""PINs and badges: what people come in by at a known terminal."""

from __future__ import annotations

import hashlib
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from kizu_db.permissions import Action, Way
from kizu_db.repositories.audit_trail import AuditTrail
from kizu_db.repositories.common import PLAIN
from kizu_db.repositories.people import find_person, folded, person_named
from kizu_db.repositories.sign_ins import SignIns
from kizu_db.repositories.users import Users
from kizu_db.tables import UserTable
from kizu_inspect.errors import RecordError

__all__ = ["PIN_TRIES", "Credentials"]

PIN_TRIES: Final = 10
"""Wrong in a row; then a PIN is withdrawn."""
BY_ITSELF: Final = "Kizu"
"""Who withdraws a PIN that was guessed wrong too often."""


class Credentials:
    """The PINs and badges of the people, as hashes. Each change ends the sign-ins by what was there before."""

    def __init__(self, session: Session, trail: AuditTrail, users: Users, sign_ins: SignIns) -> None:
        self._session = session
        self._trail = trail
        self._users = users
        self._sign_ins = sign_ins

    def set_pin(self, name: str, pin_hash: str | None, *, by: str, reason: str) -> str:
        """Give a person a PIN, or with None withdraw it; their name.

        Raises RecordError for an unknown name, NotAllowed where `by` is somebody else and may not.
        """
        if folded(by) != folded(name):
            self._users.require(by, Action.MANAGE_USERS)
        found = person_named(self._session, name)
        self._set_pin(found, pin_hash, by=by, reason=reason)
        return found.name

    def pin_to_try(self, name: str) -> str | None:
        """What this person's PIN is checked by; None where there is none, or it was wrong ten times.

        It counts before the PIN is looked at, so that many tries at once are no more than one after the other.
        """
        found = find_person(self._session, name)
        if found is None or not found.active:
            return None
        mine = (UserTable.id == found.id, UserTable.pin_hash.is_not(None), UserTable.pin_tries < PIN_TRIES)
        tried = update(UserTable).where(*mine).values(pin_tries=UserTable.pin_tries + 1)
        return self._session.scalar(tried.returning(UserTable.pin_hash), execution_options=PLAIN)

    def pin_was_wrong(self, pin_hash: str) -> None:
        """A try at this PIN was wrong; after the tenth in a row it is withdrawn, until somebody sets it anew."""
        found = self._session.scalar(select(UserTable).where(UserTable.pin_hash == pin_hash).with_for_update())
        if found is not None and found.pin_tries >= PIN_TRIES:
            self._set_pin(found, None, by=BY_ITSELF, reason=f"wrong {PIN_TRIES} times in a row")

    def pin_was_right(self, pin_hash: str) -> None:
        """Its tries are counted from none again."""
        right = update(UserTable).where(UserTable.pin_hash == pin_hash).values(pin_tries=0)
        self._session.execute(right, execution_options=PLAIN)

    def set_badge(self, name: str, badge_hash: str | None, *, by: str, reason: str) -> str:
        """Give a person a badge in the place of the one before, or with None withdraw it; their name.

        Raises RecordError for an unknown name and where the badge is somebody's, NotAllowed where `by` may not.
        """
        self._users.require(by, Action.MANAGE_USERS)
        found = person_named(self._session, name)
        has = self._session.scalar(select(UserTable).where(UserTable.badge_hash == badge_hash))
        if has is not None and badge_hash is not None and has.id != found.id:
            raise RecordError(f"This badge is that of {has.name}", expected="a badge of nobody, or withdraw it first")
        before, found.badge_hash = {"badge": found.badge_hash is not None}, badge_hash
        self._session.flush()
        self._sign_ins.end_of(found.id, way=Way.BADGE)
        self._tell("user.badge", found.name, by, before, {"badge": badge_hash is not None}, reason)
        return found.name

    def whose_badge(self, badge_hash: str) -> str | None:
        """The name of the active person who has this badge."""
        return self._session.scalar(select(UserTable.name).where(UserTable.badge_hash == badge_hash, UserTable.active))

    def badge_salt(self) -> bytes | None:
        """What all badges of these records are hashed with: no other database has it. None while nothing was ever done."""
        root = self._trail.root()
        return None if root is None else hashlib.sha256(f"kizu badge {root}".encode()).digest()

    def _set_pin(self, found: UserTable, pin_hash: str | None, *, by: str, reason: str) -> None:
        before = {"pin": found.pin_hash is not None}
        found.pin_hash, found.pin_tries = pin_hash, 0
        self._session.flush()
        self._sign_ins.end_of(found.id, way=Way.PIN)
        self._tell("user.pin", found.name, by, before, {"pin": pin_hash is not None}, reason)

    def _tell(self, action: str, name: str, by: str, before: dict[str, bool], after: dict[str, bool], reason: str) -> None:
        self._trail.add(action, actor=by, subject="user", subject_id=name, before=before, after=after, reason=reason)
