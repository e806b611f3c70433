"""Unplugs, freezes, silences and tears a camera under the running service, and holds its rows against the frames it was given.

    python benchmarks/acceptance/camera_losses.py [BUNDLE] [--unplugged 50] [--frozen 10] [--silent 5] [--seed 0] [--json FILE]

The camera is simulated (simulated_camera.py), with a fresh noise in every frame; all behind it is the real service. Exits 1
when a frame has no row or two, when a verdict comes from a frozen, incomplete or another frame, when a loss or a connection is
not counted, or when a fresh frame is refused as frozen. Torn frames cannot be told in general: they are only counted. Without a
bundle an untrained network judges.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from unittest.mock import patch

from kill_nine import untrained_bundle
from simulated_camera import SimulatedCamera
from structlog.testing import capture_logs

from kizu_db.image_store import ImageStore
from kizu_db.migrations import upgrade
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings
from kizu_inspect.recipe import Recipe
from kizu_inspect.results import Verdict
from kizu_pipeline.service import run_station
from kizu_pipeline.settings import CameraSource, RuntimeSettings, StationSettings
from kizu_pipeline.sources import camera as camera_sources

FROZEN_FRAMES = 3
MOST_ROWS = 1_000_000


@dataclass(frozen=True)
class Outcome:
    """What was found when the service had ended."""

    unplugged: int
    frozen: int
    silent: int
    frames: int
    rows: int
    frames_without_row: int
    opened: int
    """How often the camera was opened, by its own count."""
    connections_logged: int
    losses: int
    """How often it was gone, silent, away when it was to be opened, or frozen until it was closed, by its own count."""
    losses_logged: int
    frozen_frames: int
    frozen_frames_with_verdict: int
    incomplete_frames: int
    incomplete_frames_with_verdict: int
    torn_frames: int
    torn_frames_refused: int
    other_pictures: int
    """Rows whose picture is not the one that the camera gave under this number."""
    fresh_frames_called_frozen: int
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether every promise was kept."""
        commanded = self.unplugged + self.frozen + self.silent
        return (
            self.rows == self.frames
            and self.opened == self.connections_logged
            and self.losses_logged == self.losses >= commanded
            and self.frozen_frames >= FROZEN_FRAMES * self.frozen
            and not (self.frames_without_row or self.other_pictures or self.fresh_frames_called_frozen)
            and not (self.frozen_frames_with_verdict or self.incomplete_frames_with_verdict)
        )


def trouble(camera: SimulatedCamera, *, unplugged: int, frozen: int, silent: int) -> None:
    """One trouble after the other, each when frames came again. Raises TimeoutError where they do not."""
    for number in range(unplugged):
        camera.until_frames(3)
        (camera.tear_one if number % 2 else camera.spoil_one)()
        camera.until_frames(2)
        lost, before = camera.lost, camera.opened
        camera.unplug()
        camera.until(lambda lost=lost: camera.lost > lost)
        camera.plug()
        camera.until(lambda before=before: camera.opened > before)
    for _ in range(frozen):
        camera.until_frames(3)
        before = camera.opened
        camera.freeze(True)
        camera.until_frames(FROZEN_FRAMES)
        camera.freeze(False)
        camera.until(lambda before=before: camera.opened > before)
    for _ in range(silent):
        camera.until_frames(3)
        lost, before = camera.lost, camera.opened
        camera.stall(True)
        camera.until(lambda lost=lost: camera.lost > lost)
        camera.stall(False)
        camera.until(lambda before=before: camera.opened > before)
    camera.until_frames(3)


def measured(
    camera: SimulatedCamera, root: Path, bundle: Path, *, unplugged: int = 50, frozen: int = 10, silent: int = 5
) -> Outcome:
    """Run the service below `root` over the camera and its troubles, and hold its rows against the frames."""
    started = time.monotonic()
    station = StationSettings(
        id="losses",
        source=CameraSource(
            kind="camera", device=0, interval_s=0.01, timeout_s=camera.timeout_s, frozen_frames=FROZEN_FRAMES, memory_mb=4096
        ),
        recipe=Recipe.model_validate({"bundle": bundle, "allow_no_promise": True, "explanation": {"policy": "on_demand"}}),
    )
    database = DatabaseSettings(url=f"sqlite:///{root / 'kizu.db'}")
    upgrade(database)
    records, stop = Records.open(database), threading.Event()
    with (
        patch.object(camera_sources, "open_live", lambda _: camera.open()),
        capture_logs() as events,
        ThreadPoolExecutor(1) as service,
    ):
        runtime = RuntimeSettings(device="cpu")
        ending = service.submit(run_station, station, runtime, records, ImageStore(root / "images"), once=False, stop=stop)
        ending.add_done_callback(lambda _: camera.plug())
        try:
            trouble(camera, unplugged=unplugged, frozen=frozen, silent=silent)
            camera.hold()  # the last frames are judged, and none comes any more
            _until_all_have_rows(records, camera)
        finally:
            stop.set()
        ending.result()
    with records.unit(read_only=True) as unit:
        rows = [unit.inspections.get(row.uid) for row in unit.inspections.latest(limit=MOST_ROWS)]
    records.close()
    numbered = {int(one.row.part.rpartition("-")[2]): one for one in rows if one is not None}
    given = dict(enumerate(camera.given, start=1))
    with_verdict = {number: one for number, one in numbered.items() if one.row.verdict is not Verdict.ERROR}
    of_kind = Counter(one.kind for one in given.values())
    judged_of_kind = Counter(given[number].kind for number in with_verdict)
    return Outcome(
        unplugged=unplugged,
        frozen=frozen,
        silent=silent,
        frames=len(given),
        rows=len(rows),
        frames_without_row=len(given.keys() - numbered.keys()),
        opened=camera.opened,
        connections_logged=sum(event["event"] == "camera connected" for event in events),
        losses=camera.lost + camera.refused + frozen,
        losses_logged=sum(event["event"].startswith("camera lost") for event in events),
        frozen_frames=of_kind["frozen"],
        frozen_frames_with_verdict=judged_of_kind["frozen"],
        incomplete_frames=of_kind["incomplete"],
        incomplete_frames_with_verdict=judged_of_kind["incomplete"],
        torn_frames=of_kind["torn"],
        torn_frames_refused=of_kind["torn"] - judged_of_kind["torn"],
        other_pictures=sum(
            one.row.image_sha256 not in (None, given[number].sha256) for number, one in numbered.items() if number in given
        ),
        fresh_frames_called_frozen=sum(
            "frozen" in one.row.reason for number, one in numbered.items() if number in given and given[number].kind == "fresh"
        ),
        seconds=round(time.monotonic() - started, 1),
    )


def _until_all_have_rows(records: Records, camera: SimulatedCamera, *, timeout_s: float = 30.0) -> None:
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        with records.unit(read_only=True) as unit:
            if len(unit.inspections.latest(limit=MOST_ROWS)) >= len(camera.given):
                return
        time.sleep(0.2)


def main() -> int:
    """Measure, print, and tell by the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, nargs="?")
    parser.add_argument("--unplugged", type=int, default=50)
    parser.add_argument("--frozen", type=int, default=10)
    parser.add_argument("--silent", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kizu-camera-") as folder:
        root = Path(folder)
        outcome = measured(
            SimulatedCamera(frames_per_s=50.0, seed=arguments.seed),
            root,
            arguments.bundle or untrained_bundle(root / "bundle"),
            unplugged=arguments.unplugged,
            frozen=arguments.frozen,
            silent=arguments.silent,
        )
    figures = {**asdict(outcome), "passed": outcome.passed}
    for name, value in figures.items():
        print(f"{name:32} {value}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0 if outcome.passed else 1


if __name__ == "__main__":
    sys.exit(main())
