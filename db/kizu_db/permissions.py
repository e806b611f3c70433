"""Who may do what, by role."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Action", "Role", "Way"]


class Action(StrEnum):
    """What changes the records, or takes them out of the house."""

    REVIEW = "review"
    """Decide about a part, and correct a decision."""
    REPORT = "report"
    """Make a report or an export."""
    SETTLE = "settle a disagreement"
    """Decide about a part of which two people said different things."""
    RELEASE_CLAIM = "release a claim"
    """Take a part from the reviewer who has it."""
    RELEASE_FILE = "release a file from quarantine"
    """Have a file judged anew that could not be read."""
    SET_LIMITS = "set a station's limits"
    """Save limits of the score by which a station's parts pass and are rejected."""
    VERIFY = "verify the records"
    """Walk through all of them, and have on record what was found."""
    HOLD = "hold a lot"
    """Set or end a lot's legal hold."""
    PRUNE = "prune"
    """Let pictures and records go, by the rules of retention."""
    MANAGE_USERS = "manage users"

    @property
    def least(self) -> Role:
        """The role that is just enough."""
        return _LEAST[self]


class Role(StrEnum):
    """What a person is here for; each role may do what the one before it may."""

    VIEWER = "viewer"
    INSPECTOR = "inspector"
    ENGINEER = "engineer"
    ADMIN = "admin"

    def may(self, action: Action) -> bool:
        """Whether this role is enough."""
        roles = list(Role)
        return roles.index(self) >= roles.index(action.least)

    def at_most(self, most: Role) -> Role:
        """This role, or that one where it is less."""
        return min(self, most, key=list(Role).index)


class Way(StrEnum):
    """How somebody came in."""

    PASSWORD = "password"
    LINK = "link"
    """Of the first day, from the terminal that started the dashboard."""
    PIN = "pin"
    BADGE = "badge"
    OIDC = "oidc"
    """By an account of the company's sign-in service."""

    @property
    def quick(self) -> bool:
        """Whether it works at a known terminal alone, and for at most an inspector's work."""
        return self in (Way.PIN, Way.BADGE)


_LEAST = {
    Action.REPORT: Role.INSPECTOR,
    Action.REVIEW: Role.INSPECTOR,
    Action.SETTLE: Role.ENGINEER,
    Action.RELEASE_CLAIM: Role.ENGINEER,
    Action.RELEASE_FILE: Role.ENGINEER,
    Action.SET_LIMITS: Role.ENGINEER,
    Action.VERIFY: Role.ENGINEER,
    Action.HOLD: Role.ADMIN,
    Action.PRUNE: Role.ADMIN,
    Action.MANAGE_USERS: Role.ADMIN,
}
