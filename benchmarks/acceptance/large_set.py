"""A labelled set of 100,000 pictures: looked through, converted and counted to an end, also where links lead round in it.

    python benchmarks/acceptance/large_set.py [--pictures 100000] [--folder FOLDER] [--json FILE]

Small pictures, no two alike, in YOLO's layout, ten folders deep, each hundredth in a format that is not read, with links that
lead upward and round. `kizu data convert` and `kizu data check` run on it as a user runs them. Prints how long each took and
how much memory at most; exits 1 unless every picture that lies there is taken or left out with its reason.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from kizu_inspect.picture.images import encode_png

SIDE_PX = 16
IN_A_FOLDER = 2_000
UNREAD_EVERY = 100


def write(root: Path, count: int) -> int:
    """Writes the set; returns how many of its pictures are in a format that is read."""
    generator = np.random.default_rng(0)
    readable = 0
    for start in range(0, count, IN_A_FOLDER):
        below = Path(*(f"level{level}" for level in range(10)), f"{start:07d}")
        pictures, labels = root / "images" / below, root / "labels" / below
        pictures.mkdir(parents=True)
        labels.mkdir(parents=True)
        for number in range(start, min(start + IN_A_FOLDER, count)):
            read = number % UNREAD_EVERY != 0
            readable += read
            pixels = generator.integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8)
            (pictures / f"{number:07d}{'.png' if read else '.webp'}").write_bytes(encode_png(pixels))
            if read:
                (labels / f"{number:07d}.txt").write_text("0 0.5 0.5 0.25 0.25\n" if number % 3 == 0 else "", encoding="utf-8")
    (root / "data.yaml").write_text("names: [dent]\n", encoding="utf-8")
    (root / "images" / "level0" / "upward").symlink_to(root / "images")
    (root / "images" / "level0" / "round").symlink_to(root / "images" / "level0" / "round")
    return readable


def kizu(*arguments: str) -> tuple[dict[str, float], str]:
    """The command's figures and what it says on its error stream."""
    start = time.monotonic()
    command = [sys.executable, "-c", "from kizu.main import main; main()", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    largest_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    figures = {"seconds": time.monotonic() - start, "largest_mb": largest_mb, "exit_code": done.returncode}
    print(f"kizu {' '.join(arguments[:2])}: {figures}")
    return figures, done.stderr


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="where the set is written (default: a temporary folder)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as work:
        root, table, told = Path(work, "set"), Path(work, "set.csv"), Path(work, "figures.json")
        readable = write(root, options.pictures)
        converted, said = kizu("data", "convert", str(root), str(table))
        checked, errors = kizu("data", "check", str(root), "--json", str(told))
        if converted["exit_code"] != 0 or not told.exists():
            print(said, errors)
            return 1
        found = json.loads(told.read_text(encoding="utf-8"))
        figures = {
            "convert": converted, "check": checked, "readable": readable, "taken": found["pictures"],
            "left_out": sum(len(paths) for paths in found["left_out"].values()), "there": found["pictures_there"],
            "lines": len(table.read_text(encoding="utf-8").splitlines()) - 1,
        }  # fmt: skip
    print(figures)
    if options.json is not None:
        options.json.write_text(json.dumps(figures), encoding="utf-8")
    whole = figures["taken"] == figures["lines"] == readable
    return 0 if whole and figures["there"] == readable + figures["left_out"] == options.pictures else 1


if __name__ == "__main__":
    sys.exit(main())
