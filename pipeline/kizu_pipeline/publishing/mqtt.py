"""Events to an MQTT broker: QoS 1, one at a time, each acknowledged before the next."""

from __future__ import annotations

import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Final

from kizu_inspect.errors import ConfigError, EventRefused, ReceiverAway
from kizu_pipeline.publishing.base import tls_context
from kizu_pipeline.publishing.settings import PASSWORD_VARIABLE, MqttTarget, read_secret

try:
    from paho.mqtt import client as paho
    from paho.mqtt.enums import CallbackAPIVersion
except ImportError:
    raise ConfigError(
        "publishing by MQTT needs paho-mqtt", found="it is not installed", next_step="Run: pip install 'kizu[mqtt]'"
    ) from None

__all__ = ["Mqtt"]

_REFUSED: Final = frozenset({0x80, 0x83, 0x99})
"""Reasons (MQTT 5, 3.4.2.1) that speak of the message alone: unspecified, implementation specific, payload format."""

_VERSIONS: Final = {"5": paho.MQTTv5, "3.1.1": paho.MQTTv311}


class Mqtt:
    """Publishes to one broker, under PREFIX/STATION/KIND."""

    def __init__(self, target: MqttTarget, *, station: str) -> None:
        """Raises ConfigError: the password or the certificates cannot be read."""
        self._target = target
        self._station = station
        self._context = tls_context(target.ca_file) if target.tls else None
        self._password()
        self._client: paho.Client | None = None
        self._heard: SimpleQueue[tuple[str, int, Any]] = SimpleQueue()
        """What the client's own thread says: what happened, to which message, with what reason."""

    @property
    def shown(self) -> str:
        return self._target.shown

    def send(self, kind: str, message: bytes) -> None:
        client = self._client
        if client is None or not client.is_connected():
            client = self._connect()
        sent = client.publish(f"{self._target.prefix}/{self._station}/{kind}", message, qos=1)
        reason = self._wait_for("published", sent.mid)
        if not reason.is_failure:
            return
        if reason.value in _REFUSED:
            raise EventRefused(f"{self.shown} refused an event", found=reason)
        raise ReceiverAway(f"{self.shown} takes no events", found=reason)

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(OSError):
                client.disconnect()
            client.loop_stop()

    def _password(self) -> str | None:
        return read_secret(self._target.password_file, PASSWORD_VARIABLE, setting="station.publish.password_file")

    def _connect(self) -> paho.Client:
        """A client of its own for each connection: the one before might send again, and late, what it had in hand.

        The broker ends that one's connection first, since both have the same name.
        """
        self.close()
        target, heard = self._target, SimpleQueue[tuple[str, int, Any]]()
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=target.client_id or f"kizu-{self._station}",
            protocol=_VERSIONS[target.version],
            reconnect_on_failure=False,
        )
        client.connect_timeout = target.timeout_s
        client.on_connect = lambda _client, _data, _flags, reason, _properties: heard.put(("connected", 0, reason))
        client.on_publish = lambda _client, _data, mid, reason, _properties: heard.put(("published", mid, reason))
        client.on_disconnect = lambda _client, _data, _flags, reason, _properties: heard.put(("lost", 0, reason))
        if self._context is not None:
            client.tls_set_context(self._context)
        self._heard = heard
        try:
            if target.user is not None:
                client.username_pw_set(target.user, self._password())
            client.connect(target.host, target.at_port, keepalive=target.keepalive_s)
        except ConfigError as error:
            raise ReceiverAway(f"{self.shown} cannot be asked", found=error) from None
        except (OSError, ValueError) as error:  # the latter of a host's name that is none
            raise ReceiverAway(f"{self.shown} cannot be reached", found=error) from None
        self._client = client
        client.loop_start()
        reason = self._wait_for("connected", 0)
        if reason.is_failure:
            self.close()
            raise ReceiverAway(f"{self.shown} refused the connection", found=reason)
        return client

    def _wait_for(self, what: str, mid: int) -> Any:
        """The broker's reason code. Raises ReceiverAway, with the connection closed, where it does not come in time."""
        until = time.monotonic() + self._target.timeout_s
        while True:
            try:
                happened, about, reason = self._heard.get(timeout=max(0.0, until - time.monotonic()))
            except Empty:
                self.close()
                raise ReceiverAway(f"{self.shown} did not answer", found=f"nothing for {self._target.timeout_s:g} s") from None
            if (happened, about) == (what, mid):
                return reason
            if happened == "lost":
                self.close()
                raise ReceiverAway(f"{self.shown} ended the connection", found=reason)
