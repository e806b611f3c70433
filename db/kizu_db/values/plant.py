"""What judges, who works here, and what was made of the records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from kizu_db.permissions import Role, Way

__all__ = ["CameIn", "ChosenLimits", "HeldLot", "MadeReport", "ModelRow", "Person", "RecipeRow", "SignedIn", "Terminal", "User"]


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

    @property
    def limits(self) -> tuple[float | None, float | None]:
        """The PASS and REJECT limit that it was calibrated with; None where they are not on record."""
        told = self.spec.get("thresholds")
        known: Mapping[str, Any] = told if isinstance(told, Mapping) else {}
        values = (known.get("pass_below"), known.get("reject_from"))
        low, high = (float(value) if isinstance(value, int | float) else None for value in values)
        return low, high

    def keeps_promise(self, pass_below: float | None) -> bool | None:
        """Whether its miss rate holds with this PASS limit (None: its own); None where it promises none.

        With a lower limit fewer parts pass, and no more are missed; what a higher one misses was not calibrated.
        """
        if self.promise is None:
            return None
        own = self.limits[0]
        return pass_below is None or (own is not None and pass_below <= own)


@dataclass(frozen=True, kw_only=True)
class ChosenLimits:
    """Who chose the limits of a recipe version, and by what."""

    version: int
    """By which they were chosen; a later version that changes something else carries them on."""
    by: str
    reason: str
    seen: Mapping[str, Any]
    """The figures by which they were chosen, with what these rest on."""


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
    chosen: ChosenLimits | None = None
    """None where its limits are those of kizu.yaml, or where that sets none the model's own."""

    @property
    def limits(self) -> tuple[float | None, float | None]:
        """Its own PASS and REJECT limit; None stands for the model's."""
        return self.content.get("pass_below"), self.content.get("reject_from")

    @property
    def set_by_file(self) -> bool:
        """Whether kizu.yaml sets a limit itself."""
        return self.chosen is None and self.limits != (None, None)


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
