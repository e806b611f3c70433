"""What judges, who works here, and what was made of the records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from kizu_db.permissions import Role, Way

__all__ = ["CameIn", "HeldLot", "MadeReport", "ModelRow", "Person", "RecipeRow", "SignedIn", "Terminal", "User"]


@dataclass(frozen=True, kw_only=True)
class ModelRow:
    """A model as it was when it was first registered."""

    hash: str
    name: str
    classes: tuple[str, ...]
    good: str | None
    path: Path
    spec: Mapping[str, Any]
    promise: Mapping[str, Any] | None
    registered_at: datetime


@dataclass(frozen=True, kw_only=True)
class RecipeRow:
    """One version of a station's settings."""

    id: int
    station: str
    version: int
    """1 for a station's first recipe, one more for each change."""
    content: Mapping[str, Any]
    model_hash: str | None
    created_at: datetime


@dataclass(frozen=True)
class HeldLot:
    """A lot of which nothing is pruned."""

    name: str
    """Empty for the parts of which no lot is known."""
    by: str
    since: datetime
    reason: str


@dataclass(frozen=True)
class User:
    """A person who may work here."""

    name: str
    role: Role
    """Of who is signed in by PIN or badge at most that of an inspector."""
    active: bool
    at_terminal: bool = False
    """Whether this person is signed in by PIN or badge, at a terminal that others use too."""


@dataclass(frozen=True)
class CameIn:
    """A sign-in that has not ended."""

    way: Way
    terminal: str | None
    """By PIN or badge: where."""
    last_seen_at: datetime


@dataclass(frozen=True, kw_only=True)
class Person:
    """A user, as who manages the others sees them."""

    user: User = field(kw_only=False)
    has_password: bool
    has_pin: bool
    has_badge: bool
    has_account: bool
    """Whether an account of the company's sign-in service is theirs."""
    came_in: tuple[CameIn, ...]
    """Their sign-ins, that used last first."""


@dataclass(frozen=True)
class Terminal:
    """A browser on the shop floor at which PINs and badges work."""

    id: int
    name: str
    made_at: datetime
    made_by: str
    last_used_at: datetime | None
    """When somebody last came in there by PIN or badge; None for never."""


@dataclass(frozen=True)
class SignedIn:
    """A person, and when their sign-in was last used."""

    user: User
    last_seen_at: datetime


@dataclass(frozen=True, kw_only=True)
class MadeReport:
    """A file that was made of the records."""

    uid: str
    kind: str
    content: Mapping[str, Any]
    """The filters, and how many inspections it holds."""
    made_at: datetime
    made_by: str
    software: str
    sha256: str
    size_bytes: int
