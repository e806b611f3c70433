"""Several stations in one configuration: a process each, and none stops the others."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from kizu.config import load_config
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings
from kizu_inspect.errors import ConfigError
from line_world import drawn_png, names_in

MAIN = [sys.executable, "-c", "from kizu.main import main; main()"]
MODBUS = {"kind": "modbus", "host": "plc"}


class Plant:
    """Two folder stations, a and b, below `root`."""

    def __init__(self, root: Path, bundle: Path, **changes: Any) -> None:
        self.root = root
        recipe = {"bundle": str(bundle), "allow_no_promise": True, "audit_share": 0.0, "pass_below": 1.0, "reject_from": 1.0}
        stations = []
        for name in "ab":
            (root / name / "incoming").mkdir(parents=True, exist_ok=True)
            folders = {key: str(root / name / key) for key in ("done", "quarantine")}
            source = {"kind": "folder", "path": str(root / name / "incoming"), **folders}
            stations.append({"id": name, "source": source, "recipe": recipe})
        settings = {
            "database": {"url": f"sqlite:///{root / 'kizu.db'}"},
            "images": {"path": str(root / "images")},
            "stations": stations,
            "runtime": {"device": "cpu", "decoders": 1},
            **changes,
        }
        self.config = root / "kizu.yaml"
        self.config.write_text(yaml.safe_dump(settings))

    def drop(self, station: str, name: str) -> None:
        (self.root / station / "incoming" / name).write_bytes(drawn_png())

    def done(self, station: str) -> list[str]:
        return names_in(self.root / station / "done")

    def parts(self) -> set[tuple[str, str]]:
        with Records.open(DatabaseSettings(url=f"sqlite:///{self.root / 'kizu.db'}")) as records, records.unit() as unit:
            return {(row.station, row.part) for row in unit.inspections.latest(limit=1000)}

    @contextmanager
    def running(self, *options: str) -> Iterator[subprocess.Popen[str]]:
        with (self.root / "log").open("a") as log:
            line = subprocess.Popen([*MAIN, "run", "--config", str(self.config), *options], stderr=log, text=True)
        try:
            yield line
        finally:
            if line.poll() is None:
                line.kill()
            line.wait(timeout=60)

    def events(self) -> list[dict[str, Any]]:
        lines = (self.root / "log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


def until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def process_of(station: str, parent: int) -> int | None:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            of = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        if of == parent and words[-3:-1] == [b"--station", station.encode()]:
            return int(folder.name)
    return None


@pytest.fixture
def plant(tmp_path: Path, line_bundle: Path) -> Plant:
    return Plant(tmp_path, line_bundle)


def test_each_has_its_process_and_a_killed_one_comes_back(plant: Plant) -> None:
    for station in "ab":
        plant.drop(station, "P0.png")
    with plant.running() as line:
        until(lambda: plant.done("a") == plant.done("b") == ["P0.png"])
        killed = process_of("a", line.pid)
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        for station in "ab":
            plant.drop(station, "P1.png")
        until(lambda: plant.done("b") == ["P0.png", "P1.png"])  # nobody stopped it
        until(lambda: plant.done("a") == ["P0.png", "P1.png"])
        assert process_of("a", line.pid) not in (None, killed)
        line.send_signal(signal.SIGTERM)
        assert line.wait(timeout=60) == 0
    assert plant.parts() == {(station, part) for station in "ab" for part in ("P0", "P1")}
    events = plant.events()
    assert {event["station"] for event in events} == {"a", "b"}
    assert [(event["station"], event["ended_by"]) for event in events if event["event"].startswith("station ended")] == [
        ("a", "signal 9")
    ]


def test_a_lost_folder_stops_no_other_station_and_status_tells_of_each(tmp_path: Path, line_bundle: Path) -> None:
    first = free_ports()
    plant = Plant(tmp_path, line_bundle, runtime={"device": "cpu", "decoders": 1, "http": {"port": first}})
    for station in "ab":
        plant.drop(station, "P0.png")
    with plant.running() as line:
        until(lambda: plant.done("a") == plant.done("b") == ["P0.png"])
        status = asked_for_status(plant.config)
        assert status.returncode == 0, status.stderr
        assert {name: told["station"] for name, told in json.loads(status.stdout).items()} == {"a": "a", "b": "b"}
        changed = yaml.safe_load(plant.config.read_text())
        changed["stations"].reverse()
        (tmp_path / "changed.yaml").write_text(yaml.safe_dump(changed))
        status = asked_for_status(tmp_path / "changed.yaml")
        assert (status.returncode, json.loads(status.stdout)) == (1, {})
        assert f"station b: another station's line answers on port {first}: found a; expected b" in status.stderr

        (tmp_path / "a" / "incoming").rename(tmp_path / "a" / "away")
        until(lambda: any(event["event"] == "station ended; it is started again" for event in plant.events()))
        told: list[subprocess.CompletedProcess[str]] = []

        def is_down() -> bool:
            """Between two ends the station is up for a moment, and answers."""
            told.append(asked_for_status(plant.config))
            return told[-1].returncode == 1

        until(is_down)
        status = told[-1]
        assert list(json.loads(status.stdout)) == ["b"]
        assert f"station a: no line answers at http://127.0.0.1:{first}/status.json" in " ".join(status.stderr.split())
        plant.drop("b", "P1.png")
        until(lambda: plant.done("b") == ["P0.png", "P1.png"])

        (tmp_path / "a" / "away").rename(tmp_path / "a" / "incoming")
        plant.drop("a", "P1.png")
        until(lambda: plant.done("a") == ["P0.png", "P1.png"])
        line.send_signal(signal.SIGTERM)
        assert line.wait(timeout=60) == 0


def test_a_folder_that_is_not_there_at_the_start_is_waited_for_beside_the_others(plant: Plant, tmp_path: Path) -> None:
    for station in "ab":
        plant.drop(station, "P0.png")
    (tmp_path / "a" / "incoming").rename(tmp_path / "a" / "away")
    with plant.running() as line:
        until(lambda: plant.done("b") == ["P0.png"])
        until(lambda: sum(event["event"] == "station ended; it is started again" for event in plant.events()) == 2)
        assert line.poll() is None
        (tmp_path / "a" / "away").rename(tmp_path / "a" / "incoming")
        until(lambda: plant.done("a") == ["P0.png"])
        plant.drop("b", "P1.png")
        until(lambda: plant.done("b") == ["P0.png", "P1.png"])
        line.send_signal(signal.SIGTERM)
        assert line.wait(timeout=60) == 0
    assert {event["station"] for event in plant.events() if event["event"].startswith("station ended")} == {"a"}
    log = " ".join((tmp_path / "log").read_text().split())
    assert "a/incoming is not there: found nothing; expected a folder" in log


def asked_for_status(config: Path) -> subprocess.CompletedProcess[str]:
    command = [*MAIN, "status", "--config", str(config), "--json", "-"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def free_ports() -> int:
    """The first of two ports that nobody listens on."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = int(server.getsockname()[1])
            with suppress(OSError, OverflowError), socket.create_server(("127.0.0.1", port + 1)):
                return port


def test_the_stations_end_with_a_supervisor_that_is_killed(plant: Plant) -> None:
    for station in "ab":
        plant.drop(station, "P0.png")
    with plant.running() as line:
        until(lambda: plant.done("a") == plant.done("b") == ["P0.png"])
        stations = [process_of(station, line.pid) for station in "ab"]
        line.kill()
        until(lambda: not any(_lives(process) for process in stations))
    assert sum(event["event"] == "ended" and event["stopped"] for event in plant.events()) == 2


def _lives(process: int | None) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_once_takes_what_waits_at_each(plant: Plant) -> None:
    for station in "ab":
        plant.drop(station, f"{station}.png")
    with plant.running("--once") as line:
        assert line.wait(timeout=120) == 0
    assert plant.parts() == {("a", "a"), ("b", "b")}
    plant.drop("a", "c.png")
    plant.drop("b", "d.png")
    with plant.running("--once", "--station", "a") as line:
        assert line.wait(timeout=120) == 0
    assert plant.parts() == {("a", "a"), ("b", "b"), ("a", "c")}


def test_a_mistake_of_one_ends_all_with_its_exit_code(plant: Plant, tmp_path: Path) -> None:
    broken = yaml.safe_load(plant.config.read_text())
    broken["stations"][1]["recipe"] = broken["stations"][1]["recipe"] | {"bundle": str(tmp_path / "nowhere")}
    plant.config.write_text(yaml.safe_dump(broken))
    with plant.running() as line:
        assert line.wait(timeout=120) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda settings: settings.update(station=settings["stations"][0]), "station and stations exclude each other"),
        (lambda settings: settings["stations"][1].update(id="a"), "'a' stands twice"),
        (
            lambda settings: settings["stations"][1]["source"].update(settings["stations"][0]["source"]),
            "must not be the watched",
        ),
        (
            lambda settings: settings["stations"][1]["source"].update(done=settings["stations"][0]["source"]["path"] + "/x"),
            "done of station b",
        ),
        (lambda settings: each_source(settings, done="done"), r"done of station a .* and done of station b .* stand apart"),
        (
            lambda settings: settings["stations"][1]["source"].update(quarantine=source_of(settings, "a")["done"] + "/x"),
            r"done of station a .* and quarantine of station b .* must stand apart",
        ),
        (lambda settings: each(settings, "signal", MODBUS, {}), "both use the registers 0 to 24 of the PLC plc"),
        (
            lambda settings: each(settings, "signal", MODBUS, {"results_address": 20, "commands_address": 200}),
            "both use the registers 20 to 24 of the PLC plc",
        ),
        (
            lambda settings: each(settings, "signal", MODBUS, {"results_address": 300, "host": "PLC"}),
            "both use the registers 100 to 118 of the PLC plc",
        ),
        (
            lambda settings: each(settings, "signal", MODBUS, {"results_address": 110, "commands_address": 300}),
            "both use the registers 110 to 118 of the PLC plc",
        ),
        (
            lambda settings: each(settings, "publish", {"kind": "mqtt", "host": "broker", "client_id": "kizu"}, {}),
            "client_id 'kizu' at the broker broker",
        ),
        (lambda settings: settings.update(runtime={"http": {"port": 65535}}), "the last one would have 65536"),
    ],
    ids=[
        "both keys", "one id", "one folder", "folder within", "one done", "quarantine in done", "one register block",
        "blocks meet", "one command block", "results in commands", "one client", "no port left",
    ],
)  # fmt: skip
def test_stations_that_would_meet_are_refused(plant: Plant, change: Callable[[dict[str, Any]], object], said: str) -> None:
    settings = yaml.safe_load(plant.config.read_text())
    change(settings)
    plant.config.write_text(yaml.safe_dump(settings))
    with pytest.raises(ConfigError, match=said):
        load_config(plant.config)


def test_stations_that_stand_apart_are_taken(plant: Plant) -> None:
    settings = yaml.safe_load(plant.config.read_text())
    each(settings, "signal", MODBUS, {"results_address": 200, "commands_address": 300})
    each_source(settings, keep="delete", done="done")  # nothing is put there
    plant.config.write_text(yaml.safe_dump(settings))
    assert [one.id for one in load_config(plant.config).every_station] == ["a", "b"]
    each(settings, "signal", MODBUS, {"host": "another"})
    plant.config.write_text(yaml.safe_dump(settings))
    assert [one.id for one in load_config(plant.config).every_station] == ["a", "b"]


def each(settings: dict[str, Any], key: str, value: dict[str, Any], changes: dict[str, Any]) -> None:
    """Give the first station this value, and the second the same with changes."""
    for one, change in zip(settings["stations"], ({}, changes), strict=True):
        one[key] = value | change


def source_of(settings: dict[str, Any], station: str) -> dict[str, Any]:
    return next(one["source"] for one in settings["stations"] if one["id"] == station)


def each_source(settings: dict[str, Any], **changes: str) -> None:
    for one in settings["stations"]:
        one["source"].update(changes)


def test_each_has_a_port_and_a_heartbeat_of_its_own(tmp_path: Path, line_bundle: Path) -> None:
    runtime = {"http": {"port": 9200}, "heartbeat": str(tmp_path / "beat")}
    config = load_config(Plant(tmp_path, line_bundle, runtime=runtime).config)
    found = [config.of(station).runtime for station in "ab"]
    assert [one.http.port for one in found if one.http is not None] == [9200, 9201]
    assert [one.heartbeat for one in found] == [tmp_path / "beat-a", tmp_path / "beat-b"]
    with pytest.raises(ConfigError, match="not in this configuration: found station c; expected one of a, b"):
        config.of("c")
    with pytest.raises(ConfigError, match=r"which station is not clear: found a, b; .* Name one with --station"):
        config.of(None)
