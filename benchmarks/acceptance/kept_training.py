"""Does `kizu train` keep what it has learned and the time that it was given?

    python benchmarks/acceptance/kept_training.py [--parts 900] [--size 96] [--steps 200] [--kills 3] [--minutes 3] [--busy 2]
                                                  [--only killed|timed] [--json FILE]

Killed: one training on drawn parts is never disturbed, another of the same seed is killed with SIGKILL after random looks at
its validation pictures and gone on with by `--resume`; both are measured on the test split. Timed: a training has so many
`--minutes` while `--busy` endless loops take the processor from it, and what the whole command takes is measured, from its
start to its end.

Exits 1 when the two models' accuracies lie outside of each other's 95 % interval, or when the time is passed by over 20 s.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kizu_inspect.bundle import Bundle
from kizu_inspect.evaluation.evaluate import evaluate
from kizu_inspect.labelled.dataset import read_labelled
from kizu_inspect.synth import write_set
from kizu_inspect.training.checkpoints import folder_of

LOOK = re.compile(r"step (\d+) of (\d+): ")
LATE_S = 20.0


def command(parts: Path, out: Path, *options: str) -> list[str]:
    """`kizu train`, whose lines come as they are said."""
    run = [sys.executable, "-u", "-c", "from kizu.main import main; main()"]
    return [*run, "train", str(parts), "--out", str(out), "--profile", "part", *options]


def finished(line: list[str]) -> str:
    """What a command said that has to come to its end."""
    done = subprocess.run(line, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(line)} failed with exit code {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def kill_and_resume(line: list[str], out: Path, *, kills: int, draw: random.Random) -> tuple[list[int], str]:
    """Kills a training after random looks at its validation pictures; after which steps, and what the last run said."""
    killed_after: list[int] = []
    for number in range(kills):
        resumed = [*line, "--resume"] if number else line
        with subprocess.Popen(resumed, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            for said in child.stdout:
                look = LOOK.match(said)
                if look is None:
                    continue
                step, planned = map(int, look.groups())
                # One kill in each stretch of the training, once there is a checkpoint.
                if step / planned >= (number + draw.random() * 0.8) / kills and list(folder_of(out).glob("*.checkpoint")):
                    child.kill()
                    killed_after.append(step)
                    break
            child.wait()
        if len(killed_after) <= number:
            raise SystemExit("the training came to its end before it could be killed: give it more --steps")
    return killed_after, finished([*line, "--resume"])


def measured(bundle: Path, parts: Path) -> dict[str, Any]:
    """The accuracy on the test split, with its interval, and the hash of the weights."""
    loaded = Bundle.load(bundle)
    figure = evaluate(loaded, read_labelled(parts).split("test"), methods=()).classification["accuracy"]
    return {"accuracy": figure.as_json(), "steps": loaded.spec.provenance.steps, "weights": loaded.spec.weights_sha256}


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """Endless loops beside, a process each."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(loops)]
    try:
        yield
    finally:
        for one in running:
            one.kill()
            one.wait()


def compare_killed(work: Path, parts: Path, *, steps: int, kills: int, seed: int) -> dict[str, Any]:
    """The undisturbed training beside the one that was killed."""
    print(f"undisturbed: {steps} steps", flush=True)
    finished(command(parts, work / "whole", "--steps", str(steps)))
    whole = measured(work / "whole", parts)
    print(f"  accuracy {whole['accuracy']}", flush=True)
    line = command(parts, work / "killed", "--steps", str(steps))
    killed_after, _ = kill_and_resume(line, work / "killed", kills=kills, draw=random.Random(seed))
    killed = measured(work / "killed", parts)
    print(f"killed after steps {killed_after} and resumed\n  accuracy {killed['accuracy']}", flush=True)
    same = whole["weights"] == killed["weights"]
    print(f"  the same weights to the bit: {same}", flush=True)
    inside = all(
        one["accuracy"]["low"] <= other["accuracy"]["value"] <= one["accuracy"]["high"]
        for one, other in ((whole, killed), (killed, whole))
    )
    return {"whole": whole, "killed": killed, "killed_after": killed_after, "same_weights": same, "passed": inside}


def keep_time(work: Path, parts: Path, *, minutes: float, loops: int) -> dict[str, Any]:
    """What a training of so many minutes takes beside the endless loops."""
    begun = time.monotonic()
    with busy(loops):
        said = finished(command(parts, work / "timed", "--minutes", str(minutes)))
    taken = time.monotonic() - begun
    steps = next(line for line in said.splitlines() if "steps were taken" in line)
    print(f"{minutes:g} minutes beside {loops} endless loops: {taken:.1f} s; {steps}", flush=True)
    timed = measured(work / "timed", parts)
    print(f"  accuracy {timed['accuracy']}", flush=True)
    late = taken - minutes * 60
    return {"minutes": minutes, "busy": loops, "seconds": taken, "late_s": late, "passed": late <= LATE_S, **timed}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the checks, prints their figures; 0 when they passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=int, default=900)
    parser.add_argument("--size", type=int, default=96, help="side of a part's picture in px")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--busy", type=int, default=2, help="endless loops beside the timed training")
    parser.add_argument("--only", choices=["killed", "timed"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        parts = write_set(
            work / "parts", count=given.parts, seed=given.seed, size_px=given.size,
            splits={"train": 0.5, "val": 0.2, "test": 0.3},
        )  # fmt: skip
        found: dict[str, Any] = {}
        if given.only != "timed":
            found["killed"] = compare_killed(work, parts, steps=given.steps, kills=given.kills, seed=given.seed)
        if given.only != "killed":
            found["timed"] = keep_time(work, parts, minutes=given.minutes, loops=given.busy)
    found["passed"] = all(one["passed"] for one in found.values())
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0 if found["passed"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
