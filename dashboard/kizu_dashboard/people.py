"""Entering people and their passwords: what was typed twice must be the same, and only its hash goes on."""

from __future__ import annotations

from kizu_dashboard.language.speaking import marked
from kizu_dashboard.room import Room
from kizu_dashboard.signing_in.passwords import hash_password
from kizu_db.permissions import Action, Role
from kizu_db.values import User
from kizu_inspect.errors import RecordError

__all__ = ["enter", "new_password"]


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


def _hash(room: Room, typed: str, again: str, *, by: str) -> str:
    """Of what was typed twice; hashing is work that only who manages users may ask for."""
    with room.records.unit(read_only=True) as unit:
        unit.users.require(by, Action.MANAGE_USERS)
    if typed != again:
        raise RecordError(
            marked("The two passwords differ"),
            found=marked("one typed otherwise than the other"),
            expected=marked("the same twice"),
        )
    return hash_password(typed)
