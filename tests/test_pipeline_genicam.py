"""GenICam cameras, against Aravis' own GigE Vision camera on the loopback interface: a real protocol, real packets."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from kill_nine import untrained_bundle
from pydantic import ValidationError
from structlog.testing import capture_logs

from camera_world import ADDRESS, fake_camera, next_image, opened, source
from kizu_inspect.errors import ImageError, SourceError
from kizu_inspect.picture.decoding import decode_image
from kizu_inspect.results import ImageRGB, Verdict
from kizu_pipeline.sources import aravis, live_camera
from kizu_pipeline.sources.base import Work
from kizu_pipeline.sources.camera import open_camera
from kizu_pipeline.sources.genicam import GenicamCapture, ids_between
from line_world import LineWorld


@pytest.fixture
def camera() -> Iterator[subprocess.Popen[bytes]]:
    with fake_camera() as process:
        yield process


def next_whole_image(capture: GenicamCapture) -> ImageRGB:
    """On a busy machine some frames arrive incomplete, as on a busy network."""
    for _ in range(50):
        with suppress(ImageError):
            return next_image(capture)
    raise AssertionError("no whole frame among 50")


@pytest.mark.usefixtures("camera")
@pytest.mark.parametrize("pixel_format", ["Mono8", "Mono16", "RGB8", "BayerRG8"])
def test_frames_arrive_in_each_format(pixel_format: str) -> None:
    with opened(pixel_format=pixel_format) as capture:
        first, second = next_whole_image(capture), next_whole_image(capture)
    assert first.shape == second.shape == (512, 512, 3)
    assert not np.array_equal(first, second)  # the fake camera's picture moves
    assert (first[:, :, 0] == first[:, :, 2]).all() == pixel_format.startswith("Mono")
    assert int(first.max()) - int(first.min()) > 200  # over the whole range, whatever the depth


@pytest.mark.usefixtures("camera")
def test_values_of_a_colour_frame_are_in_their_places() -> None:
    with opened(pixel_format="RGB8") as capture:
        image = next_whole_image(capture)
    steps = np.diff(image[:2, :60].astype(int), axis=1)
    assert set(np.unique(abs(steps))) <= {0, 1, 2, 3, 4}  # its colours change smoothly from pixel to pixel


@pytest.mark.usefixtures("camera")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"pixel_format": "Mono12p"}, r"source\.pixel_format: Mono12p: .*one of .*Mono8.*RGB8", id="format"),
        pytest.param({"trigger": "line", "trigger_line": "Line7"}, r"source\.trigger: Line7: found .*'Line7'", id="line"),
        pytest.param({"gain_db": 3}, r"refuses station\.source\.gain_db: 3.*the camera has no gain in dB", id="gain"),
        pytest.param({"camera": "Maker-Model-7"}, "camera Maker-Model-7 does not open: found .*not found", id="other name"),
    ],
)  # fmt: skip
def test_what_the_camera_does_not_have_is_said(changes: dict[str, object], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        GenicamCapture(source(**changes))


@pytest.mark.usefixtures("camera")
def test_exposure_is_set() -> None:
    with opened(exposure_us=12_345):
        pass
    shown = subprocess.run(
        ["arv-tool-0.8", "--address", ADDRESS, "control", "ExposureTimeAbs"], capture_output=True, text=True, check=True
    )
    assert "ExposureTimeAbs = 12345" in shown.stdout


@pytest.mark.usefixtures("camera")
def test_each_software_trigger_gives_one_frame() -> None:
    works: list[Work] = []
    settings = source(trigger="software", interval_s=0.2, max_frames=4)
    with open_camera(settings, station="s", once=False, batch_wait_s=0, stop=threading.Event()) as live:
        while not live.ended:
            live.wait()
            works += live.take(8)
    times = [work.captured_at for work in works]
    assert len(times) == 4
    assert (times[-1] - times[0]).total_seconds() > 0.5  # three intervals, not the camera's own 25 frames a second
    assert all(work.load(decode_image) for work in works)


def test_packets_that_are_lost_make_error_rows() -> None:
    works: list[Work] = []
    with fake_camera("-r", "100"):
        settings = source(interval_s=0.05, max_frames=3)
        with open_camera(settings, station="s", once=False, batch_wait_s=0, stop=threading.Event()) as live:
            while not live.ended:
                live.wait()
                works += live.take(8)
    assert len(works) == 3
    for work in works:
        with pytest.raises(ImageError, match=r"frame is incomplete: found missing packets\. Check the network"):
            work.load(decode_image)


def test_a_trigger_without_a_frame_is_told_of_before_the_loss() -> None:
    with fake_camera("-r", "1000"), opened(trigger="software", interval_s=0.05) as capture:
        with pytest.raises(ImageError, match=r"no frame came after the trigger: expected a frame\. Check the network"):
            next_image(capture)
        with pytest.raises(SourceError, match="no frame for 1 s"):
            next_image(capture)


def test_silence_of_an_input_is_no_failure_but_a_camera_that_does_not_answer_is(camera: subprocess.Popen[bytes]) -> None:
    with opened(trigger="line", trigger_line="Line0", timeout_s=0.2) as capture:
        assert [capture.grab() for _ in range(5)] == [False] * 5
        camera.send_signal(signal.SIGSTOP)
        try:
            with pytest.raises(SourceError, match="timeout"):
                next_image(capture)
        finally:
            camera.send_signal(signal.SIGCONT)


def test_a_camera_that_dies_is_waited_for_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_camera, "_FIRST_PAUSE_S", 0.02)
    bundle, stop, judged = untrained_bundle(tmp_path / "bundle"), threading.Event(), threading.Event()
    with LineWorld(tmp_path, bundle) as world, ThreadPoolExecutor(1) as service, capture_logs() as events:
        settings = source(interval_s=0.1, pixel_format="Mono8")
        with fake_camera():
            ending = service.submit(world.run, source=settings, once=False, stop=stop, progress=lambda _: judged.set())
            assert judged.wait(20)
        judged.clear()
        with fake_camera():
            while sum(event["event"] == "camera connected" for event in events) < 2:
                assert not ending.done()
                judged.wait(0.1)
                judged.clear()
            assert judged.wait(20)
            stop.set()
            summary = ending.result()
        rows = world.inspections()
    lost = [event["error"] for event in events if event["event"].startswith("camera lost")]
    assert lost[0] == "no frame for 1 s"
    assert len(rows) == sum(summary.verdicts.values()) >= 2
    assert len({row.row.part for row in rows}) == len(rows)
    assert [row.row.verdict for row in rows if row.row.image_sha256 is None] == [Verdict.ERROR] * summary.quarantined


def test_without_the_library_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aravis, "_LIBRARY", "libaravis-none.so.0")
    aravis._library.cache_clear()
    try:
        with pytest.raises(
            SourceError, match=r"the library Aravis: found no libaravis-none\.so\.0.*apt-get install libaravis-0.8-0"
        ):
            GenicamCapture(source())
    finally:
        aravis._library.cache_clear()


@pytest.mark.parametrize(
    ("last", "now", "missing"),
    [
        pytest.param(None, 7, [], id="the first"),
        pytest.param(7, 8, [], id="the next"),
        pytest.param(7, 10, [8, 9], id="two in between"),
        pytest.param(65535, 1, [], id="16 bits: 1 comes after the last"),
        pytest.param(65535, 3, [1, 2], id="two after the last"),
        pytest.param(7, 1, [], id="counts anew"),
        pytest.param(7, 50_000, [], id="counts from somewhere else"),
    ],
)
def test_frames_that_never_arrived_are_known_by_the_cameras_own_count(last: int | None, now: int, missing: list[int]) -> None:
    assert list(ids_between(last, now)) == missing


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"trigger": "software"}, "software needs an interval_s above 0", id="no interval"),
        pytest.param({"trigger": "line", "interval_s": 1}, "leave interval_s at 0", id="interval and line"),
        pytest.param({"trigger": "signal", "interval_s": 1}, "signal takes no interval_s", id="interval and signal"),
        pytest.param({"exposure_us": 0}, "greater than 0", id="no exposure"),
        pytest.param({"bits": 9}, "Input should be 8, 10, 12, 14 or 16", id="bits"),
        pytest.param({"device": 0}, "Extra inputs are not permitted", id="a camera's key"),
    ],
)
def test_settings_refuse(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        source(**changes)
