"""Whether what was typed or scanned is somebody's."""

from __future__ import annotations

from dataclasses import dataclass

from kizu_dashboard.signing_in.passwords import hash_badge, matches
from kizu_db.permissions import Way
from kizu_db.records import Records
from kizu_inspect.errors import ConfigError

__all__ = ["Checked", "check"]


@dataclass(frozen=True)
class Checked:
    """Whose it is, and the kept hash that it was checked by."""

    name: str
    proof: str


def check(records: Records, way: Way, name: str, typed: str) -> Checked | None:
    """The person, where `typed` is their password, PIN or badge; else None. A badge needs no name.

    Takes a processor for a moment and 64 MiB. Raises RecordError where the database refuses or is away.
    """
    if way is Way.BADGE:
        return _badge(records, typed)
    if way is Way.PIN:
        return _pin(records, name, typed)
    with records.unit(read_only=True) as unit:
        kept = unit.users.password_hash(name)
    return Checked(name, kept) if matches(typed, kept) and kept is not None else None


def _pin(records: Records, name: str, typed: str) -> Checked | None:
    with records.unit() as unit:
        kept = unit.credentials.pin_to_try(name)
    right = matches(typed, kept)
    if kept is None:
        return None
    with records.unit() as unit:
        if right:
            unit.credentials.pin_was_right(kept)
        else:
            unit.credentials.pin_was_wrong(kept)
    return Checked(name, kept) if right else None


def _badge(records: Records, code: str) -> Checked | None:
    with records.unit(read_only=True) as unit:
        salt = unit.credentials.badge_salt()
    try:
        scanned = None if salt is None else hash_badge(code, salt)
    except ConfigError:  # what is no badge is nobody's
        return None
    if scanned is None:
        return None
    with records.unit(read_only=True) as unit:
        name = unit.credentials.whose_badge(scanned)
    return None if name is None else Checked(name, scanned)
