"""One connection to an MQTT broker, on which every message is acknowledged before the next."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Final

from kizu_inspect.credentials import read_secret, tls_context
from kizu_inspect.errors import ConfigError
from kizu_pipeline.broker_settings import BrokerSettings

try:
    from paho.mqtt import client as paho
    from paho.mqtt.enums import CallbackAPIVersion
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties
except ImportError:
    raise ConfigError("MQTT needs paho-mqtt", found="it is not installed", next_step="Run: pip install 'kizu[mqtt]'") from None

__all__ = ["BrokerAwayError", "Connection"]

_VERSIONS: Final = {"5": paho.MQTTv5, "3.1.1": paho.MQTTv311}


class BrokerAwayError(Exception):
    """The broker cannot be reached, refuses the connection, ends it or does not answer; the connection is closed."""

    def __init__(self, what: str, found: object) -> None:
        super().__init__(f"{what}: {found}")
        self.what = what
        self.found = found


class Connection:
    """To one broker, by one thread."""

    def __init__(
        self,
        settings: BrokerSettings,
        *,
        client_id: str,
        variable: str,
        setting: str,
        timeout_s: float,
        version: str = "5",
        will: tuple[str, bytes] | None = None,
        subscribed: str | None = None,
        take: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        """`variable` may hold the password, `setting` is where these settings stand. `will` is what the broker is to publish on
        a topic where this client is lost. What comes on the topic `subscribed` goes to `take`, in a thread of its own, but for
        what the broker had kept from before.

        Raises ConfigError: the password or the certificates cannot be read.
        """
        self._settings = settings
        self._client_id = client_id
        self._variable, self._setting = variable, setting
        self._timeout_s = timeout_s
        self._version = version
        self._will, self._subscribed, self._take = will, subscribed, take
        self._context = tls_context(settings.ca_file, setting=f"{setting}.ca_file") if settings.tls else None
        self._password()
        self._client: paho.Client | None = None
        self._heard: SimpleQueue[tuple[str, int, Any]] = SimpleQueue()
        """What the client's own thread says: what happened, to which message, with what reason."""

    @property
    def connected(self) -> bool:
        """Whether the connection stands, as far as is known."""
        return self._client is not None and self._client.is_connected()

    def publish(self, topic: str, message: bytes, *, expires_s: int | None = None) -> Any:
        """The broker's reason code for one message of QoS 1; after `expires_s` it hands it to nobody any more.

        Raises BrokerAwayError where none came in time: it may have been taken all the same.
        """
        client = self._client
        if client is None:
            raise BrokerAwayError("cannot be asked", "no connection")
        properties = None
        if expires_s is not None and self._version == "5":
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.MessageExpiryInterval = expires_s
        sent = client.publish(topic, message, qos=1, properties=properties)
        return self._wait_for("published", sent.mid)

    def connect(self) -> None:
        """A client of its own for each connection: the one before might send again, and late, what it had in hand.

        The broker ends that one's connection first, since both have the same name.
        """
        self.close()
        settings, heard = self._settings, SimpleQueue[tuple[str, int, Any]]()
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            protocol=_VERSIONS[self._version],
            reconnect_on_failure=False,
        )
        client.connect_timeout = self._timeout_s
        client.on_connect = lambda _client, _data, _flags, reason, _properties: heard.put(("connected", 0, reason))
        client.on_publish = lambda _client, _data, mid, reason, _properties: heard.put(("published", mid, reason))
        client.on_disconnect = lambda _client, _data, _flags, reason, _properties: heard.put(("lost", 0, reason))
        client.on_subscribe = lambda _client, _data, mid, reasons, _properties: heard.put(("subscribed", mid, reasons[0]))
        # What was kept says what was asked once, not what is asked now.
        client.on_message = lambda _client, _data, message: None if message.retain else self._take(bytes(message.payload))
        if self._will is not None:
            topic, message = self._will
            client.will_set(topic, message, qos=1)
        if self._context is not None:
            client.tls_set_context(self._context)
        self._heard = heard
        try:
            if settings.user is not None:
                client.username_pw_set(settings.user, self._password())
            client.connect(settings.host, settings.at_port, keepalive=settings.keepalive_s)
        except ConfigError as error:
            raise BrokerAwayError("cannot be asked", error) from None
        except (OSError, ValueError) as error:  # the latter of a host's name that is none
            raise BrokerAwayError("cannot be reached", error) from None
        self._client = client
        client.loop_start()
        self._require(self._wait_for("connected", 0), "refused the connection")
        if self._subscribed is not None:
            _, mid = client.subscribe(self._subscribed, qos=1)
            self._require(self._wait_for("subscribed", mid or 0), f"refused to tell of {self._subscribed}")

    def close(self) -> None:
        """End the connection, if there is one, with a goodbye: the broker publishes no will."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(OSError):
                client.disconnect()
            client.loop_stop()

    def _password(self) -> str | None:
        return read_secret(self._settings.password_file, self._variable, setting=f"{self._setting}.password_file")

    def _require(self, reason: Any, otherwise: str) -> None:
        if reason.is_failure:
            self.close()
            raise BrokerAwayError(otherwise, reason)

    def _wait_for(self, what: str, mid: int) -> Any:
        """The broker's reason code."""
        until = time.monotonic() + self._timeout_s
        while True:
            try:
                happened, about, reason = self._heard.get(timeout=max(0.0, until - time.monotonic()))
            except Empty:
                self.close()
                raise BrokerAwayError("did not answer", f"nothing for {self._timeout_s:g} s") from None
            if (happened, about) == (what, mid):
                return reason
            if happened == "lost":
                self.close()
                raise BrokerAwayError("ended the connection", reason)
