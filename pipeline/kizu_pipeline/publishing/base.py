"""What the delivery asks of a receiver, whatever its protocol."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Protocol

from kizu_inspect.errors import ConfigError

__all__ = ["Publisher", "tls_context"]


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


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Checks certificates and names, by the system's authorities or those in the file. Raises ConfigError for a wrong file."""
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except OSError as error:  # of which SSLError is one
        raise ConfigError(
            f"the certificates in {ca_file} cannot be read", found=error.strerror or error, expected="a PEM file",
            next_step="Correct station.publish.ca_file.",
        ) from None  # fmt: skip
