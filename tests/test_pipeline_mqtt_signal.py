"""OK and NG over MQTT: a real broker, and a control that keeps to docs/signal.md, both of which fail when told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from mqtt_broker import Broker
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from pydantic import ValidationError

from kizu_pipeline.line_signal.base import LineState
from kizu_pipeline.line_signal.mqtt import MqttLink
from kizu_pipeline.line_signal.settings import MqttSignal
from kizu_pipeline.settings import StationSettings
from line_world import ALL_PASS, ALL_REJECT, LineWorld
from test_pipeline_signal import line, told, wait_until
from test_pipeline_triggers import camera, rows, triggered  # noqa: F401 - a fixture

PATIENCE_S = 20.0
BASE = "kizu/press-3/signal"


class Control:
    """The program of docs/signal.md, by MQTT. It acknowledges each result unless told not to."""

    def __init__(self, port: int) -> None:
        self.taken: list[dict[str, Any]] = []
        self.states: list[dict[str, Any]] = []
        self.acknowledges = True
        self._changed = threading.Condition()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="control", protocol=paho.MQTTv5)
        self._client.reconnect_delay_set(1, 1)
        self._listens = threading.Event()
        self._client.on_connect = lambda *_: self._client.subscribe(f"{BASE}/#", qos=1)
        self._client.on_subscribe = lambda *_: self._listens.set()
        self._client.on_message = self._hear
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._listens.wait(PATIENCE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _hear(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        kind = message.topic.rpartition("/")[2]
        with self._changed:
            if kind == "state":
                self.states.append(json.loads(message.payload))
            elif kind == "result":
                result = json.loads(message.payload)
                if all(result["sequence"] != one["sequence"] for one in self.taken):
                    self.taken.append(result)
                if self.acknowledges:
                    self.say({"acknowledged": result["sequence"]})
            self._changed.notify_all()

    def say(self, command: object, *, retain: bool = False) -> None:
        payload = command if isinstance(command, bytes) else json.dumps(command)
        self._client.publish(f"{BASE}/commands", payload, qos=1, retain=retain)

    def until(self, done: Callable[[], Any]) -> None:
        """Wait for a message after which this holds."""
        with self._changed:
            assert self._changed.wait_for(done, PATIENCE_S), (self.taken, self.states[-3:])

    def codes(self) -> list[tuple[str, str]]:
        return [(one["part"], one["code"]) for one in self.taken]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def control(broker: Broker) -> Iterator[Control]:
    with Control(broker.port) as listening:
        yield listening


def by(broker: Broker, **changes: object) -> dict[str, object]:
    plain = {"kind": "mqtt", "host": "127.0.0.1", "port": broker.port, "poll_ms": 5, "heartbeat_ms": 30, "timeout_ms": 1000}
    return {**plain, "acknowledge_ms": 5000, "send_within_ms": 10_000, **changes}


def ready(control: Control) -> None:
    control.until(lambda: control.states and control.states[-1].get("ready"))


def test_each_part_gets_its_result_and_the_records_say_that_it_was_taken(
    world: LineWorld, broker: Broker, control: Control
) -> None:
    with line(world, **ALL_PASS, line={"signal": by(broker)}):
        ready(control)
        for number in range(2):
            world.drop(f"P{number}.png", seed=number)
            control.until(lambda number=number: len(control.taken) == number + 1)  # type: ignore[misc]
        world.drop("P2.png", b"no picture")
        control.until(lambda: len(control.taken) == 3)
        wait_until(lambda: list(told(world).values())[2:] == [("ERROR", "NG", True)])
    assert control.codes() == [("P0", "OK"), ("P1", "OK"), ("P2", "NG")]
    assert told(world) == {"P0": ("PASS", "OK", True), "P1": ("PASS", "OK", True), "P2": ("ERROR", "NG", True)}
    assert len({one["sequence"] for one in control.taken}) == 3
    beats = [state["heartbeat"] for state in control.states if "heartbeat" in state]
    assert beats == sorted(beats)
    assert len(set(beats)) > 2
    control.until(lambda: control.states[-1]["ready"] is False)  # a goodbye


def test_a_reject_is_ng(world: LineWorld, broker: Broker, control: Control) -> None:
    world.drop("P0.png")
    world.run(**ALL_REJECT, line={"signal": by(broker)})
    assert control.codes() == [("P0", "NG")]


def test_triggers_name_the_parts_and_old_ones_take_no_frame(
    world: LineWorld,
    broker: Broker,
    control: Control,
    camera: Any,  # noqa: F811
) -> None:
    control.say({"trigger": 41, "part": "old"}, retain=True)
    with line(world, **ALL_PASS, source=triggered(camera), line={"signal": by(broker)}):
        ready(control)
        for number, part in ((42, "P42"), (43, "P43")):
            control.say({"trigger": number, "part": part})
            control.until(lambda number=number: any(one["trigger"] == number for one in control.taken))  # type: ignore[misc]
        control.say({"trigger": 45, "part": "P45"})  # 44 was lost on its way
        control.until(lambda: len(control.taken) == 4)
    assert {(one["trigger"], one["part"] or "-", one["code"]) for one in control.taken} >= {
        (42, "P42", "OK"), (43, "P43", "OK"), (45, "P45", "OK"),
    }  # fmt: skip
    assert [one["code"] for one in control.taken if one["trigger"] == 44] == ["NG"]
    assert "old" not in {part for part, *_ in rows(world)}


def test_triggers_that_come_again_take_no_second_frame(
    world: LineWorld,
    broker: Broker,
    control: Control,
    camera: Any,  # noqa: F811
) -> None:
    with line(world, **ALL_PASS, source=triggered(camera), line={"signal": by(broker)}):
        ready(control)
        for number in (65535, 1, 2):
            control.say({"trigger": number, "part": f"P{number}"})
            control.until(lambda number=number: any(one["trigger"] == number for one in control.taken))  # type: ignore[misc]
        for number in (65535, 1, 2, 3):  # a control that was cut off sends again what the broker had not acknowledged to it
            control.say({"trigger": number, "part": f"P{number}"})
        control.until(lambda: any(one["trigger"] == 3 for one in control.taken))
    assert [one["trigger"] for one in control.taken] == [65535, 1, 2, 3]
    assert rows(world) == [(part, "PASS", "OK") for part in ("P65535", "P1", "P2", "P3")]


def test_what_is_no_command_is_passed_over(world: LineWorld, broker: Broker, control: Control) -> None:
    control.acknowledges = False
    with line(world, **ALL_PASS, line={"signal": by(broker, acknowledge_ms=300)}):
        ready(control)
        for junk in (b"", b"\xff\xfe", b"[]", b"{", b"[" * 100_000, {"trigger": -1}, {"trigger": True}, {"acknowledged": 2**40},
                     {"acknowledged": 1.5}, {"part": 5, "trigger": 7}, {"part": "x" * 1000, "trigger": 7}):  # fmt: skip
            control.say(junk)
        world.drop("P0.png")
        control.until(lambda: len(control.taken) == 1)
        control.say({"acknowledged": control.taken[0]["sequence"] + 7})  # another one's
        wait_until(lambda: (one := world.inspections()) and one[0].signal)
    signal = world.only().signal
    assert signal is not None
    assert (signal.sent, signal.acknowledged_at) == ("OK", None)
    assert "not acknowledged within 300 ms" in (signal.note or "")


@pytest.mark.parametrize("how", ["killed", "held"])
def test_a_broker_that_is_away_costs_ng_and_nothing_else(world: LineWorld, broker: Broker, control: Control, how: str) -> None:
    signal = by(broker, timeout_ms=300, send_within_ms=300, acknowledge_ms=300)
    with line(world, **ALL_PASS, line={"signal": signal}):
        ready(control)
        world.drop("P0.png")
        control.until(lambda: control.codes() == [("P0", "OK")])
        broker.kill() if how == "killed" else broker.hold()
        world.drop("P1.png", seed=1)
        wait_until(lambda: (one := told(world).get("P1")) and one[0] == "PASS" and one[1] is not None)
        broker.start() if how == "killed" else broker.let_go()
        before = len(control.states)
        control.until(lambda: len(control.states) > before and control.states[-1].get("ready"))
        world.drop("P2.png", seed=2)
        control.until(lambda: ("P2", "OK") in control.codes())
        wait_until(lambda: told(world).get("P2") == ("PASS", "OK", True))
    sent, acknowledged = told(world)["P1"][1:]
    assert sent in ("none", "OK")
    assert not acknowledged


def test_a_service_that_dies_is_told_by_the_broker(broker: Broker, control: Control) -> None:
    link = MqttLink(MqttSignal.model_validate(by(broker)), station="press-3")
    link.connect()
    link.tell(LineState(1, True, False, False, 0))
    control.until(lambda: len(control.states) == 1)
    assert control.states[0] == {
        "alive": True, "heartbeat": 1, "ready": True, "busy": False, "fault": False, "trigger_taken": 0,
    }  # fmt: skip
    client = link._connection._client
    assert client is not None
    connection: Any = client.socket()
    connection.shutdown(2)
    control.until(lambda: len(control.states) == 2)
    assert control.states[1] == {"alive": False, "ready": False, "busy": False, "fault": False}
    link.close()


def test_settings_are_checked() -> None:
    with pytest.raises(ValidationError, match="password_file needs user"):
        MqttSignal.model_validate({"kind": "mqtt", "host": "broker", "password_file": "x"})
    folder = {"kind": "folder", "path": "in", "done": "done", "quarantine": "q"}
    station = {"id": "a+b", "source": folder, "recipe": {"bundle": "b"}, "signal": {"kind": "mqtt", "host": "broker"}}
    with pytest.raises(ValidationError, match="part of the MQTT topic"):
        StationSettings.model_validate(station)
    assert StationSettings.model_validate({**station, "id": "a"}).signal == MqttSignal(kind="mqtt", host="broker")
