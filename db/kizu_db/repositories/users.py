"""Who may do what here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from kizu_db.permissions import Action, Role
from kizu_db.repositories.audit_trail import AuditTrail
from kizu_db.repositories.common import PLAIN, insert_unless_there
from kizu_db.repositories.people import find_person, folded, person_named, tidy, unseen
from kizu_db.repositories.sign_ins import SignIns
from kizu_db.tables import UserTable
from kizu_db.values import Person, User
from kizu_inspect.errors import NotAllowed, RecordError

__all__ = ["Users"]


class Users:
    """The people who may work here. While nobody is entered, everybody may do everything: a plant of one person."""

    def __init__(self, session: Session, trail: AuditTrail, sign_ins: SignIns) -> None:
        self._session = session
        self._trail = trail
        self._sign_ins = sign_ins

    def add(self, name: str, role: Role, *, by: str, password_hash: str | None = None, reason: str = "") -> User:
        """Enter a person. Raises RecordError for an empty or taken name, or one with what nobody sees, NotAllowed.

        The first one must be an admin: with nobody to manage the others, nobody could work any more.
        """
        self.require(by, Action.MANAGE_USERS)
        return self.enter(name, role, by=by, password_hash=password_hash, reason=reason)

    def enter(self, name: str, role: Role, *, by: str, password_hash: str | None = None, reason: str = "") -> User:
        """The same for who was asked elsewhere whether `by` may."""
        taken, name = find_person(self._session, name) is not None, tidy(name)
        if not name:
            raise RecordError("A user needs a name", found=repr(name))
        if unseen(name):
            raise RecordError(
                "The name holds a character that nobody sees", found=ascii(name), expected="letters, digits, signs and blanks"
            )
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
        return self.alter(name, by=by, role=role, active=active, reason=reason)

    def alter(self, name: str, *, by: str, role: Role | None = None, active: bool | None = None, reason: str = "") -> User:
        """The same for who was asked elsewhere whether `by` may."""
        found = person_named(self._session, name)
        # Held until this unit ends: two admins may not take the role from each other at once.
        admins = select(UserTable.id).where(UserTable.role == Role.ADMIN, UserTable.active).order_by(UserTable.id)
        others = set(self._session.scalars(admins.with_for_update())) - {found.id}
        # As they are now: who was let out while this one waited does not come in again with another role.
        self._session.refresh(found, with_for_update=True)
        was = {"role": found.role, "active": found.active}
        is_now = {"role": role or found.role, "active": found.active if active is None else active}
        if not (is_now["role"] is Role.ADMIN and is_now["active"]) and not others:
            raise RecordError(f"{found.name} is the last admin", next_step="Make somebody else an admin first.")
        self._session.execute(update(UserTable).where(UserTable.id == found.id).values(**is_now), execution_options=PLAIN)
        if not is_now["active"]:
            self._sign_ins.end_of(found.id)
        self._tell("user.change", found.name, by, was, is_now, reason)
        self._session.refresh(found)
        return User(found.name, found.role, active=found.active)

    def set_password(self, name: str, password_hash: str, *, by: str, reason: str = "") -> User:
        """Give a person another password, told without its hash; whoever was signed in by the old one is signed out.

        Raises RecordError for an unknown name, NotAllowed where `by` is somebody else and may not.
        """
        if folded(by) != folded(name):
            self.require(by, Action.MANAGE_USERS)
        found = person_named(self._session, name)
        found.password_hash = password_hash
        self._session.flush()
        self._sign_ins.end_of(found.id)
        self._tell("user.password", found.name, by, None, None, reason)
        return User(found.name, found.role, active=found.active)

    def end_sign_ins(self, name: str, *, by: str, reason: str = "") -> int:
        """Sign a person out everywhere; from how many places. Raises RecordError for an unknown name, NotAllowed."""
        self.require(by, Action.MANAGE_USERS)
        found = person_named(self._session, name)
        ended = self._sign_ins.end_of(found.id)
        self._tell("user.sign_out", found.name, by, {"sign_ins": ended}, {"sign_ins": 0}, reason)
        return ended

    def password_hash(self, name: str) -> str | None:
        """What this person's password is checked by; None where there is no such active person, or no password."""
        found = find_person(self._session, name)
        return None if found is None or not found.active else found.password_hash

    def nobody(self) -> bool:
        """Whether no person at all is entered."""
        return self._session.scalar(select(UserTable.id).limit(1)) is None

    def people(self, *, idle: timedelta, idle_at_terminal: timedelta | None = None) -> list[Person]:
        """All users, by name, with what they may come in by and their sign-ins, as `SignIns` tells when one has ended."""
        came_in = self._sign_ins.of_people(idle=idle, idle_at_terminal=idle_at_terminal)
        found = self._session.scalars(select(UserTable).order_by(UserTable.name_folded))
        return [
            Person(
                User(one.name, one.role, active=one.active),
                has_password=one.password_hash is not None,
                has_pin=one.pin_hash is not None,
                has_badge=one.badge_hash is not None,
                has_account=one.account_sha256 is not None,
                came_in=tuple(came_in.get(one.id, ())),
            )
            for one in found
        ]

    def list(self) -> list[User]:
        """All users, by name."""
        found = self._session.scalars(select(UserTable).order_by(UserTable.name_folded))
        return [User(one.name, one.role, active=one.active) for one in found]

    def require(self, name: str, action: Action) -> None:
        """Raise NotAllowed unless this person may do that."""
        found = find_person(self._session, name)
        if found is not None and found.active and found.role.may(action):
            return
        if found is None and self.nobody():
            return
        is_now = "nobody of that name" if found is None else f"role {found.role}" if found.active else "a user who was let out"
        raise NotAllowed(
            f"{name or 'Nobody'} may not {action}", found=is_now, expected=f"the role {action.least} or one above",
            next_step="Ask an admin: `kizu user list` shows who is one.",
        )  # fmt: skip

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
