"""The pages that programs ask for the line's state. Slow or rude callers cost a thread each, and the line nothing."""

from __future__ import annotations

import json
import socket
import socketserver
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import structlog

from kizu_inspect.errors import ConfigError
from kizu_pipeline.observing.metrics import CONTENT_TYPE, Metrics
from kizu_pipeline.observing.settings import HttpSettings
from kizu_pipeline.observing.state import LineState

__all__ = ["serve_state"]

_TIMEOUT_S: Final = 5.0
_MOST_CALLERS: Final = 16
_POLL_S: Final = 0.1

_log = structlog.get_logger("kizu.http")


@contextmanager
def serve_state(settings: HttpSettings, state: LineState) -> Iterator[None]:
    """Answer at the configured address for the length of the `with` block. Raises ConfigError: it cannot be listened on."""
    try:
        server = _Server(settings, state)
    except OSError as error:
        raise ConfigError(
            f"the line's state cannot be served on {settings.host} port {settings.port}",
            found=error.strerror or error,
            expected="an address of this machine with a free port",
            next_step="Change runtime.http, or end the program that has the port.",
        ) from error
    thread = threading.Thread(target=server.serve_forever, args=(_POLL_S,), name="kizu-http", daemon=True)
    thread.start()
    _log.info("answers", host=settings.host, port=settings.port)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, settings: HttpSettings, state: LineState) -> None:
        self.state = state
        self.metrics = Metrics(state)
        self._callers: OrderedDict[socket.socket, None] = OrderedDict()
        self._lock = threading.Lock()
        if ":" in settings.host:
            self.address_family = socket.AF_INET6
        super().__init__((settings.host, settings.port), _Handler)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # HTTPServer's asks the name service who we are, which may take long
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            if len(self._callers) >= _MOST_CALLERS:  # the one that takes longest makes room
                oldest, _ = self._callers.popitem(last=False)
                with suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)
            self._callers[request] = None
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._callers.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - as the base class has it
        """A caller that went away, or was too slow, is no matter of the line's."""
        if not isinstance(sys.exception(), OSError):
            _log.exception("a caller got no answer", caller=str(client_address[0]))


class _Handler(BaseHTTPRequestHandler):
    timeout = _TIMEOUT_S
    server: _Server
    server_version = "kizu"
    sys_version = ""

    def do_GET(self) -> None:
        state = self.server.state
        match self.path.partition("?")[0]:
            case "/healthz":
                dead = state.dead_because()
                self._json(dead is None, {"alive": dead is None, "reasons": [] if dead is None else [dead]})
            case "/readyz":
                reasons = state.not_ready_because()
                self._json(not reasons, {"ready": not reasons, "reasons": reasons})
            case "/status.json":
                self._json(True, state.snapshot())
            case "/metrics":
                self._send(HTTPStatus.OK, CONTENT_TYPE, self.server.metrics.text())
            case _:
                self.send_error(HTTPStatus.NOT_FOUND)

    def _refuse(self) -> None:
        self.send_response(HTTPStatus.METHOD_NOT_ALLOWED)
        self.send_header("Allow", "GET")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refuse  # noqa: N815 - as the base class looks for them

    def _json(self, good: bool, content: dict[str, Any]) -> None:
        status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
        self._send(status, "application/json; charset=utf-8", json.dumps(content, ensure_ascii=False).encode())

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that the base class gives it
        """Nothing: callers come every few seconds."""
