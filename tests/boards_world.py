"""Small boards with traces, each beside its design: what tiles and references are tested on."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

HEIGHT, WIDTH = 160, 192
DEFECT_PX = 12
Grey = npt.NDArray[np.uint8]
Box = tuple[int, int, int, int, str]


def design(seed: int) -> Grey:
    """A board without a defect (160, 192): dark traces on a light ground."""
    rng = np.random.default_rng(seed)
    board = np.full((HEIGHT, WIDTH), 200, np.uint8)
    for x in range(12, WIDTH - 12, 28):
        shift = int(rng.integers(-4, 5))
        board[:, x + shift : x + shift + 8] = 50
    for y in rng.integers(10, HEIGHT - 10, 3):
        board[y : y + 6, : int(rng.integers(60, WIDTH))] = 50
    return board


def spoil(board: Grey, defects: list[str], seed: int, *, places: list[tuple[int, int]] | None = None) -> tuple[Grey, list[Box]]:
    """The board with defects at random places: `copper`, a dark spot on the ground, or `hole`, a light one on a trace."""
    rng = np.random.default_rng(1000 + seed)
    spoiled, boxes = board.copy(), []
    for number, name in enumerate(defects):
        ground = 200 if name == "copper" else 50
        while True:
            x, y = (int(rng.integers(4, side - DEFECT_PX - 4)) for side in (WIDTH, HEIGHT))
            if places is not None:
                x, y = places[number]
                break
            # A spot must show: most of what it covers is of the other colour.
            patch = board[y : y + DEFECT_PX, x : x + DEFECT_PX]
            if (patch == ground).mean() > 0.5 and all(abs(x - box[0]) + abs(y - box[1]) > 40 for box in boxes):
                break
        spoiled[y : y + DEFECT_PX, x : x + DEFECT_PX] = 250 - ground
        boxes.append((x, y, x + DEFECT_PX, y + DEFECT_PX, name))
    return spoiled, boxes


def photo(board: Grey, seed: int, *, shift: tuple[int, int] = (0, 0)) -> npt.NDArray[np.uint8]:
    """What a camera makes of it (160, 192, 3): moved by `shift` (x, y), darker, with noise."""
    rng = np.random.default_rng(2000 + seed)
    moved = cv2.warpAffine(
        board, np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float64), (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE
    )
    noisy = moved * 0.9 + rng.normal(0, 3, moved.shape)
    return np.repeat(np.clip(noisy, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def write_boards(out: Path, *, count: int, good: int) -> Path:
    """A manifest of `count` defective boards, two defects each, and `good` others, with their designs as references."""
    (out / "boards").mkdir(parents=True)
    with (out / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "split", "group", "boxes", "mask", "reference"))
        for number in range(count + good):
            board, boxes = design(number), []
            kinds = [["copper", "hole"], ["copper", "copper"], ["hole", "hole"]][number % 3] if number < count else []
            spoiled, boxes = spoil(board, kinds, number)
            cv2.imwrite(str(out / "boards" / f"{number}_test.png"), photo(spoiled, number, shift=(number % 3 - 1, 0)))
            cv2.imwrite(str(out / "boards" / f"{number}_temp.png"), board)
            moved = [(x1 + number % 3 - 1, y1, x2 + number % 3 - 1, y2, name) for x1, y1, x2, y2, name in boxes]
            split = ("train", "train", "train", "val", "test")[number % 5]
            writer.writerow(
                (f"boards/{number}_test.png", "|".join(sorted(set(kinds))) or "good", split, str(number), json.dumps(moved), "",
                 f"boards/{number}_temp.png")
            )  # fmt: skip
    return out / "manifest.csv"
