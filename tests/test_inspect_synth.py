"""The drawn parts: reproducible, truthful about their defects, and too hard for a threshold."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from kizu_inspect.errors import DataError
from kizu_inspect.results import ImageRGB
from kizu_inspect.synth import KINDS, draw_part, write_set

DEFECTS = KINDS[1:]


def tree(folder: Path) -> dict[str, str]:
    """Relative path to content hash, of every file."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def read(manifest: Path) -> list[dict[str, str]]:
    """The manifest's lines by column."""
    with manifest.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_draws_the_same_part(kind: str) -> None:
    first, second, other = draw_part(kind, 3), draw_part(kind, 3), draw_part(kind, 4)
    assert first.image.tobytes() == second.image.tobytes()
    assert np.array_equal(first.mask, second.mask)
    assert first.boxes == second.boxes
    assert first.image.tobytes() != other.image.tobytes()


@pytest.mark.parametrize("size_px", [96, 160, 224])
def test_shapes_and_types(size_px: int) -> None:
    part = draw_part("dent", 0, size_px=size_px)
    assert part.image.shape == (size_px, size_px, 3)
    assert part.image.dtype == np.uint8
    assert part.mask.shape == (size_px, size_px)
    assert part.mask.dtype == np.bool_


def test_a_good_part_has_no_mask_and_no_box() -> None:
    part = draw_part("good", 1)
    assert not part.mask.any()
    assert part.boxes == ()


@pytest.mark.parametrize("kind", DEFECTS)
def test_the_box_just_holds_the_mask_and_defects_have_their_size(kind: str) -> None:
    areas = []
    for seed in range(60):
        part = draw_part(kind, seed)
        ((x1, y1, x2, y2, label),) = part.boxes
        assert label == part.label == kind
        inside = np.zeros_like(part.mask)
        inside[y1:y2, x1:x2] = True
        assert not (part.mask & ~inside).any()
        within = part.mask[y1:y2, x1:x2]
        assert within.any(axis=1)[[0, -1]].all()
        assert within.any(axis=0)[[0, -1]].all()
        areas.append(int(part.mask.sum()))
    assert min(areas) >= 10
    assert max(areas) <= 0.06 * 160 * 160


@pytest.mark.parametrize("kind", DEFECTS)
def test_a_defect_changes_the_picture_where_its_mask_is_and_nowhere_else(kind: str) -> None:
    for seed in range(30):
        good, part = draw_part("good", seed), draw_part(kind, seed)
        changed = np.abs(good.image.astype(int) - part.image.astype(int)).max(axis=2)
        # A dent's shading and a stain's soft edge run out a few pixels beyond the mask.
        near = cv2.dilate(part.mask.astype(np.uint8), np.ones((19, 19), np.uint8)) > 0
        assert changed[~near].max() <= 1
        assert changed[part.mask].max() >= 10


def statistics(image: ImageRGB) -> dict[str, float]:
    """What somebody might try a threshold on."""
    grey = image.mean(axis=2, dtype=np.float32)
    edges = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    redness = image[..., 0].astype(int) - image[..., 2]
    middle = (slice(40, 120), slice(40, 120))
    median = float(np.median(image))
    first, last = np.percentile(grey, [1, 99])
    return {
        "mean": float(image.mean()),
        "deviation": float(image.std()),
        "minimum": float(grey.min()),
        "maximum": float(grey.max()),
        "first percentile": float(first),
        "median": median,
        "99th percentile": float(last),
        "dark share": float((grey < 0.5 * median).mean()),
        "bright share": float((grey > 1.2 * median).mean()),
        "edge energy": float(edges.mean()),
        "strongest edge": float(edges.max()),
        "fine detail": float(cv2.Laplacian(grey, cv2.CV_32F).std()),
        "middle deviation": float(image[middle].std()),
        "middle minimum": float(grey[middle].min()),
        "middle maximum": float(grey[middle].max()),
        "redness": float(redness.mean()),
        "deviation of redness": float(redness.std()),
    }


def best_balanced_accuracy(good: npt.NDArray[np.float64], defective: npt.NDArray[np.float64]) -> float:
    """The best that any threshold on one number reaches, in either direction, on these very parts."""
    edges = np.unique(np.concatenate((good, defective)))
    above_good = 1 - np.searchsorted(np.sort(good), edges) / good.size
    above_defective = 1 - np.searchsorted(np.sort(defective), edges) / defective.size
    return float(0.5 + np.abs(above_defective - above_good).max() / 2)


def test_no_single_statistic_tells_good_from_defective() -> None:
    good = [statistics(draw_part("good", seed).image) for seed in range(240)]
    defective = [statistics(draw_part(DEFECTS[seed % 4], 1000 + seed).image) for seed in range(240)]
    reached = {
        name: best_balanced_accuracy(*(np.array([part[name] for part in parts]) for parts in (good, defective)))
        for name in good[0]
    }
    assert max(reached.values()) < 0.75, reached


def test_a_written_set_is_complete_and_its_bytes_depend_on_the_arguments_alone(tmp_path: Path) -> None:
    seen: list[int] = []
    manifest = write_set(tmp_path / "a", count=40, seed=7, workers=1, progress=seen.append)
    write_set(tmp_path / "b", count=40, seed=7, workers=3)
    write_set(tmp_path / "c", count=40, seed=8, workers=3)
    assert seen == list(range(1, 41))
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    assert set(tree(tmp_path / "a").values()).isdisjoint(set(tree(tmp_path / "c").values()))

    rows = read(manifest)
    assert list(rows[0]) == ["path", "label", "split", "group", "boxes", "mask", "reference", "areas"]
    assert Counter(row["label"] for row in rows) == {"good": 20, "scratch": 5, "dent": 5, "stain": 5, "missing_hole": 5}
    assert Counter(row["split"] for row in rows if row["label"] == "good") == {"train": 14, "val": 3, "test": 3}
    assert len({row["group"] for row in rows}) == 40
    for row in rows:
        match = re.fullmatch(r"(?P<part>[^_]+)_(?P<view>.+)", Path(row["path"]).stem)
        assert match is not None
        assert match["part"] == row["group"]
        image = cv2.imread(str(manifest.parent / row["path"]))
        assert image is not None
        assert image.shape == (160, 160, 3)
        if row["label"] == "good":
            assert row["mask"] == row["boxes"] == ""
            continue
        mask = cv2.imread(str(manifest.parent / row["mask"]), cv2.IMREAD_UNCHANGED)
        assert mask is not None
        assert set(np.unique(mask)) == {0, 255}
        ((x1, y1, x2, y2, label),) = json.loads(row["boxes"])
        assert label == row["label"]
        ys, xs = np.nonzero(mask)
        assert (x1, y1, x2, y2) == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)


def test_one_split_and_a_later_part_number(tmp_path: Path) -> None:
    manifest = write_set(tmp_path, count=8, seed=1, share_good=0, splits={"test": 1.0}, first_part=501)
    rows = read(manifest)
    assert {row["split"] for row in rows} == {"test"}
    assert Counter(row["label"] for row in rows) == dict.fromkeys(DEFECTS, 2)
    assert [row["group"] for row in rows] == [f"P{n:06d}" for n in range(501, 509)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        pytest.param(lambda _: draw_part("rust", 0), r"Unknown kind of part: found 'rust'; expected one of good, ", id="kind"),
        pytest.param(lambda _: draw_part("good", -1), r"seed is negative: found -1", id="seed"),
        pytest.param(
            lambda _: draw_part("good", 0, size_px=20), r"too small .* found 20 px; expected at least 64 px", id="size"
        ),
        pytest.param(lambda out: write_set(out, count=0, seed=0), r"Number of parts to draw: found 0", id="count"),
        pytest.param(lambda out: write_set(out, count=1, seed=-1), r"Seed of a drawn set: found -1", id="set seed"),
        pytest.param(lambda out: write_set(out, count=1, seed=0, share_good=2), r"Share of good parts: found 2", id="share"),
        pytest.param(lambda out: write_set(out, count=1, seed=0, splits={}), r"Shares of the splits: found {}", id="splits"),
    ],
)
def test_mistakes_are_named(call: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        call(tmp_path)


def test_a_used_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"in use: found files in .*Name another folder"):
        write_set(tmp_path, count=1, seed=0)
    assert tree(tmp_path).keys() == {"notes.txt"}
