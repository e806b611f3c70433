"""A PLC's triggers take a camera's frames and name their parts; a trigger without a frame is an ERROR, and NG."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from kizu_inspect.errors import ConfigError
from kizu_pipeline.settings import CameraSource, StationSettings
from line_world import ALL_PASS, LineWorld
from plc_world import READY, Plc
from test_pipeline_camera import write_video
from test_pipeline_signal import line, wait_until


class _Camera(BaseHTTPRequestHandler):
    """An MJPEG camera with a sensor's noise; it gives a frame every 10 ms, and none while it is blind."""

    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        noise = np.random.default_rng(1)
        server: Any = self.server
        try:
            while not server.off.wait(0.01):
                if server.blind.is_set():
                    server.closed_its_eye.set()
                    continue
                _, data = cv2.imencode(".jpg", noise.integers(0, 255, (64, 64, 3), dtype=np.uint8))
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                self.wfile.write(head.encode() + bytes(data) + b"\r\n")
        except OSError:
            return

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def camera() -> Iterator[Any]:
    socketserver.TCPServer.allow_reuse_address = True
    with ThreadingHTTPServer(("127.0.0.1", 0), _Camera) as server:
        made: Any = server
        made.daemon_threads = True
        made.off, made.blind, made.closed_its_eye = (threading.Event() for _ in range(3))
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield made
        made.off.set()
        server.shutdown()
        serving.join()


def triggered(camera: Any, **changes: object) -> CameraSource:
    address = f"http://127.0.0.1:{camera.server_address[1]}/stream.mjpg"
    settings = {"kind": "camera", "device": address, "timeout_s": 5, "trigger": "signal", "part_prefix": "unnamed-", **changes}
    return CameraSource.model_validate(settings)


def rows(world: LineWorld) -> list[tuple[str, str, str]]:
    """Part, verdict and signal of each row, oldest first."""
    found = world.inspections()
    return [(one.row.part, one.row.verdict.value, one.signal.sent if one.signal else "-") for one in found]


def test_each_trigger_takes_one_frame_that_has_the_parts_name(world: LineWorld, plc: Plc, camera: Any) -> None:
    plc.trigger(41, "old")  # given to nobody who could take it
    with line(world, **ALL_PASS, source=triggered(camera), line={"signal": plc.settings()}):
        plc.until(lambda: plc.states and plc.states[-1][1] == READY)
        for number, part in ((42, "P42"), (43, "P43"), (44, "")):
            plc.trigger(number, part)
            plc.until(lambda number=number: plc.states[-1][2] == number)  # type: ignore[misc]
            plc.until(lambda number=number: plc.taken and plc.taken[-1].trigger == number)  # type: ignore[misc]
    assert [result.trigger for result in plc.taken] == [42, 43, 44]
    assert [part for part, *_ in rows(world)[:2]] == ["P42", "P43"]
    assert all(row[1:] == ("PASS", "OK") for row in rows(world))
    last = world.inspections()[-1].row
    assert (last.part_generated, last.part.startswith("unnamed-")) == (True, True)
    assert plc.codes() == [("P42", "OK"), ("P43", "OK"), (plc.taken[-1].part, "OK")]


def test_a_trigger_without_a_frame_is_ng_and_an_error(world: LineWorld, plc: Plc, camera: Any) -> None:
    with line(world, **ALL_PASS, source=triggered(camera), line={"signal": plc.settings(), "verdict_deadline_ms": 400}):
        plc.until(lambda: plc.states and plc.states[-1][1] == READY)
        plc.trigger(1, "P1")
        plc.until(lambda: len(plc.taken) == 1)
        camera.blind.set()
        assert camera.closed_its_eye.wait(10)
        plc.trigger(2, "P2")
        plc.until(lambda: len(plc.taken) == 2)
        wait_until(lambda: len(rows(world)) == 2)
        camera.blind.clear()
    assert [(result.trigger, result.part, result.code.name) for result in plc.taken][1:] == [(2, "P2", "NG")]
    assert rows(world)[1] == ("P2", "ERROR", "NG")
    assert world.inspections()[1].row.reason == "no frame came within 0.4 s of trigger 2. Check the camera."


def test_triggers_that_come_too_fast_each_get_a_result(world: LineWorld, plc: Plc, camera: Any) -> None:
    with line(world, **ALL_PASS, source=triggered(camera), line={"signal": plc.settings()}):
        plc.until(lambda: plc.states and plc.states[-1][1] == READY)
        plc.trigger(65533, "P1")
        plc.until(lambda: plc.states[-1][2] == 65533)
        plc.trigger(65534, "P2")  # while the first is busy, or just after
        plc.until(lambda: plc.states[-1][2] == 65534)
        plc.trigger(2, "P3")  # 65535 and 1 were there too briefly to be read
        plc.until(lambda: len(plc.taken) == 5)
    codes = {result.trigger: result.code.name for result in plc.taken}
    assert codes == {65533: "OK", 65534: "OK", 65535: "NG", 1: "NG", 2: "OK"}
    errors = [one.row for one in world.inspections() if one.row.verdict.value == "ERROR"]
    assert sorted(row.reason for row in errors) == [
        f"trigger {number} was overwritten by the next one before it was read" for number in (1, 65535)
    ]
    assert {part for part, *_ in rows(world)} >= {"P1", "P2", "P3"}


def test_a_trigger_of_while_the_plc_was_away_takes_no_frame(world: LineWorld, plc: Plc, camera: Any) -> None:
    with line(world, **ALL_PASS, source=triggered(camera), line={"signal": plc.settings()}):
        plc.until(lambda: plc.states and plc.states[-1][1] == READY)
        plc.stop()
        plc.trigger(1, "P1")
        plc.start()
        plc.until(lambda: plc.taken)
        plc.trigger(2, "P2")
        plc.until(lambda: len(plc.taken) == 2)
    assert plc.codes() == [("P1", "NG"), ("P2", "OK")]
    assert rows(world) == [("P1", "ERROR", "NG"), ("P2", "PASS", "OK")]
    assert world.inspections()[0].row.reason == "trigger 1 came while the connection to the control was lost"


def test_triggers_need_somebody_who_gives_them(world: LineWorld, plc: Plc, camera: Any, tmp_path: Path) -> None:
    station = {"id": "s", "source": triggered(camera).model_dump(), "recipe": {"bundle": "b"}}
    with pytest.raises(ValidationError, match=r"trigger: signal needs station\.signal"):
        StationSettings.model_validate(station)
    with pytest.raises(ValidationError, match="takes no interval_s"):
        triggered(camera, interval_s=1)
    video = CameraSource(kind="camera", device=str(write_video(tmp_path / "a.avi", 2)), trigger="signal")
    with pytest.raises(ConfigError, match="a video file waits for no trigger"):
        world.run(**ALL_PASS, source=video, line={"signal": plc.settings()})
