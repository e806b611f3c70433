"""Serving the dashboard: an ASGI app with the pages, its own routes for pictures, and the gate before all of it."""

from __future__ import annotations

import errno
import gc
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from kizu_dashboard.addresses import in_readers_words
from kizu_dashboard.beside import beside_picture
from kizu_dashboard.exporting import export_route
from kizu_dashboard.language.asking import language_for
from kizu_dashboard.language.page import InItsLanguage
from kizu_dashboard.language.speaking import ask_sessions
from kizu_dashboard.pages.frame import session_language
from kizu_dashboard.pictures import LARGE_PX, THUMBNAIL_PX, Picture, heatmap_png, parse_uid, photo, thumbnail
from kizu_dashboard.room import Room, close_rooms, open_room
from kizu_dashboard.settings import DashboardConfig
from kizu_dashboard.signing_in.gate import SIGN_IN, Gate, SecurityHeaders
from kizu_dashboard.signing_in.once import OneTimeLink, is_loopback
from kizu_dashboard.signing_in.routes import SigningIn
from kizu_dashboard.signing_in.sessions import cookie_name
from kizu_dashboard.theme import THEME
from kizu_db.values import InspectionRecord
from kizu_inspect.errors import BundleError, ConfigError, ImageError, RecordError, RecordsAway

__all__ = ["build_app", "serve", "streamlit_options"]

SCRIPT: Final = Path(__file__).parent / "pages" / "main.py"

PICTURE_HEADERS: Final = {
    # The content behind an id never changes, and is nobody else's: the browser may keep it, a proxy may not.
    "Cache-Control": "private, max-age=31536000, immutable",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'",
}

BESIDE_HEADERS: Final = PICTURE_HEADERS | {
    # A recipe's reference is a file that people may replace.
    "Cache-Control": "private, max-age=600",
}


def serve(
    config: DashboardConfig, *, on_ready: Callable[[str, str | None], None] | None = None, link_for: str | None = None
) -> None:
    """Serve the dashboard until interrupted; `on_ready` is called with its address once it answers.

    With it goes a link that signs in the person `link_for`, once, from this machine; None where nobody is named, and where
    the dashboard listens on the network.

    Call it from the main thread: it handles SIGINT and SIGTERM. Raises SchemaError where the database has another version,
    ConfigError where the address cannot be listened on.
    """
    host, port = config.dashboard.host, _free_port(config.dashboard.host, config.dashboard.port)
    open_room(config.model_dump_json())
    link = OneTimeLink(link_for) if link_for is not None and is_loopback(host) else None

    def tell() -> None:
        if on_ready is not None:
            address = address_of(host, port)
            on_ready(address, None if link is None else f"{address}{SIGN_IN}?{urlencode({'once': link.new_secret()})}")

    build_app(config, link=link, on_ready=tell).run(config=streamlit_options(config, port))


def address_of(host: str, port: int) -> str:
    """Where a browser on this machine finds the dashboard."""
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def streamlit_options(config: DashboardConfig, port: int) -> dict[str, Any]:
    """Streamlit's settings: nothing leaves the machine, no error detail reaches the browser, nothing is watched."""
    return {
        "server.address": config.dashboard.host,
        "server.port": port,
        "server.headless": True,
        "server.fileWatcherType": "none",
        "server.enableStaticServing": False,
        "server.maxUploadSize": 1,
        "server.allowedHosts": _allowed_hosts(config),
        "browser.gatherUsageStats": False,
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "client.toolbarMode": "minimal",
        "client.disableDataExport": True,
        # The welcome message looks up the machine's address on the internet; the command prints its own.
        "logger.hideWelcomeMessage": True,
        **THEME,
    }


def build_app(
    config: DashboardConfig, *, link: OneTimeLink | None = None, on_ready: Callable[[], None] | None = None
) -> st.App:
    """The ASGI app. The settings travel to the pages inside the process, never on a command line."""
    text = config.model_dump_json()
    signing_in = SigningIn(lambda: open_room(text), link, config.dashboard.oidc)
    ask_sessions(session_language)

    def asked_language(asked: HTTPConnection) -> str:
        return language_for(asked.cookies, asked.headers.get("accept-language"), config.dashboard)

    @asynccontextmanager
    async def lifespan(_: st.App) -> AsyncIterator[None]:
        open_room(text)
        # What is loaded by now stays: looked through by each full collection it would hold up a page for 50 ms.
        gc.collect()
        gc.freeze()
        if on_ready is not None:
            on_ready()
        try:
            yield
        finally:
            gc.unfreeze()
            close_rooms()

    return st.App(
        SCRIPT,
        secrets={"kizu": {"config": text}},
        lifespan=_as_lifespan(lifespan),
        # ":path" takes everything below these names, so that a strange address gets their 404 and not Streamlit's page.
        routes=[
            Route("/image/{uid:path}", _route(text, lambda room, record, _: photo(room, record)), name="image"),
            Route("/thumbnail/{uid:path}", _route(text, _thumbnail), name="thumbnail"),
            Route("/heatmap/{uid:path}", _route(text, _heatmap), name="heatmap"),
            Route("/beside/{uid:path}", _route(text, beside_picture, headers=BESIDE_HEADERS), name="beside"),
            Route("/search", _to_search),
            export_route(lambda: open_room(text)),
            *signing_in.routes(),
        ],
        middleware=[
            Middleware(SecurityHeaders),
            # A page on the internet must not read pictures through a name that it points at this machine.
            Middleware(TrustedHostMiddleware, allowed_hosts=_allowed_hosts(config) or ["*"]),
            Middleware(InItsLanguage, language=asked_language, in_readers_words=in_readers_words),
            # To fetch is no use of a session: pages do it by themselves. Its pages note that somebody is there.
            Middleware(
                Gate,
                whose=lambda secret: open_room(text).sessions.whose(secret, used=False),
                cookie=cookie_name(config.dashboard),
            ),
        ],
    )


def _as_lifespan(
    lifespan: Callable[[st.App], AbstractAsyncContextManager[None]],
) -> Callable[[st.App], AbstractAsyncContextManager[dict[str, Any] | None]]:
    return lifespan


def _allowed_hosts(config: DashboardConfig) -> list[str]:
    """Names by which the dashboard may be called; empty for any, where it listens on the network and none is configured."""
    host, names = config.dashboard.host, config.dashboard.names
    return list(dict.fromkeys(("127.0.0.1", "localhost", host, *names))) if names or is_loopback(host) else []


def _heatmap(_: Room, record: InspectionRecord, asked: QueryParams) -> Picture | None:
    return heatmap_png(record, asked.get("method"))


def _thumbnail(room: Room, record: InspectionRecord, asked: QueryParams) -> Picture | None:
    longest_px = LARGE_PX if asked.get("size") == "large" else THUMBNAIL_PX
    return thumbnail(room, record, longest_px=longest_px, heat="heatmap" in asked)


async def _to_search(request: Request) -> Response:
    """The page Search is the first one: its name leads there, with all that was asked for as it was written."""
    asked = request.url.query
    return RedirectResponse("/" + (f"?{asked}" if asked else ""), 303, {"Cache-Control": "no-store"})


def _route(
    config: str,
    make: Callable[[Room, InspectionRecord, QueryParams], Picture | None],
    *,
    headers: Mapping[str, str] = PICTURE_HEADERS,
) -> Callable[[Request], Any]:
    """A route that answers with the picture `make` gives for an inspection, or says in one line why there is none."""

    def answer(uid: str | None, asked: QueryParams) -> Response:
        if uid is None:
            return _missing("no such inspection")
        room = open_room(config)
        try:
            with room.records.unit(read_only=True) as unit:  # a picture must not wait for the line, nor the line for it
                record = unit.inspections.get(uid)
        except RecordsAway:
            return _missing("the records do not answer; ask again later", status=503)
        if record is None:
            return _missing("no such inspection")
        try:
            picture = make(room, record, asked)
        except (RecordError, ImageError, BundleError, ConfigError):
            return _missing("the picture is missing from the image store or cannot be read")
        if picture is None:
            return _missing("this inspection has no such picture")
        return Response(picture.data, media_type=picture.media_type, headers=headers)

    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(answer, parse_uid(request.path_params["uid"]), request.query_params)

    return endpoint


def _missing(why: str, *, status: int = 404) -> Response:
    return PlainTextResponse(why, status_code=status, headers={"Cache-Control": "no-store"})


def _free_port(host: str, port: int) -> int:
    """The port to listen on. Raises ConfigError where the address is taken or is not this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return int(probe.getsockname()[1])
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        raise ConfigError(
            "the dashboard cannot listen",
            found=f"{host}:{port} {'is in use by another program' if taken else f'({error.strerror or error})'}",
            expected="a free port of this machine",
            next_step="End the other program, or set dashboard.host and dashboard.port.",
        ) from None
