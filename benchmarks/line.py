"""The whole line against the bare forward pass of the same network on the same pictures, in one run.

    python benchmarks/line.py [--files 960] [--rounds 3] [--memory-files 10000] [--size 160] [--json FILE]

Drawn plates and the standard network with fresh weights: which verdict it gives plays no part here. `kizu run` is a process of
its own each time, as in a plant; the bare forward pass runs before and after it, so that what else the machine does falls on
both. `efficiency` is pictures a second of `kizu run --once` (read, decoded, gated, stored, judged, recorded, put away) over
those of the forward pass alone in batches of 16; `efficiency_explained` the same where every part is flagged, its map is made
and its region checked. Then the service watches its folder while pictures are put into it evenly, at half and at nine tenths
of what it did: `p99_half_load_over_batch` is the 99th percentile from a picture's appearance to its recorded verdict over the
time of one batch. `mb_per_1000` is by how much the resident memory of the service grows over a thousand pictures, after the
first quarter of `--memory-files`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in the service, and before torch is loaded

import numpy as np
import torch
import yaml

from kizu_inspect import bundle as bundles
from kizu_inspect.inspector import Inspector
from kizu_inspect.network.model import build_classifier
from kizu_inspect.picture.decoding import decode_image
from kizu_inspect.picture.images import encode_png
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.picture.views import stacked
from kizu_inspect.recipe import Recipe
from kizu_inspect.synth import KINDS, draw_part
from kizu_inspect.training.standard import standard_architecture

BATCH = 16
DIFFERENT = 60
ALL_PASS, ALL_REJECT = {"pass_below": 1.0, "reject_from": 1.0}, {"pass_below": 0.0, "reject_from": 0.0}


def untrained(path: Path, size_px: int) -> Path:
    """A bundle of the standard network."""
    torch.manual_seed(0)
    inputs = InputSettings(height_px=size_px, width_px=size_px)
    architecture = standard_architecture("local", "part", marked=True)
    spec = bundles.BundleSpec(
        name="untrained", classes=KINDS, good=KINDS[0], input=inputs, architecture=architecture,
        calibration=bundles.Calibration(), thresholds=bundles.Thresholds(),
        explanation={"grad-cam": bundles.ExplanationScales(scale=1.0, region_threshold=0.5)},
        provenance=bundles.Provenance(
            data_hash="", seed=0, threads=torch.get_num_threads(), device="cpu", steps=0, versions={}, figures={}
        ),
    )  # fmt: skip
    bundles.Bundle.save(path, spec, build_classifier(architecture, inputs, classes=len(KINDS), good=0))
    return path


def pictures(count: int, size_px: int) -> dict[str, bytes]:
    """PNG files of plates, no two alike."""
    drawn = [draw_part(KINDS[n % len(KINDS)], n, size_px=size_px).image for n in range(DIFFERENT)]
    made = {}
    for number in range(count):
        image = drawn[number % DIFFERENT].copy()
        image[0, :2] = np.frombuffer(number.to_bytes(6, "big"), np.uint8).reshape(2, 3)
        made[f"P{number:06d}.png"] = encode_png(image)
    return made


class Line:
    """A station in a folder of its own."""

    def __init__(self, folder: Path, bundle: Path, thresholds: Mapping[str, float]) -> None:
        self.incoming, self.log = folder / "incoming", folder / "log"
        self.incoming.mkdir(parents=True)
        self._config = folder / "kizu.yaml"
        recipe = {"bundle": str(bundle), "allow_no_promise": True, "audit_share": 0.0, **thresholds}
        source = {
            "kind": "folder",
            "path": str(self.incoming),
            "done": str(folder / "done"),
            "quarantine": str(folder / "quarantine"),
        }
        settings = {
            "database": {"url": f"sqlite:///{folder / 'kizu.db'}"},
            "images": {"path": str(folder / "images")},
            "station": {"id": "line", "source": source, "recipe": recipe},
            "runtime": {"device": "cpu", "max_batch": BATCH},
        }
        self._config.write_text(yaml.safe_dump(settings))

    def start(self, *options: str) -> subprocess.Popen[str]:
        """`kizu run`; its log goes to a file."""
        command = [sys.executable, "-c", "from kizu.main import main; main()", "run", "--config", str(self._config), *options]
        with self.log.open("w") as log:
            return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)

    def once(self) -> float:
        """Pictures a second of `kizu run --once`, its start not counted."""
        out, _ = (process := self.start("--once", "--json", "-")).communicate()
        if process.returncode != 0:
            raise SystemExit(f"kizu run failed: {self.log.read_text()[-2000:]}")
        return float(json.loads(out)["pictures_per_s"])

    def verdict_times(self) -> dict[str, float]:
        """By picture, when its verdict was on record (s since 1970)."""
        times = {}
        for line in self.log.read_text().splitlines():
            event = json.loads(line)
            if event["event"] == "inspected":
                times[event["image"]] = datetime.fromisoformat(event["timestamp"]).timestamp()
        return times

    def started(self) -> bool:
        """Whether the service takes pictures."""
        return '"started"' in self.log.read_text()


def forward_rate(inspector: Inspector, batches: Sequence[Any]) -> float:
    """Pictures a second of the forward pass alone."""
    inspector._network.explainable(*batches[0])
    begun = time.perf_counter()
    for batch in batches:
        inspector._network.explainable(*batch)
    return BATCH * len(batches) / (time.perf_counter() - begun)


def efficiency(
    bundle: Path, files: Mapping[str, bytes], thresholds: Mapping[str, float], rounds: int
) -> tuple[list[float], list[float]]:
    """Each round's rates: of the line, and of the forward pass around it."""
    inspector = Inspector.load(Recipe(bundle=bundle, allow_no_promise=True), device="cpu", max_batch=BATCH)
    images = [decode_image(data) for data in list(files.values())[: 30 * BATCH]]
    cpu = torch.device("cpu")
    batches = [stacked([(one, None) for one in images[at : at + BATCH]], cpu) for at in range(0, len(images), BATCH)]
    lines, bare = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            line = Line(Path(folder) / "line", bundle, thresholds)
            for name, data in files.items():
                (line.incoming / name).write_bytes(data)
            before = forward_rate(inspector, batches)
            lines.append(line.once())
            bare.append(statistics.mean([before, forward_rate(inspector, batches)]))
    return lines, bare


def latencies(bundle: Path, files: Mapping[str, bytes], rate: float) -> list[float]:
    """Seconds from a picture's appearance to its recorded verdict, pictures coming evenly at this rate."""
    with tempfile.TemporaryDirectory() as folder:
        line = Line(Path(folder) / "line", bundle, ALL_PASS)
        ready = Path(folder) / "ready"
        ready.mkdir()
        for name, data in files.items():
            (ready / name).write_bytes(data)
        process = line.start()
        while not line.started():
            time.sleep(0.05)
        came: dict[str, float] = {}
        begun = time.monotonic()
        for number, name in enumerate(files):
            time.sleep(max(0.0, begun + number / rate - time.monotonic()))
            (ready / name).rename(line.incoming / name)
            came[name] = time.time()
        until = time.monotonic() + 60
        while len(line.verdict_times()) < len(files) and time.monotonic() < until:
            time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        judged = line.verdict_times()
        return [judged[name] - came[name] for name in list(files)[BATCH:]]


def memory_slope(bundle: Path, files: Mapping[str, bytes], count: int) -> float:
    """MB by which the service's resident memory grows over a thousand pictures."""
    data = list(files.values())
    with tempfile.TemporaryDirectory() as folder:
        line = Line(Path(folder) / "line", bundle, ALL_PASS)
        process = line.start()
        writing = threading.Thread(target=_keep_filled, args=(line.incoming, data, count))
        writing.start()
        samples: list[tuple[int, float]] = []
        done = 0
        while done < count and process.poll() is None:
            time.sleep(0.5)
            done = line.log.read_text().count('"inspected"')
            pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
            samples.append((done, pages * os.sysconf("SC_PAGE_SIZE") / 1e6))
        writing.join()
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
    late = [(done // 1000, megabytes) for done, megabytes in samples if done > count / 4]
    thousands = sorted({thousand for thousand, _ in late})
    # What is in flight comes and goes, by some MB: the middle of each thousand counts.
    middles = [float(np.median([megabytes for thousand, megabytes in late if thousand == one])) for one in thousands]
    return float(np.polyfit(thousands, middles, 1)[0])


def _keep_filled(incoming: Path, data: Sequence[bytes], count: int) -> None:
    for number in range(count):
        if number % 200 == 0:
            while sum(1 for _ in incoming.iterdir()) > 400:
                time.sleep(0.05)
        part = incoming / f"Q{number:06d}.png.part"
        part.write_bytes(data[number % len(data)])
        part.rename(part.with_suffix(""))


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=960)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory-files", type=int, default=10_000, help="0: not measured")
    parser.add_argument("--size", type=int, default=160, help="side of the pictures and of the network's input, in px")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    figures: dict[str, Any] = {"cores": len(os.sched_getaffinity(0)), "torch_threads": torch.get_num_threads()}
    files = pictures(given.files, given.size)
    with tempfile.TemporaryDirectory() as folder:
        bundle = untrained(Path(folder) / "bundle", given.size)
        for name, thresholds in (("", ALL_PASS), ("_explained", ALL_REJECT)):
            lines, bare = efficiency(bundle, files, thresholds, given.rounds)
            figures[f"line{name}_per_s"] = statistics.median(lines)
            figures[f"forward{name}_per_s"] = statistics.median(bare)
            figures[f"efficiency{name}"] = statistics.median(one / other for one, other in zip(lines, bare, strict=True))
        batch_s = BATCH / figures["forward_per_s"]
        for name, load in (("half", 0.5), ("nine_tenths", 0.9)):
            taken = latencies(bundle, files, load * figures["line_per_s"])
            for percent in (50, 95, 99):
                figures[f"p{percent}_{name}_load_ms"] = float(np.percentile(taken, percent) * 1e3)
            figures[f"p99_{name}_load_over_batch"] = float(np.percentile(taken, 99) / batch_s)
        if given.memory_files:
            figures["mb_per_1000"] = memory_slope(bundle, files, given.memory_files)
    text = json.dumps({name: round(value, 3) for name, value in figures.items()}, indent=2)
    print(text)
    if given.json:
        given.json.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
