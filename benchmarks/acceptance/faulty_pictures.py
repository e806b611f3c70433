"""Does a faulty picture of a defective part pass? Faults of cameras over drawn plates, judged as on the line, gates included.

    python benchmarks/acceptance/faulty_pictures.py BUNDLE [--parts 100] [--good 2000] [--json FILE]

BUNDLE is a model of `kizu synth` plates of 160 px, such as the demo's. Each of the defective parts is judged once as it is and
once with each fault; then fresh good parts are counted that a gate stops. Ends with 1 where more than one of a fault's parts
passes, or more than 0.5 % of the good ones are stopped.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from kizu_inspect.inspector import Inspector
from kizu_inspect.recipe import Recipe
from kizu_inspect.results import ImageRGB, Verdict
from kizu_inspect.synth import KINDS, draw_part

Values = npt.NDArray[np.float64]
FIRST, FIRST_GOOD = 7_000_000, 8_000_000  # parts that no training set of `kizu synth` holds


def faults(random: np.random.Generator) -> dict[str, Callable[[Values], Values]]:
    """What happens to a picture (H, W, 3) in 0 to 255, by name; what leaves that range is clipped."""

    def truncated(picture: Values) -> Values:
        picture = picture.copy()
        picture[random.integers(1, len(picture)) :] = 0
        return picture

    def hand(picture: Values) -> Values:
        height, width = picture.shape[:2]
        covered, middle = picture.copy(), (int(random.integers(width)), height)
        cv2.ellipse(covered, middle, (width // 4, height // 2), random.uniform(-30, 30), 0, 360, (190, 140, 120), -1)
        return covered

    return {
        "gain 2": lambda picture: picture * 2,
        "gain 0.5": lambda picture: picture * 0.5,
        "gain 0.1": lambda picture: picture * 0.1,
        "gain 0.01": lambda picture: picture * 0.01,
        "offset +60": lambda picture: picture + 60,
        "offset -60": lambda picture: picture - 60,
        "10 bits in 16": lambda picture: picture / 64,
        "12 bits in 16": lambda picture: picture / 16,
        "truncated": truncated,
        "defocus 3 px": lambda picture: cv2.GaussianBlur(picture, (0, 0), 3).astype(float),
        "saturated": lambda picture: picture * 3,
        "turned by 180°": lambda picture: picture[::-1, ::-1],
        "blue for red": lambda picture: picture[:, :, ::-1],
        "noise 25": lambda picture: picture + random.normal(0, 25, picture.shape),
        "a hand": hand,
    }


def verdicts(inspector: Inspector, pictures: Sequence[ImageRGB]) -> list[Verdict]:
    """In the order of the pictures."""
    batches = (pictures[start : start + 16] for start in range(0, len(pictures), 16))
    return [one.verdict for batch in batches for one in inspector.judge(batch).judgements]


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a line a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--parts", type=int, default=100)
    parser.add_argument("--good", type=int, default=2000)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    inspector = Inspector.load(Recipe(bundle=given.bundle))
    defects = [kind for kind in KINDS if kind != "good"]
    parts = [draw_part(defects[n % len(defects)], FIRST + n).image for n in range(given.parts)]
    figures: dict[str, dict[str, int]] = {"as they are": dict(Counter(one.value for one in verdicts(inspector, parts)))}
    for name, fault in faults(np.random.default_rng(0)).items():
        faulty = [np.ascontiguousarray(np.clip(fault(part.astype(float)), 0, 255).astype(np.uint8)) for part in parts]
        figures[name] = dict(Counter(one.value for one in verdicts(inspector, faulty)))
    for name, counts in figures.items():
        print(f"{name:16} " + "  ".join(f"{verdict.value} {counts.get(verdict.value, 0):4d}" for verdict in Verdict))
    stopped = sum(inspector.fault_of(draw_part("good", FIRST_GOOD + n).image) is not None for n in range(given.good))
    print(f"good parts stopped by a gate: {stopped} of {given.good}")
    if given.json is not None:
        told = {"verdicts": figures, "good_stopped": stopped / given.good}
        given.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    passed = max(counts.get(Verdict.PASS.value, 0) for name, counts in figures.items() if name != "as they are")
    return int(passed > 1 or stopped > 0.005 * given.good)


if __name__ == "__main__":
    raise SystemExit(main())
