"""A labelled set of drawn parts on disk: pictures, masks and the manifest that training and evaluation read."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from kizu_inspect.errors import DataError
from kizu_inspect.labelled.readers.manifest import write_rows
from kizu_inspect.synth.parts import KINDS, draw_part

__all__ = ["DEFAULT_SPLITS", "write_set"]

DEFAULT_SPLITS: Mapping[str, float] = {"train": 0.7, "val": 0.15, "test": 0.15}
"""The share of each split, unless told otherwise."""


@dataclass(frozen=True)
class _Job:
    """One line of the manifest still to be drawn."""

    part: str
    kind: str
    split: str
    seed: int


def write_set(
    out: Path,
    *,
    count: int,
    seed: int,
    size_px: int = 160,
    share_good: float = 0.5,
    splits: Mapping[str, float] | None = None,
    first_part: int = 1,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Draws a labelled set into the folder `out` and returns its manifest, `out/manifest.csv`.

    Writes `images/P000001_top.png`, … (numbered from `first_part`) and, for defects, `masks/` with the same names (255 where
    the defect is). The defects are shared out evenly over the four kinds, every kind evenly over `splits` (name: share; by
    default 70 % train, 15 % val, 15 % test; one entry such as {"test": 1} makes a single split). The files' bytes depend on
    the arguments alone, not on `workers` (threads; default: one a core). `progress` is told how many parts are written.

    Raises DataError where `out` holds files already, or where a number is out of its range.
    """
    shares = dict(DEFAULT_SPLITS if splits is None else splits)
    _check_set(out, count, seed, share_good, shares)
    for folder in (out / "images", out / "masks"):
        folder.mkdir(parents=True, exist_ok=True)
    jobs = _plan(count, seed, share_good, shares, first_part)
    rows: list[tuple[str, ...]] = []

    def draw(job: _Job) -> tuple[str, ...]:
        return _write_part(out, job, size_px)

    with ThreadPoolExecutor(max_workers=workers or os.cpu_count() or 1) as pool:
        for row in pool.map(draw, jobs):
            rows.append(row)
            if progress is not None:
                progress(len(rows))
    manifest = out / "manifest.csv"
    write_rows(manifest, rows)
    return manifest


def _check_set(out: Path, count: int, seed: int, share_good: float, shares: Mapping[str, float]) -> None:
    """Raises DataError for what cannot be drawn."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(
            "The folder for the drawn parts is in use", found=f"files in {out}", expected="a new or empty folder",
            next_step="Name another folder or empty this one.",
        )  # fmt: skip
    if count < 1:
        raise DataError("Number of parts to draw", found=count, expected="1 or more")
    if seed < 0:
        raise DataError("Seed of a drawn set", found=seed, expected="0 or more")
    if not 0 <= share_good <= 1:
        raise DataError("Share of good parts", found=share_good, expected="0 to 1")
    if not shares or min(shares.values()) < 0 or sum(shares.values()) <= 0:
        raise DataError("Shares of the splits", found=shares, expected="at least one above 0 and none below 0")


def _plan(count: int, seed: int, share_good: float, shares: Mapping[str, float], first_part: int) -> list[_Job]:
    """Which part is of which kind and split, in shuffled order."""
    good = round(count * share_good)
    kinds = [KINDS[0]] * good + [KINDS[1 + i % (len(KINDS) - 1)] for i in range(count - good)]
    chosen: list[tuple[str, str]] = []
    for kind in KINDS:
        chosen += [(kind, split) for split in _deal(kinds.count(kind), shares)]
    order = np.random.default_rng(seed).permutation(count)
    # The number of the part and the set's seed make the part's seed: two sets share no part.
    return [
        _Job(part=f"P{first_part + place:06d}", kind=chosen[i][0], split=chosen[i][1], seed=(seed << 32) + first_part + place)
        for place, i in enumerate(order)
    ]


def _deal(number: int, shares: Mapping[str, float]) -> Iterator[str]:
    """`number` split names in the given shares, each count within one of its exact share."""
    total = sum(shares.values())
    passed, edge = 0, 0.0
    for split, share in shares.items():
        edge += share / total * number
        for _ in range(round(edge) - passed):
            yield split
        passed = round(edge)


def _write_part(out: Path, job: _Job, size_px: int) -> tuple[str, ...]:
    """Draws one part, writes its files, and returns its line of the manifest."""
    drawn = draw_part(job.kind, job.seed, size_px=size_px)
    name = f"{job.part}_top.png"
    _write_png(out / "images" / name, drawn.image[:, :, ::-1])
    mask = ""
    if drawn.boxes:
        mask = f"masks/{name}"
        _write_png(out / mask, drawn.mask.astype(np.uint8) * np.uint8(255))
    boxes = json.dumps([list(box) for box in drawn.boxes]) if drawn.boxes else ""
    return (f"images/{name}", drawn.label, job.split, job.part, boxes, mask, "")


def _write_png(path: Path, pixels: npt.NDArray[np.uint8]) -> None:
    # Noise hardly compresses: the lowest level is four times as fast and the file a few per cent larger.
    path.write_bytes(cv2.imencode(".png", pixels, (cv2.IMWRITE_PNG_COMPRESSION, 1))[1].tobytes())
