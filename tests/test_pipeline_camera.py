"""Frames from whatever OpenCV opens: video files, streams, and cameras that are not there."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

from camera_world import error_of, taken
from kizu_inspect.errors import SourceError
from kizu_inspect.picture.decoding import decode_image
from kizu_pipeline.settings import CameraSource
from kizu_pipeline.sources import live_camera
from kizu_pipeline.sources.base import Work
from kizu_pipeline.sources.camera import open_camera
from kizu_pipeline.sources.frames import public_name
from kizu_pipeline.sources.live_camera import LiveCamera
from kizu_pipeline.sources.video_file import VideoFile


def write_video(path: Path, frames: int, *, frames_per_s: float = 25.0) -> Path:
    """A video of grey frames, each a little brighter than the one before."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), frames_per_s, (64, 48))
    assert writer.isOpened()
    for number in range(frames):
        writer.write(np.full((48, 64, 3), 2 * number, dtype=np.uint8))
    writer.release()
    return path


def frames_of(settings: CameraSource, *, limit: int = 7) -> list[Work]:
    """All frames that a video file gives, taken in batches."""
    works: list[Work] = []
    with open_camera(settings, station="s", once=True, batch_wait_s=0, stop=threading.Event()) as camera:
        while not camera.ended:
            works += camera.take(limit)
    return works


def test_every_frame_of_a_video_once_with_its_own_picture(tmp_path: Path) -> None:
    works = frames_of(CameraSource(kind="camera", device=str(write_video(tmp_path / "a.avi", 100))))
    assert [work.name for work in works] == [f"frame {number}" for number in range(1, 101)]
    assert len({work.key for work in works}) == 100
    assert works[6].part.part == "frame-a-000007"
    assert works[6].part.generated
    for number in (0, 50, 99):
        picture = works[number].load(decode_image)
        assert picture is not None
        assert abs(float(picture.image.mean()) - 2 * number) < 3
        assert picture.suffix == ".png"
        assert np.array_equal(decode_image(picture.data), picture.image)


@pytest.mark.parametrize(
    ("interval_s", "expected"),
    [
        pytest.param(0.2, [1, 6, 11, 16, 21], id="every fifth frame"),
        pytest.param(0.1, [1, 4, 6, 9, 11, 14, 16, 19, 21, 24], id="between two frames: the next one"),
        pytest.param(0.01, list(range(1, 26)), id="faster than the frames"),
        pytest.param(60.0, [1], id="longer than the video"),
    ],
)
def test_trigger_follows_the_frames_own_time(tmp_path: Path, interval_s: float, expected: list[int]) -> None:
    video = write_video(tmp_path / "a.avi", 25)  # 25 frames a second: frame n at (n − 1) · 40 ms
    works = frames_of(CameraSource(kind="camera", device=str(video), interval_s=interval_s))
    assert [work.name for work in works] == [f"frame {number}" for number in expected]


def test_most_frames_ends_the_video(tmp_path: Path) -> None:
    settings = CameraSource(kind="camera", device=str(write_video(tmp_path / "a.avi", 25)), max_frames=3, part_prefix="c-")
    assert [work.part.part for work in frames_of(settings)] == ["c-a-000001", "c-a-000002", "c-a-000003"]


def test_same_video_same_keys_other_video_other_keys(tmp_path: Path) -> None:
    first, second = write_video(tmp_path / "a.avi", 3), write_video(tmp_path / "b.avi", 3)
    keys = [[work.key for work in frames_of(CameraSource(kind="camera", device=str(path)))] for path in (first, first, second)]
    assert keys[0] == keys[1]
    assert not set(keys[0]) & set(keys[2])


@pytest.mark.parametrize(
    ("device", "message"),
    [
        pytest.param(97, "the camera 97 does not open: found .*/dev/video", id="index"),
        pytest.param("nowhere.mp4", "camera nowhere.mp4 does not open: found no such file or device", id="path"),
        pytest.param("text.mp4", "text.mp4 does not open: found a file that is no video", id="not a video"),
        pytest.param(
            "rtsp://user:secret@127.0.0.1:9/cam?token=t",
            "camera rtsp://127.0.0.1:9/cam does not open: found no stream at this address",
            id="stream",
        ),
    ],
)
def test_absent_camera(
    device: int | str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.mp4").write_text("no video")
    settings = CameraSource(kind="camera", device=device, timeout_s=2)
    with pytest.raises(SourceError, match=message) as caught:
        frames_of(settings)
    assert "expected a camera, stream or video file that OpenCV can open. Check the cable" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "WARN" not in capfd.readouterr().err


def test_addresses_are_shown_without_what_may_be_secret() -> None:
    assert public_name("rtsp://user:pass@cam.local:554/line 1?token=x") == "rtsp://cam.local:554/line 1"
    assert public_name("video.mp4") == "video.mp4"
    assert public_name(0) == "0"


class _Stream(BaseHTTPRequestHandler):
    """An MJPEG camera: as many frames as the server's `frames`, then it hangs up; from `frozen_from` on all are the same."""

    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        try:
            for _ in range(self.server.frames):  # type: ignore[attr-defined]
                shown = min(self.server.shown, self.server.frozen_from)  # type: ignore[attr-defined]
                self.server.shown += 1  # type: ignore[attr-defined]
                _, data = cv2.imencode(".jpg", np.full((48, 64, 3), shown % 256, dtype=np.uint8))
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                self.wfile.write(head.encode() + bytes(data) + b"\r\n")
                time.sleep(0.005)  # the camera's own pace
        except OSError:
            return

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def stream() -> Iterator[ThreadingHTTPServer]:
    with streaming() as server:
        yield server


@contextmanager
def streaming(port: int = 0) -> Iterator[ThreadingHTTPServer]:
    socketserver.TCPServer.allow_reuse_address = True
    with ThreadingHTTPServer(("127.0.0.1", port), _Stream) as server:
        server.daemon_threads = True
        server.frames, server.shown, server.frozen_from = 100_000, 0, 1_000_000  # type: ignore[attr-defined]
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield server
        server.shutdown()
        serving.join()


def live(server: ThreadingHTTPServer, **changes: object) -> CameraSource:
    address = f"http://127.0.0.1:{server.server_address[1]}/stream.mjpg"
    return CameraSource.model_validate({"kind": "camera", "device": address, "timeout_s": 5, **changes})


def test_live_frames_at_the_trigger(stream: ThreadingHTTPServer) -> None:
    settings = live(stream, interval_s=0.1, max_frames=4)
    works: list[Work] = []
    with open_camera(settings, station="s", once=False, batch_wait_s=0, stop=threading.Event()) as camera:
        assert isinstance(camera, LiveCamera)
        while not camera.ended:
            works += camera.take(2)
            camera.wait()
    assert [work.name for work in works] == [f"frame {number}" for number in range(1, 5)]
    assert (works[-1].captured_at - works[0].captured_at).total_seconds() > 0.2  # three intervals, less what the first was late
    assert len({work.key for work in works} | {work.part.part for work in works}) == 8


def test_once_takes_one_frame_of_a_live_camera(stream: ThreadingHTTPServer) -> None:
    works: list[Work] = []
    with open_camera(live(stream), station="s", once=True, batch_wait_s=0, stop=threading.Event()) as camera:
        while not camera.ended:
            works += camera.take(8)
            camera.wait()
    assert len(works) == 1


def test_a_batch_waits_for_more_frames_but_not_for_ever(stream: ThreadingHTTPServer) -> None:
    with open_camera(live(stream), station="s", once=False, batch_wait_s=20, stop=threading.Event()) as camera:
        camera.wait()
        assert len(camera.take(5)) == 5


def test_with_once_a_camera_that_falls_silent_is_an_error_after_its_last_frame(stream: ThreadingHTTPServer) -> None:
    stream.frames = 20  # type: ignore[attr-defined]
    settings = live(stream, max_frames=1000)
    works: list[Work] = []
    with open_camera(settings, station="s", once=True, batch_wait_s=0, stop=threading.Event()) as camera:

        def take_all() -> None:
            while not camera.ended:
                works.extend(camera.take(8))
                camera.wait()

        with pytest.raises(SourceError, match="gives no more frames: found no frame for up to 5 s"):
            take_all()
    assert works


@contextmanager
def service_of(settings: CameraSource, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveCamera]:
    monkeypatch.setattr(live_camera, "_FIRST_PAUSE_S", 0.02)
    with open_camera(settings, station="s", once=False, batch_wait_s=0, stop=threading.Event()) as camera:
        assert isinstance(camera, LiveCamera)
        yield camera


def test_a_camera_that_is_unplugged_again_and_again_is_opened_anew(
    stream: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream.frames = 20  # type: ignore[attr-defined]
    with service_of(live(stream), monkeypatch) as camera:
        works = taken(camera, lambda _: camera.counts["connected"] > 10)
        assert camera.counts["lost"] >= 10
    assert [work.name for work in works] == [f"frame {number}" for number in range(1, len(works) + 1)]
    assert len({work.key for work in works}) == len(works)
    assert {error_of(work) for work in works} == {None}


def test_a_camera_may_come_after_its_service(monkeypatch: pytest.MonkeyPatch) -> None:
    with streaming() as server:
        settings, port = live(server), server.server_address[1]
    with service_of(settings, monkeypatch) as camera:
        assert taken(camera, lambda _: camera.counts["lost"] > 2) == []
        with streaming(port):
            assert len(taken(camera, lambda works: len(works) > 5)) > 5


def test_no_verdict_comes_from_a_frozen_frame(stream: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    stream.frozen_from = 5  # type: ignore[attr-defined]
    with service_of(live(stream, frozen_frames=3), monkeypatch) as camera:
        works = taken(camera, lambda _: camera.counts["connected"] > 3)
        assert camera.counts["frozen"] >= 9
        thawed = stream.shown  # type: ignore[attr-defined]
        stream.frozen_from = 1_000_000  # type: ignore[attr-defined]
        after = taken(camera, lambda found: sum(error_of(work) is None for work in found) > 5)
    errors = [error_of(work) for work in works]
    judged = [
        picture.image.tobytes()
        for work, error in zip(works, errors, strict=True)
        if not error and (picture := work.load(decode_image))
    ]
    assert 1 < len(judged) == len(set(judged)) <= 6
    assert {error for error in errors if error} == {
        "camera is frozen: its frame is the same as the one before, bit by bit. Check the camera."
    }
    assert thawed > 9
    assert after


def test_drawn_frames_may_repeat_where_that_is_said(stream: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    stream.frozen_from = 0  # type: ignore[attr-defined]
    with service_of(live(stream, frozen_frames=0), monkeypatch) as camera:
        works = taken(camera, lambda works: len(works) > 10)
        assert camera.counts["connected"] == 1
    assert {error_of(work) for work in works} == {None}


def test_a_trigger_faster_than_judging_gives_every_part_its_row(
    stream: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with service_of(live(stream, interval_s=0.001, memory_mb=1), monkeypatch) as camera:
        while camera.counts["dropped"] < 20:
            camera.wait()
            time.sleep(0.01)  # nobody takes the frames
        works = camera.take(1000)
    assert [work.name for work in works] == [f"frame {number}" for number in range(1, len(works) + 1)]
    errors = [error_of(work) for work in works]
    dropped = [error for error in errors if error]
    assert errors[: len(dropped)] == dropped
    assert len(dropped) >= 20
    assert "frame was dropped: judging is slower than the trigger, and more than 1 MB waited" in dropped[0]


def test_a_camera_that_runs_freely_drops_its_oldest_frames(
    stream: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with service_of(live(stream, memory_mb=1), monkeypatch) as camera:
        while camera.counts["dropped"] < 20:
            camera.wait()
            time.sleep(0.01)
        works = camera.take(1000)
    assert {error_of(work) for work in works} == {None}
    assert works[0].name != "frame 1"


def test_video_is_not_live(tmp_path: Path) -> None:
    settings = CameraSource(kind="camera", device=str(write_video(tmp_path / "a.avi", 2)))
    with open_camera(settings, station="s", once=True, batch_wait_s=0, stop=threading.Event()) as camera:
        assert isinstance(camera, VideoFile)
        assert camera.waiting
