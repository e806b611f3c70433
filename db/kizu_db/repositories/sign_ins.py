"""Who is signed in, how they came in, and for how long."""

from __future__ import annotations

import secrets
from collections import defaultdict
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy.orm import Session

from kizu_db.permissions import Role, Way
from kizu_db.repositories.audit_trail import AuditTrail
from kizu_db.repositories.common import PLAIN
from kizu_db.repositories.people import find_person, secret_sha256
from kizu_db.tables import SessionTable, TerminalTable, UserTable
from kizu_db.values import CameIn, SignedIn, User
from kizu_inspect.errors import NotAllowed

__all__ = ["SignIns"]


class SignIns:
    """The sign-ins: each a secret, of which only the hash is kept.

    One that is not used for longer than `idle` has ended, one at a terminal after `idle_at_terminal`; None: the same.
    """

    def __init__(self, session: Session, trail: AuditTrail) -> None:
        self._session = session
        self._trail = trail

    def begin(
        self,
        name: str,
        *,
        lasting: timedelta,
        way: Way = Way.PASSWORD,
        proof: str | None = None,
        terminal: int | None = None,
    ) -> str:
        """A secret that stands for this person until it ends.

        `proof` is the kept hash by which the password, the PIN, the badge or the account was checked; PIN and badge have
        one always, and the number of their terminal. Raises NotAllowed where it is another by now, the terminal is not
        known any more, and for who is not an active user.
        """
        # Whoever changes what was checked waits until this sign-in is there, to end it with the others.
        found = find_person(self._session, name, hold=True)
        if (
            found is None
            or not found.active
            or (proof is None and way.quick)
            or (proof is not None and proof != _kept(found, way))
        ):
            raise NotAllowed(f"{name} may not sign in", expected="an active user")
        at, now = self._at(terminal) if way.quick else None, datetime.now(UTC)
        secret = secrets.token_urlsafe(32)
        self._end(SessionTable.expires_at <= now)
        row = SessionTable(
            token_sha256=secret_sha256(secret), user_id=found.id, created_at=now, last_seen_at=now, expires_at=now + lasting,
            way=way, terminal_id=terminal if way.quick else None,
        )  # fmt: skip
        self._session.add(row)
        self._session.flush()
        told = {"way": way} if at is None else {"way": way, "terminal": at}
        self._trail.add("user.sign_in", actor=found.name, subject="user", subject_id=found.name, after=told)
        return secret

    def whose(self, secret: str, *, idle: timedelta, idle_at_terminal: timedelta | None = None) -> SignedIn | None:
        """Whom the secret stands for; None where it has ended. Writes nothing.

        Who came in by PIN or badge has at most the role of an inspector.
        """
        query = select(SessionTable, UserTable).join(UserTable, UserTable.id == SessionTable.user_id)
        query = query.where(
            SessionTable.token_sha256 == secret_sha256(secret), UserTable.active, *_alive(idle, idle_at_terminal)
        )
        found = self._session.execute(query).one_or_none()
        if found is None:
            return None
        session, user = found
        role = user.role.at_most(Role.INSPECTOR) if session.way.quick else user.role
        return SignedIn(User(user.name, role, active=user.active, at_terminal=session.way.quick), session.last_seen_at)

    def saw(self, secret: str, *, idle: timedelta, idle_at_terminal: timedelta | None = None) -> None:
        """Note that the secret was used now; nothing happens where it has ended."""
        alive = (SessionTable.token_sha256 == secret_sha256(secret), *_alive(idle, idle_at_terminal))
        seen = update(SessionTable).where(*alive).values(last_seen_at=datetime.now(UTC))
        self._session.execute(seen, execution_options=PLAIN)

    def end(self, secret: str) -> None:
        """End what the secret stands for; nothing happens where it ended before."""
        self._end(SessionTable.token_sha256 == secret_sha256(secret))

    def end_of(self, user_id: int, *, way: Way | None = None) -> int:
        """End a person's sign-ins, or those of one way alone; how many."""
        return self._end(SessionTable.user_id == user_id, *(() if way is None else (SessionTable.way == way,)))

    def end_at(self, terminal: int) -> None:
        """End those at a terminal."""
        self._end(SessionTable.terminal_id == terminal)

    def of_people(self, *, idle: timedelta, idle_at_terminal: timedelta | None = None) -> dict[int, list[CameIn]]:
        """Those that have not ended, by the person's number, the newest first."""
        row = SessionTable
        query = select(row.user_id, row.way, TerminalTable.name, row.last_seen_at)
        query = query.outerjoin(TerminalTable, TerminalTable.id == row.terminal_id).where(*_alive(idle, idle_at_terminal))
        found: dict[int, list[CameIn]] = defaultdict(list)
        for user_id, way, terminal, seen in self._session.execute(query.order_by(row.last_seen_at.desc())):
            found[user_id].append(CameIn(way, terminal, seen))
        return found

    def _at(self, terminal: int | None) -> str:
        """The terminal's name; it is used now. Whoever withdraws it waits until this unit ends, or was there before."""
        used = update(TerminalTable).where(TerminalTable.id == terminal).values(last_used_at=datetime.now(UTC))
        name: str | None = self._session.scalar(used.returning(TerminalTable.name), execution_options=PLAIN)
        if name is None:
            raise NotAllowed("PIN and badge work at known terminals alone", found="a browser that is none")
        return name

    def _end(self, *which: ColumnElement[bool]) -> int:
        ended = delete(SessionTable).where(*which).returning(SessionTable.token_sha256)
        return len(self._session.scalars(ended, execution_options=PLAIN).all())


def _kept(user: UserTable, way: Way) -> str | None:
    """What is kept now of what a sign-in by this way is checked by."""
    kept = {
        Way.PASSWORD: user.password_hash, Way.PIN: user.pin_hash, Way.BADGE: user.badge_hash, Way.OIDC: user.account_sha256
    }  # fmt: skip
    return kept.get(way)


def _alive(idle: timedelta, idle_at_terminal: timedelta | None) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    now, row = datetime.now(UTC), SessionTable
    at_terminal = now - (idle if idle_at_terminal is None else idle_at_terminal)
    used = or_(
        and_(row.terminal_id.is_(None), row.last_seen_at > now - idle),
        and_(row.terminal_id.is_not(None), row.last_seen_at > at_terminal),
    )
    return row.expires_at > now, used
