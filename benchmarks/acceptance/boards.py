"""DeepPCB as `kizu train` and `kizu evaluate` take it: whole boards with their boxes, each beside its template.

    python benchmarks/acceptance/boards.py DEEPPCB OUT [--val 320] [--seed 0]
    kizu train OUT --profile reference --tile 128 --minutes 25 --promise 0.02 --out bundles/boards
    kizu evaluate bundles/boards OUT

DEEPPCB is the published folder (Tang et al., 2019, https://arxiv.org/abs/1902.06197). Writes OUT/manifest.csv, which names the
published files, with its own test split. Every board is defective; so each split also gets good pictures: templates, moved by 1
to 3 px with noise on their edges, beside the template itself, and beside a test board's tiles without any box (OUT/tiles).
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

COLUMNS = ("path", "label", "split", "group", "boxes", "mask", "reference")
TILE_PX = 160
TILES_A_BOARD = 2
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the manifest and the good pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("deeppcb", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--val", type=int, default=320, help="boards of trainval.txt for validation")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
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
