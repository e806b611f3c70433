"""The signal over MQTT: see "Over MQTT" in docs/signal.md."""

from __future__ import annotations

import json
import math
import threading
from collections import deque
from typing import Any, Final

import structlog

from kizu_inspect.errors import SignalAway
from kizu_pipeline.line_signal.base import Code, Commands, LineState, Result
from kizu_pipeline.line_signal.settings import MqttSignal
from kizu_pipeline.mqtt_connection import BrokerAwayError, Connection

__all__ = ["MqttLink"]

PASSWORD_VARIABLE: Final = "KIZU_SIGNAL_PASSWORD"
"""The environment variable that may carry the broker's password."""
_TRIGGERS: Final = 65535
_REPEATED: Final = 16
"""So many triggers back a number is a message that came again, and not a new trigger."""
_HIGHEST: Final = 2**32 - 1
_WAITING_MOST: Final = 256
_PART_MOST: Final = 200

_log = structlog.get_logger("kizu.signal")


class MqttLink:
    """One control behind a broker. Nothing is retained and no session outlives its connection: what is late is lost, and NG."""

    def __init__(self, settings: MqttSignal, *, station: str) -> None:
        """Connects to nobody yet. Raises ConfigError: paho-mqtt is missing, the password or the certificates cannot be read."""
        self._settings = settings
        self._topic = f"{settings.prefix}/{station}/signal"
        self._lock = threading.Lock()
        self._waiting: deque[Commands] = deque(maxlen=_WAITING_MOST)
        self._last = Commands(0, "", 0)
        gone = json.dumps({"alive": False, "ready": False, "busy": False, "fault": False}).encode()
        self._connection = Connection(
            settings,
            client_id=settings.client_id or f"kizu-{station}-signal",
            variable=PASSWORD_VARIABLE,
            setting="station.signal",
            timeout_s=settings.timeout_ms / 1000,
            will=(f"{self._topic}/state", gone),
            subscribed=f"{self._topic}/commands",
            take=self._take,
        )

    @property
    def name(self) -> str:
        """Where the control is listened for."""
        return f"{self._settings.shown} {self._topic}"

    def connect(self) -> frozenset[int]:
        """Make the connection. Nothing is shown at a broker, and the control tells no number before it is asked."""
        with self._lock:
            self._waiting.clear()  # given to a connection that was lost
        try:
            self._connection.connect()
        except BrokerAwayError as error:
            self._lost(error)
        return frozenset()

    def read(self) -> Commands:
        """What the control asks: each message once, oldest first; the last one again where none is new."""
        if not self._connection.connected:
            self._lost(BrokerAwayError("ended the connection", "no answer any more"))
        with self._lock:
            if self._waiting:
                self._last = self._waiting.popleft()
            return self._last

    def tell(self, state: LineState) -> None:
        """Publish this state."""
        self._publish("state", {
            "alive": True, "heartbeat": state.heartbeat, "ready": state.ready, "busy": state.busy, "fault": state.fault,
            "trigger_taken": state.trigger,
        })  # fmt: skip

    def show(self, result: Result | None) -> None:
        """Publish this result. None: what was published cannot be taken back, and each is meant once."""
        if result is None:
            return
        told = {"sequence": result.sequence, "code": result.code.name, "trigger": result.trigger, "part": result.part}
        assert result.code is not Code.NONE
        self._publish("result", told, expires_s=max(1, math.ceil(self._settings.acknowledge_ms / 1000)))

    def close(self) -> None:
        """End the connection. Never raises."""
        self._connection.close()

    def _publish(self, kind: str, told: dict[str, Any], *, expires_s: int | None = None) -> None:
        try:
            reason = self._connection.publish(f"{self._topic}/{kind}", json.dumps(told).encode(), expires_s=expires_s)
            if reason.is_failure:
                self._connection.close()
                raise BrokerAwayError(f"takes no {kind}", reason)
        except BrokerAwayError as error:
            self._lost(error)

    def _take(self, payload: bytes) -> None:
        """A message of the control, by the connection's thread; what is none is told and passed over."""
        try:
            told = json.loads(payload)
            trigger, part, acknowledged = told.get("trigger", 0), told.get("part", ""), told.get("acknowledged", 0)
            numbers = all(type(number) is int for number in (trigger, acknowledged))
            if not numbers or not 0 <= trigger <= _TRIGGERS or not 0 <= acknowledged <= _HIGHEST:
                raise ValueError("trigger is 0 to 65535, acknowledged 0 to 4294967295")
            if not isinstance(part, str) or len(part) > _PART_MOST or not part.isprintable():
                raise ValueError(f"part is printable text of at most {_PART_MOST} characters")
        except (ValueError, AttributeError, RecursionError) as error:
            _log.error("a command was not understood", control=self.name, error=str(error), message=repr(payload[:200]))
            return
        with self._lock:
            before = self._waiting[-1] if self._waiting else self._last
            if trigger and before.trigger and 0 < (before.trigger - trigger) % _TRIGGERS <= _REPEATED:
                # Its part has its result: a second frame may be of another part, and must not answer for this one.
                _log.warning("a trigger came again; it takes no second frame", control=self.name, trigger=trigger)
                trigger = 0
            # Who only acknowledges, or only triggers, says nothing of the other.
            self._waiting.append(Commands(trigger or before.trigger, part.strip(), acknowledged or before.acknowledged))

    def _lost(self, error: BrokerAwayError) -> Any:
        self.close()
        raise SignalAway(
            f"the control ({self.name}) is away", found=f"the broker {error.what}: {error.found}",
            expected="a broker that acknowledges each message",
            next_step="Check the broker, the network, and the names and rights of station.signal.",
        ) from None  # fmt: skip
