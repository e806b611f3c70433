"""What the delivery asks of a receiver, whatever its protocol."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Publisher"]


class Publisher(Protocol):
    """Hands events to one receiver. Used by one thread."""

    @property
    def shown(self) -> str:
        """The receiver for messages, without secrets."""
        ...

    def send(self, kind: str, message: bytes) -> None:
        """Hand over one event, UTF-8 JSON; it returns once the receiver has said that it was taken.

        Raises ReceiverAway where nobody could say so in time (it may have been taken all the same), or where none would be;
        EventRefused where the receiver will not have this one. Connects by itself, and again after a failure.
        """
        ...

    def close(self) -> None:
        """Let the connection go."""
        ...
