"""A real `kizu run` over folders of its own, for the scripts beside this file that break it on purpose."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import text

from kizu_db.engine import connected
from kizu_db.migrations import upgrade
from kizu_db.settings import DatabaseSettings

__all__ = ["Line", "Memory", "Row", "concluded", "eventually", "small_bundle", "watching_memory"]

STATION = "acceptance"
PART_PX = 64
_ROWS = "SELECT uid, image_name, image_sha256, verdict, reason FROM inspection ORDER BY id"


@dataclass(frozen=True)
class Row:
    """What is recorded of one picture."""

    uid: str
    name: str
    sha256: str | None
    """Of the stored picture; None where the file could not be read."""
    verdict: str
    reason: str


@dataclass
class Line:
    """Folders, configuration and process of one line below `work`."""

    work: Path
    bundle: Path
    database: DatabaseSettings | None = None
    images: Path | None = None
    source: Mapping[str, Any] = field(default_factory=dict)
    """Changes of the folder's settings, or, with `kind`, another source."""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    station: Mapping[str, Any] = field(default_factory=dict)
    """Further settings of the station."""
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.incoming, self.done, self.quarantine = (self.work / name for name in ("incoming", "done", "quarantine"))
        self.log = self.work / "log.jsonl"
        self.incoming.mkdir(parents=True, exist_ok=True)
        self.database = self.database or DatabaseSettings(url=f"sqlite:///{self.work / 'kizu.db'}")
        folder = {
            "kind": "folder", "path": str(self.incoming), "done": str(self.done), "quarantine": str(self.quarantine),
            "settle_s": 0.2, "rescan_s": 0.2,
        }  # fmt: skip
        settings = {
            "database": {"url": self.database.url},
            "images": {"path": str(self.images or self.work / "images")},
            "station": {
                "id": STATION,
                "source": dict(self.source) if "kind" in self.source else {**folder, **self.source},
                "recipe": {"bundle": str(self.bundle), "allow_no_promise": True, **self.recipe},
                **self.station,
            },
            "runtime": {"device": "cpu", "max_batch": 8},
        }
        self.config = self.work / "kizu.yaml"
        self.config.write_text(yaml.safe_dump(settings), encoding="utf-8")
        upgrade(self.database)

    def start(self, environment: Mapping[str, str] | None = None, *, wait_s: float = 120.0) -> None:
        """Start the process, and return once it watches."""
        command = [sys.executable, "-c", "from kizu.main import main; main()", "run", "--config", str(self.config)]
        before = self.said("started")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **(environment or {})})
        atexit.register(self.process.kill)  # no line outlives a script that fails
        if not eventually(lambda: self.said("started") > before or not self.alive, wait_s) or not self.alive:
            raise SystemExit(f"the line did not start; its log is {self.log}")

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def stop(self, *, wait_s: float = 60.0) -> int:
        """Ask the process to end (SIGTERM) and return its exit code; -9 where it had to be killed."""
        assert self.process is not None
        self.process.terminate()
        try:
            return self.process.wait(wait_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def said(self, event: str) -> int:
        """How often the log has this event."""
        return self.log.read_text(encoding="utf-8", errors="replace").count(f'"event": "{event}"') if self.log.exists() else 0

    def rows(self) -> list[Row]:
        """In the order of recording."""
        assert self.database is not None
        with connected(self.database) as connection:
            return [Row(*row) for row in connection.execute(text(_ROWS))]

    def count(self) -> int:
        """How many rows there are."""
        assert self.database is not None
        with connected(self.database) as connection:
            return int(connection.execute(text("SELECT count(*) FROM inspection")).scalar_one())

    def waiting(self) -> list[str]:
        """The files that lie in the watched folder."""
        return [name for name in os.listdir(self.incoming) if not name.startswith(".")]

    def put_away(self) -> int:
        """How many files lie in done and quarantine, notes not counted."""
        folders = [folder for folder in (self.done, self.quarantine) if folder.is_dir()]
        names = [os.fsencode(name) for folder in folders for name in os.listdir(folder)]
        return sum(not name.endswith(b".json") and not name.startswith(b".") for name in names)


@dataclass
class Memory:
    """Resident memory of a process in MB, sampled from /proc."""

    samples: list[float] = field(default_factory=list)
    highest: float = 0.0
    """What the kernel says was the most (VmHWM)."""
    highest_of_children: float = 0.0
    """The same of that process it started which took most."""


@contextmanager
def watching_memory(pid: int, *, every_s: float = 0.5) -> Iterator[Memory]:
    """Samples the process's memory within the `with` block."""
    memory, closing = Memory(), threading.Event()

    def sample() -> None:
        while not closing.wait(every_s):
            now = _memory_of(pid)
            if not now:
                return
            memory.samples.append(now["VmRSS"])
            memory.highest = now["VmHWM"]
            children = [_memory_of(int(child)).get("VmHWM", 0.0) for child in _children_of(pid)]
            memory.highest_of_children = max([memory.highest_of_children, *children])

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield memory
    finally:
        closing.set()
        thread.join()


def _memory_of(pid: int) -> dict[str, float]:
    """VmRSS and VmHWM in MB; empty where there is no such process."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    return {line.partition(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith(("VmRSS", "VmHWM"))}


def _children_of(pid: int) -> list[str]:
    try:
        return [child for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
    except OSError:
        return []


def eventually(holds: Callable[[], bool], within_s: float, *, every_s: float = 0.1) -> bool:
    """Whether it holds within this time."""
    until = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(every_s)
    return True


def concluded(found: Mapping[str, Mapping[str, object]], root: Path, *, json_file: Path | None) -> int:
    """Write the figures of all cases, and clear up where every one passed; the script's exit code."""
    if json_file is not None:
        json_file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if not all(figures["passed"] for figures in found.values()):
        print(f"FAILED; folders and logs are kept in {root}", file=sys.stderr)
        return 1
    shutil.rmtree(root)
    return 0


def small_bundle(folder: Path) -> Path:
    """A bundle with gates, trained for some seconds on drawn parts of 64 px; these lie in FOLDER/parts."""
    from kizu_inspect.labelled.dataset import read_labelled
    from kizu_inspect.network.model import Architecture
    from kizu_inspect.picture.inputs import InputSettings
    from kizu_inspect.synth import write_set
    from kizu_inspect.training.fit import FitSettings
    from kizu_inspect.training.settings import TrainingSettings
    from kizu_inspect.training.train import train

    settings = TrainingSettings(
        name="small",
        input=InputSettings(height_px=PART_PX, width_px=PART_PX),
        architecture=Architecture(width=8),
        fit=FitSettings(steps=60),
        device="cpu",
    )
    data = read_labelled(write_set(folder / "parts", count=240, seed=1, size_px=PART_PX))
    return train(data, folder / "bundle", settings).bundle.path
