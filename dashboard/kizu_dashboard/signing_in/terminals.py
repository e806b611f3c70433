"""Making the browser that asks a known terminal: where PIN and badge work."""

from __future__ import annotations

from functools import partial
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from kizu_dashboard.failing import error_text
from kizu_dashboard.language.speaking import say
from kizu_dashboard.signing_in.answers import NO_STORE, Answers, text_of, too_long
from kizu_dashboard.signing_in.gate import TERMINAL
from kizu_inspect.errors import NotAllowed, RecordError

__all__ = ["TerminalRoutes"]

ADMIN: Final = "/admin?section=Terminals"
LONGEST: Final = 500
"""Characters of a name or a reason."""


class TerminalRoutes:
    """The one route; the gate lets through only who is signed in."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    def routes(self) -> list[Route]:
        """For the ASGI app."""
        return [Route(TERMINAL, self._submit, methods=["POST"])]

    async def _submit(self, request: Request) -> Response:
        if too_long(request):
            return PlainTextResponse(say("The form is too long, or does not say how long it is."), 413)
        async with request.form(max_files=0, max_fields=5) as form:
            return await run_in_threadpool(self._answers.guarded, request, partial(self._made, form=form))

    def _made(self, request: Request, form: FormData) -> Response:
        room = self._answers.room()
        name, reason = (text_of(form, field).strip()[:LONGEST] for field in ("terminal", "reason"))
        user = room.sessions.whose(self._answers.secret(request))
        here = self._answers.terminal(request)
        if user is None:
            return self._refused(say("Your sign-in has ended."), 401)
        if here is not None:
            return self._refused(say("This browser is the terminal {name}. Withdraw that one first.", name=here.name), 409)
        if not reason:
            return self._refused(say("Say why, for the audit trail."), 400)
        try:
            if user.at_terminal:  # in the records this person may be an admin
                raise NotAllowed("By PIN or badge nobody makes terminals known")
            with room.records.unit() as unit:
                secret = unit.terminals.add(name, by=user.name, reason=reason)
        except NotAllowed:
            return self._refused(say("Only an admin who signed in with a password or an account makes terminals known."), 403)
        except RecordError as error:
            return self._refused(f"{error_text(error)}.", 400)
        response = RedirectResponse(ADMIN, 303, NO_STORE)
        self._answers.make_terminal(response, secret)
        return response

    def _refused(self, why: str, status: int) -> Response:
        back = (ADMIN, say("Back to the terminals"))
        return self._answers.words(say("This browser is no known terminal now"), [why], link=back, status=status)
