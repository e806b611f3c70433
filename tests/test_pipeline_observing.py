"""What a running line tells of itself: to Prometheus, to a supervisor, and to `kizu status`."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from kizu_db import engine
from kizu_db.values import ExplanationState
from kizu_db.verifying import verify_images
from kizu_inspect.errors import ConfigError
from kizu_inspect.inspector import Inspector
from kizu_pipeline import disk, patience
from kizu_pipeline.disk import DiskSettings, used_percent
from kizu_pipeline.observing.figures import Latencies, Rate
from kizu_pipeline.observing.settings import HttpSettings
from kizu_pipeline.settings import CameraSource
from line_world import ALL_PASS, ALL_REJECT, LineWorld, names_in
from observed_world import free_port, observed_line
from whole_cli import app

run = CliRunner().invoke


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "WAIT_S", 0.2)  # how long SQLite waits for another writer before it says that it is locked
    monkeypatch.setattr(engine, "PROMPT_S", 0.2)
    monkeypatch.setattr(patience, "FIRST_S", 0.05)


def test_metrics_and_status_tell_what_the_line_did(world: LineWorld) -> None:
    for number in range(5):
        world.drop(f"P{number}.png", seed=number)
    world.drop("torn.png", b"\x89PNG")
    with observed_line(world, **ALL_REJECT) as line:
        line.waits_for("inspected", 6)
        line.waits_for("explained", 5)
        line.until(lambda: line.status()["queues"]["maps"]["depth"] == 0)
        samples, status = line.samples(), line.status()
    assert samples["kizu_inspections_total", "REJECT"] == 5
    assert samples["kizu_inspections_total", "ERROR"] == 1
    assert samples["kizu_inspections_total", "PASS"] == 0
    assert samples["kizu_verdict_seconds_count",] == samples["kizu_verdict_seconds_bucket", "+Inf"] == 6
    assert samples["kizu_verdict_seconds_sum",] > 0
    assert samples["kizu_line_events_total", "quarantined"] == 1
    assert samples["kizu_line_events_total", "frames_dropped"] == 0
    assert samples["kizu_queue_depth", "ready"] == 0
    assert samples["kizu_ready",] == samples["kizu_alive",] == 1
    assert 0 < samples["kizu_disk_used_ratio", "images"] <= 1
    assert samples["kizu_pictures_per_second",] > 0

    assert (status["state"], status["ready"], status["reasons"]) == ("running", True, [])
    assert status["verdicts"] == {"PASS": 0, "REVIEW": 0, "REJECT": 5, "ERROR": 1}
    assert 0 < status["verdict_s"]["p50"] <= status["verdict_s"]["p95"] <= status["verdict_s"]["p99"]
    (model,) = {record.model.hash for record in world.inspections() if record.model is not None}
    assert (status["model"], status["device"], status["station"]) == (model, "cpu", "press-3")
    assert status["last_error"]["text"].startswith("inspected: not a picture")


def test_a_picture_that_waits_shows_as_a_queue_with_its_age(world: LineWorld) -> None:
    held, go_on = threading.Event(), threading.Event()

    def hold(_done: int) -> None:
        held.set()
        assert go_on.wait(60)

    for number in range(20):
        world.drop(f"P{number}.png", seed=number)
    with observed_line(world, max_batch=2, progress=hold) as line:
        assert held.wait(60)
        line.until(lambda: line.status()["queues"]["ready"]["depth"] == 10)  # the others are recorded (2) or read ahead (8)
        first = line.status()["queues"]
        line.until(lambda: line.status()["queues"]["ready"]["oldest_age_s"] > first["ready"]["oldest_age_s"])
        samples = line.samples()
        go_on.set()
        line.waits_for("inspected", 20)
    assert first["work"]["depth"] == 8
    assert samples["kizu_queue_depth", "ready"] == 10
    assert samples["kizu_queue_oldest_age_seconds", "ready"] > 0


def test_the_line_is_alive_and_not_ready_while_its_model_is_loaded(world: LineWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    load, go_on = Inspector.load, threading.Event()

    def slowly(*args: Any, **options: Any) -> Inspector:
        assert go_on.wait(60)
        return load(*args, **options)

    monkeypatch.setattr(Inspector, "load", slowly)
    with observed_line(world) as line:
        assert line.reasons("/healthz") == (200, "")
        assert line.reasons("/readyz") == (503, "the model is being loaded, or the source opened")
        assert line.status()["state"] == "starting"
        assert line.samples()["kizu_ready",] == 0
        go_on.set()
        line.waits_for("started")
        assert line.reasons("/readyz") == (200, "")


def test_a_loop_that_does_not_turn_is_not_alive(world: LineWorld) -> None:
    go_on = threading.Event()
    world.drop("P0.png")
    with observed_line(world, alive_s=1.0, progress=lambda _done: go_on.wait(60)) as line:
        line.until(lambda: line.ask("/healthz")[0] == 503)
        assert "the loop has not turned for" in line.reasons("/healthz")[1]
        assert line.reasons("/readyz")[0] == 503
        assert line.status()["state"] == "stuck"
        go_on.set()
        line.until(lambda: line.ask("/healthz")[0] == 200)


@pytest.mark.usefixtures("impatient")
def test_a_locked_database_makes_the_line_unready_until_it_is_back(world: LineWorld) -> None:
    with (
        observed_line(world, runtime={"spool_rows": 0}) as line,
        closing(sqlite3.connect(world.root / "kizu.db", isolation_level=None)) as other,
    ):
        line.waits_for("started")
        assert line.reasons("/readyz") == (200, "")
        other.execute("BEGIN IMMEDIATE")
        world.drop("P0.png")
        line.waits_for("records are away; waiting", 2)
        code, why = line.reasons("/readyz")
        assert (code, "the records are away: " in why, "database is locked" in why) == (503, True, True)
        assert line.reasons("/healthz") == (200, "")
        assert line.samples()["kizu_records_away_seconds",] > 0
        other.execute("ROLLBACK")
        line.waits_for("inspected")
        line.until(lambda: line.ask("/readyz")[0] == 200)
        assert line.status()["events"]["records_retried"] >= 2
        assert line.samples()["kizu_records_away_seconds",] == 0


def test_a_line_that_judges_into_its_spool_is_ready_and_tells_that_the_records_are_away(world: LineWorld) -> None:
    with observed_line(world) as line, closing(sqlite3.connect(world.root / "kizu.db", isolation_level=None)) as other:
        line.waits_for("started")
        world.drop("P0.png")
        line.waits_for("inspected")
        other.execute("BEGIN IMMEDIATE")
        world.drop("P1.png", seed=1)
        line.waits_for("inspected", 2)
        assert line.reasons("/readyz") == (200, "")
        samples = line.samples()
        assert samples["kizu_records_away_seconds",] > 0
        assert samples["kizu_line_events_total", "spooled"] == 1
        assert line.status()["queues"]["spool"]["depth"] == 1
        other.execute("ROLLBACK")
        line.waits_for("records are back; the spool is recorded")
        assert line.samples()["kizu_records_away_seconds",] == 0
        assert line.status()["queues"]["spool"]["depth"] == 0


def test_a_database_that_is_gone_is_told_though_no_picture_waits(world: LineWorld) -> None:
    names = [world.root / f"kizu.db{ending}" for ending in ("", "-wal", "-shm")]
    with observed_line(world) as line:
        line.waits_for("started")
        for name in names:
            if name.exists():
                name.rename(world.root / f"kept-{name.name}")
        line.waits_for("pending maps must wait")
        line.until(lambda: "the records are away: " in line.reasons("/readyz")[1])
        for name in names:
            if (kept := world.root / f"kept-{name.name}").exists():
                kept.rename(name)


def test_an_absent_camera_makes_the_line_unready(world: LineWorld) -> None:
    camera = CameraSource(kind="camera", device=f"http://127.0.0.1:{free_port()}/stream", timeout_s=1)
    with observed_line(world, source=camera) as line:
        line.waits_for("started")
        line.waits_for("camera lost; it will be opened anew")
        assert line.reasons("/readyz") == (503, "the camera is not connected")
        assert line.reasons("/healthz") == (200, "")
        assert line.samples()["kizu_line_events_total", "camera_lost"] >= 1
        assert "camera lost" in line.status()["last_error"]["text"]


def test_only_the_pages_that_there_are_and_only_reading(world: LineWorld) -> None:
    with observed_line(world) as line:
        assert line.ask("/")[0] == 404
        assert line.ask("/healthz/x")[0] == 404
        assert line.ask("/healthz?verbose=1")[0] == 200
        for method in ("POST", "PUT", "DELETE", "HEAD"):
            assert line.ask("/status.json", method)[0] == 405


def test_callers_that_say_nothing_hold_up_neither_the_line_nor_others(world: LineWorld) -> None:
    with observed_line(world) as line, ExitStack() as silent:
        for _ in range(50):
            silent.enter_context(socket.create_connection(("127.0.0.1", line.port))).sendall(b"GET /sta")
        assert line.reasons("/healthz") == (200, "")
        assert sum(thread.name.startswith("Thread") for thread in threading.enumerate()) < 30
        world.drop("P0.png")
        line.waits_for("inspected")


def test_a_taken_port_is_told_before_anything_is_loaded(world: LineWorld) -> None:
    world.drop("P0.png")
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(ConfigError, match=r"cannot be served on 127\.0\.0\.1 port \d+: found Address already in use"),
    ):
        world.run(http=HttpSettings(port=taken.getsockname()[1]))
    assert names_in(world.incoming) == ["P0.png"]


def test_the_port_is_free_again_after_the_run(world: LineWorld) -> None:
    http = HttpSettings(port=free_port())
    for _ in range(2):
        world.run(http=http)


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[float], None]]:
    """Fills the file system that the image store is on, to this share of it (0 to 1).

    A real one of 8 MB where this user may mount it; else the filler's share of 8 MB is told in its place.
    """
    place = tmp_path / "images"
    place.mkdir()
    filler = place / ".filler"
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    mounted = subprocess.run(command, check=False, capture_output=True).returncode == 0
    if not mounted:
        monkeypatch.setattr(disk, "used_percent", lambda _path: 100 * filler.stat().st_size / 2**23 if filler.exists() else 0)

    def fill(share: float) -> None:
        filler.write_bytes(b"x" * int(share * 2**23))

    yield fill
    if mounted:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_stops_the_intake_and_it_resumes_by_itself(
    small_disk: Callable[[float], None], tmp_path: Path, line_bundle: Path
) -> None:
    small_disk(0.6)
    with (
        LineWorld(tmp_path, line_bundle) as world,
        observed_line(world, disk=DiskSettings(warn=50, drop_pass=90, stop=90)) as line,
    ):
        line.waits_for("disk is nearly full")
        assert line.reasons("/readyz") == (200, "")
        small_disk(0.99)
        line.waits_for("disk is full; nothing is taken")
        code, why = line.reasons("/readyz")
        assert (code, "the disk of the images is 99" in why) == (503, True)
        assert line.reasons("/healthz") == (200, "")
        assert line.samples()["kizu_disk_used_ratio", "images"] > 0.98
        assert line.status()["events"]["intake_stopped"] == 1
        parts = {world.drop(f"P{number}.png", seed=number).name for number in range(3)}
        dropped = line.status()["uptime_s"]
        line.until(lambda: line.turned_s() > dropped)  # it has looked, and left them where they lie
        assert parts <= set(names_in(world.incoming))
        assert world.inspections() == []
        small_disk(0.1)
        line.waits_for("inspected", 3)
        assert line.reasons("/readyz") == (200, "")
    assert set(names_in(world.done)) == parts


def test_once_waits_for_the_disk_instead_of_ending_with_pictures_left(
    small_disk: Callable[[float], None], tmp_path: Path, line_bundle: Path
) -> None:
    small_disk(0.99)
    with LineWorld(tmp_path, line_bundle) as world:
        world.drop("P0.png")
        with observed_line(world, disk=DiskSettings(warn=50, drop_pass=90, stop=90), once=True) as line:
            line.waits_for("disk is full; nothing is taken")
            small_disk(0.1)
            line.waits_for("inspected")
            assert line.thread is not None
            line.thread.join(60)
        assert line.summary is not None
        assert line.summary.files == 1


def test_beyond_drop_pass_rows_of_passed_parts_have_no_picture_and_all_others_have(
    small_disk: Callable[[float], None], tmp_path: Path, line_bundle: Path
) -> None:
    nearly_full = DiskSettings(warn=20, drop_pass=30, stop=90)
    pattern = {"part_pattern": "(?P<lot>[^_]+)_(?P<part>.+)"}
    with LineWorld(tmp_path, line_bundle) as world:
        world.drop("L1_kept.png", seed=0)
        world.run(**ALL_PASS, source=world.folder(**pattern))
        with world.records.unit() as unit:
            unit.lots.hold("L1", by="quality", reason="complaint")
        small_disk(0.5)
        for seed, name in enumerate(("L0_gone", "L1_held", "L0_gone-too"), start=1):
            world.drop(f"{name}.png", seed=seed)
        with observed_line(world, source=world.folder(**pattern), disk=nearly_full, once=True) as line:
            line.waits_for("disk is nearly full; pictures of passed parts are not kept")
            line.waits_for("ended")
        later: list[tuple[str, dict[str, Any]]] = [
            ("L0_rejected", {**ALL_REJECT}),
            ("L0_audited", {**ALL_PASS, "audit_share": 1.0}),
            ("L0_explained", {**ALL_PASS, "policy": "all"}),
        ]
        for seed, (name, options) in enumerate(later, start=4):
            world.drop(f"{name}.png", seed=seed)
            world.run(**options, source=world.folder(**pattern), disk=nearly_full)
        found = {record.row.part: record for record in world.inspections()}
        kept = {part for part, record in found.items() if record.row.kept_image is not None}
        assert kept == {"kept", "held", "rejected", "audited", "explained"}
        assert found.keys() - kept == {"gone", "gone-too"}
        for part, record in found.items():
            assert record.row.image_sha256 is not None  # which picture it was stays known
            assert world.images.has(record.row.image_sha256) == (part in kept)
        assert found["explained"].row.explanation_state is ExplanationState.DONE
        assert [str(finding) for finding in verify_images(world.records, world.images)] == []
        assert len(names_in(world.done)) == 7


def test_used_percent_is_that_of_the_nearest_folder_there_is(tmp_path: Path) -> None:
    assert used_percent(tmp_path / "not" / "there") == pytest.approx(used_percent(tmp_path), abs=1)


def test_watermarks_have_an_order() -> None:
    with pytest.raises(ValueError, match="found warn 90, drop_pass 95, stop 80: none may be below the one before"):
        DiskSettings(warn=90, stop=80)


def test_quantiles_are_those_of_the_last_thousand() -> None:
    latencies = Latencies()
    assert latencies.quantiles_s((0.5,)) == [None]
    for number in range(5000):
        latencies.add(99.0 if number < 4000 else (number - 3999) / 1000)
    assert latencies.quantiles_s((0.5, 0.95, 0.99, 1.0)) == [0.5, 0.95, 0.99, 1.0]
    assert latencies.cumulative[-1][1] == 5000
    assert dict(latencies.cumulative)[0.1] == 100  # a bucket holds its own bound


def test_the_rate_is_that_of_the_last_minute() -> None:
    rate = Rate(1000.0)
    for number in range(100):
        rate.add(1000.0 + number)
    assert rate.per_s(1099.5) == pytest.approx(1.0, rel=0.02)
    assert rate.per_s(1200.0) == 0
    young = Rate(1000.0)
    young.add(1000.1)
    assert young.per_s(1002.0) == pytest.approx(0.5)


@pytest.fixture
def config_of(tmp_path: Path) -> Callable[[int], list[str]]:
    def write(port: int) -> list[str]:
        path = tmp_path / "kizu.yaml"
        path.write_text(yaml.safe_dump({"runtime": {"http": {"port": port}}}), encoding="utf-8")
        return ["status", "--config", str(path)]

    return write


def test_kizu_status_shows_the_running_line(world: LineWorld, config_of: Callable[[int], list[str]]) -> None:
    world.drop("P0.png")
    with observed_line(world) as line:
        line.waits_for("inspected")
        line.until(lambda: line.status()["verdicts"]["PASS"] == 1)
        table = run(app, config_of(line.port))
        figures = run(app, [*config_of(line.port), "--json", "-"])
    assert (table.exit_code, figures.exit_code) == (0, 0), table.output
    assert "press-3  running" in table.stdout
    assert "1 PASS, 0 REVIEW, 0 ERROR, 0 REJECT" in table.stdout
    assert json.loads(figures.stdout)["verdicts"]["PASS"] == 1


def test_kizu_status_watches_until_it_is_interrupted(world: LineWorld, config_of: Callable[[int], list[str]]) -> None:
    main = [sys.executable, "-c", "from kizu.main import main; main()"]
    with observed_line(world) as line:
        line.waits_for("started")
        ours, its = os.openpty()  # only on a terminal is anything shown before the end
        with (
            os.fdopen(ours, "rb", buffering=0) as shown,
            os.fdopen(its, "wb", buffering=0) as terminal,
            subprocess.Popen([*main, *config_of(line.port), "--watch"], stdout=terminal, stderr=terminal) as watching,
        ):
            seen = b""
            while seen.count(b"Last error") < 2:  # and once more
                seen += shown.read(4096)
            watching.send_signal(signal.SIGINT)
            while watching.poll() is None:  # a terminal that nobody reads would stop it in the midst of a line
                if select.select([shown], [], [], 0.1)[0]:
                    shown.read(4096)
            assert watching.returncode == 0
    assert b"press-3" in seen


def test_kizu_status_says_that_no_line_answers(config_of: Callable[[int], list[str]], tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    none = run(app, config_of(port))
    assert none.exit_code == 1
    assert f"no line answers at http://127.0.0.1:{port}/status.json: found Connection refused" in str(none.exception)
    (tmp_path / "kizu.yaml").write_text("{}", encoding="utf-8")
    unset = run(app, ["status", "--config", str(tmp_path / "kizu.yaml")])
    assert isinstance(unset.exception, ConfigError)
    assert "no key runtime.http" in str(unset.exception)
