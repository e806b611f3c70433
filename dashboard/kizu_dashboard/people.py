"""Entering people, their passwords, PINs and badges: what was typed twice must be the same, and only its hash goes on."""

from __future__ import annotations

from collections.abc import Callable

from kizu_dashboard.language.speaking import marked
from kizu_dashboard.room import Room
from kizu_dashboard.signing_in.passwords import hash_badge, hash_password, hash_pin
from kizu_db.permissions import Action, Role
from kizu_db.records import Records
from kizu_db.values import User
from kizu_inspect.errors import RecordError

__all__ = ["enter", "new_badge", "new_password", "new_pin"]


def enter(room: Room, name: str, role: Role, typed: str, again: str, *, by: str, reason: str) -> User:
    """Enter a person; where nothing is typed, without a password.

    Raises RecordError for an empty or taken name and where the two differ, ConfigError for a password that is too short or
    too long, NotAllowed where `by` may not.
    """
    kept = _hash(room, typed, again, by=by) if typed or again else None  # outside of the transaction: it takes its time
    with room.records.unit() as unit:
        return unit.users.add(name, role, by=by, password_hash=kept, reason=reason)


def new_password(room: Room, name: str, typed: str, again: str, *, by: str, reason: str) -> User:
    """Give a person another password, and sign them out everywhere. Raises like `enter`; RecordError for an unknown name."""
    kept = _hash(room, typed, again, by=by)
    with room.records.unit() as unit:
        return unit.users.set_password(name, kept, by=by, reason=reason)


def new_pin(room: Room, name: str, typed: str, again: str, *, by: str, reason: str) -> None:
    """Give a person another PIN. Raises like `new_password`."""
    kept = _hash(room, typed, again, by=by, made_by=hash_pin)
    with room.records.unit() as unit:
        unit.credentials.set_pin(name, kept, by=by, reason=reason)


def new_badge(records: Records, name: str, code: str, *, by: str, reason: str) -> str:
    """Give a person this badge, in the place of the one before; their name.

    Raises ConfigError for a code that is too short or too long, RecordError for an unknown name and another's badge,
    NotAllowed where `by` may not.
    """
    with records.unit(read_only=True) as unit:
        unit.users.require(by, Action.MANAGE_USERS)
        salt = unit.credentials.badge_salt()
    if salt is None:
        raise RecordError(marked("Nobody is entered yet"), next_step=marked("Enter the first person with `kizu user add`."))
    kept = hash_badge(code, salt)
    with records.unit() as unit:
        return unit.credentials.set_badge(name, kept, by=by, reason=reason)


def _hash(room: Room, typed: str, again: str, *, by: str, made_by: Callable[[str], str] = hash_password) -> str:
    """Of what was typed twice; hashing is work that only who manages users may ask for."""
    with room.records.unit(read_only=True) as unit:
        unit.users.require(by, Action.MANAGE_USERS)
    if typed != again:
        what = marked("The two PINs differ") if made_by is hash_pin else marked("The two passwords differ")
        raise RecordError(what, found=marked("one typed otherwise than the other"), expected=marked("the same twice"))
    return made_by(typed)
