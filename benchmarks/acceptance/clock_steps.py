"""Steps the wall clock of a running `kizu run` an hour forwards and back under load: rows, order and pace must not care.

    apt-get install faketime
    python benchmarks/acceptance/clock_steps.py [--seconds 10] [--cases folder stream video] [--json FILE]

libfaketime gives the process another wall clock, which follows a file; the monotonic clock stays true, as on a machine that is
set right. The folder's files get times of the same clock. In each case the clock is right for a while, then an hour ahead, then
an hour behind, then right again. Prints one JSON line a case. Exits 1 where a picture has no row or two, a row is an ERROR, the
rows' order is not that of arrival, the pace after a step is below half of that before, or the exit code is not 0.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
from kill_nine import untrained_bundle
from line_process import PART_PX, Line, concluded, eventually
from sqlalchemy import text

from kizu_db.engine import connected
from kizu_inspect.picture.images import encode_png
from kizu_inspect.synth import KINDS, draw_part

LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
HOUR_S = 3600
STEPS_S = (0, HOUR_S, -HOUR_S, 0)
WARM = 20
PICTURES_PER_S = 5.0
VIDEO_FRAMES = 6000
CLOSE_S = 600
Ended = Callable[[], int]
"""Stops the source, and gives how many pictures came; -1 where that cannot be known."""


@dataclass(frozen=True)
class Outcome:
    """What was found in one case."""

    case: str
    pictures: int
    rows: int
    with_more_rows: int
    missing: int
    error_rows: int
    in_order: bool
    per_s: tuple[float, ...]
    """Rows a second: clock right, an hour ahead, an hour behind, right again."""
    longest_gap_s: float
    """Between two looks that found new rows, after the first step."""
    rows_ahead: int
    """Rows that bear the time of a clock that is ahead: the steps have reached the line."""
    rows_behind: int
    exit_code: int

    @property
    def passed(self) -> bool:
        """Whether nobody but the clock noticed."""
        return (
            self.pictures in (self.rows, -1)
            and self.in_order
            and min(self.per_s) >= 0.5 * self.per_s[0]
            and min(self.rows_ahead, self.rows_behind) > 0
            and not (self.with_more_rows or self.missing or self.error_rows or self.exit_code)
        )


class Clock:
    """The wall clock of the process that is started with its `environment`."""

    def __init__(self, file: Path) -> None:
        self.offset_s = 0
        self._file = file
        self.environment = {
            "LD_PRELOAD": str(LIBRARY), "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1",
        }  # fmt: skip
        self.step(0)

    def step(self, offset_s: int) -> None:
        """Set it to so many seconds beside the right time."""
        unfinished = self._file.with_suffix(".part")
        unfinished.write_text(f"{offset_s:+d}\n", encoding="ascii")
        unfinished.rename(self._file)
        self.offset_s = offset_s


def pictures() -> list[np.ndarray]:
    """Drawn parts."""
    return [draw_part(KINDS[n % len(KINDS)], n, size_px=PART_PX).image for n in range(40)]


@contextmanager
def folder(work: Path, bundle: Path, clock: Clock) -> Iterator[tuple[Line, Ended]]:
    """Files with the times of that clock come at an even pace."""
    line, end, count = Line(work, bundle), threading.Event(), [0]
    drawn = [encode_png(picture) for picture in pictures()]

    def write() -> None:
        while not end.wait(1 / PICTURES_PER_S):
            unfinished = line.incoming / f"P{count[0]:06d}.png.part"
            unfinished.write_bytes(drawn[count[0] % len(drawn)])
            now = time.time() + clock.offset_s
            os.utime(unfinished, (now, now))
            unfinished.rename(unfinished.with_suffix(""))
            count[0] += 1

    writing = threading.Thread(target=write, daemon=True)
    writing.start()

    def ended() -> int:
        end.set()
        writing.join()
        eventually(lambda: not line.waiting(), 60)
        return count[0]

    yield line, ended


@contextmanager
def stream(work: Path, bundle: Path, _clock: Clock) -> Iterator[tuple[Line, Ended]]:
    """A network camera, triggered at an even pace."""
    drawn = [bytes(cv2.imencode(".jpg", picture[:, :, ::-1])[1]) for picture in pictures()]

    class Camera(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            try:
                for number in range(1 << 30):
                    data = drawn[number % len(drawn)]
                    self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\n")
                    self.wfile.write(f"Content-Length: {len(data)}\r\n\r\n".encode() + data + b"\r\n")
                    time.sleep(0.05)
            except OSError:
                return

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Camera) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        device = f"http://127.0.0.1:{server.server_address[1]}/stream.mjpg"
        source = {"kind": "camera", "device": device, "interval_s": 1 / PICTURES_PER_S, "timeout_s": 5}
        yield Line(work, bundle, source=source), lambda: -1
        server.shutdown()


@contextmanager
def video(work: Path, bundle: Path, _clock: Clock) -> Iterator[tuple[Line, Ended]]:
    """A video file, as fast as the line goes."""
    work.mkdir(parents=True)
    path = work / "parts.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (PART_PX, PART_PX))
    drawn = [picture[:, :, ::-1] for picture in pictures()]
    for number in range(VIDEO_FRAMES):
        writer.write(drawn[number % len(drawn)])
    writer.release()
    yield Line(work, bundle, source={"kind": "camera", "device": str(path)}), lambda: -1


CASES = {"folder": folder, "stream": stream, "video": video}


def observe(case: str, line: Line, ended: Ended, clock: Clock, *, seconds: float) -> Outcome:
    """One case, from the first picture to the last row."""
    line.start(clock.environment)
    if not eventually(lambda: line.count() >= WARM, 60):
        raise SystemExit(f"{case}: the undisturbed line records nothing; its log is {line.log}")
    per_s, gap_s = [], 0.0
    for offset_s in STEPS_S:
        clock.step(offset_s)
        began = last = time.monotonic()
        before = seen = line.count()
        while time.monotonic() < began + seconds and line.alive:
            time.sleep(0.05)
            if (now := line.count()) != seen:
                seen, last = now, time.monotonic()
            gap_s = max(gap_s, time.monotonic() - last)
        per_s.append(round((line.count() - before) / (time.monotonic() - began), 1))
    came = ended()
    exit_code = line.stop()
    assert line.database is not None
    with connected(line.database) as connection:
        query = "SELECT image_name, verdict, judged_at FROM inspection ORDER BY id"
        rows = [tuple(row) for row in connection.execute(text(query))]
    numbers = [int("".join(filter(str.isdigit, name))) for name, _, _ in rows]
    now_s = datetime.now(UTC).timestamp()
    times_s = [datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp() for _, _, at in rows]
    return Outcome(
        case=case,
        pictures=came,
        rows=len(rows),
        with_more_rows=len(numbers) - len(set(numbers)),
        missing=max(numbers) - min(numbers) + 1 - len(set(numbers)),
        error_rows=sum(verdict == "ERROR" for _, verdict, _ in rows),
        in_order=numbers == sorted(numbers),
        per_s=tuple(per_s),
        longest_gap_s=round(gap_s, 1),
        rows_ahead=sum(at > now_s + HOUR_S - CLOSE_S for at in times_s),
        rows_behind=sum(at < now_s - HOUR_S + CLOSE_S - seconds for at in times_s),
        exit_code=exit_code,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases one after the other; 0 when all passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long the clock stays where it was set")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args(arguments)
    if not LIBRARY.exists():
        raise SystemExit(f"{LIBRARY} is missing: apt-get install faketime")
    root = Path(tempfile.mkdtemp(prefix="kizu-clock-"))
    bundle = untrained_bundle(root / "bundle")
    found: dict[str, dict[str, object]] = {}
    for case in given.cases:
        clock = Clock(root / f"{case}.clock")
        with CASES[case](root / case, bundle, clock) as (line, ended):
            outcome = observe(case, line, ended, clock, seconds=given.seconds)
        found[case] = {**asdict(outcome), "passed": outcome.passed}
        print(json.dumps(found[case]), flush=True)
    return concluded(found, root, json_file=given.json)


if __name__ == "__main__":
    sys.exit(main())
