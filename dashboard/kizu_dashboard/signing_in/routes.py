"""Signing in and out: the addresses that are open to everybody."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Final
from urllib.parse import urlencode, urlsplit

import structlog
from anyio import CapacityLimiter, to_thread
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from kizu_dashboard.failing import failure_text
from kizu_dashboard.language.asking import CHOOSE, COOKIE
from kizu_dashboard.language.speaking import LANGUAGES, known, marked, say, say_count
from kizu_dashboard.room import Room
from kizu_dashboard.signing_in.attempts import Attempts
from kizu_dashboard.signing_in.gate import SIGN_IN, SIGN_OUT
from kizu_dashboard.signing_in.once import OneTimeLink, is_from_here, is_loopback
from kizu_dashboard.signing_in.page import PAGE_HEADERS, form_page, words_page
from kizu_dashboard.signing_in.passwords import matches
from kizu_dashboard.signing_in.sessions import cookie_name
from kizu_db.permissions import Role
from kizu_inspect.errors import KizuError, NotAllowed

__all__ = ["SigningIn"]

LONGEST_NAME: Final = 200
LONGEST_FORM: Final = 16 * 1024
"""Bytes."""
CHOICE_LASTS_S: Final = 365 * 24 * 3600
AT_ONCE: Final = 2
"""Passwords that are checked at the same time: each takes 64 MiB, and a processor for a moment."""
WRONG: Final = marked("Name and password do not fit each other, or this person may not sign in.")
"""One answer for all: nobody learns from it who is entered here."""

_log = structlog.get_logger("kizu.dashboard")


class SigningIn:
    """The routes, with the counts of failed attempts and the link of the first day."""

    def __init__(self, room: Callable[[], Room], link: OneTimeLink | None) -> None:
        self._room = room
        self._link = link
        self._attempts = Attempts()
        self._in_turn = CapacityLimiter(AT_ONCE)

    def routes(self) -> list[Route]:
        """For the ASGI app."""
        return [
            Route(SIGN_IN, self._show, methods=["GET"]),
            Route(SIGN_IN, self._submit, methods=["POST"]),
            Route(SIGN_OUT, self._sign_out, methods=["POST"]),
            *(Route(CHOOSE + code, partial(self._choose_language, code), methods=["POST"]) for code in LANGUAGES),
        ]

    async def _show(self, request: Request) -> Response:
        return await run_in_threadpool(self._answer, request, self._shown)

    async def _submit(self, request: Request) -> Response:
        size = request.headers.get("content-length", "")
        if not size.isdecimal() or int(size) > LONGEST_FORM:
            return PlainTextResponse(say("The form is too long, or does not say how long it is."), 413)
        async with request.form(max_files=0, max_fields=10) as form:
            submitted = partial(self._submitted, form=form)
            return await to_thread.run_sync(self._answer, request, submitted, limiter=self._in_turn)

    async def _sign_out(self, request: Request) -> Response:
        return await run_in_threadpool(self._answer, request, self._signed_out)

    def _answer(self, request: Request, answer: Callable[[Request], Response]) -> Response:
        """The answer; where the database cannot be had a page that says so."""
        try:
            return answer(request)
        except KizuError as error:
            failure_text(error)
            return self._words(say("The records cannot be had now"), [say("Try again in a moment.")], status=503)

    def _shown(self, request: Request) -> Response:
        room, back = self._room(), local_path(request.query_params.get("next"))
        once = request.query_params.get("once")
        if once is not None and request.method == "GET":  # a HEAD only looks
            return self._by_link(request, once)
        if room.sessions.whose(self._secret(request)) is not None:
            return RedirectResponse(back, 303, {"Cache-Control": "no-store"})
        with room.records.unit(read_only=True) as unit:
            nobody = unit.users.nobody()
        if not nobody:
            return self._form(back=back, link_open=self._link_is_open)
        if self._link_is_open:
            return self._words(
                say("Nobody is entered yet"),
                [
                    say(
                        "The terminal that started the dashboard shows a link. On this machine it signs you in, as the first "
                        "admin."
                    )
                ],
            )
        if is_loopback(room.config.dashboard.host):
            return self._words(
                say("Nobody is entered yet"), [say("Start the dashboard again: it shows a link that signs you in.")]
            )
        return self._words(
            say("Nobody is entered yet"), [say("On the machine of the records, enter the first person:")],
            command="kizu user add NAME --role admin",
        )  # fmt: skip

    def _submitted(self, request: Request, form: FormData) -> Response:
        name, password, back = (_text(form, field) for field in ("name", "password", "next"))
        name, back = name.strip()[:LONGEST_NAME], local_path(back)
        address = request.client.host if request.client is not None else ""
        wait_s = self._attempts.begin(name, address)
        if wait_s > 0:
            seconds = math.ceil(wait_s)
            wrong = say_count(
                "Too many attempts. Wait {count} second, then try again.",
                "Too many attempts. Wait {count} seconds, then try again.",
                seconds,
            )
            return self._form(back=back, name=name, wrong=wrong, status=429, headers={"Retry-After": str(seconds)})
        room = self._room()
        with room.records.unit(read_only=True) as unit_of_work:
            kept = unit_of_work.users.password_hash(name)
        if not matches(password, kept):
            # Without the name: people type their password there by mistake.
            _log.warning("sign-in refused", address=address)
            return self._form(back=back, name=name, wrong=known(WRONG), status=401)
        try:
            return self._let_in(request, name, back, password_hash=kept)
        except NotAllowed:  # let out, or given another password, at this very moment
            return self._form(back=back, name=name, wrong=known(WRONG), status=401)
        finally:
            self._attempts.succeeded(name, address)

    def _by_link(self, request: Request, secret: str) -> Response:
        if self._link is None or not is_from_here(request) or not self._link.take(secret):
            return self._words(
                say("This link has ended"),
                [
                    say(
                        "It signs in once, on the dashboard's machine. Sign in with your password, or start the dashboard "
                        "again."
                    )
                ],
                status=403,
            )
        name = self._link.name
        with self._room().records.unit() as unit:
            if unit.users.nobody():
                unit.users.add(name, Role.ADMIN, by=name)
        try:
            return self._let_in(request, name, "/")
        except NotAllowed:
            return self._words(
                say("This link has ended"), [say("People were entered meanwhile. Sign in with your password.")], status=403
            )

    def _let_in(self, request: Request, name: str, back: str, *, password_hash: str | None = None) -> Response:
        """Always a new secret, and an end to the one that the browser had."""
        sessions = self._room().sessions
        secret = sessions.begin(name, password_hash=password_hash)
        sessions.end(self._secret(request))
        response = RedirectResponse(back, 303, {"Cache-Control": "no-store"})
        https = self._room().config.dashboard.https
        response.set_cookie(self._cookie, secret, path="/", secure=https, httponly=True, samesite="lax")
        return response

    def _signed_out(self, request: Request) -> Response:
        self._room().sessions.end(self._secret(request))
        response = RedirectResponse(SIGN_IN, 303, {"Cache-Control": "no-store"})
        https = self._room().config.dashboard.https
        response.delete_cookie(self._cookie, path="/", secure=https, httponly=True, samesite="lax")
        return response

    async def _choose_language(self, code: str, request: Request) -> Response:
        """Keeps the choice in the browser and goes back to where it was made: no page speaks two languages at once."""
        back = request.query_params.get("next")
        if back is not None:
            to = f"{SIGN_IN}?{urlencode({'next': local_path(back)})}"
        else:
            came_from = urlsplit(request.headers.get("referer", ""))
            to = local_path(came_from.path + (f"?{came_from.query}" if came_from.query else ""))
        response = RedirectResponse(to, 303, {"Cache-Control": "no-store"})
        https = self._room().config.dashboard.https
        response.set_cookie(COOKIE, code, max_age=CHOICE_LASTS_S, path="/", secure=https, httponly=True, samesite="lax")
        return response

    @property
    def _cookie(self) -> str:
        return cookie_name(self._room().config.dashboard)

    def _secret(self, request: Request) -> str | None:
        return request.cookies.get(self._cookie)

    @property
    def _link_is_open(self) -> bool:
        return self._link is not None and self._link.is_open

    def _form(
        self,
        *,
        back: str,
        name: str = "",
        wrong: str | None = None,
        link_open: bool = False,
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> Response:
        page = form_page(plant=self._room().config.plant.name, back=back, name=name, wrong=wrong, link_open=link_open)
        return HTMLResponse(page, status, PAGE_HEADERS | (headers or {}))

    def _words(self, headline: str, sentences: list[str], *, command: str | None = None, status: int = 200) -> Response:
        page = words_page(plant=self._room().config.plant.name, headline=headline, sentences=sentences, command=command)
        return HTMLResponse(page, status, PAGE_HEADERS)


def local_path(asked: str | None) -> str:
    """The path to go to after signing in: what was asked for where that is one of this dashboard, else its first page."""
    if not asked or not asked.startswith("/") or asked.startswith("//") or len(asked) > 2000:
        return "/"
    # A browser drops control characters and takes a backslash for a slash: what is left may name another host.
    if "\\" in asked or any(ord(character) <= 0x20 or ord(character) == 0x7F for character in asked):
        return "/"
    parts = urlsplit(asked)
    return "/" if parts.scheme or parts.netloc or parts.path in (SIGN_IN, SIGN_OUT) else asked


def _text(form: FormData, field: str) -> str:
    value = form.get(field)
    return value if isinstance(value, str) else ""
