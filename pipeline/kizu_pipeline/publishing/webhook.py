"""Events to a web address: one POST each, over one connection that is kept open."""

from __future__ import annotations

from typing import Final

import urllib3
from urllib3.exceptions import HTTPError, ProtocolError

from kizu_inspect.credentials import read_secret, tls_context
from kizu_inspect.errors import ConfigError, EventRefused, ReceiverAway
from kizu_pipeline.publishing.settings import TOKEN_VARIABLE, WebhookTarget

__all__ = ["Webhook"]

_TARGET_IS_WRONG: Final = frozenset({401, 403, 404, 405, 407})
"""Answers that speak of the address or the token, so of every event alike: set aside, all would be lost to the receiver."""
_NOT_NOW: Final = frozenset({408, 425, 429})
_MOST_ANSWER: Final = 65_536
"""Bytes of an answer that are read so that its connection can be used again."""


class Webhook:
    """Publishes to one web address."""

    def __init__(self, target: WebhookTarget) -> None:
        """Raises ConfigError: the token or the certificates cannot be read."""
        self._target = target
        self._token: str | None = self._read_token()
        context = tls_context(target.ca_file, setting="station.publish.ca_file")
        self._pool = urllib3.PoolManager(maxsize=1, ssl_context=context, timeout=urllib3.Timeout(target.timeout_s))

    @property
    def shown(self) -> str:
        return self._target.shown

    def send(self, kind: str, message: bytes) -> None:  # noqa: ARG002 - the message says it too
        try:
            status, told = self._post(message)
        except (HTTPError, ValueError) as error:  # the latter of a header or an address that cannot be sent
            raise ReceiverAway(f"{self.shown} did not answer", found=_said(error)) from None
        if 200 <= status < 300:
            return
        found = f"{status} {told}".strip()
        if 400 <= status < 500 and status not in _TARGET_IS_WRONG | _NOT_NOW:
            raise EventRefused(f"{self.shown} refused an event", found=found)
        if status in _TARGET_IS_WRONG:  # the token may have been renewed since
            try:
                self._token = self._read_token()
            except ConfigError as error:
                raise ReceiverAway(f"{self.shown} takes no events", found=f"{found}; {error}") from None
        raise ReceiverAway(f"{self.shown} takes no events", found=found)

    def close(self) -> None:
        self._pool.clear()

    def _post(self, message: bytes) -> tuple[int, str]:
        """The answer's status and first words."""
        headers = {**self._target.headers, "Content-Type": "application/json"}
        if self._token is not None:
            name = self._target.token_header
            headers[name] = f"Bearer {self._token}" if name.lower() == "authorization" else self._token
        try:
            response = self._request(message, headers)
        except ProtocolError:  # a connection that had lain idle, and that the receiver closed as the request set out
            response = self._request(message, headers)
        try:
            body = response.read(_MOST_ANSWER)
            return response.status, " ".join(body[:200].decode("utf-8", errors="replace").split())
        finally:
            if response.length_remaining == 0:
                response.release_conn()
            else:
                response.close()

    def _request(self, message: bytes, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
        return self._pool.request(
            "POST", self._target.url, body=message, headers=headers, redirect=False, retries=False, preload_content=False
        )

    def _read_token(self) -> str | None:
        return read_secret(self._target.token_file, TOKEN_VARIABLE, setting="station.publish.token_file")


def _said(error: Exception) -> str:
    """The error's words without the address, whose query may hold a key, and without an object's name in memory."""
    cause = error.__cause__ or error
    words = str(cause).rpartition(">: ")[2] or type(cause).__name__
    return f"{type(error).__name__}: {words}"
