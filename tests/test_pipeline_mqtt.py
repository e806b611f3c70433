"""Events reach a real broker: acknowledged one by one, through its death and return, under the station's own topic."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mqtt_broker import Broker, free_port, subscriber

from db_examples import inspection
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings
from kizu_inspect.errors import ConfigError
from kizu_inspect.results import Verdict
from kizu_pipeline.publishing import delivery
from kizu_pipeline.publishing.settings import MqttTarget
from kizu_pipeline.publishing.station import Publishing, open_publishing
from kizu_pipeline.settings import StationSettings
from line_world import ALL_PASS, LineWorld
from publish_world import Said, certificate

STATION = "press-3"
TOPIC = "plant/press-3/inspection"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(delivery, "LONGEST_PAUSE_S", 0.1)


@pytest.fixture
def database(tmp_path: Path) -> DatabaseSettings:
    return DatabaseSettings(url=f"sqlite:///{tmp_path / 'records' / 'kizu.db'}")


@pytest.fixture
def said() -> Iterator[Said]:
    with Said().listening() as listening:
        yield listening


def mqtt(port: int, **changes: Any) -> MqttTarget:
    settings = {"kind": "mqtt", "host": "127.0.0.1", "port": port, "prefix": "plant", "timeout_s": 5.0}
    return MqttTarget.model_validate({**settings, **changes})


def station(target: MqttTarget, **changes: Any) -> StationSettings:
    source = {"kind": "folder", "path": "incoming"}
    return StationSettings.model_validate(
        {"id": STATION, "source": source, "recipe": {"bundle": "b"}, "publish": target, **changes}
    )


def add(records: Records, publishing: Publishing, count: int) -> None:
    for _ in range(count):
        new = inspection(Verdict.PASS, station=STATION)
        with records.unit() as unit:
            publishing.add(unit, unit.inspections.add(new), new)


@contextmanager
def publishing_to(target: MqttTarget, records: Records, *, once: bool = True) -> Iterator[Publishing]:
    with open_publishing(station(target), records, once=once, stop=threading.Event()) as made:
        yield made


def backlog(records: Records) -> int:
    with records.unit(read_only=True) as unit:
        return unit.outbox.backlog().get(STATION, 0)


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_the_lines_events_arrive_under_the_stations_topic(version: str, tmp_path: Path, line_bundle: Path) -> None:
    with Broker(tmp_path / "broker") as broker, subscriber(broker.port, "plant/#") as heard:
        with LineWorld(tmp_path, line_bundle) as world:
            for number in range(4):
                world.drop(f"P{number}.png", seed=number)
            world.drop("torn.png", b"no picture")
            world.run(publish=mqtt(broker.port, version=version), **ALL_PASS)
            uids = [record.row.uid for record in world.inspections()]
            assert backlog(world.records) == 0
        heard.wait(5)
    assert [event["inspection"] for event in heard.events] == uids
    assert [event["seq"] for event in heard.events] == [1, 2, 3, 4, 5]
    assert heard.topics == {TOPIC}
    assert {event["part"]: event["signal"] for event in heard.events}["torn"] == "NG"


def test_a_broker_that_is_killed_and_comes_back_loses_nothing_and_keeps_the_order(
    records: Records, said: Said, tmp_path: Path
) -> None:
    with Broker(tmp_path / "broker") as broker, subscriber(broker.port, TOPIC) as heard:
        with publishing_to(mqtt(broker.port), records, once=False) as publishing:
            for gone in range(1, 3):
                add(records, publishing, 10)
                heard.wait(20 * gone - 10)
                broker.kill()
                add(records, publishing, 10)
                said.wait("receiver is away; events wait", count=gone)
                broker.start()
                said.wait("receiver is back", count=gone)
                heard.wait(20 * gone)
        assert backlog(records) == 0
    assert heard.first_seqs == list(range(1, 41))


def test_what_the_broker_has_not_acknowledged_is_not_taken(records: Records, said: Said, tmp_path: Path) -> None:
    with (
        Broker(tmp_path / "broker") as broker,
        subscriber(broker.port, TOPIC) as heard,
        publishing_to(mqtt(broker.port, timeout_s=0.5), records, once=False) as publishing,
    ):
        add(records, publishing, 1)
        heard.wait(1)
        broker.hold()
        add(records, publishing, 3)
        assert "did not answer" in said.wait("receiver is away; events wait")["error"]
        assert backlog(records) == 3
        broker.let_go()
        heard.wait(4)
        said.wait("receiver is back")
    assert heard.first_seqs == [1, 2, 3, 4]
    assert backlog(records) == 0


def test_users_are_told_by_their_password_and_it_is_never_shown(
    records: Records, said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = tmp_path / "known"
    known.write_text("line:right-secret\nmes:read\n", encoding="utf-8")
    subprocess.run(["mosquitto_passwd", "-U", known], check=True, capture_output=True)
    password = tmp_path / "password"
    password.write_text("wrong-secret\n", encoding="utf-8")
    with (
        Broker(tmp_path / "broker", f"password_file {known}", "allow_anonymous false") as broker,
        subscriber(broker.port, TOPIC, user="mes", password="read") as heard,
    ):
        target = mqtt(broker.port, user="line", password_file=password)
        with publishing_to(target, records, once=False) as publishing:
            add(records, publishing, 2)
            assert "Not authorized" in said.wait("receiver is away; events wait")["error"]
            password.write_text("right-secret\n", encoding="utf-8")
            heard.wait(2)
            said.wait("receiver is back")
        monkeypatch.setenv("KIZU_PUBLISH_PASSWORD", "right-secret")
        with publishing_to(mqtt(broker.port, user="line"), records) as publishing:
            add(records, publishing, 1)
        heard.wait(3)
    assert heard.first_seqs == [1, 2, 3]
    assert "secret" not in str(said.events)


def test_a_topic_that_is_not_allowed_holds_events_instead_of_losing_them(records: Records, said: Said, tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.write_text("topic read plant/#\n", encoding="utf-8")
    with (
        Broker(tmp_path / "broker", "allow_anonymous true", f"acl_file {rules}") as broker,
        publishing_to(mqtt(broker.port, max_attempts=1), records) as publishing,
    ):
        add(records, publishing, 2)
    assert "Not authorized" in said.wait("receiver is away; events wait")["error"]
    assert backlog(records) == 2
    assert said.all("event set aside") == []


@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")  # paho leaves it to be collected, at once
def test_the_brokers_certificate_is_checked(records: Records, said: Said, tmp_path: Path) -> None:
    trusted, key = certificate(tmp_path)
    secured = ("allow_anonymous true", f"certfile {trusted}", f"keyfile {key}")
    with Broker(tmp_path / "broker", *secured) as broker:
        with publishing_to(mqtt(broker.port, tls=True), records) as publishing:
            add(records, publishing, 1)
        assert "CERTIFICATE_VERIFY_FAILED" in said.wait("receiver is away; events wait")["error"]
        assert backlog(records) == 1
        with publishing_to(mqtt(broker.port, tls=True, ca_file=trusted), records):
            pass
        assert backlog(records) == 0


def test_once_ends_while_the_broker_is_away(records: Records, said: Said) -> None:
    with publishing_to(mqtt(free_port()), records) as publishing:
        add(records, publishing, 3)
    assert "refused" in said.wait("receiver is away; events wait")["error"]
    (told,) = said.all("events wait for the next start")
    assert (told["level"], told["waiting"]) == ("warning", 3)


def test_a_library_that_is_missing_is_named(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "kizu_pipeline.publishing.mqtt", raising=False)
    monkeypatch.delitem(sys.modules, "kizu_pipeline.mqtt_connection", raising=False)
    monkeypatch.setitem(sys.modules, "paho.mqtt", None)
    with pytest.raises(ConfigError, match=r"pip install 'kizu\[mqtt\]'"), publishing_to(mqtt(1883), records):
        pass


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"prefix": "plant/+"}, "pattern", id="wildcard"),
        pytest.param({"prefix": "$SYS"}, "pattern", id="the broker's own"),
        pytest.param({"password_file": "x"}, "needs user", id="password of nobody"),
        pytest.param({"ca_file": "x"}, "needs tls", id="certificates for nothing"),
        pytest.param({"version": 4}, "version", id="version"),
    ],
)
def test_settings_refuse(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mqtt(1883, **changes)


def test_a_station_that_is_no_topic_is_refused() -> None:
    with pytest.raises(ValueError, match="part of the MQTT topic"):
        station(mqtt(1883), id="press #3")


def test_the_version_may_be_written_as_a_number() -> None:
    assert mqtt(1883, version=5).version == "5"
