"""Passwords: only their Argon2id hashes are ever kept."""

from __future__ import annotations

import secrets
import unicodedata
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from kizu_dashboard.language.speaking import marked
from kizu_inspect.errors import ConfigError

__all__ = ["LEAST_LENGTH", "LONGEST", "hash_password", "matches"]

LEAST_LENGTH: Final = 8
LONGEST: Final = 1024
"""Characters; nobody types more, and hashing takes time."""

_HASHER: Final = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)


def hash_password(password: str) -> str:
    """What the records keep of a password. Raises ConfigError for one that is too short or too long."""
    if not LEAST_LENGTH <= len(password) <= LONGEST:
        raise ConfigError(
            marked("The password cannot be taken"), found=f"{len(password)} characters", expected=f"{LEAST_LENGTH} to {LONGEST}"
        )
    return _HASHER.hash(_bytes(password))


def matches(password: str, kept: str | None) -> bool:
    """Whether this is the password of which `kept` is the hash. With None it is none, and takes as long to say so."""
    try:
        _HASHER.verify(_nobodys() if kept is None else kept, _bytes(password))
    except (VerificationError, InvalidHashError):
        return False
    return kept is not None


@cache
def _nobodys() -> str:
    return _HASHER.hash(secrets.token_bytes(32))


def _bytes(password: str) -> bytes:
    # Two keyboards may send the same Hangul composed or in parts.
    return unicodedata.normalize("NFKC", password).encode("utf-8", "backslashreplace")
