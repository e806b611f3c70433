"""Who may do what here, and who is signed in."""

from __future__ import annotations

import hashlib
import secrets
import unicodedata
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, case, delete, func, select, update
from sqlalchemy.orm import Session

from kizu_db.permissions import Action, Role
from kizu_db.repositories.audit_trail import AuditTrail
from kizu_db.repositories.common import insert_unless_there
from kizu_db.tables import SessionTable, UserTable
from kizu_db.values import Person, SignedIn, User
from kizu_inspect.errors import NotAllowed, RecordError

__all__ = ["Users", "folded"]

_PLAIN = {"synchronize_session": False}


class Users:
    """The people who may work here. While nobody is entered, everybody may do everything: a plant of one person."""

    def __init__(self, session: Session, trail: AuditTrail) -> None:
        self._session = session
        self._trail = trail

    def add(self, name: str, role: Role, *, by: str, password_hash: str | None = None, reason: str = "") -> User:
        """Enter a person. Raises RecordError for an empty or taken name, NotAllowed where `by` may not.

        The first one must be an admin: with nobody to manage the others, nobody could work any more.
        """
        self.require(by, Action.MANAGE_USERS)
        taken, name = self._find(name) is not None, _tidy(name)
        if not name:
            raise RecordError("A user needs a name", found=repr(name))
        if role is not Role.ADMIN and self.nobody():
            raise RecordError(
                "The first user must manage the others", found=f"role {role}", expected=f"role {Role.ADMIN}",
                next_step="Enter an admin first.",
            )  # fmt: skip
        values = {
            "name": name,
            "name_folded": folded(name),
            "role": role,
            "active": True,
            "password_hash": password_hash,
            "created_at": datetime.now(UTC),
        }
        if taken or insert_unless_there(self._session, UserTable, values) is None:
            raise RecordError("That name is taken", found=name, expected="another one, in upper or lower case")
        self._tell("user.add", name, by, None, {"role": role, "active": True}, reason)
        return User(name, role, active=True)

    def change(self, name: str, *, by: str, role: Role | None = None, active: bool | None = None, reason: str = "") -> User:
        """Give a person another role, or let them in or out; whoever is let out is signed out.

        Raises RecordError for an unknown name and for the last active admin, NotAllowed where `by` may not.
        """
        self.require(by, Action.MANAGE_USERS)
        found = self._find(name)
        if found is None:
            raise RecordError("There is no such user", found=repr(name))
        was = {"role": found.role, "active": found.active}
        is_now = {"role": role or found.role, "active": found.active if active is None else active}
        # Held until this unit ends: two admins may not take the role from each other at once.
        admins = select(UserTable.id).where(UserTable.role == Role.ADMIN, UserTable.active).order_by(UserTable.id)
        others = set(self._session.scalars(admins.with_for_update())) - {found.id}
        if not (is_now["role"] is Role.ADMIN and is_now["active"]) and not others:
            raise RecordError(f"{found.name} is the last admin", next_step="Make somebody else an admin first.")
        self._session.execute(update(UserTable).where(UserTable.id == found.id).values(**is_now), execution_options=_PLAIN)
        if not is_now["active"]:
            self._end(SessionTable.user_id == found.id)
        self._tell("user.change", found.name, by, was, is_now, reason)
        self._session.refresh(found)
        return User(found.name, found.role, active=found.active)

    def set_password(self, name: str, password_hash: str, *, by: str, reason: str = "") -> User:
        """Give a person another password, told without its hash; whoever was signed in by the old one is signed out.

        Raises RecordError for an unknown name, NotAllowed where `by` is somebody else and may not.
        """
        if folded(by) != folded(name):
            self.require(by, Action.MANAGE_USERS)
        found = self._find(name)
        if found is None:
            raise RecordError("There is no such user", found=repr(name), next_step="Enter one with `kizu user add`.")
        found.password_hash = password_hash
        self._session.flush()
        self._end(SessionTable.user_id == found.id)
        self._tell("user.password", found.name, by, None, None, reason)
        return User(found.name, found.role, active=found.active)

    def end_sign_ins(self, name: str, *, by: str, reason: str = "") -> int:
        """Sign a person out everywhere; from how many places. Raises RecordError for an unknown name, NotAllowed."""
        self.require(by, Action.MANAGE_USERS)
        found = self._find(name)
        if found is None:
            raise RecordError("There is no such user", found=repr(name))
        ended = self._end(SessionTable.user_id == found.id)
        self._tell("user.sign_out", found.name, by, {"sign_ins": ended}, {"sign_ins": 0}, reason)
        return ended

    def password_hash(self, name: str) -> str | None:
        """What this person's password is checked by; None where there is no such active person, or no password."""
        found = self._find(name)
        return None if found is None or not found.active else found.password_hash

    def nobody(self) -> bool:
        """Whether no person at all is entered."""
        return self._session.scalar(select(UserTable.id).limit(1)) is None

    def people(self, *, idle: timedelta) -> list[Person]:
        """All users, by name, with their sign-ins: those that were used within `idle`."""
        now, row = datetime.now(UTC), SessionTable
        alive = (row.expires_at > now, row.last_seen_at > now - idle)
        query = select(row.user_id, func.count(), func.max(row.last_seen_at)).where(*alive).group_by(row.user_id)
        sign_ins = {user: (count, seen) for user, count, seen in self._session.execute(query)}
        found = self._session.scalars(select(UserTable).order_by(UserTable.name_folded))
        return [
            Person(User(one.name, one.role, active=one.active), one.password_hash is not None, *sign_ins.get(one.id, (0, None)))
            for one in found
        ]

    def list(self) -> list[User]:
        """All users, by name."""
        found = self._session.scalars(select(UserTable).order_by(UserTable.name_folded))
        return [User(one.name, one.role, active=one.active) for one in found]

    def require(self, name: str, action: Action) -> None:
        """Raise NotAllowed unless this person may do that."""
        found = self._find(name)
        if found is not None and found.active and found.role.may(action):
            return
        if found is None and self.nobody():
            return
        is_now = "nobody of that name" if found is None else f"role {found.role}" if found.active else "a user who was let out"
        raise NotAllowed(
            f"{name or 'Nobody'} may not {action}", found=is_now, expected=f"the role {action.least} or one above",
            next_step="Ask an admin: `kizu user list` shows who is one.",
        )  # fmt: skip

    def sign_in(self, name: str, *, lasting: timedelta, password_hash: str | None = None) -> str:
        """A secret that stands for this person until it ends; only its hash is kept.

        `password_hash` is what the password was checked by. Raises NotAllowed where it is another by now, and for who is not
        an active user.
        """
        found = self._find(name, hold=True)  # another password waits until this sign-in is there, to end it with the others
        if found is None or not found.active or (password_hash is not None and password_hash != found.password_hash):
            raise NotAllowed(f"{name} may not sign in", expected="an active user")
        secret, now = secrets.token_urlsafe(32), datetime.now(UTC)
        self._end(SessionTable.expires_at <= now)
        row = SessionTable(
            token_sha256=_hash(secret), user_id=found.id, created_at=now, last_seen_at=now, expires_at=now + lasting
        )  # fmt: skip
        self._session.add(row)
        self._session.flush()
        self._tell("user.sign_in", found.name, found.name, None, None, "")
        return secret

    def signed_in(self, secret: str, *, idle: timedelta) -> SignedIn | None:
        """Whom the secret stands for; None where it has ended, or was not used for longer than `idle`. Writes nothing."""
        now = datetime.now(UTC)
        query = select(SessionTable, UserTable).join(UserTable, UserTable.id == SessionTable.user_id)
        found = self._session.execute(query.where(SessionTable.token_sha256 == _hash(secret))).one_or_none()
        if found is None:
            return None
        session, user = found
        if not user.active or session.expires_at <= now or session.last_seen_at + idle <= now:
            return None
        return SignedIn(User(user.name, user.role, active=user.active), session.last_seen_at)

    def saw(self, secret: str, *, idle: timedelta) -> None:
        """Note that the secret was used now; nothing happens where it has ended, or was not used for longer than `idle`."""
        now = datetime.now(UTC)
        alive = (
            SessionTable.token_sha256 == _hash(secret), SessionTable.expires_at > now, SessionTable.last_seen_at > now - idle
        )  # fmt: skip
        self._session.execute(update(SessionTable).where(*alive).values(last_seen_at=now), execution_options=_PLAIN)

    def sign_out(self, secret: str) -> None:
        """End what the secret stands for; nothing happens where it ended before."""
        self._end(SessionTable.token_sha256 == _hash(secret))

    def _end(self, *which: ColumnElement[bool]) -> int:
        """End these sign-ins; how many."""
        ended = delete(SessionTable).where(*which).returning(SessionTable.token_sha256)
        return len(self._session.scalars(ended, execution_options=_PLAIN).all())

    def _find(self, name: str, *, hold: bool = False) -> UserTable | None:
        # Who was entered before names were folded whole is still found by the name as it was entered.
        same, entered_before = folded(name), name.strip().casefold()
        query = select(UserTable).where(UserTable.name_folded.in_((same, entered_before)))
        query = query.order_by(case((UserTable.name_folded == same, 0), else_=1)).limit(1)
        return self._session.scalar(query.with_for_update(read=True) if hold else query)

    def _tell(
        self,
        action: str,
        name: str,
        by: str,
        before: dict[str, object] | None,
        after: dict[str, object] | None,
        reason: str,
    ) -> None:
        self._trail.add(action, actor=by, subject="user", subject_id=name, before=before, after=after, reason=reason)


def folded(name: str) -> str:
    """What all spellings of one name have in common: without capitals, Unicode's forms (NFKC) and surplus blanks."""
    return unicodedata.normalize("NFKC", _tidy(name).casefold())


def _tidy(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).split())


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
