"""Labelled pictures as training takes them: with classes, a good one, splits, and a hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kizu_inspect.labelled.choices import EXPECTED, Unlabelled
from kizu_inspect.labelled.findings import Finding, Report, a_few, refuse
from kizu_inspect.labelled.readers import read_samples
from kizu_inspect.labelled.readers.files import relative_name, unreadable
from kizu_inspect.labelled.readers.left_out import LeftOut
from kizu_inspect.labelled.samples import GOOD_NAMES, SPLITS, Box, Sample
from kizu_inspect.labelled.twins import twins

if TYPE_CHECKING:
    from kizu_inspect.bundle import BundleSpec  # torch is heavy, and a list of pictures needs none

__all__ = [
    "Arranged",
    "Box",
    "LabelledSet",
    "Sample",
    "arrange",
    "learned_as_first",
    "read_as_trained",
    "read_labelled",
    "seed_of",
    "shared_out_anew",
]

SHARES = (0.7, 0.15, 0.15)


@dataclass(frozen=True)
class LabelledSet:
    """A set of labelled pictures, each in a split."""

    classes: tuple[str, ...]
    good: str | None
    samples: tuple[Sample, ...]
    data_hash: str
    """SHA-256 over names, labels, splits, boxes, and the contents of pictures, references and masks."""
    split_seed: int | None = None
    """The seed by which pictures were shared out; None where every picture had a split of its own."""
    group_pattern: str | None = None
    warnings: tuple[Finding, ...] = ()
    """What training takes, and what it learns or measures suffers from: whoever uses the set says it."""
    left_out: LeftOut | None = None

    def split(self, name: str) -> tuple[Sample, ...]:
        """The samples of one split."""
        return tuple(sample for sample in self.samples if sample.split == name)


def read_labelled(
    path: Path,
    *,
    good: str | None = None,
    group_pattern: str | None = None,
    seed: int = 0,
    shares: tuple[float, float, float] = SHARES,
    unlabelled: Unlabelled = "refuse",
) -> LabelledSet:
    """The labelled set at `path`, in any format that `readers` knows.

    Pictures without a split are shared out by group, class by class. Each picture is its own group unless the set says
    otherwise or `group_pattern`, a regular expression with one group, finds one in its name. Without `good`, a class called
    good, ok, normal, pass or free is the good one. `unlabelled` as of `read_samples`. Raises DataError.
    """
    warnings: list[Finding] = []

    def report(finding: Finding) -> None:
        refuse(finding)
        warnings.append(finding)

    read = read_samples(path, group_pattern=group_pattern, report=report, unlabelled=unlabelled)
    arranged = arrange(path, read.samples, good=good, seed=seed, shares=shares, report=report, left_out=read.left_out)
    contents = [_content(sample.path) for sample in arranged.samples]
    warnings += twins(arranged.samples, arranged.sides, contents)
    # The same pictures with the same labels come in the same order, however they are laid out: so they make the same model.
    in_order = sorted(arranged.samples, key=lambda sample: (sample.labels, sample.path.name, str(sample.path)))
    return LabelledSet(
        arranged.classes, arranged.good, tuple(in_order), _hash(read.root, arranged.samples, contents),
        split_seed=seed if arranged.drawn else None, group_pattern=group_pattern, warnings=tuple(warnings),
        left_out=read.left_out,
    )  # fmt: skip


def read_as_trained(path: Path, spec: BundleSpec, *, unlabelled: Unlabelled = "refuse") -> LabelledSet:
    """The set at `path`, shared out as the model's training shared it, so that no training picture counts as unseen.

    Where the pictures are others than then (`data_hash`) and have no splits of their own, the shares are others as well.
    """
    return read_labelled(
        path, good=spec.good, group_pattern=spec.provenance.group_pattern, seed=seed_of(spec), unlabelled=unlabelled
    )


def shared_out_anew(data: LabelledSet, spec: BundleSpec) -> list[Finding]:
    """Where `data` may show the model of `spec` what it learned: other pictures than then, without splits of their own."""
    if data.split_seed is None or data.data_hash == spec.provenance.data_hash:
        return []
    return [
        Finding(
            "shared_out_anew",
            "these are not the pictures that the model was trained from, and they have no splits of their own",
            found="pictures that it was trained on, if some are among them, may stand in any split now",
            expected="the training's pictures, or a split for each",
            next_step="Only a manifest with splits keeps them apart.", severity="warning",
        )
    ]  # fmt: skip


def learned_as_first(samples: Sequence[Sample]) -> list[Finding]:
    """What a model of one class a picture does not learn of pictures that have several."""
    several = [sample.path for sample in samples if sample.others]
    if not several:
        return []
    return [
        Finding(
            "several_classes", "pictures have several classes, and each is learned as its first", found=a_few(several),
            expected="one class a picture", next_step="Judge each class for itself by --labels several.",
            pictures=tuple(several), severity="warning",
        )
    ]  # fmt: skip


def seed_of(spec: BundleSpec) -> int:
    """The seed by which a model's training shared its pictures out."""
    origin = spec.provenance
    return origin.seed if origin.split_seed is None else origin.split_seed


@dataclass(frozen=True)
class Arranged:
    """Samples with classes and splits."""

    classes: tuple[str, ...]
    good: str | None
    samples: tuple[Sample, ...]
    drawn: bool
    """Whether pictures were shared out here, because they had no split of their own."""

    @property
    def sides(self) -> list[str]:
        """What each picture must share with its like: the group where pictures were shared out, else the split."""
        return [sample.group if self.drawn else sample.split for sample in self.samples]


def arrange(
    path: Path,
    samples: Sequence[Sample],
    *,
    good: str | None,
    seed: int,
    shares: tuple[float, float, float] = SHARES,
    report: Report,
    left_out: LeftOut | None = None,
) -> Arranged:
    """The samples of the set at `path` with a split each, and its classes. What training cannot take goes to `report`."""
    if not samples:
        found = "no picture" if left_out is None or not left_out.there else left_out.said
        report(Finding("empty", f"data set {path} is empty", found=found, expected=EXPECTED))
    classes = tuple(sorted({label for sample in samples for label in sample.labels}))
    if len(classes) == 1:
        report(
            Finding(
                "one_class", f"data set {path} has one class", found=classes[0], expected="two classes or more",
                next_step="Add pictures of defects, and of good parts.",
            )
        )  # fmt: skip
    if good is not None and good not in classes:
        expected = f"one of {', '.join(classes)}"
        report(Finding("good_class", "the good class is not in the data", found=good, expected=expected))
    named = [name for name in classes if name.lower() in GOOD_NAMES]
    drawn = any(not sample.split for sample in samples)
    shared = _share_out(samples, seed=seed, shares=shares)
    _check_splits(shared, classes, report)
    return Arranged(classes, good or next(iter(named), None), tuple(shared), drawn)


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


def _check_splits(samples: Sequence[Sample], classes: Sequence[str], report: Report) -> None:
    used = {sample.split for sample in samples}
    for split in ("train", "val"):
        if split not in used and "train" in used:
            report(
                Finding(
                    "empty_split", f"no picture in the {split} split", found="0", expected="some",
                    next_step="Share the pictures out anew: kizu data convert DATA OUT.csv --splits anew.",
                )
            )  # fmt: skip
    sides: dict[str, dict[str, list[Path]]] = {}
    for sample in samples:
        sides.setdefault(sample.group, {}).setdefault(sample.split, []).append(sample.path)
    torn = {group: splits for group, splits in sides.items() if len(splits) > 1}
    if torn:
        named = [f"group {group} in {' and '.join(splits)}" for group, splits in torn.items()]
        report(
            Finding(
                "group_in_two_splits", "a group lies in two splits", found=named[0] if len(named) == 1 else a_few(named),
                expected="pictures of one part on one side", next_step="Move its pictures into one split.",
                pictures=tuple(path for splits in torn.values() for paths in splits.values() for path in paths),
            )
        )  # fmt: skip
    validated = [sample for sample in samples if sample.split == "val"]
    if len(validated) > 1 and len({sample.group for sample in validated}) == 1:
        report(
            Finding(
                "one_validation_group", "all validation pictures are of one group, so no miss rate can be promised",
                found=f"{len(validated)} pictures of group {validated[0].group}", expected="two groups or more",
                next_step="Put pictures of other parts into the val split.", severity="warning",
            )
        )  # fmt: skip
    trained = {label for sample in samples if sample.split == "train" for label in sample.labels}
    lacking = [name for name in classes if trained and name not in trained]
    if lacking:
        report(
            Finding(
                "untrained_class", "a class has no training picture", found=", ".join(lacking),
                expected="pictures of every class in train",
                pictures=tuple(sample.path for sample in samples if not trained.issuperset(sample.labels)),
            )
        )  # fmt: skip


def _hash(root: Path, samples: Sequence[Sample], contents: Sequence[str]) -> str:
    total = hashlib.sha256()
    for sample, content in sorted(zip(samples, contents, strict=True), key=lambda one: str(one[0].path)):
        name = relative_name(sample.path, root)  # a manifest may name pictures anywhere
        described: list[object] = [name, sample.label, sample.split, sample.group, content]
        if sample.others or sample.boxes or sample.reference is not None:
            described += [sample.others, sample.boxes, None if sample.reference is None else _content(sample.reference)]
        if sample.areas:
            described.append(sample.areas)
        if sample.mask is not None:
            described.append(_content(sample.mask))
        total.update(json.dumps(described).encode())
    return total.hexdigest()


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unreadable("picture", path, error).as_error() from None
