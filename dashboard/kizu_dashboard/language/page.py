"""What is served is said in its reader's language, and the page itself tells a screen reader which one that is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kizu_dashboard.language.speaking import speaking

__all__ = ["InItsLanguage"]

_MARKED: Final = b'<html lang="en"'
_UNWANTED: Final = (b"accept-encoding", b"if-none-match", b"if-modified-since")
"""Of who asks for a page: it must come readable, and never be taken for the one in another language."""


class InItsLanguage:
    """ASGI middleware for HTTP. Streamlit's own page says in its markup that it is English; here it says what it is."""

    def __init__(
        self, app: ASGIApp, *, language: Callable[[HTTPConnection], str], in_readers_words: Callable[[str], str]
    ) -> None:
        """`language` tells the language of who asks, `in_readers_words` the address's query as it is said in it."""
        self._app = app
        self._language = language
        self._in_readers_words = in_readers_words

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on, speaking the language."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = HTTPConnection(scope)
        language = self._language(asked)
        with speaking(language):
            if "text/html" not in asked.headers.get("accept", ""):
                await self._app(scope, receive, send)
                return
            query = self._in_readers_words(asked.url.query)
            if query != asked.url.query and scope["method"] == "GET":
                # Only the query: a path of two slashes would name another host.
                to_same_view = RedirectResponse(f"?{query}", 303, {"Cache-Control": "no-store"})
                await to_same_view(scope, receive, send)
                return
            headers = [(name, value) for name, value in scope["headers"] if name not in _UNWANTED]
            await self._app({**scope, "headers": headers}, receive, _Marking(language, send))


class _Marking:
    """Holds a page back until it is whole, then sends it with its language."""

    def __init__(self, language: str, send: Send) -> None:
        self._language = language
        self._send = send
        self._start: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and self._is_page(message):
            self._start = message
            return
        if self._start is None or message["type"] != "http.response.body":
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if message.get("more_body", False):
            return
        body = self._body.replace(_MARKED, f'<html lang="{self._language}"'.encode(), 1)
        headers = MutableHeaders(scope=self._start)
        if self._body:  # an answer to HEAD has none, and keeps its length
            headers["Content-Length"] = str(len(body))
        headers.add_vary_header("Cookie")
        headers.add_vary_header("Accept-Language")
        for name in ("etag", "last-modified"):
            del headers[name]
        await self._send(self._start)
        await self._send({"type": "http.response.body", "body": body})

    @staticmethod
    def _is_page(start: Message) -> bool:
        return MutableHeaders(scope=start).get("content-type", "").startswith("text/html")
