"""Cuts DeepPCB's boards into pictures of one defect or none, as `kizu train` and `kizu evaluate --explain all` take them.

    python benchmarks/acceptance/board_crops.py DEEPPCB OUT [--size 128] [--boards 500] [--test-boards 200] [--references]

DEEPPCB is the published folder (Tang et al., 2019, https://arxiv.org/abs/1902.06197) with trainval.txt and test.txt. A crop of
a defect lies at random around it and holds no part of another defect; the crops without a defect are drawn from anywhere
between them. Writes OUT/manifest.csv; boards of test.txt are the test split, every eighth of the others the validation split.
With `--references` each crop names what the board's template shows there, for `kizu train --profile reference`.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

TYPES = ("", "open", "short", "mousebite", "spur", "copper", "pin_hole")
GOOD_SHARE = 0.4
TRIES = 30
Box = tuple[int, int, int, int, str]
Picture = npt.NDArray[np.uint8]


def board_list(folder: Path, name: str, count: int, rng: np.random.Generator) -> list[tuple[Path, Path]]:
    """`count` of the boards of this list, as (picture, labels)."""
    lines = (folder / name).read_text(encoding="utf-8").split("\n")
    pairs = [line.split() for line in lines if line.strip()]
    chosen = rng.permutation(len(pairs))[:count]
    return [(folder / pairs[i][0].replace(".jpg", "_test.jpg"), folder / pairs[i][1]) for i in sorted(chosen)]


def boxes_of(labels: Path) -> list[Box]:
    """The board's defects."""
    rows = (line.split() for line in labels.read_text(encoding="utf-8").splitlines() if line.strip())
    return [(int(x1), int(y1), int(x2), int(y2), TYPES[int(kind)]) for x1, y1, x2, y2, kind in rows]


def touched(boxes: Sequence[Box], x: int, y: int, size: int) -> list[Box]:
    """The defects of which some part lies in the crop."""
    return [box for box in boxes if box[0] < x + size and box[2] > x and box[1] < y + size and box[3] > y]


def crops(
    board: Picture, boxes: Sequence[Box], size: int, rng: np.random.Generator
) -> Iterator[tuple[tuple[int, int], str, list[Box]]]:
    """Where crops of `size` × `size` px begin (x, y), with their class and boxes."""
    height, width = board.shape[:2]
    wanted = 0.0
    for box in boxes:
        wanted += GOOD_SHARE / (1 - GOOD_SHARE)
        for _ in range(TRIES):
            x = int(rng.integers(max(0, box[2] - size), min(box[0], width - size) + 1)) if box[2] - box[0] < size else -1
            y = int(rng.integers(max(0, box[3] - size), min(box[1], height - size) + 1)) if box[3] - box[1] < size else -1
            if x < 0 or y < 0:
                break
            if touched(boxes, x, y, size) == [box]:
                inside = (box[0] - x, box[1] - y, box[2] - x, box[3] - y, box[4])
                yield (x, y), box[4], [inside]
                break
    for _ in range(round(wanted)):
        for _ in range(TRIES):
            x, y = int(rng.integers(width - size + 1)), int(rng.integers(height - size + 1))
            if not touched(boxes, x, y, size):
                yield (x, y), "good", []
                break


def read(path: Path) -> Picture:
    """The picture (H, W, 3)."""
    picture = cv2.imread(str(path))
    if picture is None:
        raise SystemExit(f"cannot read {path}")
    return np.asarray(picture, np.uint8)


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the pictures and the manifest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("deeppcb", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", type=int, default=128, help="side of a crop in px")
    parser.add_argument("--boards", type=int, default=500, help="boards for training and validation")
    parser.add_argument("--test-boards", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--references", action="store_true", help="also cut the templates")
    given = parser.parse_args(arguments)
    rng = np.random.default_rng(given.seed)
    (given.out / "images").mkdir(parents=True, exist_ok=True)
    boards = [(*pair, "val" if n % 8 == 7 else "train") for n, pair in enumerate(
        board_list(given.deeppcb, "trainval.txt", given.boards, rng))]  # fmt: skip
    boards += [(*pair, "test") for pair in board_list(given.deeppcb, "test.txt", given.test_boards, rng)]
    count = 0
    with (given.out / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split", "group", "boxes", "mask", "reference"])
        for picture, labels, split in boards:
            board = read(picture)
            template = read(picture.with_name(picture.name.replace("_test", "_temp"))) if given.references else None
            for (x, y), label, boxes in crops(board, boxes_of(labels), given.size, rng):
                name, reference = f"images/{count:06d}.png", ""
                inside = slice(y, y + given.size), slice(x, x + given.size)
                cv2.imwrite(str(given.out / name), board[inside])
                if template is not None:
                    reference = f"images/{count:06d}_reference.png"
                    cv2.imwrite(str(given.out / reference), template[inside])
                writer.writerow([name, label, split, picture.stem, json.dumps(boxes) if boxes else "", "", reference])
                count += 1
    print(f"{count} pictures of {len(boards)} boards in {given.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
