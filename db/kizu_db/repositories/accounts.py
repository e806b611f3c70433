"""Whose an account of the company's sign-in service is."""

from __future__ import annotations

from typing import Final

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from kizu_db.permissions import Action, Role, Way
from kizu_db.repositories.audit_trail import AuditTrail
from kizu_db.repositories.common import PLAIN
from kizu_db.repositories.people import find_person, person_named, secret_sha256, tidy, unseen
from kizu_db.repositories.sign_ins import SignIns
from kizu_db.repositories.users import Users
from kizu_db.tables import UserTable
from kizu_inspect.errors import NotAllowed, RecordError

__all__ = ["Accounts", "account_sha256"]

SERVICE: Final = "sign-in service"
"""Who enters people, and gives them roles, where it was configured that the service does."""


class Accounts:
    """Each account is one person's, once it has signed in; each person has one at most."""

    def __init__(self, session: Session, trail: AuditTrail, users: Users, sign_ins: SignIns) -> None:
        self._session = session
        self._trail = trail
        self._users = users
        self._sign_ins = sign_ins

    def person_of(self, account: str, name: str, *, role: Role | None, newcomers: Role | None) -> str:
        """The name here of the person with this account; at its first sign-in the person of that name, however it is spelt.

        `role` is what the service says that the person is (None: it says nothing); the last admin stays one. `newcomers` is the
        role with which a person is entered who is not yet; None refuses them. Raises NotAllowed: not entered, let out, or
        another account is theirs.
        """
        found = self._session.scalar(select(UserTable).where(UserTable.account_sha256 == account))
        found = found or find_person(self._session, name)
        if found is None:
            return self._enter(account, name, newcomers)
        _require_theirs(found, account)
        if role is not None and role is not found.role and not self._is_last_admin(found):
            self._users.alter(found.name, by=SERVICE, role=role, reason="groups of the account")
            _require_theirs(found, account)  # it may have waited for who let them out
        if found.account_sha256 is None:
            self._bind(found, account)
        return found.name

    def forget(self, name: str, *, by: str, reason: str) -> str:
        """The person's next account may be another; who is signed in by this one is out. Their name.

        Raises RecordError for an unknown name and for who has no account, NotAllowed.
        """
        self._users.require(by, Action.MANAGE_USERS)
        found = person_named(self._session, name)
        if found.account_sha256 is None:
            raise RecordError("This person has no account", found=repr(found.name))
        found.account_sha256 = None
        self._session.flush()
        self._sign_ins.end_of(found.id, way=Way.OIDC)
        self._tell(found.name, by, known=False, reason=reason)
        return found.name

    def _enter(self, account: str, name: str, role: Role | None) -> str:
        if role is None or self._users.nobody() or unseen(tidy(name)):  # an account may be given a name that reads as another's
            raise NotAllowed(f"{name} may not sign in", found="nobody of that name", expected="a person who is entered")
        entered = self._users.enter(name, role, by=SERVICE, reason="first sign-in with the account")
        self._bind(person_named(self._session, entered.name), account)
        return entered.name

    def _bind(self, found: UserTable, account: str) -> None:
        """Raises NotAllowed where another account came first, which may be at this very moment."""
        free = (UserTable.id == found.id, or_(UserTable.account_sha256.is_(None), UserTable.account_sha256 == account))
        bound = update(UserTable).where(*free).values(account_sha256=account).returning(UserTable.id)
        if self._session.scalar(bound, execution_options=PLAIN) is None:
            raise _has_another(found)
        self._tell(found.name, SERVICE, known=True, reason="first sign-in with the account")

    def _is_last_admin(self, found: UserTable) -> bool:
        admins = select(UserTable.id).where(UserTable.role == Role.ADMIN, UserTable.active)
        return set(self._session.scalars(admins)) == {found.id}

    def _tell(self, name: str, by: str, *, known: bool, reason: str) -> None:
        before, after = {"account": not known}, {"account": known}
        self._trail.add("user.account", actor=by, subject="user", subject_id=name, before=before, after=after, reason=reason)


def _require_theirs(found: UserTable, account: str) -> None:
    """Raises NotAllowed for who was let out, and for who has another account."""
    if not found.active:
        raise NotAllowed(f"{found.name} may not sign in", found="a user who was let out")
    if found.account_sha256 not in (None, account):
        raise _has_another(found)


def _has_another(found: UserTable) -> NotAllowed:
    return NotAllowed(
        f"{found.name} has another account", found="a second one with this name",
        next_step="An admin makes room for it with `kizu user forget-account NAME`.",
    )  # fmt: skip


def account_sha256(issuer: str, subject: str) -> str:
    """What is kept of an account: both are needed to tell it from another's."""
    return secret_sha256(f"{len(issuer)}:{issuer}{subject}")
