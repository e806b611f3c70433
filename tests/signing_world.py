"""What a browser, or somebody who only pretends to be one, sends to the dashboard."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import Morsel, SimpleCookie
from urllib.parse import urlencode, urlsplit

from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

PASSWORD = "correct horse 7"
HTML = {"Accept": "text/html,application/xhtml+xml"}


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    """Lower-case names."""
    text: str
    cookies: dict[str, Morsel[str]]
    """Those that it sets."""

    @property
    def secret(self) -> str:
        """Of the session that it begins."""
        (cookie,) = self.cookies.values()
        return cookie.value


def ask(
    address: str, path: str, *, method: str = "GET", cookie: str = "", body: str | None = None, headers: Mapping[str, str] = {}
) -> Answer:
    """One request, sent as it is; nothing is followed."""
    where = urlsplit(address)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
    try:
        sent = {"Cookie": cookie} if cookie else {}
        if body is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, path, body, sent | dict(headers))
        answer = connection.getresponse()
        told = answer.getheaders()
        cookies: SimpleCookie = SimpleCookie()
        for name, value in told:
            if name.lower() == "set-cookie" and "kizu" in value:
                cookies.load(value)
        text = answer.read().decode("utf-8", "replace")
        return Answer(answer.status, {name.lower(): value for name, value in told}, text, dict(cookies))
    finally:
        connection.close()


def sign_in(
    address: str, name: str, password: str = PASSWORD, *, back: str = "/", cookie: str = "", headers: Mapping[str, str] = {}
) -> Answer:
    """Sends the form."""
    body = urlencode({"name": name, "password": password, "next": back})
    return ask(address, "/signin", method="POST", body=body, cookie=cookie, headers=headers)


def socket_status(address: str, *, cookie: str = "", origin: str | None = None) -> int:
    """What the handshake of the pages' websocket is answered with: 101 where it is accepted."""
    try:
        with connect(
            address.replace("http://", "ws://") + "/_stcore/stream",
            origin=origin,  # type: ignore[arg-type]
            additional_headers={"Cookie": cookie} if cookie else {},
            subprotocols=["streamlit"],  # type: ignore[list-item]
            open_timeout=60,
            proxy=None,
        ):
            return 101
    except InvalidStatus as error:
        return error.response.status_code
