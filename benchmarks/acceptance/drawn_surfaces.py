"""Draws a hard set of surfaces without a good class: six textures, six kinds of defect of which pairs look alike.

    python benchmarks/acceptance/drawn_surfaces.py OUT [--count 1800] [--seed 5] [--size 200]

Writes OUT/images, OUT/masks and two manifests: `boxes.csv` (a box a defect, as a detector's set has them) and `labels.csv` (no
places), both with the same splits. Every defect lies on every texture, so that no texture tells a class; each picture has one
to three defects of its class at any place, under light that falls off to one side. Then, for example:

    kizu train OUT/boxes.csv --profile surface --out BUNDLE
    kizu evaluate BUNDLE OUT/masks.csv --explain all

`masks.csv` names the test pictures with their masks, which tell better than boxes where a map points.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from kizu_inspect.labelled.readers.manifest import write_rows

Field = npt.NDArray[np.float32]
Drawing = Callable[[np.random.Generator, int], tuple[Field, Field]]
"""(generator, side) -> what it adds to the grey values (S, S), and its strength (S, S) in [0, 1]."""
SPLITS = (*["train"] * 7, "val", "test", "test")
SHOWN = 0.3
"""A pixel is the defect's from this strength on."""


def _noise(rng: np.random.Generator, side: int, *, across: float, along: float, turn: float = 0.0) -> Field:
    """Noise of deviation 1, blurred by a Gaussian of `across` and `along` px that is turned by `turn`."""
    wide = int(side * 1.5)
    drawn = cv2.GaussianBlur(rng.normal(size=(wide, wide)).astype(np.float32), (0, 0), along, sigmaY=across)
    turned = cv2.warpAffine(drawn, cv2.getRotationMatrix2D((wide / 2, wide / 2), np.degrees(turn), 1), (wide, wide))
    start = (wide - side) // 2
    cut = turned[start : start + side, start : start + side]
    return np.asarray((cut - cut.mean()) / cut.std(), np.float32)


def _brushed(rng: np.random.Generator, side: int, turn: float) -> Field:
    return 9 * _noise(rng, side, across=0.7, along=14, turn=turn)


def _cast(rng: np.random.Generator, side: int, _turn: float) -> Field:
    return 8 * _noise(rng, side, across=1.6, along=1.6) + 3 * _noise(rng, side, across=0.6, along=0.6)


def _rolled(rng: np.random.Generator, side: int, turn: float) -> Field:
    return 7 * _noise(rng, side, across=3.5, along=60, turn=turn) + 5 * _noise(rng, side, across=0.7, along=3, turn=turn)


def _woven(rng: np.random.Generator, side: int, turn: float) -> Field:
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    u, v = np.cos(turn) * columns + np.sin(turn) * rows, -np.sin(turn) * columns + np.cos(turn) * rows
    period = rng.uniform(5, 9)
    weave = np.sin(2 * np.pi * u / period) * np.sin(2 * np.pi * v / period)
    return np.asarray(9 * weave + 4 * _noise(rng, side, across=0.8, along=0.8), np.float32)


def _speckled(rng: np.random.Generator, side: int, _turn: float) -> Field:
    grains = _noise(rng, side, across=1.0, along=1.0)
    return np.asarray(7 * np.sign(grains) * np.abs(grains) ** 1.5, np.float32)


def _cloudy(rng: np.random.Generator, side: int, _turn: float) -> Field:
    return 9 * _noise(rng, side, across=12, along=12) + 5 * _noise(rng, side, across=0.8, along=0.8)


TEXTURES = (_brushed, _cast, _rolled, _woven, _speckled, _cloudy)


def _line(rng: np.random.Generator, side: int, *, wander: float, pieces: int, width: tuple[float, float]) -> Field:
    """A line's strength (S, S): of `pieces` straight pieces that turn by about `wander` radians."""
    length = rng.uniform(0.18, 0.42) * side
    turn, point = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.8, 2) * side
    points = [point - length / 2 * np.array([np.cos(turn), np.sin(turn)])]
    for _ in range(pieces):
        turn += rng.normal(0, wander)
        points.append(points[-1] + length / pieces * np.array([np.cos(turn), np.sin(turn)]))
    drawn = np.zeros((side * 4, side * 4), np.uint8)
    fixed = np.rint(np.array(points) * 4).astype(np.int32)
    cv2.polylines(drawn, [fixed[:, None]], False, 255, max(2, round(float(rng.uniform(*width)) * 4)), cv2.LINE_AA)
    return np.asarray(cv2.resize(drawn, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32) / 255, np.float32)


def _blob(rng: np.random.Generator, side: int, *, radius: tuple[float, float], longer: float, edge: float) -> Field:
    """A spot's strength (S, S): an ellipse with an uneven border that fades over `edge` of its radius."""
    size, turn = rng.uniform(*radius), rng.uniform(0, np.pi)
    x, y = rng.uniform(0.15, 0.85, 2) * side
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    u = (np.cos(turn) * (columns - x) + np.sin(turn) * (rows - y)) / longer
    v = -np.sin(turn) * (columns - x) + np.cos(turn) * (rows - y)
    uneven = 0.2 * _noise(rng, side, across=size / 3, along=size / 3)
    distance = np.hypot(u, v) / size + uneven
    return np.asarray(np.clip((1 - distance) / edge + 0.5, 0, 1), np.float32)


def _scratch(rng: np.random.Generator, side: int) -> tuple[Field, Field]:
    strength = _line(rng, side, wander=0.04, pieces=6, width=(1.0, 2.2))
    return rng.uniform(26, 44) * strength, strength


def _crack(rng: np.random.Generator, side: int) -> tuple[Field, Field]:
    strength = _line(rng, side, wander=0.6, pieces=9, width=(1.0, 2.4))
    return rng.uniform(-46, -28) * strength, strength


def _stain(rng: np.random.Generator, side: int) -> tuple[Field, Field]:
    strength = _blob(rng, side, radius=(7, 15), longer=1.3, edge=0.8)
    return rng.uniform(-32, -20) * strength, strength


def _inclusion(rng: np.random.Generator, side: int) -> tuple[Field, Field]:
    strength = _blob(rng, side, radius=(3, 6), longer=rng.uniform(3, 5), edge=0.3)
    return rng.uniform(-40, -26) * strength, strength


def _pits(rng: np.random.Generator, side: int) -> tuple[Field, Field]:
    around = _blob(rng, side, radius=(9, 18), longer=1.2, edge=0.5)
    dots = np.zeros((side, side), np.float32)
    for y, x in np.argwhere(around > 0.6)[rng.permutation(int((around > 0.6).sum()))[: int(rng.integers(8, 20))]]:
        cv2.circle(dots, (int(x), int(y)), int(rng.integers(1, 3)), 1.0, -1)
    soft = cv2.GaussianBlur(dots, (0, 0), 0.7)
    region = cv2.morphologyEx((dots > 0).astype(np.float32), cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    return rng.uniform(-46, -30) * soft, region


def _dent(rng: np.random.Generator, side: int) -> tuple[Field, Field]:
    strength = _blob(rng, side, radius=(6, 13), longer=1.1, edge=0.6)
    turn = rng.uniform(0, 2 * np.pi)
    slope = np.gradient(cv2.GaussianBlur(strength, (0, 0), 1.5))
    shade = np.cos(turn) * slope[1] + np.sin(turn) * slope[0]
    return np.asarray(rng.uniform(260, 380) * shade, np.float32), strength


DEFECTS: dict[str, Drawing] = {
    "crack": _crack, "dent": _dent, "inclusion": _inclusion, "pits": _pits, "scratch": _scratch, "stain": _stain,
}  # fmt: skip


def draw_surface(label: str, texture: int, seed: int, side: int) -> tuple[npt.NDArray[np.uint8], list[npt.NDArray[np.bool_]]]:
    """A grey picture (S, S) and the mask of each of its defects."""
    rng = np.random.default_rng((seed, texture, list(DEFECTS).index(label)))
    rows, columns = np.mgrid[:side, :side].astype(np.float32) / side - 0.5
    turn = rng.uniform(0, 2 * np.pi)
    grey = rng.uniform(95, 160) + rng.uniform(0, 40) * (np.cos(turn) * columns + np.sin(turn) * rows)
    grey = grey + rng.uniform(0.8, 1.2) * TEXTURES[texture](rng, side, rng.uniform(0, np.pi))
    masks = []
    for _ in range(int(rng.choice([1, 2, 3], p=[0.7, 0.2, 0.1]))):
        added, strength = DEFECTS[label](rng, side)
        mask = strength > SHOWN
        if mask.sum() < 12:  # it came to lie beyond the border
            continue
        grey = grey + added
        masks.append(mask)
    if not masks:
        return draw_surface(label, texture, seed + 1_000_003, side)
    noisy = grey + rng.normal(0, 2, grey.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), masks


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=1800)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--size", type=int, default=200)
    given = parser.parse_args(arguments)
    for folder in ("images", "masks"):
        (given.out / folder).mkdir(parents=True, exist_ok=True)
    boxes_rows, labels_rows, masks_rows = [], [], []
    for number in range(given.count):
        label = list(DEFECTS)[number % len(DEFECTS)]
        round_number = number // len(DEFECTS)
        image, masks = draw_surface(label, round_number % len(TEXTURES), given.seed * 1_000_000 + number, given.size)
        name, split = f"S{number:05d}.png", SPLITS[(round_number // len(TEXTURES)) % len(SPLITS)]
        cv2.imwrite(str(given.out / "images" / name), image)
        cv2.imwrite(str(given.out / "masks" / name), np.any(masks, axis=0).astype(np.uint8) * 255)
        boxes = []
        for mask in masks:
            ys, xs = np.nonzero(mask)
            boxes.append([int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1, label])
        row = (f"images/{name}", label, split, name)
        boxes_rows.append((*row, json.dumps(boxes), "", ""))
        labels_rows.append((*row, "", "", ""))
        masks_rows.append((*row, json.dumps(boxes), f"masks/{name}", ""))
    for file, rows in (("boxes.csv", boxes_rows), ("labels.csv", labels_rows), ("masks.csv", masks_rows)):
        write_rows(given.out / file, rows)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
