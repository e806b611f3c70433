"""A real broker that is killed and held on command, and who hears what it hands out."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

__all__ = ["Broker", "Heard", "free_port", "subscriber"]

MOSQUITTO = "/usr/sbin/mosquitto"


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
