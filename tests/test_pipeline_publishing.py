"""Events reach a real web server: all of them, in order, whatever the server does, and the line does not wait for it."""

from __future__ import annotations

import os
import signal
import sqlite3
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from mqtt_broker import free_port
from sqlalchemy import create_engine, text

from db_examples import inspection
from kizu_db import engine
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings
from kizu_inspect.errors import ConfigError
from kizu_inspect.results import Verdict
from kizu_pipeline.observing.state import LineState
from kizu_pipeline.publishing import delivery
from kizu_pipeline.publishing.events import read_schema
from kizu_pipeline.publishing.settings import WebhookTarget
from kizu_pipeline.publishing.station import Publishing, open_publishing
from kizu_pipeline.settings import StationSettings
from line_world import ALL_PASS, ALL_REJECT, ALL_REVIEW, LineWorld, drawn_png
from publish_world import Receiver, Said, certificate

STATION = "press-3"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(delivery, "LONGEST_PAUSE_S", 0.1)
    monkeypatch.setattr(engine, "WAIT_S", 0.3)
    monkeypatch.setattr(engine, "PROMPT_S", 0.3)


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> DatabaseSettings:
    """SQLite unless the test says otherwise."""
    if getattr(request, "param", "sqlite") == "postgresql":
        make: Callable[[], DatabaseSettings] = request.getfixturevalue("new_postgresql")
        return make()
    return DatabaseSettings(url=f"sqlite:///{tmp_path / 'records' / 'kizu.db'}")


@pytest.fixture
def said() -> Iterator[Said]:
    with Said().listening() as listening:
        yield listening


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


def station(target: WebhookTarget, **changes: Any) -> StationSettings:
    source = {"kind": "folder", "path": "incoming"}
    return StationSettings.model_validate(
        {"id": STATION, "source": source, "recipe": {"bundle": "b"}, "publish": target, **changes}
    )


def webhook(url: str, **changes: Any) -> WebhookTarget:
    return WebhookTarget.model_validate({"kind": "webhook", "url": url, "timeout_s": 5.0, **changes})


def add(records: Records, publishing: Publishing, count: int) -> list[str]:
    """Record so many inspections, each with its event."""
    uids = []
    for number in range(count):
        new = inspection(Verdict.PASS, part=f"P{number}", station=STATION)
        with records.unit() as unit:
            uids.append(unit.inspections.add(new))
            publishing.add(unit, uids[-1], new)
    return uids


@contextmanager
def publishing_to(
    target: WebhookTarget, records: Records, *, once: bool = True, stop: threading.Event | None = None
) -> Iterator[Publishing]:
    with open_publishing(station(target), records, once=once, stop=stop or threading.Event()) as made:
        yield made


def backlog(records: Records) -> int:
    with records.unit(read_only=True) as unit:
        return unit.outbox.backlog().get(STATION, 0)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_what_is_recorded_arrives_once_and_in_order(records: Records, receiver: Receiver) -> None:
    with publishing_to(webhook(receiver.url, headers={"X-Plant": "1"}), records) as publishing:
        uids = add(records, publishing, 8)
    assert [event["inspection"] for event in receiver.events] == uids
    assert [event["seq"] for event in receiver.events] == list(range(1, 9))
    assert backlog(records) == 0
    assert receiver.connections == 1
    assert receiver.headers[0]["Content-Type"] == "application/json"
    assert receiver.headers[0]["X-Plant"] == "1"
    assert "Authorization" not in receiver.headers[0]


def test_what_waits_can_be_watched(records: Records, receiver: Receiver) -> None:
    state = LineState(STATION, stop=threading.Event())
    receiver.answer = lambda event: 422 if event["seq"] == 1 else 503
    target = station(webhook(receiver.url, max_attempts=1))
    with open_publishing(target, records, once=True, stop=threading.Event(), state=state) as publishing:
        add(records, publishing, 3)
    told = state.snapshot()
    assert {name: queue["depth"] for name, queue in told["queues"].items()} == {"events": 2, "events_set_aside": 1}
    assert told["queues"]["events"]["oldest_age_s"] >= 0
    assert (told["events"]["receiver_away"], told["events"]["event_set_aside"]) == (1, 1)
    receiver.answer = lambda _event: 200
    with open_publishing(target, records, once=True, stop=threading.Event(), state=state):
        pass
    assert {name: queue["depth"] for name, queue in state.snapshot()["queues"].items()} == {"events": 0, "events_set_aside": 1}


def test_an_event_goes_with_its_row_or_not_at_all(records: Records, receiver: Receiver) -> None:
    def record_and_fail(publishing: Publishing) -> None:
        with records.unit() as unit:
            new = inspection(Verdict.PASS, station=STATION)
            publishing.add(unit, unit.inspections.add(new), new)
            raise ZeroDivisionError

    with publishing_to(webhook(receiver.url), records) as publishing:
        with pytest.raises(ZeroDivisionError):
            record_and_fail(publishing)
        kept = add(records, publishing, 1)
    assert [(event["inspection"], event["seq"]) for event in receiver.events] == [(kept[0], 1)]


def test_a_receiver_that_is_away_is_waited_for_and_said_once(records: Records, said: Said) -> None:
    port = free_port()
    with publishing_to(webhook(f"http://127.0.0.1:{port}/x"), records, once=False) as publishing:
        add(records, publishing, 4)
        assert "refused" in said.wait("receiver is away; events wait")["error"]
        with Receiver(port=port) as receiver:
            receiver.wait(4)
            said.wait("receiver is back")
        add(records, publishing, 3)
        said.wait("receiver is away; events wait", count=2)
        with Receiver(port=port) as again:
            again.wait(3)
            said.wait("receiver is back", count=2)
    assert receiver.first_seqs + again.first_seqs == [1, 2, 3, 4, 5, 6, 7]
    assert len(said.all("receiver is away; events wait")) == len(said.all("receiver is back")) == 2
    assert backlog(records) == 0


@pytest.mark.parametrize("status", [503, 429, 401, 404, 302, None], ids=str)
def test_what_does_not_speak_of_the_event_only_delays_it(
    status: int | None, records: Records, receiver: Receiver, said: Said
) -> None:
    """Also beyond the most attempts, and without one that comes later getting ahead."""
    failures = iter([status] * 5)
    receiver.answer = lambda event: next(failures, 200) if event["seq"] == 2 else 200
    with publishing_to(webhook(receiver.url, max_attempts=2), records, once=False) as publishing:
        add(records, publishing, 3)
        receiver.wait(3)
    assert [event["seq"] for event in receiver.events] == [1, 2, 3]
    assert [event.get("seq") for event in receiver.refused] == [2] * 5
    assert len(said.all("receiver is away; events wait")) == 1


def test_a_receiver_that_hangs_counts_as_away_and_gets_the_event_again(records: Records, receiver: Receiver) -> None:
    release = threading.Event()

    def hang(event: dict[str, Any]) -> int:
        if event["seq"] == 1 and not receiver.refused and not release.is_set():
            release.wait(timeout=30)
        return 200

    receiver.answer = hang
    with publishing_to(webhook(receiver.url, timeout_s=0.3), records, once=False) as publishing:
        add(records, publishing, 2)
        while len(receiver.headers) < 2:  # tried again while the first request still hangs
            threading.Event().wait(0.01)
        release.set()
        receiver.wait(3)
    assert receiver.first_seqs == [1, 2]
    assert backlog(records) == 0


def test_an_event_that_is_refused_for_good_is_set_aside_and_holds_up_nobody(
    records: Records, receiver: Receiver, said: Said
) -> None:
    receiver.answer = lambda event: 422 if event["seq"] == 2 else 200
    target = webhook(receiver.url, max_attempts=3)
    with publishing_to(target, records, once=False) as publishing:
        uids = add(records, publishing, 4)
        receiver.wait(3)
    assert [event["seq"] for event in receiver.events] == [1, 3, 4]
    assert len(receiver.refused) == 3
    (aside,) = said.all("event set aside")
    assert (aside["level"], aside["inspection"], aside["attempts"]) == ("error", uids[1], 3)
    assert "422 heard" in aside["error"]
    assert len(said.all("event refused; it is tried again")) == 1
    assert said.all("publishing ended")[-1]["set_aside"] == 1
    with records.unit(read_only=True) as unit:
        (kept,) = unit.outbox.waiting(STATION)
    assert (kept.seq, kept.attempts) == (2, 3)

    receiver.answer = lambda _event: 200
    with publishing_to(target, records):  # seen at each start
        assert said.all("events are set aside")[-1]["set_aside"] == 1
    assert len(receiver.events) == 3
    with publishing_to(target.model_copy(update={"max_attempts": 4}), records):
        pass
    assert receiver.events[-1]["seq"] == 2
    assert backlog(records) == 0


def test_what_was_taken_but_not_settled_comes_again_as_the_same_event(
    records: Records, receiver: Receiver, said: Said, database: DatabaseSettings
) -> None:
    assert database.file is not None
    with closing(sqlite3.connect(database.file, isolation_level=None, check_same_thread=False)) as other:

        def lock(_event: dict[str, Any]) -> int:
            if not receiver.events:
                other.execute("BEGIN IMMEDIATE")
            return 200

        receiver.answer = lock
        with publishing_to(webhook(receiver.url), records, once=False) as publishing:
            add(records, publishing, 1)
            said.wait("publishing waits for the records")
            other.execute("ROLLBACK")
            receiver.wait(2)
    assert receiver.first_seqs == [1]
    assert backlog(records) == 0


def test_once_ends_while_the_receiver_is_away(records: Records, said: Said) -> None:
    with publishing_to(webhook(f"http://127.0.0.1:{free_port()}/x"), records) as publishing:
        add(records, publishing, 3)
    (told,) = said.all("events wait for the next start")
    assert (told["level"], told["waiting"]) == ("warning", 3)


def test_a_service_that_stops_does_not_wait_for_a_receiver_that_hangs(
    records: Records, receiver: Receiver, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kizu_pipeline.publishing.station.DRAIN_S", 0.1)
    held, release, stop = threading.Event(), threading.Event(), threading.Event()

    def hang(_event: dict[str, Any]) -> int:
        held.set()
        release.wait(timeout=30)
        return 200

    receiver.answer = hang
    with publishing_to(webhook(receiver.url, timeout_s=20), records, stop=stop) as publishing:
        add(records, publishing, 2)
        assert held.wait(timeout=20)
        stop.set()
        thread = publishing._delivery._thread
    assert said.all("events wait for the next start")[0]["waiting"] == 2
    assert thread.is_alive()
    release.set()
    thread.join(timeout=20)
    assert not thread.is_alive()
    assert backlog(records) == 2  # it left the records alone, which may have been closed


def test_delivered_events_go_after_their_time_and_others_never(
    records: Records, receiver: Receiver, database: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "FORGET_PIECE", 2)
    receiver.answer = lambda event: 422 if event["seq"] == 1 else 200
    with publishing_to(webhook(receiver.url, max_attempts=1), records) as publishing:
        add(records, publishing, 6)
    plain = create_engine(database.url)
    with plain.begin() as connection:
        old = (datetime.now(UTC) - timedelta(days=8)).replace(tzinfo=None)
        connection.execute(text("UPDATE outbox SET created_at = :old"), {"old": old})
        connection.execute(text("UPDATE outbox SET delivered_at = :old WHERE seq IN (2, 3, 4)"), {"old": old})

    def left() -> list[int]:
        with plain.begin() as connection:
            return list(connection.scalars(text("SELECT seq FROM outbox ORDER BY seq")))

    with publishing_to(webhook(receiver.url, max_attempts=1), records, once=False):
        while 4 in left():
            threading.Event().wait(0.02)
    assert left() == [1, 5, 6]
    plain.dispose()


def test_a_token_is_sent_read_anew_when_refused_and_never_told(
    records: Records, receiver: Receiver, said: Said, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("old-secret\n", encoding="utf-8")

    def ask(_event: dict[str, Any]) -> int:
        if receiver.headers[-1]["Authorization"] == "Bearer new-secret":
            return 200
        token.write_text("new-secret\n", encoding="utf-8")
        return 401

    receiver.answer = ask
    with publishing_to(webhook(receiver.url + "?key=third-secret", token_file=token), records, once=False) as publishing:
        add(records, publishing, 1)
        receiver.wait(1)
    assert said.all("receiver is away; events wait")
    assert "secret" not in str(said.events)


def test_certificates_are_checked(records: Records, said: Said, tmp_path: Path) -> None:
    trusted, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trusted, key)
    with Receiver(tls=context) as receiver:
        with publishing_to(webhook(receiver.url), records) as publishing:
            add(records, publishing, 1)
        assert "CERTIFICATE_VERIFY_FAILED" in said.wait("receiver is away; events wait")["error"]
        assert receiver.events == []
        with publishing_to(webhook(receiver.url, ca_file=trusted), records):
            pass
        assert receiver.first_seqs == [1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"url": "ftp://mes/x"}, "not a web address", id="scheme"),
        pytest.param({"url": "https://mes:port/x"}, "not a web address", id="port"),
        pytest.param({"url": "https:///x"}, "not a web address", id="no host"),
        pytest.param({"url": "https://line:secret@mes/x"}, "put a token into token_file", id="password"),
        pytest.param({"headers": {"authorization": "x"}}, "must not hold authorization", id="token header"),
        pytest.param({"headers": {"X": "a\nb"}}, "cannot be sent", id="header with a line break"),
        pytest.param({"max_attempts": 0}, "greater than or equal to 1", id="no attempt"),
        pytest.param({"tokn_file": "x"}, "Extra inputs", id="misspelt"),
    ],
)
def test_settings_refuse(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        webhook(**{"url": "https://mes/x", **changes})


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read: found No such file"), (b"", "holds no secret: found nothing"), (b"se\ncret", "several lines"),
     (b"\xff", "no UTF-8")],
    ids=["missing", "empty", "two lines", "bytes"],
)  # fmt: skip
def test_a_token_that_cannot_be_had_ends_the_start(
    content: bytes | None, message: str, records: Records, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    if content is not None:
        token.write_bytes(content)
    with pytest.raises(ConfigError, match=message), publishing_to(webhook("https://mes/x", token_file=token), records):
        pass


def test_the_lines_events_keep_to_the_published_schema(tmp_path: Path, line_bundle: Path, receiver: Receiver) -> None:
    schema = read_schema("inspection", 1)
    Draft202012Validator.check_schema(schema)
    target = webhook(receiver.url)
    with LineWorld(tmp_path, line_bundle) as world:
        for number in range(3):
            world.drop(f"P{number}.png", seed=number)
        world.drop("torn.png", drawn_png()[:200])
        world.run(publish=target, **ALL_PASS)
        world.drop("부품 7.png", seed=7)
        world.run(publish=target, **ALL_REVIEW)
        records = {record.row.uid: record for record in world.inspections()}
        world.drop("untold.png", seed=8)
        world.run(**ALL_PASS)
        assert backlog(world.records) == 0
    assert {event["inspection"] for event in receiver.events} == set(records)
    for event in receiver.events:
        Draft202012Validator(schema).validate(event)
        record = records[event["inspection"]]
        row = record.row
        assert (event["part"], event["verdict"], event["reason"]) == (row.part, row.verdict.value, row.reason)
        assert (event["score"], event["image_sha256"]) == (row.score, row.image_sha256)
        assert datetime.fromisoformat(event["judged_at"]) == row.judged_at
        assert event["probabilities"] == pytest.approx(record.probabilities)
        assert set(event) == set(schema["properties"]) == set(schema["required"])
    signals = {event["part"]: (event["verdict"], event["signal"]) for event in receiver.events}
    assert signals == {
        "P0": ("PASS", "OK"), "P1": ("PASS", "OK"), "P2": ("PASS", "OK"), "torn": ("ERROR", "NG"), "부품 7": ("REVIEW", "NG"),
    }  # fmt: skip


def test_explanations_are_told_after_their_inspections_where_they_are_wanted(
    tmp_path: Path, line_bundle: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = read_schema("explanation", 1)
    Draft202012Validator.check_schema(schema)
    target = webhook(receiver.url, explanations=True)
    with LineWorld(tmp_path, line_bundle) as world:
        for number in range(4):
            world.drop(f"P{number}.png", seed=number)
        world.run(publish=target, **ALL_REJECT)
        explanations = {record.row.uid: record.explanation for record in world.inspections()}
        world.drop("P5.png", seed=5)
        with monkeypatch.context() as broken:
            broken.setattr("kizu_inspect.inspector.Inspector.explain", lambda *_: 1 / 0)
            world.run(publish=target, **ALL_REJECT)
    told = [event for event in receiver.events if event["kind"] == "explanation"]
    for event in told:
        Draft202012Validator(schema).validate(event)
        assert set(event) == set(schema["properties"]) == set(schema["required"])
    kinds: dict[str, list[str]] = {}
    for event in receiver.events:
        kinds.setdefault(event["inspection"], []).append(event["kind"])
    assert list(kinds.values()) == [["inspection", "explanation"]] * 5
    assert receiver.first_seqs == list(range(1, 11))
    for event in told[:4]:
        made = explanations[event["inspection"]]
        assert made is not None
        assert (event["method"], event["status"]) == (made.heatmap.method, made.heatmap.status.value)
    assert (told[4]["error"], told[4]["method"]) == ("ZeroDivisionError: division by zero", None)


LINE = """
import sys
from pathlib import Path
from kizu_pipeline.publishing.settings import WebhookTarget
from kizu_pipeline.signals import stop_on_signals
from line_world import ALL_PASS, LineWorld

with LineWorld(Path(sys.argv[1]), Path(sys.argv[2])) as world, stop_on_signals() as stop:
    target = WebhookTarget(kind="webhook", url=sys.argv[3])
    world.run(**ALL_PASS, once=sys.argv[4] == "once", stop=stop, max_batch=2, publish=target)
"""


def test_killed_between_taken_and_settled_each_inspections_event_arrives_in_order(
    tmp_path: Path, line_bundle: Path, receiver: Receiver
) -> None:
    root = tmp_path / "line"
    (root / "incoming").mkdir(parents=True)
    for number in range(12):
        (root / "incoming" / f"P{number}.png").write_bytes(drawn_png(number))

    def start(once: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", LINE, str(root), str(line_bundle), receiver.url, once]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
        return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    line = start("on")

    def kill_at_the_third(event: dict[str, Any]) -> int:
        if event["seq"] == 3:
            line.send_signal(signal.SIGKILL)
        return 200

    receiver.answer = kill_at_the_third
    assert line.wait(timeout=60) == -signal.SIGKILL
    receiver.answer = lambda _event: 200
    assert start("once").wait(timeout=60) == 0
    with LineWorld(root, line_bundle) as world:
        uids = [record.row.uid for record in world.inspections()]
        assert backlog(world.records) == 0
    assert len(uids) == 12
    assert receiver.first_seqs == list(range(1, 13))
    assert [event["seq"] for event in receiver.events].count(3) == 2
    first = {event["seq"]: event["inspection"] for event in receiver.events}
    assert list(first.values()) == uids
