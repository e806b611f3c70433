"""Temperature, and of pictures in tiles the picture's own, from the validation split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize, minimize_scalar

from kizu_inspect.bundle import PictureCalibration
from kizu_inspect.decide import picture_probabilities, probabilities_of
from kizu_inspect.errors import DataError
from kizu_inspect.labelled.samples import Sample

__all__ = ["Halves", "fit_picture_calibration", "fit_temperature", "halves_of", "split_by_group"]

LEAST_PICTURES = 20
"""Two numbers fitted on fewer pictures would say more of these pictures than of the model."""
WIDEST_OFFSET = 10.0
"""Where any offset would do, one near 0 is taken: those of this size cost half a picture's nat."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Halves:
    """Validation pictures, or tiles of them, in two halves: one chooses weights and temperature, the other sets the limits."""

    scheduling: Ints
    """Rows of the first half."""
    limiting: Ints
    """Rows of the second half."""
    apart: bool
    """Whether the second shows other parts than the first. All of one group do not, and nothing can be promised by them."""
    sides: frozenset[str]
    """Groups of the second half, or paths where all are of one group."""

    def limits(self, sample: Sample) -> bool:
        """Whether this picture belongs to the second half."""
        return _side(sample, self.apart) in self.sides


def halves_of(samples: Sequence[Sample], *, seed: int) -> Halves:
    """Halves of rows, of which `samples` has the picture: by group, or where all are of one by picture.

    Both have as many groups of each class, or one more or less. Raises DataError for rows of a single picture.
    """
    apart = len({sample.group for sample in samples}) > 1
    sides = [_side(sample, apart) for sample in samples]
    scheduling, limiting = split_by_group(sides, [sample.label for sample in samples], seed=seed)
    return Halves(scheduling, limiting, apart, frozenset(sides[row] for row in limiting))


def _side(sample: Sample, apart: bool) -> str:
    return sample.group if apart else str(sample.path)


def split_by_group(groups: Sequence[str], labels: Sequence[str], *, seed: int) -> tuple[Ints, Ints]:
    """Indices of two halves, class by class; pictures of one group, which counts for its first label, stay on one side.

    Raises DataError where all are of one group.
    """
    label_of: dict[str, str] = {}
    for group, label in zip(groups, labels, strict=True):
        label_of.setdefault(group, label)
    names = sorted(label_of, key=lambda name: (label_of[name], name))
    if len(names) < 2:
        raise DataError(
            "too few groups to calibrate on", found=f"{len(groups)} validation pictures of {len(names)} group",
            expected="two groups or more", next_step="Give the validation split pictures of more parts.",
        )  # fmt: skip
    drawn = np.random.default_rng(seed).permutation(len(names))
    order = sorted(drawn, key=lambda index: label_of[names[index]])  # keeps what was drawn within each class
    first = {names[index] for index in order[1::2]}
    inside = np.array([group in first for group in groups], dtype=bool)
    return np.flatnonzero(inside), np.flatnonzero(~inside)


def fit_temperature(logits: Floats, marks: Bools, *, good: int | None = None, several: bool = False) -> float:
    """The temperature (0.05 to 20) of least negative log-likelihood (Guo et al., 2017, https://arxiv.org/abs/1706.04599).

    `marks` (N, C) are the classes of each picture.
    """

    def loss(log_temperature: float) -> float:
        p = probabilities_of(logits, temperature=float(np.exp(log_temperature)), good=good, several=several)
        return _log_loss(p, marks, good=good, several=several)

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x))


def fit_picture_calibration(most: Floats, marks: Bools, *, good: int, several: bool) -> PictureCalibration | None:
    """What turns the most log-odds that any tile of a picture has, (N, C), into the picture's: least log-likelihood lost.

    `marks` (N, C) are the pictures' classes. None where there are too few pictures, or only good or only defective ones.
    """
    if len(most) < LEAST_PICTURES or len(np.unique(marks[:, good])) < 2:
        return None

    def loss(at: Floats) -> float:
        p = picture_probabilities(most, good=good, several=several, temperature=float(np.exp(at[0])), offset=float(at[1]))
        far = float(at[1]) / WIDEST_OFFSET
        return _log_loss(p, marks, good=good, several=several) + far**2 / (2 * len(most))

    bounds = [(np.log(0.05), np.log(20)), (-5 * WIDEST_OFFSET, 5 * WIDEST_OFFSET)]
    found = minimize(loss, np.zeros(2), method="Nelder-Mead", bounds=bounds).x
    return PictureCalibration(temperature=float(np.exp(found[0])), offset=float(found[1]), pictures=len(most))


def _log_loss(p: Floats, marks: Bools, *, good: int | None, several: bool) -> float:
    """The mean negative log-likelihood of classes `marks` (N, C) under probabilities (N, C)."""
    if several:
        p = np.delete(np.where(marks, p, 1 - p), [] if good is None else good, axis=1)
        return float(-np.log(np.maximum(p, 1e-300)).sum(axis=1).mean())
    return float(-np.log(np.maximum(p[marks], 1e-300)).mean())
