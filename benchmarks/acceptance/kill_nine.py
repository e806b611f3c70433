"""Kills `kizu run` with SIGKILL at random moments over a folder of files, restarts it, and counts the rows: one a file.

    python benchmarks/acceptance/kill_nine.py [--files 500] [--kills 5] [--slowly 0.5] [--once] [--seed 0] [--json FILE]

The line watches its folder, as in a plant, and is asked to end (SIGTERM) when the last start has done everything; with
`--once` it ends by itself. A share of the files (`--slowly`) comes while it runs and is killed: half of those are written in
two parts with a pause between, into space that was taken before, half under another name and renamed.

Without a bundle an untrained network judges: which verdict it gives plays no part here. Exits 1 when a file has no row or
two, when a file is left or lost, when what was judged is not the whole picture, or when a promised explanation is missing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from kizu_db.migrations import upgrade
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings
from kizu_db.values import ExplanationState
from kizu_inspect.picture.images import encode_png
from kizu_inspect.synth import KINDS, draw_part

STATION = "kill-9"
DIFFERENT_PICTURES = 40
NOT_A_PICTURE_EVERY = 25
WRITERS = 8


@dataclass(frozen=True)
class Outcome:
    """What was found after the last, undisturbed run."""

    files: int
    kills: int
    killed_after_files: tuple[int, ...]
    """How many files had left the folder at each kill."""
    rows: int
    files_without_row: int
    files_with_more_rows: int
    files_left: int
    files_put_away: int
    not_judged_whole: int
    """Pictures whose row does not hold the whole file: it names another content, or none."""
    explanations_missing: int
    pending_at_kills: int
    """Explanations that some kill left unmade, and a later run made."""
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether exactly one row a file came out, and nothing was lost."""
        return (
            self.rows == self.files == self.files_put_away
            and len(self.killed_after_files) == self.kills
            and not (self.files_without_row or self.files_with_more_rows or self.files_left)
            and not (self.not_judged_whole or self.explanations_missing)
        )


def untrained_bundle(path: Path) -> Path:
    """A bundle with fresh random weights, made in `path`."""
    import torch

    from kizu_inspect import bundle as bundles
    from kizu_inspect.network.model import Architecture, build_classifier
    from kizu_inspect.picture.inputs import InputSettings

    torch.manual_seed(0)
    inputs = InputSettings(height_px=64, width_px=64)
    architecture = Architecture(width=8)
    spec = bundles.BundleSpec(
        name="untrained",
        classes=KINDS,
        good=KINDS[0],
        input=inputs,
        architecture=architecture,
        calibration=bundles.Calibration(),
        thresholds=bundles.Thresholds(),
        explanation={"grad-cam": bundles.ExplanationScales(scale=1.0, region_threshold=0.5)},
        provenance=bundles.Provenance(
            data_hash="", seed=0, threads=torch.get_num_threads(), device="cpu", steps=0, versions={}, figures={}
        ),
    )
    bundles.Bundle.save(path, spec, build_classifier(architecture, inputs, classes=len(KINDS), good=0))
    return path


def contents(files: int) -> dict[str, bytes]:
    """What each part's file is to hold: pictures, many of them alike, and now and then something else."""
    pictures = [encode_png(draw_part(KINDS[n % len(KINDS)], n, size_px=64).image) for n in range(DIFFERENT_PICTURES)]
    return {
        f"P{number:05d}": pictures[number % len(pictures)] if (number + 1) % NOT_A_PICTURE_EVERY != 0 else b"not a picture"
        for number in range(files)
    }


def write_slowly(folder: Path, parts: Mapping[str, bytes], *, seed: int) -> None:
    """Several writers at once; each file is only a while there and not whole, under its own name or under another."""
    draw = random.Random(seed)
    pauses = {part: draw.uniform(0.0, 0.3) for part in parts}

    def write(numbered: tuple[int, str]) -> None:
        number, part = numbered
        path, data = folder / f"{part}.png", parts[part]
        first = path if number % 2 else path.with_suffix(".png.part")
        with first.open("wb", buffering=0) as file:
            file.truncate(len(data))
            file.write(data[: len(data) // 2])
            time.sleep(pauses[part])
            file.write(data[len(data) // 2 :])
        first.rename(path)

    with ThreadPoolExecutor(max_workers=WRITERS) as pool:
        list(pool.map(write, enumerate(parts)))


def configure(work: Path, bundle: Path) -> Path:
    """The kizu.yaml of a line in `work` that explains every picture."""
    settings = {
        "database": {"url": _database(work).url},
        "images": {"path": str(work / "images")},
        "station": {
            "id": STATION,
            "source": {
                "kind": "folder",
                "path": str(work / "incoming"),
                "done": str(work / "done"),
                "quarantine": str(work / "quarantine"),
                "settle_s": 0.2,
            },
            "recipe": {"bundle": str(bundle), "allow_no_promise": True, "explanation": {"policy": "all"}},
        },
        "runtime": {"device": "cpu", "max_batch": 8},
    }
    path = work / "kizu.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return path


def kill_and_restart(
    work: Path, *, files: int, kills: int, seed: int, slowly: float = 0.0, once: bool = False, bundle: Path | None = None
) -> Outcome:
    """Fill `work`, kill the line `kills` times at random moments, let it end, and count."""
    draw = random.Random(seed)
    bundle = bundle or untrained_bundle(work / "bundle")
    config = configure(work, bundle)
    upgrade(_database(work))
    parts, incoming = contents(files), work / "incoming"
    incoming.mkdir(parents=True)
    at_once = round(files * (1 - slowly))
    for part in list(parts)[:at_once]:
        (incoming / f"{part}.png").write_bytes(parts[part])
    late = {part: parts[part] for part in list(parts)[at_once:]}
    writing = threading.Thread(target=write_slowly, args=(incoming, late), kwargs={"seed": seed})
    writing.start()
    started = time.monotonic()
    killed_after = []
    pending = 0
    for number in range(kills):
        # One moment in each stretch of the work: after so many files, and then anywhere within a batch's time.
        target = round((number + draw.random()) / kills * files * 0.9)
        target = max(target, _put_away(work) + 1)
        child = _start(config, once=once)
        while _put_away(work) < target and child.poll() is None:
            time.sleep(0.002)
        time.sleep(draw.uniform(0.0, 0.1))
        if child.poll() is None:
            child.kill()
            killed_after.append(_put_away(work))
        child.wait()
        pending += _pending(work, files)
    if once:
        writing.join()
    last = _start(config, once=once)
    if not once:
        writing.join()
        _end_when_done(work, last, files)
    if last.wait() != 0:
        raise SystemExit(f"the last run failed with exit code {last.returncode}; its log is {work / 'log.jsonl'}")
    seconds = time.monotonic() - started
    with Records.open(_database(work)) as records, records.unit(read_only=True) as unit:
        rows = unit.inspections.latest(limit=files * 2 + 10)
    by_part = Counter(row.part for row in rows)
    whole = {part: hashlib.sha256(data).hexdigest() for part, data in parts.items() if data.startswith(b"\x89PNG")}
    readable = [row for row in rows if row.image_sha256 is not None]
    return Outcome(
        files=files,
        kills=kills,
        killed_after_files=tuple(killed_after),
        rows=len(rows),
        files_without_row=sum(by_part[part] == 0 for part in parts),
        files_with_more_rows=sum(by_part[part] > 1 for part in parts),
        files_left=_waiting(work),
        files_put_away=_put_away(work),
        not_judged_whole=sum(row.image_sha256 != whole.get(row.part) for row in rows),
        explanations_missing=sum(row.explanation_state is not ExplanationState.DONE or not row.has_heatmap for row in readable),
        pending_at_kills=pending,
        seconds=round(seconds, 2),
    )


def _database(work: Path) -> DatabaseSettings:
    return DatabaseSettings(url=f"sqlite:///{work / 'kizu.db'}")


def _waiting(work: Path) -> int:
    return sum(1 for _ in (work / "incoming").glob("*.png"))


def _put_away(work: Path) -> int:
    return sum(1 for folder in ("done", "quarantine") for _ in (work / folder).glob("*.png"))


def _pending(work: Path, files: int) -> int:
    with Records.open(_database(work)) as records, records.unit(read_only=True) as unit:
        return len(unit.inspections.pending_explanations(STATION, files))


def _end_when_done(work: Path, line: subprocess.Popen[bytes], files: int) -> None:
    """Asks the watching line to end once no file waits and no explanation is pending."""
    while line.poll() is None and (_waiting(work) or _pending(work, files)):
        time.sleep(0.05)
    line.terminate()


def _start(config: Path, *, once: bool) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "from kizu.main import main; main()", "run", "--config", str(config)]
    command += ["--once"] * once
    with config.with_name("log.jsonl").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the check, print its figures; 0 when it passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--slowly", type=float, default=0.5, help="share of the files that are written while the line runs")
    parser.add_argument("--once", action="store_true", help="kill `kizu run --once` instead of a watching line")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bundle", type=Path, help="a trained bundle (default: an untrained one is made)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args(arguments)
    work = Path(tempfile.mkdtemp(prefix="kizu-kill-nine-"))
    outcome = kill_and_restart(
        work, files=given.files, kills=given.kills, seed=given.seed, slowly=given.slowly, once=given.once, bundle=given.bundle
    )
    figures = {**asdict(outcome), "passed": outcome.passed}
    print(json.dumps(figures, indent=2))
    if given.json is not None:
        given.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if outcome.passed:
        shutil.rmtree(work)
    else:
        print(f"FAILED; database, folders and log are kept in {work}", file=sys.stderr)
    return 0 if outcome.passed else 1


if __name__ == "__main__":
    sys.exit(main())
