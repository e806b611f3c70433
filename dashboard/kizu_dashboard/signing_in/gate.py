"""The gate before everything that the dashboard serves: nobody passes without a session, nothing answers strangers' pages."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

from google.protobuf.message import DecodeError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.proto.BackMsg_pb2 import BackMsg

from kizu_dashboard.failing import failure_text
from kizu_dashboard.language.asking import CHOOSE
from kizu_dashboard.language.speaking import LANGUAGES, say
from kizu_db.values import User
from kizu_inspect.errors import KizuError

__all__ = ["OIDC", "OIDC_BACK", "SIGN_IN", "SIGN_OUT", "TERMINAL", "Gate", "SecurityHeaders"]

SIGN_IN: Final = "/signin"
SIGN_OUT: Final = "/signout"
OIDC: Final = "/signin/oidc"
"""To the company's sign-in service, and back from there; where none is configured, both say so."""
OIDC_BACK: Final = "/signin/oidc/back"
TERMINAL: Final = "/terminal"
"""Makes the browser a known terminal."""

_HEALTH: Final = "/_stcore/health"
_OPEN: Final = frozenset(
    [(method, SIGN_IN) for method in ("GET", "HEAD", "POST")]
    + [("POST", SIGN_OUT), ("GET", OIDC), ("GET", OIDC_BACK)]
    + [("POST", CHOOSE + code) for code in LANGUAGES]
    + [(method, _HEALTH) for method in ("GET", "HEAD")]  # it only says ok, to whoever watches that the program lives
)
_LOOKING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_FRAMES: Final = "frame-ancestors 'none'"
_POLICY_VIOLATED: Final = 1008
_TRY_AGAIN_LATER: Final = 1013
_LAST_WORDS_S: Final = 3.0
"""For so long after a session has ended its websocket stays: for the page to say so."""


class SecurityHeaders:
    """ASGI middleware: what every response tells the browser, beside what the response says itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the response on with the headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                policies = [policy for policy in headers.getlist("content-security-policy") if policy]
                headers["Content-Security-Policy"] = "; ".join([*policies, _FRAMES])
                headers["X-Frame-Options"] = "DENY"
                headers["Referrer-Policy"] = "same-origin"
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        await self._app(scope, receive, send_with_headers)


class Gate:
    """ASGI middleware for HTTP and websockets: lets through who is signed in, and anybody to the page for signing in."""

    def __init__(self, app: ASGIApp, *, whose: Callable[[str | None], User | None], cookie: str) -> None:
        """`whose` tells by the cookie's value who is signed in; it may wait and raise KizuErrors."""
        self._app = app
        self._whose = whose
        self._cookie = cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on, or refuses."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        asked = HTTPConnection(scope)
        changes = scope["type"] == "websocket" or scope["method"] not in _LOOKING
        if changes and _is_foreign(asked):
            await _refuse(scope, receive, send, 403, say("Another site's page asked for this. Nothing was done."))
        elif (scope.get("method"), scope["path"]) in _OPEN:
            await self._app(scope, receive, send)
        else:
            secret = asked.cookies.get(self._cookie)
            try:
                user = await run_in_threadpool(self._whose, secret)
            except KizuError as error:
                failure_text(error)
                await _refuse(scope, receive, send, 503, say("The records cannot be had now. Try again in a moment."))
                return
            if user is not None and scope["type"] == "websocket":
                await self._while_signed_in(secret, scope, receive, send)
            elif user is not None:
                await self._app(scope, receive, send)
            elif scope["type"] == "http" and scope["method"] == "GET" and "text/html" in asked.headers.get("accept", ""):
                back = quote(scope["path"]) + (f"?{asked.url.query}" if asked.url.query else "")
                to_sign_in = RedirectResponse(f"{SIGN_IN}?{urlencode({'next': back})}", 303, {"Cache-Control": "no-store"})
                await to_sign_in(scope, receive, send)
            else:
                await _refuse(scope, receive, send, 401, say("Sign in first."))

    async def _while_signed_in(self, secret: str | None, scope: Scope, receive: Receive, send: Send) -> None:
        """A websocket lives long: each message asks again. What a page shows by itself ends with the session, too."""
        ended_at: float | None = None
        closed = False

        async def receive_if_signed_in() -> Message:
            nonlocal ended_at, closed
            message = await receive()
            while message["type"] == "websocket.receive" and _is_for_all(message.get("bytes")):
                message = await receive()
            if message["type"] != "websocket.receive":
                return message
            try:
                user = await run_in_threadpool(self._whose, secret)
            except KizuError:
                return message  # the page says that the records are away
            if user is not None:
                return message
            now = time.monotonic()
            ended_at = ended_at or now
            if now - ended_at < _LAST_WORDS_S:
                return message
            closed = True
            await send({"type": "websocket.close", "code": _POLICY_VIOLATED})
            return {"type": "websocket.disconnect", "code": _POLICY_VIOLATED}

        async def send_until_closed(message: Message) -> None:
            if not closed:
                await send(message)

        await self._app(scope, receive_if_signed_in, send_until_closed)


def _is_for_all(data: bytes | None) -> bool:
    """Whether a browser's message would change the pages of others: emptying the caches takes everybody's parts from them."""
    if not data:
        return False
    try:
        return bool(BackMsg.FromString(data).WhichOneof("type") == "clear_cache")
    except DecodeError:
        return False  # Streamlit says what is wrong with it


def _is_foreign(asked: HTTPConnection) -> bool:
    """Whether another site's page asks: browsers name it for whatever may change something. Other programs name none."""
    origin = asked.headers.get("origin")
    if origin is None:
        return False
    try:
        theirs = urlsplit(origin).netloc.lower()
    except ValueError:
        return True
    return not theirs or theirs != asked.headers.get("host", "").lower()


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, why: str) -> None:
    if scope["type"] == "websocket":
        # Before it is accepted: the server answers the handshake with 403, and no message ever comes.
        await send({"type": "websocket.close", "code": _TRY_AGAIN_LATER if status == 503 else _POLICY_VIOLATED})
        return
    again = {"Refresh": "3"} if status == 503 and scope["method"] == "GET" else {}  # a page comes back by itself
    await PlainTextResponse(why, status, {"Cache-Control": "no-store"} | again)(scope, receive, send)
