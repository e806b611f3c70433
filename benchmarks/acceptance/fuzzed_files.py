"""Thousands of broken and hostile files among good ones for a real `kizu run`: it must live, judge the good, refuse the rest.

    python benchmarks/acceptance/fuzzed_files.py [--files 10000] [--good 1000] [--seed 0] [--memory-mb 1500] [--json FILE]

The files are drawn parts after one mutation each (`fuzzing.py`, `fuzzing_formats.py`): flipped bits, cuts at any byte, other
headers and endings, swapped blocks, bombs, huge sizes, loops of TIFF directories, JPEG markers, right check sums over wrong
headers, polyglots; a sixth has an odd name. They come a few hundred at a time. Exits 1 where the line died, where a file has no
row or two, where a good one is an ERROR or not judged whole, where a file that cannot be decoded does not lie in quarantine
beside its reason, where one has a verdict that its damage forbids, or where the process took more memory than allowed.

Damage that its format cannot tell, such as a flipped bit in a BMP, may have a verdict: `damaged_judged` counts those whose
pixels differ from the original's, `damaged_passed` those of them that passed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from fuzzing import FORMATS, encode, fuzz, name_for
from line_process import Line, Row, small_bundle, watching_memory

from kizu_inspect.errors import ImageError
from kizu_inspect.labelled.dataset import read_labelled
from kizu_inspect.labelled.picture_files import read_picture
from kizu_inspect.picture.decoding import decode_image
from kizu_pipeline.naming import printable

AT_ONCE = 400
STALLED_S = 120.0
MEGAPIXELS = 16.0
PICTURES = 40


@dataclass(frozen=True)
class Thrown:
    """A file that was put into the folder."""

    sha256: str
    kind: str
    judged: str
    """As in `Fuzzed`; "always" for a good picture."""
    original: bytes


@dataclass
class Outcome:
    """What was found after the last file."""

    files: int
    good: int
    rows: int = 0
    files_without_row: int = 0
    files_with_more_rows: int = 0
    rows_of_no_file: int = 0
    files_left: int = 0
    files_put_away: int = 0
    good_not_judged: int = 0
    good_not_whole: int = 0
    refused: int = 0
    """Fuzzed files that cannot be decoded: they have an ERROR row without a picture."""
    refused_without_file_or_reason: int = 0
    stopped_by_a_gate: int = 0
    """Fuzzed files that decode and are an ERROR."""
    judged: int = 0
    """Fuzzed files with another verdict."""
    damaged_judged: int = 0
    damaged_passed: int = 0
    wrongly_judged: int = 0
    """Those that must have no verdict, for what was done to them."""
    wrong: list[str] = field(default_factory=list)
    passed_by_kind: dict[str, int] = field(default_factory=dict)
    """Of `damaged_passed`."""
    memory_first_mb: float = 0.0
    """After the first tenth of the time."""
    memory_last_mb: float = 0.0
    memory_most_mb: float = 0.0
    memory_most_decoder_mb: float = 0.0
    """Of the process that decodes and took most."""
    longest_silence_s: float = 0.0
    """The longest time in which no file went, while some waited."""
    seconds: float = 0.0
    exit_code: int = 0

    def passed(self, memory_mb: float) -> bool:
        """Whether every promise held."""
        return (
            self.rows == self.files + self.good == self.files_put_away
            and self.memory_most_mb <= memory_mb
            and not (self.files_without_row or self.files_with_more_rows or self.rows_of_no_file or self.files_left)
            and not (self.good_not_judged or self.good_not_whole or self.refused_without_file_or_reason)
            and not (self.wrongly_judged or self.exit_code)
        )


def throw(line: Line, bundle_pictures: Sequence[np.ndarray], outcome: Outcome, *, seed: int) -> dict[str, Thrown]:
    """Every file, a few hundred at a time, as long as the line takes them; by the name that its row shows."""
    draw = random.Random(seed)
    staging = line.work / "staging"
    staging.mkdir()
    originals = {(n, wanted): encode(picture, wanted) for n, picture in enumerate(bundle_pictures) for wanted in FORMATS}
    order = [False] * outcome.files + [True] * outcome.good
    draw.shuffle(order)
    thrown: dict[str, Thrown] = {}
    moved, waiting = time.monotonic(), 0
    while True:
        left = len(line.waiting())
        if left < waiting:
            moved = time.monotonic()
        elif left:
            outcome.longest_silence_s = max(outcome.longest_silence_s, round(time.monotonic() - moved, 1))
        waiting = left
        if (not left and not order) or not line.alive or time.monotonic() - moved > STALLED_S:
            return thrown
        for is_good in order[: max(0, AT_ONCE - left)]:
            wanted = draw.choice(FORMATS)
            original = originals[draw.randrange(len(bundle_pictures)), wanted]
            suffix = "." + wanted.rpartition(".")[2]
            number = len(thrown)
            if is_good:
                data, kind, judged, name = original, "good", "always", f"G{number:06d}{suffix}".encode()
            else:
                fuzzed = fuzz(original, wanted, draw)
                data, kind, judged = fuzzed.data, fuzzed.kind, fuzzed.judged
                name = name_for(number, draw.choice([suffix, suffix, suffix, ".png", ".bin"]), draw)
            (staging / "file").write_bytes(data)
            os.rename(staging / "file", os.path.join(os.fsencode(line.incoming), name))
            thrown[printable(os.fsdecode(name))] = Thrown(hashlib.sha256(data).hexdigest(), kind, judged, original)
            moved = time.monotonic()
        del order[: max(0, AT_ONCE - left)]
        waiting = len(line.waiting())
        time.sleep(0.2)


def hold_against(line: Line, thrown: dict[str, Thrown], outcome: Outcome) -> None:
    """Count what became of each file."""
    rows = line.rows()
    counted = Counter(row.name for row in rows)
    outcome.rows = len(rows)
    outcome.files_without_row = sum(name not in counted for name in thrown)
    outcome.files_with_more_rows = sum(count > 1 for count in counted.values())
    outcome.rows_of_no_file = sum(name not in thrown for name in counted)
    outcome.files_left, outcome.files_put_away = len(line.waiting()), line.put_away()
    notes = quarantined(line)
    passed: Counter[str] = Counter()
    for row in rows:
        if (file := thrown.get(row.name)) is None:
            continue
        if file.kind == "good":
            outcome.good_not_judged += row.verdict == "ERROR"
            outcome.good_not_whole += row.sha256 != file.sha256
            if row.verdict == "ERROR":
                outcome.wrong.append(f"{row.name}: {row.reason}")
        elif row.verdict == "ERROR" and row.sha256 is None:
            outcome.refused += 1
            outcome.refused_without_file_or_reason += not row.reason or notes.get(row.uid) != (row.reason, file.sha256)
        elif row.verdict == "ERROR":
            outcome.stopped_by_a_gate += 1
        else:
            outcome.judged += 1
            damaged = differs(line, row, file)
            outcome.damaged_judged += damaged
            if damaged and row.verdict == "PASS":
                passed[file.kind] += 1
            if file.judged == "never" or (file.judged == "same" and damaged) or row.sha256 != file.sha256:
                outcome.wrongly_judged += 1
                outcome.wrong.append(f"{row.name}: {file.kind} has the verdict {row.verdict}")
    outcome.damaged_passed, outcome.passed_by_kind = passed.total(), dict(passed.most_common())
    del outcome.wrong[20:]


def quarantined(line: Line) -> dict[str, tuple[str, str]]:
    """By inspection the reason that its note gives, and the SHA-256 of the file beside the note."""
    found = {}
    for note in line.quarantine.glob("*.json"):
        if (file := note.with_name(note.name.removesuffix(".json"))).is_file():
            told = json.loads(note.read_text(encoding="utf-8"))
            found[told["inspection"]] = (told["error"], hashlib.sha256(file.read_bytes()).hexdigest())
    return found


def differs(line: Line, row: Row, file: Thrown) -> bool:
    """Whether the pixels that were judged are others than the original's."""
    assert row.sha256 is not None
    (stored,) = (line.work / "images" / row.sha256[:2] / row.sha256[2:4]).glob(f"{row.sha256}*")
    try:
        return not np.array_equal(decode_image(stored.read_bytes(), max_megapixels=MEGAPIXELS), decode_image(file.original))
    except ImageError:
        return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the check, print its figures; 0 when it passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000, help="fuzzed files")
    parser.add_argument("--good", type=int, default=1_000, help="good files among them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--memory-mb", type=float, default=1500.0, help="the most resident memory that the process may take")
    parser.add_argument("--trained", type=Path, help="folder with parts/ and bundle/ of an earlier run (default: trained anew)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args(arguments)
    work = Path(tempfile.mkdtemp(prefix="kizu-fuzzed-"))
    trained = given.trained or work / "trained"
    bundle = trained / "bundle" if given.trained else small_bundle(trained)
    samples = [one for one in read_labelled(trained / "parts" / "manifest.csv").samples if one.label == "good"]
    pictures = [read_picture(one.path) for one in samples[:PICTURES]]
    line = Line(work / "line", bundle, recipe={"max_megapixels": MEGAPIXELS})
    outcome = Outcome(files=given.files, good=given.good)
    line.start()
    assert line.process is not None
    started = time.monotonic()
    with watching_memory(line.process.pid) as memory:
        thrown = throw(line, pictures, outcome, seed=given.seed)
        outcome.seconds = round(time.monotonic() - started, 1)
        outcome.exit_code = line.stop()
    if memory.samples:
        outcome.memory_first_mb = round(memory.samples[len(memory.samples) // 10])
        outcome.memory_last_mb, outcome.memory_most_mb = round(memory.samples[-1]), round(memory.highest)
        outcome.memory_most_decoder_mb = round(memory.highest_of_children)
    hold_against(line, thrown, outcome)
    passed = outcome.passed(given.memory_mb)
    figures = {**asdict(outcome), "passed": passed}
    print(json.dumps(figures, indent=2, ensure_ascii=False))
    if given.json is not None:
        given.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if passed:
        shutil.rmtree(work)
    else:
        print(f"FAILED; database, folders and log are kept in {work / 'line'}", file=sys.stderr)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
