"""How long `kizu` takes to say its help, and a line to give its first verdict. Each the best of several starts.

    python benchmarks/start.py --bundle bundles/plates --json start.json

Times are in seconds, from the start of the process; cpu is the processor time of all its threads.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from kizu_inspect.picture.images import encode_png
from kizu_inspect.synth import draw_part

KIZU = [sys.executable, "-c", "from kizu.main import main; main()"]
HELP = {"help": [], "help_run": ["run"], "help_db": ["db"], "help_db_prune": ["db", "prune"]}


def help_times(arguments: list[str], rounds: int) -> tuple[float, float]:
    """Wall and processor time of the quickest of `rounds` calls."""
    walls, processors = [], []
    for _ in range(rounds):
        before = os.times()
        started = time.perf_counter()
        subprocess.run([*KIZU, *arguments, "--help"], check=True, stdout=subprocess.DEVNULL)
        walls.append(time.perf_counter() - started)
        after = os.times()
        processors.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return min(walls), min(processors)


def first_verdict(bundle: Path, folder: Path) -> float:
    """From the start of `kizu run` to the log's line of the first verdict; one picture waits."""
    incoming = folder / "incoming"
    incoming.mkdir()
    (incoming / "P1.png").write_bytes(encode_png(draw_part("good", 1, size_px=160).image))
    settings = {
        "database": {"url": f"sqlite:///{folder / 'kizu.db'}"},
        "images": {"path": str(folder / "images")},
        "station": {
            "id": "start",
            "source": {
                "kind": "folder",
                "path": str(incoming),
                "done": str(folder / "done"),
                "quarantine": str(folder / "quarantine"),
            },
            "recipe": {"bundle": str(bundle.resolve()), "allow_no_promise": True},
        },
    }
    path = folder / "kizu.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    started = time.perf_counter()
    with subprocess.Popen(
        [*KIZU, "run", "--config", str(path)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as line:
        try:
            assert line.stderr is not None
            said = []
            for text in line.stderr:
                said.append(text)
                if text.startswith("{") and json.loads(text)["event"] == "inspected":
                    return time.perf_counter() - started
            raise SystemExit("no verdict: " + "".join(said))
        finally:
            line.send_signal(signal.SIGTERM)
            line.communicate()


def main() -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="measure the first verdict too, with this bundle")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures: dict[str, float] = {}
    for name, arguments in HELP.items():
        wall, processor = help_times(arguments, options.rounds)
        figures |= {f"{name}_s": round(wall, 3), f"{name}_cpu_s": round(processor, 3)}
    if options.bundle is not None:
        seconds = []
        for _ in range(options.rounds):
            with tempfile.TemporaryDirectory() as folder:
                seconds.append(first_verdict(options.bundle, Path(folder)))
        figures["first_verdict_s"] = round(min(seconds), 3)
    for name, value in figures.items():
        print(f"{name:<20} {value}")
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
