"""Receivers of events for the tests of publishing: a real HTTP server and a real MQTT broker, which fail when told to."""

from __future__ import annotations

import json
import os
import signal
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
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

MOSQUITTO = "/usr/sbin/mosquitto"
Answer = Callable[[dict[str, Any]], int | None]
"""The status for an event; None hangs up without an answer."""


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Heard:
    """The events that arrived, in order."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.topics: set[str] = set()
        self._more = threading.Condition()

    def add(self, event: dict[str, Any]) -> None:
        with self._more:
            self.events.append(event)
            self._more.notify_all()

    def wait(self, count: int, timeout_s: float = 30) -> list[dict[str, Any]]:
        """The events, once there are so many of them."""
        with self._more:
            assert self._more.wait_for(lambda: len(self.events) >= count, timeout_s), self.events
            return list(self.events)

    @property
    def first_seqs(self) -> list[int]:
        """The numbers of the events in order of their first arrival; the same number is always the same event."""
        ids: dict[int, str] = {}
        for event in self.events:
            assert ids.setdefault(event["seq"], event["event_id"]) == event["event_id"]
        return list(ids)


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


class Broker:
    """A Mosquitto of its own on a free port; what it was told to keep outlives its process."""

    def __init__(self, folder: Path, *settings: str) -> None:
        self.port = free_port()
        folder.mkdir(exist_ok=True)
        self._config = folder / "mosquitto.conf"
        mine = [f"listener {self.port} 127.0.0.1", "user root", "persistence true", f"persistence_location {folder}/",
                "autosave_interval 1", "autosave_on_changes true"]  # fmt: skip
        self._config.write_text("\n".join([*mine, *(settings or ["allow_anonymous true"])]) + "\n", encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it takes connections when this returns."""
        self._process = subprocess.Popen([MOSQUITTO, "-c", self._config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            assert self._process.poll() is None, "the broker did not start"
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            os.sched_yield()

    def kill(self) -> None:
        """End it without a chance to say goodbye."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def hold(self) -> None:
        """Let it answer nothing; the system goes on taking connections and bytes for it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def let_go(self) -> None:
        """Let it answer again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        if self._process is not None:
            self.kill()


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1, signed by itself, and its key."""
    key, made = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=line",
               "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", made]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return made, key


@contextmanager
def subscriber(port: int, topic: str, *, user: str | None = None, password: str | None = None) -> Iterator[Heard]:
    """Hears what the broker hands out under the topic, with a session that outlives a broken connection."""
    heard, ready = Heard(), threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"mes-{port}", protocol=paho.MQTTv5)
    client.username_pw_set(user, password) if user else None
    client.reconnect_delay_set(1, 1)
    client.on_connect = lambda *_: client.subscribe(topic, qos=1)
    client.on_subscribe = lambda *_: ready.set()

    def take(_client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        heard.topics.add(message.topic)
        heard.add(json.loads(message.payload))

    client.on_message = take
    session = Properties(PacketTypes.CONNECT)
    session.SessionExpiryInterval = 3600
    client.connect("127.0.0.1", port, clean_start=False, properties=session)
    client.loop_start()
    try:
        assert ready.wait(timeout=10)
        yield heard
    finally:
        client.disconnect()
        client.loop_stop()
