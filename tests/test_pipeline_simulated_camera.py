"""The service over a camera that falls silent, freezes, tears frames, goes and comes back on command."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from camera_losses import measured
from kill_nine import untrained_bundle
from simulated_camera import SimulatedCamera

from camera_world import error_of, taken
from kizu_pipeline.settings import CameraSource
from kizu_pipeline.sources import camera as camera_sources
from kizu_pipeline.sources import live_camera
from kizu_pipeline.sources.camera import open_camera
from kizu_pipeline.sources.live_camera import LiveCamera


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_camera, "_FIRST_PAUSE_S", 0.02)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> SimulatedCamera:
    camera = SimulatedCamera(timeout_s=0.2)
    monkeypatch.setattr(camera_sources, "open_live", lambda _: camera.open())
    return camera


@contextmanager
def intake(**changes: object) -> Iterator[LiveCamera]:
    settings = CameraSource.model_validate({"kind": "camera", "device": 0, "timeout_s": 0.2, **changes})
    with open_camera(settings, station="s", once=False, batch_wait_s=0, stop=threading.Event()) as camera:
        assert isinstance(camera, LiveCamera)
        yield camera


def test_every_frame_has_its_row_and_every_loss_is_counted(tmp_path: Path, bundle: Path) -> None:
    outcome = measured(SimulatedCamera(timeout_s=0.2), tmp_path, bundle, unplugged=6, frozen=3, silent=2)
    assert outcome.passed, outcome
    assert outcome.rows > 40
    assert outcome.losses_logged >= 11
    assert outcome.frozen_frames >= 9
    assert (outcome.incomplete_frames, outcome.torn_frames) == (3, 3)


def test_the_measurement_sees_a_line_that_judges_frozen_frames(
    tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judged_all_the_same(camera: LiveCamera, image: object) -> bool:
        repeats(camera, image)
        return False

    repeats = LiveCamera._repeats
    monkeypatch.setattr(LiveCamera, "_repeats", judged_all_the_same)
    outcome = measured(SimulatedCamera(timeout_s=0.2), tmp_path, bundle, unplugged=0, frozen=1, silent=0)
    assert outcome.frozen_frames_with_verdict >= 3
    assert not outcome.passed


def test_an_incomplete_frame_behind_which_a_part_stands_is_an_error_row(simulated: SimulatedCamera) -> None:
    with intake(interval_s=0.001) as camera:
        simulated.until_frames(3)
        simulated.spoil_one()
        simulated.until_frames(3)
        simulated.hold()
        works = taken(camera, lambda found: len(found) == len(simulated.given))
        assert camera.counts["unfit"] == 1
        assert camera.counts["lost"] == 0
    errors = [error_of(work) for work in works]
    assert [error is not None for error in errors] == [one.kind == "incomplete" for one in simulated.given]
    assert {error for error in errors if error} == {"frame is incomplete: packets are missing"}


def test_of_a_camera_that_runs_freely_an_incomplete_frame_is_dropped_and_counted(simulated: SimulatedCamera) -> None:
    with intake() as camera:
        simulated.until_frames(3)
        simulated.spoil_one()
        simulated.until_frames(3)
        simulated.hold()
        works = taken(camera, lambda found: len(found) == len(simulated.given) - 1)
        assert camera.counts["unfit"] == 1
    assert {error_of(work) for work in works} == {None}


def test_a_camera_that_gives_only_incomplete_frames_is_lost(simulated: SimulatedCamera) -> None:
    simulated.spoil_all()
    with intake() as camera:
        assert taken(camera, lambda _: camera.counts["lost"] > 1) == []
        assert camera.counts["connected"] > 1
        simulated.heal()
        assert error_of(taken(camera, lambda found: len(found) > 0)[0]) is None


def test_a_camera_at_rest_is_not_lost(simulated: SimulatedCamera) -> None:
    simulated.hold()
    with intake() as camera:
        camera.wait()  # longer than its time-out
        assert camera.take(8) == []
        assert dict(camera.counts) == {"connected": 1}


def test_a_torn_frame_is_not_noticed_as_such(simulated: SimulatedCamera) -> None:
    with intake(interval_s=0.001) as camera:
        simulated.until_frames(2)
        simulated.tear_one()
        simulated.until(lambda: any(one.kind == "torn" for one in simulated.given))
        simulated.hold()
        works = taken(camera, lambda found: len(found) == len(simulated.given))
    assert {error_of(work) for work in works} == {None}
