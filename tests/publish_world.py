"""Receivers of events for the tests of publishing: a real HTTP server and a real MQTT broker, which fail when told to."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog
from mqtt_broker import Heard

Answer = Callable[[dict[str, Any]], int | None]
"""The status for an event; None hangs up without an answer."""


class Said:
    """What the log says."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self._more = threading.Condition()

    @contextmanager
    def listening(self) -> Iterator[Self]:
        before = structlog.get_config()
        structlog.configure(processors=[self._take])
        try:
            yield self
        finally:
            structlog.configure(**before)

    def _take(self, _logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        with self._more:
            self.events.append({**event, "level": method})
            self._more.notify_all()
        raise structlog.DropEvent

    def all(self, words: str) -> list[dict[str, Any]]:
        """The events with these words."""
        return [event for event in self.events if event["event"] == words]

    def wait(self, words: str, *, count: int = 1, timeout_s: float = 30) -> dict[str, Any]:
        """The event that brings the number of those with these words to `count`."""
        with self._more:
            assert self._more.wait_for(lambda: len(self.all(words)) >= count, timeout_s), self.events
        return self.all(words)[count - 1]


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Clients that are killed, or do not trust the certificate, are what the tests are about."""


class Receiver(Heard):
    """A web server that takes events unless `answer` says otherwise."""

    def __init__(self, *, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self.answer: Answer = lambda _event: 200
        self.headers: list[dict[str, str]] = []
        self.connections = 0
        self._open: list[socket.socket] = []
        self.refused: list[dict[str, Any]] = []
        """What was not taken."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # the answer in one piece; in two, the second would wait for the first one's acknowledgement

            def setup(self) -> None:
                super().setup()
                receiver.connections += 1
                receiver._open.append(self.connection)

            def do_POST(self) -> None:
                event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.headers.append(dict(self.headers))
                status = receiver.answer(event)
                if status is not None and 200 <= status < 300:
                    receiver.add(event)
                else:
                    receiver.refused.append(event)
                if status is None:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Length", "5")
                if 300 <= status < 400:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()
                self.wfile.write(b"heard")

            def do_GET(self) -> None:
                receiver.refused.append({"method": "GET"})
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", port), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port: int = self._server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}/inspections"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._server.shutdown()
        for connection in self._open:  # as when its process ends
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1, signed by itself, and its key."""
    key, made = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=line",
               "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", made]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return made, key
