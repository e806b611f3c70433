"""What the routes of signing in share: their pages, and the cookies that they read and set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from kizu_dashboard.failing import failure_text
from kizu_dashboard.language.speaking import say
from kizu_dashboard.room import Room
from kizu_dashboard.signing_in.gate import SIGN_IN, SIGN_OUT
from kizu_dashboard.signing_in.page import PAGE_HEADERS, SignInForm, form_page, words_page
from kizu_dashboard.signing_in.sessions import cookie_name, own_cookie, terminal_cookie_name
from kizu_db.permissions import Way
from kizu_db.values import Terminal
from kizu_inspect.errors import KizuError

__all__ = ["LONGEST_NAME", "NO_STORE", "Answers", "local_path", "text_of", "too_long"]

LONGEST_FORM: Final = 16 * 1024
"""Bytes."""
LONGEST_NAME: Final = 200
"""Characters of a person's."""
TERMINAL_KEPT_S: Final = 400 * 24 * 3600
"""For so long after its last sign-in a browser stays a terminal: no browser keeps a cookie for longer."""
NO_STORE: Final = {"Cache-Control": "no-store"}


class Answers:
    """The answers of one dashboard."""

    def __init__(self, room: Callable[[], Room]) -> None:
        self.room = room

    def guarded(self, request: Request, answer: Callable[[Request], Response]) -> Response:
        """The answer; where the database cannot be had a page that says so."""
        try:
            return answer(request)
        except KizuError as error:
            failure_text(error)
            return self.words(say("The records cannot be had now"), [say("Try again in a moment.")], status=503)

    def form(self, form: SignInForm, request: Request, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
        """The page for signing in, with what works in this browser."""
        terminal = self.terminal(request)
        form = replace(form, terminal=None if terminal is None else terminal.name)
        return HTMLResponse(form_page(form), status, PAGE_HEADERS | (headers or {}))

    def words(
        self,
        headline: str,
        sentences: list[str],
        *,
        command: str | None = None,
        link: tuple[str, str] | None = None,
        status: int = 200,
    ) -> Response:
        """A page that says something."""
        plant = self.room().config.plant.name
        page = words_page(plant=plant, headline=headline, sentences=sentences, command=command, link=link)
        return HTMLResponse(page, status, PAGE_HEADERS)

    def let_in(
        self,
        request: Request,
        name: str,
        back: str,
        *,
        way: Way,
        proof: str | None = None,
        terminal: Terminal | None = None,
    ) -> Response:
        """Always a new secret, and an end to the one that the browser had. Raises NotAllowed."""
        sessions = self.room().sessions
        secret = sessions.begin(name, way=way, proof=proof, terminal=None if terminal is None else terminal.id)
        sessions.end(self.secret(request))
        response = RedirectResponse(back, 303, NO_STORE)
        self.set_cookie(response, self._cookie, secret)
        if terminal is not None:
            self.make_terminal(response, request.cookies[self._terminal_cookie])
        return response

    def let_out(self, request: Request) -> Response:
        """Ends the sign-in, and leads to the page for the next one."""
        self.room().sessions.end(self.secret(request))
        response = RedirectResponse(SIGN_IN, 303, NO_STORE)
        https = self.room().config.dashboard.https
        response.delete_cookie(self._cookie, path="/", secure=https, httponly=True, samesite="lax")
        return response

    def secret(self, request: Request) -> str | None:
        """Of the browser's sign-in."""
        return request.cookies.get(self._cookie)

    def terminal(self, request: Request) -> Terminal | None:
        """The known terminal that asks; None for any other browser, and for one that was withdrawn."""
        secret = request.cookies.get(self._terminal_cookie)
        if not secret:
            return None
        with self.room().records.unit(read_only=True) as unit:
            return unit.terminals.known_by(secret)

    def make_terminal(self, response: Response, secret: str) -> None:
        """The browser keeps being a terminal."""
        self.set_cookie(response, self._terminal_cookie, secret, max_age=TERMINAL_KEPT_S)

    def set_cookie(self, response: Response, name: str, value: str, *, max_age: int | None = None) -> None:
        """One that no script reads and no other site's request carries; gone with the browser where it has no age (seconds)."""
        https = self.room().config.dashboard.https
        response.set_cookie(name, value, path="/", secure=https, httponly=True, samesite="lax", max_age=max_age)

    def own_cookie(self, name: str) -> str:
        """A cookie's name, as this dashboard's are."""
        return own_cookie(name, self.room().config.dashboard)

    @property
    def _cookie(self) -> str:
        return cookie_name(self.room().config.dashboard)

    @property
    def _terminal_cookie(self) -> str:
        return terminal_cookie_name(self.room().config.dashboard)


def local_path(asked: str | None) -> str:
    """The path to go to after signing in: what was asked for where that is one of this dashboard, else its first page."""
    if not asked or not asked.startswith("/") or asked.startswith("//") or len(asked) > 2000:
        return "/"
    # A browser drops control characters and takes a backslash for a slash: what is left may name another host.
    if "\\" in asked or any(ord(character) <= 0x20 or ord(character) == 0x7F for character in asked):
        return "/"
    parts = urlsplit(asked)
    ours = parts.path == SIGN_OUT or parts.path == SIGN_IN or parts.path.startswith(f"{SIGN_IN}/")
    return "/" if parts.scheme or parts.netloc or ours else asked


def too_long(request: Request, *, longest: int = LONGEST_FORM) -> bool:
    """Whether a form has more bytes than any that is sent here, or does not say how long it is."""
    size = request.headers.get("content-length", "")
    return not size.isdecimal() or int(size) > longest


def text_of(form: FormData, field: str) -> str:
    """What was typed into a field; empty where there is none."""
    value = form.get(field)
    return value if isinstance(value, str) else ""
