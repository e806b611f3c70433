"""Passwords, PINs and badges: only their Argon2id hashes are ever kept."""

from __future__ import annotations

import secrets
import unicodedata
from functools import cache
from itertools import pairwise
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type, hash_secret_raw
from argon2.profiles import RFC_9106_LOW_MEMORY

from kizu_dashboard.language.speaking import marked
from kizu_inspect.errors import ConfigError

__all__ = ["LEAST_LENGTH", "LONGEST", "hash_badge", "hash_password", "hash_pin", "matches"]

LEAST_LENGTH: Final = 8
LONGEST: Final = 1024
"""Characters; nobody types more, and hashing takes time."""
PIN_DIGITS: Final = (4, 8)
BADGE_LENGTH: Final = (6, 200)
"""Characters: the shortest numbers of cards have six, and a code of two dimensions may be long."""

_HASHER: Final = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)


def hash_password(password: str) -> str:
    """What the records keep of a password. Raises ConfigError for one that is too short or too long."""
    if not LEAST_LENGTH <= len(password) <= LONGEST:
        raise ConfigError(
            marked("The password cannot be taken"), found=f"{len(password)} characters", expected=f"{LEAST_LENGTH} to {LONGEST}"
        )
    return _HASHER.hash(_bytes(password))


def hash_pin(pin: str) -> str:
    """What the records keep of a PIN. Raises ConfigError for one not of 4 to 8 digits, or that everybody tries first."""
    least, most = PIN_DIGITS
    if not (pin.isascii() and pin.isdecimal() and least <= len(pin) <= most):
        raise ConfigError(
            marked("The PIN cannot be taken"),
            found=marked("other characters, or another length"),
            expected=f"{least} to {most} digits",
        )
    steps = {(int(after) - int(before)) % 10 for before, after in pairwise(pin)}
    if steps in ({0}, {1}, {9}):
        raise ConfigError(
            marked("The PIN cannot be taken"),
            found=marked("a row such as 1111 or 1234"),
            expected=marked("one that is not tried first"),
        )
    return _HASHER.hash(_bytes(pin))


def hash_badge(code: str, salt: bytes) -> str:
    """What the records keep of a badge's code, 64 hexadecimal digits: slow to make, and the same each time, for these records.

    Raises ConfigError for a code that is too short or too long.
    """
    code, (least, most) = code.strip(), BADGE_LENGTH
    if not least <= len(code) <= most:
        raise ConfigError(marked("The badge cannot be taken"), found=f"{len(code)} characters", expected=f"{least} to {most}")
    with_ = RFC_9106_LOW_MEMORY
    made = hash_secret_raw(_bytes(code), salt, with_.time_cost, with_.memory_cost, with_.parallelism, 32, Type.ID)
    return made.hex()


def matches(password: str, kept: str | None) -> bool:
    """Whether this is the password (or PIN) of which `kept` is the hash. With None it is none, and takes as long to say so."""
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
