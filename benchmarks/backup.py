"""How long a line waits for the database while its records are backed up.

    python benchmarks/backup.py [--rows 3000] [--rate 50] [--alone 10] [--url sqlite:///FILE] [--json FIGURES]

Fills an empty database with `--rows` inspections, each with a map of 160 KB. Another process then records `--rate` a second,
first alone for `--alone` seconds, then while backups are made for as long. `alone.*` and `backup.*` are the milliseconds
from the start of a unit of work to its commit; `backup_s` is the median time of a backup, `megabytes` the size of its records.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import tempfile
import time
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from kizu_db.backup.make import make_backup
from kizu_db.image_store import ImageStore
from kizu_db.migrations import upgrade
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings
from kizu_db.values import NewInspection
from kizu_inspect.results import Explanation, GridGeometry, Heatmap, Judgement, MapStatus, Verdict

JUDGED = Judgement(
    verdict=Verdict.REJECT, reason="p", probabilities={"good": 0.1, "scratch": 0.9}, predicted="scratch", target="scratch",
    score=0.9, width_px=2048, height_px=1536,
)  # fmt: skip


def inspection(key: str) -> NewInspection:
    """A rejected part."""
    now = datetime.now(UTC)
    return NewInspection(
        source="benchmark", source_key=key, station="press-3", part=key, captured_at=now, judged_at=now, judgement=JUDGED,
        image_name=f"{key}.png", image_sha256=f"{abs(hash(key)):064x}",
    )  # fmt: skip


def explanation(seed: int) -> Explanation:
    """A map of 160 KB."""
    grid = np.random.default_rng(seed).random((250, 320)).astype(np.float16)
    geometry = GridGeometry(0, 0, 6.4, 6.4, 2048, 1536)
    return Explanation(Heatmap("grad-cam", "scratch", MapStatus.OK, grid, 1.0, 1.0, geometry), regions=())


def fill(settings: DatabaseSettings, rows: int) -> None:
    """Inspections with their maps."""
    with Records.open(settings) as records:
        for first in range(0, rows, 100):
            with records.unit() as unit:
                for number in range(first, min(first + 100, rows)):
                    uid = unit.inspections.add(inspection(f"old-{number}"))
                    unit.inspections.store_explanation(uid, explanation(number))


def line(settings: DatabaseSettings, rate: float, pipe: Connection) -> None:
    """Records at this rate; at each message it sends the milliseconds that each took since the last one, None ends it."""
    taken: list[float] = []
    number = 0
    due = time.perf_counter()
    with Records.open(settings) as records:
        while True:
            begun = time.perf_counter()
            with records.unit() as unit:
                unit.inspections.add(inspection(f"new-{number}"))
            taken.append(1000 * (time.perf_counter() - begun))
            number += 1
            due = max(due + 1 / rate, begun)
            if pipe.poll(max(0.0, due - time.perf_counter())):
                if pipe.recv() is None:
                    return
                pipe.send(taken)
                taken = []


def described(name: str, taken: list[float]) -> dict[str, float]:
    """The figures of one phase."""
    ordered = sorted(taken)
    return {
        f"{name}.count": len(ordered),
        f"{name}.median_ms": statistics.median(ordered),
        f"{name}.p99_ms": ordered[int(0.99 * (len(ordered) - 1))],
        f"{name}.max_ms": ordered[-1],
    }


def measure(settings: DatabaseSettings, folder: Path, *, rows: int, rate: float, alone_s: float) -> dict[str, float]:
    """All figures."""
    upgrade(settings)
    fill(settings, rows)
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=line, args=(settings, rate, there))
    process.start()
    here.send("begin")
    here.recv()
    time.sleep(alone_s)
    here.send("alone")
    figures = described("alone", here.recv())
    backups = []
    end = time.perf_counter() + alone_s
    while time.perf_counter() < end:
        begun = time.perf_counter()
        made = make_backup(settings, ImageStore(folder / "images"), folder / f"backup-{len(backups)}")
        backups.append(time.perf_counter() - begun)
    here.send("backup")
    figures |= described("backup", here.recv())
    here.send(None)
    process.join()
    megabytes = max(content.bytes for content in made.files.values()) / 1e6
    return {**figures, "backups": len(backups), "backup_s": statistics.median(backups), "megabytes": megabytes}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--alone", type=float, default=10, help="seconds")
    parser.add_argument("--url", help="an empty database; without it a SQLite file")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        settings = DatabaseSettings(url=options.url or f"sqlite:///{name}/kizu.db")
        figures = measure(settings, Path(name), rows=options.rows, rate=options.rate, alone_s=options.alone)
    for key, value in figures.items():
        print(f"{key:20} {value:.1f}")
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
