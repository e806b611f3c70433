"""Events to an MQTT broker: QoS 1, one at a time, each acknowledged before the next."""

from __future__ import annotations

from typing import Final

from kizu_inspect.errors import EventRefused, ReceiverAway
from kizu_pipeline.mqtt_connection import BrokerAwayError, Connection
from kizu_pipeline.publishing.settings import PASSWORD_VARIABLE, MqttTarget

__all__ = ["Mqtt"]

_REFUSED: Final = frozenset({0x80, 0x83, 0x99})
"""Reasons (MQTT 5, 3.4.2.1) that speak of the message alone: unspecified, implementation specific, payload format."""


class Mqtt:
    """Publishes to one broker, under PREFIX/STATION/KIND."""

    def __init__(self, target: MqttTarget, *, station: str) -> None:
        """Raises ConfigError: the password or the certificates cannot be read."""
        self._target = target
        self._station = station
        self._connection = Connection(
            target,
            client_id=target.client_id or f"kizu-{station}",
            variable=PASSWORD_VARIABLE,
            setting="station.publish",
            timeout_s=target.timeout_s,
            version=target.version,
        )

    @property
    def shown(self) -> str:
        return self._target.shown

    def send(self, kind: str, message: bytes) -> None:
        try:
            if not self._connection.connected:
                self._connection.connect()
            reason = self._connection.publish(f"{self._target.prefix}/{self._station}/{kind}", message)
        except BrokerAwayError as error:
            raise ReceiverAway(f"{self.shown} {error.what}", found=error.found) from None
        if not reason.is_failure:
            return
        if reason.value in _REFUSED:
            raise EventRefused(f"{self.shown} refused an event", found=reason)
        raise ReceiverAway(f"{self.shown} takes no events", found=reason)

    def close(self) -> None:
        self._connection.close()
