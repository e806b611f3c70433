"""Signing in and out: the addresses that are open to everybody."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import structlog
from anyio import CapacityLimiter, to_thread
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from kizu_dashboard.language.speaking import known, marked, say, say_count
from kizu_dashboard.oidc_settings import OidcSettings
from kizu_dashboard.room import Room
from kizu_dashboard.signing_in.answers import LONGEST_NAME, NO_STORE, Answers, local_path, text_of, too_long
from kizu_dashboard.signing_in.attempts import Attempts
from kizu_dashboard.signing_in.checking import check
from kizu_dashboard.signing_in.gate import SIGN_IN, SIGN_OUT
from kizu_dashboard.signing_in.languages import LanguageRoutes
from kizu_dashboard.signing_in.oidc.routes import OidcRoutes
from kizu_dashboard.signing_in.once import OneTimeLink, is_from_here, is_loopback
from kizu_dashboard.signing_in.page import SignInForm
from kizu_dashboard.signing_in.terminals import TerminalRoutes
from kizu_db.permissions import Role, Way
from kizu_inspect.errors import NotAllowed

__all__ = ["SigningIn"]

AT_ONCE: Final = 2
"""Passwords that are checked at the same time: each takes 64 MiB, and a processor for a moment."""
WRONG: Final[Mapping[Way, str]] = {
    Way.PASSWORD: marked("Name and password do not fit each other, or this person may not sign in."),
    Way.PIN: marked("Name and PIN do not fit each other, or this person may not sign in by PIN."),
    Way.BADGE: marked("Nobody comes in by this badge. An admin can give it to a person."),
}
"""One answer for all: nobody learns from it who is entered here."""

_log = structlog.get_logger("kizu.dashboard")


class SigningIn:
    """The routes, with the counts of failed attempts and the link of the first day."""

    def __init__(self, room: Callable[[], Room], link: OneTimeLink | None, oidc: OidcSettings | None) -> None:
        self._room = room
        self._link = link
        self._oidc = oidc
        self._answers = Answers(room)
        self._attempts = Attempts()
        self._in_turn = CapacityLimiter(AT_ONCE)

    def routes(self) -> list[Route]:
        """For the ASGI app."""
        return [
            Route(SIGN_IN, self._show, methods=["GET"]),
            Route(SIGN_IN, self._submit, methods=["POST"]),
            Route(SIGN_OUT, self._sign_out, methods=["POST"]),
            *LanguageRoutes(self._answers).routes(),
            *TerminalRoutes(self._answers).routes(),
            *OidcRoutes(self._answers, self._oidc).routes(),
        ]

    async def _show(self, request: Request) -> Response:
        return await run_in_threadpool(self._answers.guarded, request, self._shown)

    async def _submit(self, request: Request) -> Response:
        if too_long(request):
            return PlainTextResponse(say("The form is too long, or does not say how long it is."), 413)
        async with request.form(max_files=0, max_fields=10) as form:
            submitted = partial(self._submitted, form=form)
            return await to_thread.run_sync(self._answers.guarded, request, submitted, limiter=self._in_turn)

    async def _sign_out(self, request: Request) -> Response:
        return await run_in_threadpool(self._answers.guarded, request, self._answers.let_out)

    def _shown(self, request: Request) -> Response:
        room, back = self._room(), local_path(request.query_params.get("next"))
        once = request.query_params.get("once")
        if once is not None and request.method == "GET":  # a HEAD only looks
            return self._by_link(request, once)
        if room.sessions.whose(self._answers.secret(request)) is not None:
            return RedirectResponse(back, 303, NO_STORE)
        with room.records.unit(read_only=True) as unit:
            nobody = unit.users.nobody()
        if not nobody:
            return self._answers.form(self._form(back=back, link_open=self._link_is_open), request)
        if self._link_is_open:
            return self._answers.words(
                say("Nobody is entered yet"),
                [
                    say(
                        "The terminal that started the dashboard shows a link. On this machine it signs you in, as the first "
                        "admin."
                    )
                ],
            )
        if is_loopback(room.config.dashboard.host):
            return self._answers.words(
                say("Nobody is entered yet"), [say("Start the dashboard again: it shows a link that signs you in.")]
            )
        return self._answers.words(
            say("Nobody is entered yet"), [say("On the machine of the records, enter the first person:")],
            command="kizu user add NAME --role admin",
        )  # fmt: skip

    def _submitted(self, request: Request, form: FormData) -> Response:
        way = {"pin": Way.PIN, "badge": Way.BADGE}.get(text_of(form, "way"), Way.PASSWORD)
        terminal = self._answers.terminal(request) if way.quick else None
        if way.quick and terminal is None:
            return self._answers.words(
                say("PIN and badge work at known terminals alone"), [say("This browser is none. Sign in with a password.")],
                link=(SIGN_IN, say("Sign in with a password")), status=403,
            )  # fmt: skip
        name, back = text_of(form, "name").strip()[:LONGEST_NAME], local_path(text_of(form, "next"))
        address = request.client.host if request.client is not None else ""
        counted_by = {"terminal": None if terminal is None else terminal.name}
        counted_as = None if way is Way.BADGE else name
        tried = partial(self._form, back=back, name=name, way=way)
        wait_s = self._attempts.begin(counted_as, address, **counted_by)
        if wait_s > 0:
            seconds = math.ceil(wait_s)
            said = say_count(
                "Too many attempts. Wait {count} second, then try again.",
                "Too many attempts. Wait {count} seconds, then try again.",
                seconds,
            )
            return self._answers.form(tried(wrong=said), request, status=429, headers={"Retry-After": str(seconds)})
        checked = check(self._room().records, way, name, text_of(form, way))
        if checked is None:
            # Without the name: people type their password there by mistake.
            _log.warning("sign-in refused", address=address, **({} if terminal is None else {"terminal": terminal.name}))
            return self._answers.form(tried(wrong=known(WRONG[way])), request, status=401)
        try:
            return self._answers.let_in(request, checked.name, back, way=way, proof=checked.proof, terminal=terminal)
        except NotAllowed:  # let out, or given another password, at this very moment
            return self._answers.form(tried(wrong=known(WRONG[way])), request, status=401)
        finally:
            self._attempts.succeeded(counted_as, address, **counted_by)

    def _by_link(self, request: Request, secret: str) -> Response:
        if self._link is None or not is_from_here(request) or not self._link.take(secret):
            return self._answers.words(
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
            return self._answers.let_in(request, name, "/", way=Way.LINK)
        except NotAllowed:
            return self._answers.words(
                say("This link has ended"), [say("People were entered meanwhile. Sign in with your password.")], status=403
            )  # fmt: skip

    @property
    def _link_is_open(self) -> bool:
        return self._link is not None and self._link.is_open

    def _form(
        self, *, back: str, name: str = "", way: Way = Way.PASSWORD, wrong: str | None = None, link_open: bool = False
    ) -> SignInForm:
        plant, account = self._room().config.plant.name, None if self._oidc is None else self._oidc.label
        return SignInForm(
            plant=plant, back=back, name=name, way=way, wrong=wrong, link_open=link_open, account=account
        )  # fmt: skip
