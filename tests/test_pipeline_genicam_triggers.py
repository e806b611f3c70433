"""A PLC's triggers take a GenICam camera's frames: each its own, never an older one, never that of another trigger."""

from __future__ import annotations

import ctypes
import hashlib
import math
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from simulated_camera import SimulatedCamera
from structlog.testing import capture_logs

from camera_world import ADDRESS, error_of, fake_camera, next_image, opened, source, taken
from kizu_inspect.errors import ImageError, SourceError
from kizu_inspect.picture.decoding import decode_image
from kizu_pipeline.line_signal.parts import AwaitedPart, Trigger, Triggers
from kizu_pipeline.settings import CameraSource, GenicamSource, StationSettings
from kizu_pipeline.sources import camera as camera_sources
from kizu_pipeline.sources.camera import open_camera
from kizu_pipeline.sources.genicam import GenicamCapture
from kizu_pipeline.sources.live_camera import LiveCamera
from line_world import ALL_PASS, LineWorld
from plc_world import READY, Plc
from test_pipeline_signal import line, wait_until
from test_pipeline_triggers import rows

NO_COMMAND = ("<pFeature>TriggerSoftware</pFeature>", '<Command Name="TriggerSoftware"', "</Command>")
NO_SOURCE = (None, '<EnumEntry Name="Software"', "</EnumEntry>")


def described_without(folder: Path, what: tuple[str | None, str, str]) -> Path:
    """The fake camera's own description of itself, without a feature."""
    with fake_camera():
        shown = subprocess.run(["arv-tool-0.8", "--address", ADDRESS, "genicam"], capture_output=True, text=True, check=True)
    listed, head, tail = what
    before, found, rest = shown.stdout.partition(head)
    assert found
    described = before + rest.partition(tail)[2]
    path = folder / "camera.xml"
    path.write_text(described.replace(listed, "") if listed else described, encoding="utf-8")
    return path


def give(plc: Plc, number: int, part: str) -> None:
    """A trigger, and wait for its result."""
    plc.trigger(number, part)
    plc.until(lambda: plc.taken and plc.taken[-1].trigger == number)


def give_whole(plc: Plc, world: LineWorld, number: int, part: str) -> None:
    """The same, again and again where packets were lost on a busy machine: that is the part's ERROR and NG, and told so."""
    for again in range(5):
        give(plc, number + 1000 * again, part)
        if plc.taken[-1].code.name == "OK":
            return
        wait_until(lambda: rows(world))
        assert world.inspections()[-1].row.reason.startswith("frame is incomplete")
    raise AssertionError("no frame came whole")


def whole(world: LineWorld) -> list[tuple[str, str, str]]:
    """The rows of the frames that came whole."""
    return [row for row in rows(world) if row[1] != "ERROR"]


def given(number: int, *, for_s: float = math.inf) -> Trigger:
    """A trigger as the line has it."""
    now = time.monotonic()
    return Trigger(number, AwaitedPart(f"P{number}", number, now), now + for_s)


@contextmanager
def intake(settings: CameraSource | GenicamSource, triggers: Triggers) -> Iterator[LiveCamera]:
    opening = open_camera(settings, station="s", once=False, batch_wait_s=0, stop=threading.Event(), triggers=triggers)
    with opening as camera:
        assert isinstance(camera, LiveCamera)
        yield camera


def arrived(capture: GenicamCapture) -> int:
    """How many frames wait to be taken."""
    free, full = ctypes.c_int(), ctypes.c_int()
    stream = ctypes.c_void_p(capture._stream._handle)
    capture._stream._library.arv_stream_get_n_buffers(stream, ctypes.byref(free), ctypes.byref(full))
    return full.value


def until_arrived(capture: GenicamCapture, frames: int) -> None:
    wait_until(lambda: arrived(capture) >= frames)


def frame_id(capture: GenicamCapture) -> int:
    assert capture._buffer is not None
    return capture._stream.frame_id(capture._buffer)


@contextmanager
def frozen(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """It does nothing at all meanwhile."""
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def test_each_trigger_takes_one_frame_that_has_the_parts_name(world: LineWorld, plc: Plc) -> None:
    with fake_camera(), line(world, **ALL_PASS, source=source(trigger="signal", timeout_s=10), line={"signal": plc.settings()}):
        plc.until(lambda: plc.states and plc.states[-1][1] == READY)
        for number, part in ((42, "P42"), (43, "P43"), (44, "P44")):
            give_whole(plc, world, number, part)
    assert [taken for taken in plc.codes() if taken[1] == "OK"] == [("P42", "OK"), ("P43", "OK"), ("P44", "OK")]
    assert whole(world) == [("P42", "PASS", "OK"), ("P43", "PASS", "OK"), ("P44", "PASS", "OK")]


@pytest.mark.parametrize("what", [NO_SOURCE, NO_COMMAND], ids=["no trigger source", "no command"])
def test_a_camera_without_a_software_trigger_gives_the_next_frame(
    world: LineWorld, plc: Plc, tmp_path: Path, what: tuple[str | None, str, str]
) -> None:
    described = str(described_without(tmp_path, what))
    with (
        fake_camera("-g", described),
        capture_logs() as events,
        line(world, **ALL_PASS, source=source(trigger="signal", timeout_s=10), line={"signal": plc.settings()}),
    ):
        plc.until(lambda: plc.states and plc.states[-1][1] == READY)
        for number, part in ((1, "P1"), (2, "P2")):
            give_whole(plc, world, number, part)
    assert whole(world) == [("P1", "PASS", "OK"), ("P2", "PASS", "OK")]
    assert [event["event"] for event in events if event["log_level"] == "warning"] == [
        "camera has no software trigger; the next frame after each trigger is taken"
    ]


def test_a_frame_that_was_there_before_the_trigger_is_not_taken(tmp_path: Path) -> None:
    described = str(described_without(tmp_path, NO_COMMAND))
    with fake_camera("-g", described), opened(trigger="signal") as capture:
        assert not capture.on_command
        next_image(capture)
        before = frame_id(capture)
        until_arrived(capture, 3)
        next_image(capture)
        assert frame_id(capture) > before + 3


def test_a_trigger_whose_frame_is_lost_is_ng_and_an_error(world: LineWorld, plc: Plc) -> None:
    changes = {"signal": plc.settings(), "verdict_deadline_ms": 300}
    with fake_camera("-r", "1000"), line(world, **ALL_PASS, source=source(trigger="signal"), line=changes):
        plc.until(lambda: plc.states and plc.states[-1][1] == READY)
        give(plc, 7, "P7")
        wait_until(lambda: rows(world))
    assert plc.codes() == [("P7", "NG")]
    assert rows(world) == [("P7", "ERROR", "NG")]
    assert world.only().row.reason == "no frame came within 0.3 s of trigger 7. Check the camera."


def test_a_frame_that_nobody_asked_for_is_not_the_next_triggers() -> None:
    with fake_camera(), opened(trigger="signal") as capture, capture_logs() as events:
        capture.command()
        next_image(capture)
        first = frame_id(capture)
        capture._device.trigger()  # as where a camera gives several frames a trigger
        until_arrived(capture, 1)
        capture.command()
        next_image(capture)
        assert frame_id(capture) == first + 2
        capture._device.trigger()
        while capture._unasked < 2:
            assert not capture.grab()
    assert [event["event"] for event in events] == ["frames came that no trigger had asked for; they are dropped"]


def test_no_trigger_is_no_loss_but_a_camera_that_does_not_answer_is() -> None:
    with fake_camera() as process, opened(trigger="signal", timeout_s=0.05) as capture:
        until = time.monotonic() + 4 * 0.05
        while time.monotonic() < until:
            assert not capture.grab()
        with frozen(process), pytest.raises(SourceError, match="timeout"):
            next_image(capture)


def test_a_command_that_the_camera_does_not_take_is_told_of_before_the_loss() -> None:
    with fake_camera() as process, opened(trigger="signal") as capture, frozen(process):
        capture.command()
        with pytest.raises(ImageError, match="the camera did not take the trigger"):
            next_image(capture)
        with pytest.raises(SourceError, match="timeout"):
            next_image(capture)


def test_a_late_frame_is_never_that_of_the_next_trigger(monkeypatch: pytest.MonkeyPatch) -> None:
    simulated, triggers = SimulatedCamera(on_command=True), Triggers()
    monkeypatch.setattr(camera_sources, "open_live", lambda _: simulated.open())
    settings = CameraSource(kind="camera", device=0, trigger="signal")
    with intake(settings, triggers) as camera:
        simulated.hold()
        triggers.put(given(1, for_s=0.5))
        simulated.until(lambda: simulated.commands == 1)
        late = taken(camera, lambda works: len(works) == 1)
        triggers.put(given(2))
        simulated.let_go()
        own = taken(camera, lambda works: len(works) == 1)
    assert (late[0].part.part, error_of(late[0])) == ("P1", "no frame came within 0.5 s of trigger 1. Check the camera.")
    assert (own[0].part.part, error_of(own[0])) == ("P2", None)
    assert simulated.commands == len(simulated.given) == 2
    assert hashlib.sha256(own[0].load(decode_image).data).hexdigest() == simulated.given[1].sha256


def test_triggers_that_come_together_each_get_a_frame_of_their_own() -> None:
    triggers = Triggers()
    with (
        fake_camera(),
        intake(source(trigger="signal", timeout_s=10), triggers) as camera,
    ):
        for number in range(1, 5):
            triggers.put(given(number))
        works = taken(camera, lambda found: len(found) == 4)
    assert [work.part.part for work in works] == ["P1", "P2", "P3", "P4"]
    pictures = [work.load(decode_image).image for work in works]
    assert not any(np.array_equal(one, other) for one, other in pairwise(pictures))


def test_triggers_need_somebody_who_gives_them() -> None:
    station = {"id": "s", "source": source(trigger="signal").model_dump(), "recipe": {"bundle": "b"}}
    with pytest.raises(ValidationError, match=r"trigger: signal needs station\.signal"):
        StationSettings.model_validate(station)
    modbus = {"kind": "modbus", "host": "plc"}
    assert StationSettings.model_validate({**station, "signal": modbus}).source.part_behind_each  # type: ignore[union-attr]
