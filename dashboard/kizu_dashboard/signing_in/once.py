"""A link that signs one person in, once: for the first day, when nobody has a password."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import threading

from starlette.requests import HTTPConnection

__all__ = ["OneTimeLink", "is_from_here", "is_loopback"]

_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


class OneTimeLink:
    """Kept as a hash in this process's memory alone; it ends with its use, and with the process."""

    def __init__(self, name: str) -> None:
        """For the person of this name, who becomes the first admin where nobody is entered."""
        self.name = name
        self._lock = threading.Lock()
        self._sha256: bytes | None = None

    def new_secret(self) -> str:
        """The secret that the link carries; one made before ends."""
        secret = secrets.token_urlsafe(32)
        with self._lock:
            self._sha256 = _hash(secret)
        return secret

    @property
    def is_open(self) -> bool:
        """Whether it was not used yet."""
        return self._sha256 is not None

    def take(self, secret: str) -> bool:
        """Whether this is its secret, which then ends: of two who come at once one is let in."""
        with self._lock:
            if self._sha256 is None or not hmac.compare_digest(self._sha256, _hash(secret)):
                return False
            self._sha256 = None
            return True


def is_loopback(host: str) -> bool:
    """Whether this address or name means the machine itself."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_from_here(connection: HTTPConnection) -> bool:
    """Whether a browser on this machine asks, by the machine's own name and not through a proxy."""
    client = connection.client
    if client is None or not is_loopback(client.host) or any(name in connection.headers for name in _FORWARDED):
        return False
    return is_loopback(connection.url.hostname or "")


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "backslashreplace")).digest()
