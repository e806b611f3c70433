"""What every way to a line's control offers to the signal, and what is exchanged."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

__all__ = ["Code", "Commands", "LineState", "Link", "Result"]


class Code(IntEnum):
    """What the line does with a part. Whatever is not OK is NG, silence included."""

    NONE = 0
    OK = 1
    NG = 2


@dataclass(frozen=True)
class LineState:
    """What the control may know of the service at any time."""

    heartbeat: int
    """Counts up, 0 to 65535 and again; it stands still when the service is dead."""
    ready: bool
    """The service takes parts."""
    busy: bool
    """At least one part waits for its result."""
    fault: bool
    """At least one part got its NG by the deadline and still has no verdict."""
    trigger: int
    """The last trigger that was taken; 0 before the first."""


@dataclass(frozen=True)
class Result:
    """The result of one part."""

    sequence: int
    """1 to 2³² − 1; no two results of a station have the same."""
    code: Code
    trigger: int
    """The trigger that it answers; 0 for a part that no trigger announced."""
    part: str


@dataclass(frozen=True)
class Commands:
    """What the control asks."""

    trigger: int
    """The number of its last trigger, 1 to 65535; 0 where it gave none."""
    part: str
    """The part of that trigger; empty where it names none."""
    acknowledged: int
    """The sequence number of the last result that it took."""


class Link(Protocol):
    """A way to one control. Only one thread uses it. Each method may raise SignalAway, after which `connect` comes first."""

    @property
    def name(self) -> str:
        """The control, for the log: no password."""

    def connect(self) -> frozenset[int]:
        """Make the connection, and take back whatever result is still shown. The sequence numbers that the control knows."""

    def read(self) -> Commands:
        """What the control asks now."""

    def tell(self, state: LineState) -> None:
        """Show this state."""

    def show(self, result: Result | None) -> None:
        """Show this result and no other; None: none."""

    def close(self) -> None:
        """End the connection. Never raises."""
