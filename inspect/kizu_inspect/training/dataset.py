"""Labelled pictures: class folders, or a manifest CSV `path,label,split,group,boxes,mask,reference`."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from kizu_inspect.errors import DataError

if TYPE_CHECKING:
    from kizu_inspect.bundle import BundleSpec  # torch is heavy, and a list of pictures needs none

__all__ = ["Box", "LabelledSet", "Sample", "read_as_trained", "read_labelled", "truth_of"]

Box = tuple[int, int, int, int, str]
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
SPLITS = ("train", "val", "test")
GOOD_NAMES = ("good", "ok", "normal", "pass", "free")


@dataclass(frozen=True)
class Sample:
    """One labelled picture."""

    path: Path
    label: str
    split: str
    """train, val or test."""
    group: str
    """What must stay on one side of a split: part, lot, exposure series."""
    boxes: tuple[Box, ...] = ()
    """(x1, y1, x2, y2, class) in pixels of the picture; right and lower edge exclusive."""
    mask: Path | None = None
    reference: Path | None = None
    """A picture of the same part, or of its design, without a defect."""
    others: tuple[str, ...] = ()
    """Further labels of a picture with defects of several classes."""

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, the first of which is `label`."""
        return (self.label, *self.others)


@dataclass(frozen=True)
class LabelledSet:
    """A set of labelled pictures, each in a split."""

    classes: tuple[str, ...]
    good: str | None
    samples: tuple[Sample, ...]
    data_hash: str
    """SHA-256 over names, labels, splits, boxes, and the contents of pictures and references."""
    split_seed: int | None = None
    """The seed by which pictures were shared out; None where every picture had a split of its own."""
    group_pattern: str | None = None

    def split(self, name: str) -> tuple[Sample, ...]:
        """The samples of one split."""
        return tuple(sample for sample in self.samples if sample.split == name)


def read_labelled(
    path: Path,
    *,
    good: str | None = None,
    group_pattern: str | None = None,
    seed: int = 0,
    shares: tuple[float, float, float] = (0.7, 0.15, 0.15),
) -> LabelledSet:
    """The labelled set at `path`: a manifest CSV, or a folder of class folders (also below train, val and test).

    Pictures without a split are shared out by group, class by class. In class folders each picture is its own group unless
    `group_pattern`, a regular expression with one group, finds one in its name; a PNG beside a JPEG of the same name is its
    mask. Without `good`, a class called good, ok, normal, pass or free is the good one. Raises DataError.
    """
    if path.is_dir() and (path / "manifest.csv").is_file():
        path = path / "manifest.csv"
    if path.is_dir():
        root, samples = path, _read_folders(path, group_pattern)
    elif path.is_file():
        root, samples = path.parent, _read_manifest(path)
    else:
        raise DataError("data set is not there", found=str(path), expected="a manifest CSV or a folder of class folders")
    if not samples:
        raise DataError(f"data set {path} is empty", found="no picture", expected="pictures in class folders or a manifest")
    classes = tuple(sorted({label for sample in samples for label in sample.labels}))
    if len(classes) < 2:
        raise DataError(f"data set {path} has one class", found=classes[0], expected="two classes or more")
    if good is not None and good not in classes:
        raise DataError("the good class is not in the data", found=good, expected=f"one of {', '.join(classes)}")
    chosen = good or next((name for name in classes if name.lower() in GOOD_NAMES), None)
    drawn = any(not sample.split for sample in samples)
    samples = _share_out(samples, seed=seed, shares=shares)
    _check_splits(samples, classes)
    return LabelledSet(
        classes, chosen, tuple(samples), _hash(root, samples),
        split_seed=seed if drawn else None, group_pattern=group_pattern,
    )  # fmt: skip


def read_as_trained(path: Path, spec: BundleSpec) -> LabelledSet:
    """The set at `path`, shared out as the model's training shared it, so that no training picture counts as unseen.

    Where the pictures are others than then (`data_hash`) and have no splits of their own, the shares are others as well.
    """
    origin = spec.provenance
    seed = origin.seed if origin.split_seed is None else origin.split_seed
    return read_labelled(path, good=spec.good, group_pattern=origin.group_pattern, seed=seed)


def _read_folders(root: Path, group_pattern: str | None) -> list[Sample]:
    pattern = _group_pattern(group_pattern) if group_pattern else None
    split_folders = [root / name for name in SPLITS if (root / name).is_dir()]
    samples = []
    for base, split in [(folder, folder.name) for folder in split_folders] or [(root, "")]:
        for folder in sorted(child for child in base.iterdir() if child.is_dir()):
            files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in PICTURES)
            photos = {file.with_suffix("") for file in files if file.suffix.lower() in (".jpg", ".jpeg")}
            for file in files:
                if file.suffix.lower() == ".png" and file.with_suffix("") in photos:
                    continue  # a mask
                found = pattern.search(file.name) if pattern else None
                mask = file.with_suffix(".png") if file.with_suffix("") in photos else None
                samples.append(
                    Sample(
                        path=file,
                        label=folder.name,
                        split=split,
                        group=(found.group(1) if found else None) or str(file.relative_to(root)),
                        mask=mask if mask is not None and mask.is_file() else None,
                    )
                )
    return samples


def _group_pattern(text: str) -> re.Pattern[str]:
    expected, example = "a regular expression with one group", "For P0042_top.png: '(P[0-9]+)_'"
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise DataError(
            "group pattern is not understood", found=f"{text}: {error}", expected=expected, next_step=example
        ) from None
    if pattern.groups != 1:
        raise DataError(
            "group pattern does not tell a picture's group", found=f"{pattern.groups} groups in {text}", expected=expected,
            next_step=example,
        )  # fmt: skip
    return pattern


def _read_manifest(path: Path) -> list[Sample]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = [column for column in ("path", "label") if column not in (reader.fieldnames or ())]
        if missing:
            raise DataError(
                f"manifest {path} lacks a column", found=f"no {', '.join(missing)}",
                expected="path,label,split,group,boxes,mask,reference", next_step="Add the column to its first line.",
            )  # fmt: skip
        rows = list(reader)
    named = [row[column] for row in rows for column in ("path", "mask", "reference") if row.get(column)]
    absent = [name for name in named if not (path.parent / name).is_file()]
    if absent:
        raise DataError(
            f"manifest {path} names files that are not there", found=f"{len(absent)}: {', '.join(absent[:3])}",
            expected="paths relative to the manifest", next_step="Mend the paths or remove the lines.",
        )  # fmt: skip
    return [_manifest_sample(path, number, row) for number, row in enumerate(rows, start=2)]


def _manifest_sample(manifest: Path, line: int, row: dict[str, str]) -> Sample:
    split = (row.get("split") or "").strip()
    if split not in ("", *SPLITS):
        raise DataError(f"{manifest} line {line}: unknown split", found=split, expected="train, val, test or empty")
    file = manifest.parent / row["path"]
    beside = file.with_suffix(".png")
    mask = manifest.parent / row["mask"] if row.get("mask") else None
    if mask is None and "mask" not in row and file.suffix.lower() in (".jpg", ".jpeg") and beside.is_file():
        mask = beside
    try:
        boxes = tuple(
            (int(x1), int(y1), int(x2), int(y2), str(name)) for x1, y1, x2, y2, name in json.loads(row.get("boxes") or "[]")
        )
    except (ValueError, TypeError):
        raise DataError(
            f"{manifest} line {line}: boxes are not understood", found=row["boxes"], expected='[[x1, y1, x2, y2, "class"], …]'
        ) from None
    label, *others = [one.strip() for one in row["label"].split("|")]
    unknown = sorted({name for *_, name in boxes} - {label, *others})
    if unknown:
        raise DataError(
            f"{manifest} line {line}: a box has a class that the picture has not", found=", ".join(unknown),
            expected=row["label"], next_step="Name every class of the picture's boxes as its label, separated by |.",
        )  # fmt: skip
    reference = manifest.parent / row["reference"] if row.get("reference") else None
    return Sample(file, label, split, row.get("group") or row["path"], boxes, mask, reference, tuple(others))


def _share_out(samples: Sequence[Sample], *, seed: int, shares: tuple[float, float, float]) -> list[Sample]:
    """Gives each sample without a split one, whole groups at a time, class by class (a group counts for its first label)."""
    label_of: dict[str, str] = {}
    split_of = {sample.group: sample.split for sample in samples if sample.split}
    for sample in samples:
        if sample.group not in split_of:
            label_of.setdefault(sample.group, sample.label)
    generator = np.random.default_rng(seed)
    for label in sorted(set(label_of.values())):
        groups = sorted(group for group, first in label_of.items() if first == label)
        order = [groups[index] for index in generator.permutation(len(groups))]
        edges = np.rint(np.cumsum(shares) / sum(shares) * len(order)).astype(int)
        for position, group in enumerate(order):
            split_of[group] = SPLITS[int(np.searchsorted(edges, position, side="right"))]
    return [sample if sample.split else replace(sample, split=split_of[sample.group]) for sample in samples]


def _check_splits(samples: Sequence[Sample], classes: Sequence[str]) -> None:
    for split in ("train", "val"):
        if not any(sample.split == split for sample in samples) and any(sample.split == "train" for sample in samples):
            raise DataError(
                f"no picture in the {split} split", found="0", expected="some", next_step="Leave the split column empty."
            )
    side_of: dict[str, str] = {}
    for sample in samples:
        other = side_of.setdefault(sample.group, sample.split)
        if other != sample.split:
            raise DataError(
                "a group lies in two splits", found=f"group {sample.group} in {other} and {sample.split}",
                expected="pictures of one part on one side", next_step="Move its pictures into one split.",
            )  # fmt: skip
    trained = {label for sample in samples if sample.split == "train" for label in sample.labels}
    lacking = [name for name in classes if trained and name not in trained]
    if lacking:
        raise DataError(
            "a class has no training picture", found=", ".join(lacking), expected="pictures of every class in train"
        )


def _hash(root: Path, samples: Sequence[Sample]) -> str:
    total = hashlib.sha256()
    for sample in sorted(samples, key=lambda one: str(one.path)):
        name = Path(os.path.relpath(sample.path, root)).as_posix()  # a manifest may name pictures anywhere
        described: list[object] = [name, sample.label, sample.split, sample.group, _content(sample.path)]
        if sample.others or sample.boxes or sample.reference is not None:
            described += [sample.others, sample.boxes, None if sample.reference is None else _content(sample.reference)]
        total.update(json.dumps(described).encode())
    return total.hexdigest()


def _content(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def truth_of(sample: Sample, size_px: tuple[int, int]) -> npt.NDArray[np.bool_] | None:
    """The defect's pixels (H, W) by mask or boxes; None where the sample has neither, or none in the picture."""
    truth = np.zeros(size_px, np.bool_)
    if sample.mask is not None:
        mask = cv2.imread(str(sample.mask), cv2.IMREAD_GRAYSCALE)
        if mask is None or mask.shape != size_px:
            return None
        truth |= mask > 127
    else:
        for x1, y1, x2, y2, _ in sample.boxes:
            truth[max(0, y1) : y2, max(0, x1) : x2] = True
    return truth if truth.any() else None
