"""DeepPCB as `kizu train` takes it, whole boards beside their templates, and what a model trained on it is worth.

    python benchmarks/acceptance/boards.py write DEEPPCB OUT [--val 320] [--seed 0]
    kizu train OUT --profile reference --tile 128 --settings benchmarks/acceptance/boards.yaml --steps 3000 --promise 0.02 \\
        --out bundles/boards
    python benchmarks/acceptance/boards.py measure bundles/boards OUT [--method cam] [--json FILE]

DEEPPCB is the published folder (Tang et al., 2019, https://arxiv.org/abs/1902.06197). `write` makes OUT/manifest.csv, which
names the published files, with its own test split. Every board is defective; so each split also gets good pictures: templates,
moved by 1 to 3 px with noise on their edges, beside the template itself (OUT/good), and, for the test, tiles of test boards
without any box (OUT/tiles). `measure` tells the figures of the test boards, of the templates and of the tiles apart.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from board_crops import boxes_of, touched

from kizu_inspect.bundle import Bundle
from kizu_inspect.evaluation.detection import Detected, compare, detection_figures
from kizu_inspect.evaluation.figures import wilson
from kizu_inspect.inspector import Inspector
from kizu_inspect.labelled.dataset import read_labelled
from kizu_inspect.labelled.picture_files import read_picture
from kizu_inspect.network.devices import pick_device
from kizu_inspect.recipe import UNGATED, ExplanationSettings, Recipe
from kizu_inspect.results import Verdict

COLUMNS = ("path", "label", "split", "group", "boxes", "mask", "reference")
TILE_PX = 160
TILES_A_BOARD = 2
BOARDS_AT_ONCE = 8
FLIPPED = 0.1
"""Share of the pixels beside an edge that the noise turns over."""
Grey = npt.NDArray[np.uint8]


def pairs_of(folder: Path, name: str) -> list[tuple[Path, Path, Path]]:
    """The boards of one of the published lists: (picture, template, labels)."""
    lines = [line.split() for line in (folder / name).read_text(encoding="utf-8").splitlines() if line.strip()]
    return [
        (folder / image.replace(".jpg", "_test.jpg"), folder / image.replace(".jpg", "_temp.jpg"), folder / labels)
        for image, labels in lines
    ]


def taken_again(template: Grey, rng: np.random.Generator) -> Grey:
    """The template (H, W) as another picture of it might look: moved by 1 to 3 px, with noise on its edges."""
    x, y = (int(rng.integers(1, 4)) * int(rng.choice([-1, 1])) for _ in range(2))
    moved = cv2.warpAffine(
        template, np.array([[1, 0, x], [0, 1, y]], np.float64), template.shape[::-1], borderMode=cv2.BORDER_REPLICATE
    )
    kernel = np.ones((3, 3), np.uint8)
    edges = (cv2.dilate(moved, kernel) > 127) != (cv2.erode(moved, kernel) > 127)
    turned = edges & (rng.random(moved.shape) < FLIPPED)
    return np.where(turned, 255 - moved, moved).astype(np.uint8)


def write(options: argparse.Namespace) -> None:
    """The manifest and the good pictures."""
    rng = np.random.default_rng(options.seed)
    trainval, test = (pairs_of(options.deeppcb, name) for name in ("trainval.txt", "test.txt"))
    order = rng.permutation(len(trainval))
    validating = set(order[: options.val].tolist())
    splits = ["val" if number in validating else "train" for number in range(len(trainval))] + ["test"] * len(test)
    (options.out / "good").mkdir(parents=True)
    (options.out / "tiles").mkdir()
    counts: dict[str, int] = {}
    with (options.out / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for split, (image, template, labels) in zip(splits, [*trainval, *test], strict=True):
            for row in rows_of(options.out, split, image, template, boxes_of(labels), rng):
                writer.writerow(row)
                counts[split] = counts.get(split, 0) + 1
    print(f"{counts} pictures in {options.out}")


def measure(options: argparse.Namespace) -> None:
    """The figures of boards, templates and tiles of the test split."""
    bundle = Bundle.load(options.bundle)
    explanation = ExplanationSettings(method=options.method)
    recipe = Recipe(bundle=options.bundle, explanation=explanation, gates=UNGATED)  # tiles are no whole boards
    inspector = Inspector(bundle, recipe, device=pick_device("auto"), max_batch=32)
    samples = read_labelled(options.out, good="good").split("test")
    found: list[Detected] = []
    verdicts: dict[str, list[Verdict]] = {"boards": [], "templates": [], "tiles": []}
    for start in range(0, len(samples), BOARDS_AT_ONCE):
        some = samples[start : start + BOARDS_AT_ONCE]
        references = [None if sample.reference is None else read_picture(sample.reference) for sample in some]
        batch = inspector.judge([read_picture(sample.path) for sample in some], references=references)
        for sample, judgement in zip(some, batch.judgements, strict=True):
            kind = "boards" if sample.boxes else "tiles" if sample.path.parent.name == "tiles" else "templates"
            verdicts[kind].append(judgement.verdict)
        boards = [index for index, sample in enumerate(some) if sample.boxes]
        explained = inspector.explain(batch, boards, checked=False)
        found += [compare(one.regions, some[index].boxes) for index, one in zip(boards, explained, strict=True)]
    figures = detection_figures(found)
    for kind, seen in verdicts.items():
        for verdict in (Verdict.PASS, Verdict.REVIEW, Verdict.REJECT, Verdict.ERROR):
            figures[f"{kind}_{verdict.value.lower()}"] = wilson(seen.count(verdict), len(seen))
    for name, figure in figures.items():
        print(f"{name:20} {figure}")
    if options.json is not None:
        options.json.write_text(json.dumps({name: figure.as_json() for name, figure in figures.items()}, indent=2))


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the set, or measures a bundle on it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    writing = commands.add_parser("write")
    writing.add_argument("deeppcb", type=Path)
    writing.add_argument("out", type=Path)
    writing.add_argument("--val", type=int, default=320, help="boards of trainval.txt for validation")
    writing.add_argument("--seed", type=int, default=0)
    writing.set_defaults(run=write)
    measuring = commands.add_parser("measure")
    measuring.add_argument("bundle", type=Path)
    measuring.add_argument("out", type=Path)
    measuring.add_argument("--method", default="cam")
    measuring.add_argument("--json", type=Path)
    measuring.set_defaults(run=measure)
    options = parser.parse_args(arguments)
    options.run(options)
    return 0


def rows_of(
    out: Path, split: str, image: Path, template: Path, boxes: list[tuple[int, int, int, int, str]], rng: np.random.Generator
) -> Iterator[tuple[str, ...]]:
    """The manifest's lines of one board: itself, its template taken again, and of a test board tiles without a box."""
    name, group = image.name.removesuffix("_test.jpg"), image.name.removesuffix("_test.jpg")
    reference = os.path.relpath(template, out)
    label = "|".join(sorted({box[4] for box in boxes})) or "good"
    yield os.path.relpath(image, out), label, split, group, json.dumps(boxes), "", reference
    pixels = cv2.imread(str(template), cv2.IMREAD_GRAYSCALE)
    assert pixels is not None
    cv2.imwrite(str(out / "good" / f"{name}.png"), taken_again(pixels, rng))
    yield f"good/{name}.png", "good", split, group, "", "", reference
    if split != "test":
        return
    board = cv2.imread(str(image), cv2.IMREAD_GRAYSCALE)
    assert board is not None
    kept = 0
    for _ in range(60):
        x, y = (int(rng.integers(side - TILE_PX + 1)) for side in board.shape[::-1])
        if kept < TILES_A_BOARD and not touched(boxes, x, y, TILE_PX):
            inside = slice(y, y + TILE_PX), slice(x, x + TILE_PX)
            cv2.imwrite(str(out / "tiles" / f"{name}_{kept}.png"), board[inside])
            cv2.imwrite(str(out / "tiles" / f"{name}_{kept}_reference.png"), pixels[inside])
            yield f"tiles/{name}_{kept}.png", "good", split, group, "", "", f"tiles/{name}_{kept}_reference.png"
            kept += 1


if __name__ == "__main__":
    raise SystemExit(main())
