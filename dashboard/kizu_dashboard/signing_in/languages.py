"""Choosing the language: open to everybody, for the page for signing in has it too."""

from __future__ import annotations

from functools import partial
from typing import Final
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from kizu_dashboard.language.asking import CHOOSE, COOKIE
from kizu_dashboard.language.speaking import LANGUAGES
from kizu_dashboard.signing_in.answers import NO_STORE, Answers, local_path
from kizu_dashboard.signing_in.gate import SIGN_IN

__all__ = ["LanguageRoutes"]

KEPT_S: Final = 365 * 24 * 3600


class LanguageRoutes:
    """An address for each language."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    def routes(self) -> list[Route]:
        """For the ASGI app."""
        return [Route(CHOOSE + code, partial(self._choose, code), methods=["POST"]) for code in LANGUAGES]

    async def _choose(self, code: str, request: Request) -> Response:
        """Keeps the choice in the browser and goes back to where it was made: no page speaks two languages at once."""
        signing_in = request.query_params.get("next")
        if signing_in is not None:
            back = f"{SIGN_IN}?{urlencode({'next': local_path(signing_in)})}"
        else:
            came_from = urlsplit(request.headers.get("referer", ""))
            back = local_path(came_from.path + (f"?{came_from.query}" if came_from.query else ""))
        response = RedirectResponse(back, 303, NO_STORE)
        self._answers.set_cookie(response, self._answers.own_cookie(COOKIE), code, max_age=KEPT_S)
        return response
