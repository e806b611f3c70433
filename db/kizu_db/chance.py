"""Draws that nobody can steer: by a hash of the inspection's uid, which is as random as the uid."""

from __future__ import annotations

from hashlib import sha256
from typing import Literal

__all__ = ["chance_of"]


def chance_of(uid: str, draw: Literal["blind", "second"]) -> float:
    """A number in [0, 1), always the same of this inspection in this draw: below a share, it is drawn."""
    return int.from_bytes(sha256(f"{draw}:{uid}".encode()).digest()[:6]) / 2**48
