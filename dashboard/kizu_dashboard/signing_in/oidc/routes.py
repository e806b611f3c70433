"""To the sign-in service and back: two addresses that are open to everybody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from kizu_dashboard.language.speaking import say
from kizu_dashboard.oidc_settings import OidcSettings
from kizu_dashboard.signing_in.answers import LONGEST_NAME, NO_STORE, Answers, local_path
from kizu_dashboard.signing_in.gate import OIDC, OIDC_BACK, SIGN_IN
from kizu_dashboard.signing_in.oidc.begun import LASTS_S, BegunSignIns
from kizu_dashboard.signing_in.oidc.service import AccountRefused, ServiceAway, SignInService
from kizu_db.permissions import Role, Way
from kizu_db.repositories.accounts import account_sha256
from kizu_inspect.errors import ConfigError, KizuError, NotAllowed

__all__ = ["OidcRoutes"]

_log = structlog.get_logger("kizu.dashboard")


class OidcRoutes:
    """The routes; without settings both say that there is no such service."""

    def __init__(self, answers: Answers, settings: OidcSettings | None) -> None:
        self._answers = answers
        self._service = None if settings is None else SignInService(settings)
        self._begun = BegunSignIns()

    def routes(self) -> list[Route]:
        """For the ASGI app."""
        return [Route(OIDC, self._to, methods=["GET"]), Route(OIDC_BACK, self._from, methods=["GET"])]

    async def _to(self, request: Request) -> Response:
        return await run_in_threadpool(self._answer, request, self._went)

    async def _from(self, request: Request) -> Response:
        return await run_in_threadpool(self._answer, request, self._came_back)

    def _answer(self, request: Request, answer: Callable[[Request, SignInService], Response]) -> Response:
        service = self._service
        if service is None or request.method != "GET":  # a HEAD only looks
            return self._words(say("There is no sign-in service here"), [say("Sign in with a password.")], 404)
        return self._answers.guarded(request, lambda asked: answer(asked, service))

    def _went(self, request: Request, service: SignInService) -> Response:
        browser, begun = self._begun.begin(local_path(request.query_params.get("next")))
        try:
            response = RedirectResponse(service.address_for(begun), 303, NO_STORE)
        except (ServiceAway, AccountRefused, ConfigError) as error:
            return self._failed(error)
        self._answers.set_cookie(response, self._cookie, browser, max_age=LASTS_S)
        return response

    def _came_back(self, request: Request, service: SignInService) -> Response:
        asked = request.query_params
        begun = self._begun.take(request.cookies.get(self._cookie, ""), asked.get("state", ""))
        if begun is None:
            return self._words(
                say("This sign-in has ended"), [say("It was used, took too long, or was begun elsewhere. Begin again.")], 400
            )
        code = asked.get("code", "")
        if "error" in asked or not code:
            return self._words(say("The sign-in service let nobody in"), [say("Sign in again, or with a password.")], 403)
        try:
            name, account = self._person(service.claims(code, begun), service.settings)
        except (ServiceAway, AccountRefused, ConfigError, NotAllowed) as error:
            return self._failed(error)
        try:
            return self._answers.let_in(request, name, begun.back, way=Way.OIDC, proof=account)
        except NotAllowed as error:  # let out at this very moment
            return self._failed(error)

    def _person(self, claims: Mapping[str, Any], settings: OidcSettings) -> tuple[str, str]:
        """Who that is here, and what is kept of the account. Raises AccountRefused and NotAllowed."""
        name = claims.get(settings.name_claim)
        if not isinstance(name, str) or not 0 < len(name.strip()) <= LONGEST_NAME:
            raise AccountRefused("The account has no name", found=f"no claim {settings.name_claim}")
        role, newcomers = None, settings.newcomers
        if settings.role_claim is not None:
            role = _role(claims.get(settings.role_claim), settings.roles)
            if role is None:
                raise AccountRefused("The account is in none of the groups", expected="one of dashboard.oidc.roles")
            newcomers = None if newcomers is None else role
        account = account_sha256(settings.issuer, claims["sub"])
        with self._answers.room().records.unit() as unit:
            return unit.accounts.person_of(account, name, role=role, newcomers=newcomers), account

    def _failed(self, error: KizuError) -> Response:
        """In words that tell a stranger nothing; what it was stands in the log, where no error of these names a secret."""
        _log.warning("sign-in with an account failed", kind=type(error).__name__, why=str(error))
        if isinstance(error, AccountRefused | NotAllowed):
            said = [say("This account lets nobody in here. An admin can enter the person, or look into the log.")]
            return self._words(say("The account was not let in"), said, 403)
        said = [say("Try again in a moment, or sign in with a password. An admin can look into the log.")]
        return self._words(say("The sign-in service cannot be had now"), said, 503)

    def _words(self, headline: str, sentences: list[str], status: int) -> Response:
        return self._answers.words(headline, sentences, link=(SIGN_IN, say("Sign in")), status=status)

    @property
    def _cookie(self) -> str:
        return self._answers.own_cookie("kizu-account")


def _role(groups: object, roles: Mapping[str, Role]) -> Role | None:
    """The highest role that one of the groups has; some services tell a single group without a list."""
    told = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
    found = [roles[one] for one in told if isinstance(one, str) and one in roles]
    return max(found, key=list(Role).index, default=None)
