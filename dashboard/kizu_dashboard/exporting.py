"""What the page Search has found as a file: all rows, written as they are read, however many there are, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from html import escape
from typing import Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from kizu_dashboard.failing import failure_text
from kizu_dashboard.filters import Filters, find, too_common
from kizu_dashboard.language.speaking import say
from kizu_dashboard.reports.csv import csv_pages
from kizu_dashboard.room import Room
from kizu_dashboard.signing_in.answers import too_long
from kizu_dashboard.signing_in.sessions import cookie_name
from kizu_db.values import InspectionRecord
from kizu_inspect.errors import KizuError, NotAllowed, RecordsAway

__all__ = ["EXPORT", "AskedFor", "export_form", "export_route"]

EXPORT: Final = "/export"
A_PAGE: Final = 200
"""Records held at once."""
LONGEST_FORM: Final = 64 * 1024
"""Bytes."""


class AskedFor(BaseModel):
    """What the page Search shows at this moment: the form's only field, as JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    filters: Filters
    since: AwareDatetime | None
    until: AwareDatetime | None


def export_form(asked: AskedFor) -> str:
    """The button that sends for the file, as HTML: a form, so that no link or picture can take records out of the house."""
    label = escape(say("Download all of these as CSV"))
    return (
        f'<form class="kz-export" method="post" action="{EXPORT}"><input type="hidden" name="asked" '
        f'value="{escape(asked.model_dump_json())}"><button type="submit">{label}</button></form>'
    )


def export_route(room: Callable[[], Room]) -> Route:
    """The route to which the page's form is sent. It is no link: what leaves the house is told in the audit trail."""

    async def endpoint(request: Request) -> Response:
        if too_long(request, longest=LONGEST_FORM):
            return PlainTextResponse(say("The form is too long, or does not say how long it is."), 413)
        async with request.form(max_files=0, max_fields=1) as form:
            asked = form.get("asked")
        try:
            wanted = AskedFor.model_validate_json(asked if isinstance(asked, str) else "")
        except ValidationError:
            return PlainTextResponse(say("This is no form of the page Search. Load the page again."), 400)
        return await run_in_threadpool(_answer, room(), request, wanted)

    return Route(EXPORT, endpoint, methods=["POST"])


def _answer(room: Room, request: Request, wanted: AskedFor) -> Response:
    try:
        user = room.sessions.whose(request.cookies.get(cookie_name(room.config.dashboard)))
        if user is None:
            return PlainTextResponse(say("Sign in first."), 401)
        with room.records.unit(read_only=True) as unit:
            if wanted.filters.named and not unit.inspections.finds_all(wanted.filters.named):
                return PlainTextResponse(too_common(wanted.filters.named), 409)
            find(unit, wanted.filters, wanted.since, wanted.until, limit=1)  # what cannot be asked is told before the trail is
        with room.records.unit() as unit:
            unit.reports.tell_of_export("csv", wanted.model_dump(mode="json"), by=user.name)
    except NotAllowed as error:
        return PlainTextResponse(failure_text(error), 403)
    except RecordsAway as error:
        return PlainTextResponse(failure_text(error), 503)
    except KizuError as error:
        return PlainTextResponse(failure_text(error), 400)
    name = f"kizu-search-{datetime.now(UTC).astimezone(room.config.plant.zone):%Y-%m-%d-%H%M}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingResponse(csv_pages(_pages(room, wanted), room.config.plant.zone), media_type="text/csv", headers=headers)


def _pages(room: Room, wanted: AskedFor) -> Iterator[list[InspectionRecord]]:
    """The records, newest first, each page read in a unit of its own: no transaction lasts as long as the download.

    Where the records fail on the way the download breaks off, so that no browser takes a part for the whole.
    """
    last: str | None = None
    while True:
        with room.records.unit(read_only=True) as unit:
            rows = find(unit, wanted.filters, wanted.since, wanted.until, limit=A_PAGE, before=last)
            page = unit.inspections.records([row.uid for row in rows])
        if not rows:
            return
        yield page
        last = rows[-1].uid
