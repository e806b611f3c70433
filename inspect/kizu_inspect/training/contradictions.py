"""Pictures whose labels a model contradicts: a wrong label is what spoils a set first, and what nobody sees in a loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from kizu_inspect.bundle import Bundle, BundleSpec
from kizu_inspect.labelled.dataset import LabelledSet
from kizu_inspect.labelled.findings import Finding
from kizu_inspect.labelled.samples import Sample
from kizu_inspect.recipe import Device
from kizu_inspect.training.judging import judged

__all__ = ["Compared", "Contradicted", "compare_labels", "contradicted_by", "contradicted_in_training", "said_of"]

SHOWN: Final = 12
"""Training pictures that are shown at least, doubted or not."""
NAMED: Final = 5
LISTED: Final = 50
"""Findings of a check."""
FAR_OUT: Final = 2.0
"""Above the upper quartile of a set's mean losses, in distances of its quartiles: from there on a label is doubted aloud.

Of drawn parts with 5 % wrong labels that named 21 of 21 wrong ones and 9 right ones of 418, 2 of 6 and none of 112, which are
soon learned by heart. Ranked by their mean loss they had an average precision of 1.00 and 0.92; by what the finished model says
of them, of 0.97 and 0.44 (benchmarks/acceptance/wrong_labels.py)."""


@dataclass(frozen=True)
class Contradicted:
    """A picture and how little a model thinks of its label."""

    sample: Sample
    probability: float
    """Of its label, 0 to 1; of one that was learned the geometric mean over all times that it was drawn, before each."""
    instead: str | None = None
    """The class that is most probable; None where it was asked while it was learned."""
    doubted: bool = True
    """Whether it is contradicted far more than the others of its set."""


def contradicted_in_training(samples: Sequence[Sample], losses: Sequence[float]) -> tuple[Contradicted, ...]:
    """The training pictures that the model contradicted most, the worst first: all that it doubts, and at least 12.

    `losses` (N,) are the cross-entropies of rows, of which `samples` has the picture, averaged over every time that they were
    drawn, each before it was learned (the area under the loss curve). A network learns a wrong label last, and by heart: after
    a long training its loss is as low as any other's, but its mean still tells. Of several tiles of a picture the worst counts;
    rows that were never drawn (nan) do not.
    """
    worst: dict[Path, tuple[float, Sample]] = {}
    for sample, loss in zip(samples, losses, strict=True):
        if not np.isnan(loss) and (sample.path not in worst or loss > worst[sample.path][0]):
            worst[sample.path] = loss, sample
    if not worst:
        return ()
    low, high = np.quantile([loss for loss, _ in worst.values()], [0.25, 0.75])
    fence = high + FAR_OUT * (high - low)
    ordered = sorted(worst.values(), key=lambda one: -one[0])
    count = max(SHOWN, sum(loss > fence for loss, _ in ordered))
    return tuple(Contradicted(sample, float(np.exp(-loss)), doubted=bool(loss > fence)) for loss, sample in ordered[:count])


def said_of(contradicted: Sequence[Contradicted]) -> str:
    """One line on the training pictures whose labels are doubted."""
    doubted = [one for one in contradicted if one.doubted]
    if not doubted:
        return "no label of a training picture was contradicted far more than the others while they were learned"
    line = "look at these labels: those of {count} training pictures were contradicted far more than the others: {pictures}"
    named = ", ".join(str(one.sample.path) for one in doubted[:NAMED])
    return line.format(count=len(doubted), pictures=named if len(doubted) <= NAMED else f"{named}, …")


def contradicted_by(
    bundle: Bundle, samples: Sequence[Sample], device: Device, *, progress: Callable[[int], None] | None = None
) -> tuple[Contradicted, ...]:
    """The pictures for which a trained model finds another class more probable than theirs, the least probable label first.

    Of pictures that it has learned it contradicts few. Those of a class that it does not know are passed over. Raises
    DataError.
    """
    spec = bundle.spec
    known = [sample for sample in samples if set(sample.labels) <= set(spec.classes)]
    found = []
    for sample, judgement, _ in judged(bundle, known, device, progress=progress):
        probability = _of_label(sample, judgement.probabilities, spec)
        if judgement.predicted is not None and judgement.predicted not in sample.labels:
            found.append(Contradicted(sample, probability, judgement.predicted))
    return tuple(sorted(found, key=lambda one: one.probability))


def _of_label(sample: Sample, probabilities: Mapping[str, float], spec: BundleSpec) -> float:
    """The probability of the sample's label; of several classes that of just these."""
    if spec.architecture.head.labels == "one":
        return max(probabilities[label] for label in sample.labels)
    each = [p if name in sample.labels else 1 - p for name, p in probabilities.items() if name != spec.good]
    return float(np.prod(each))


@dataclass(frozen=True)
class Compared:
    """A set's labels against what a model finds."""

    pictures: int
    """How many were compared."""
    unseen: bool
    """Whether only those that the model has not learned from were; else nobody knows which these are."""
    contradicted: tuple[Contradicted, ...]

    @property
    def said(self) -> str:
        """One line on what was compared."""
        line = (
            "the model learned from this set: its other {count} pictures were compared, and {contradicted} labels contradicted"
            if self.unseen
            else "the model did not learn from this set as it is: all {count} pictures were compared, and {contradicted} "
            "labels contradicted; those of pictures that it learned all the same it hardly contradicts"
        )
        return line.format(count=self.pictures, contradicted=len(self.contradicted))

    @property
    def findings(self) -> list[Finding]:
        """A warning for each of the first 50 pictures."""
        what, found = "a model contradicts the label of {path}", "{instead}; its label {label} is probable by {probability:.2g}"
        return [
            Finding(
                "contradicted", what.format(path=one.sample.path),
                found=found.format(
                    instead=one.instead, label="|".join(one.sample.labels), probability=one.probability
                ),
                next_step="Look at it: the label may be wrong, or the model.", pictures=(one.sample.path,), severity="warning",
            )
            for one in self.contradicted[:LISTED]
        ]  # fmt: skip


def compare_labels(
    bundle: Bundle, data: LabelledSet, device: Device, *, progress: Callable[[int, int], None] | None = None
) -> Compared:
    """Compares the labels of a set, shared out as the model's training shared it, with what the model finds.

    Where it is the set that the model learned from, without its training pictures. `progress`: pictures done, of all. Raises
    DataError.
    """
    unseen = data.data_hash == bundle.spec.provenance.data_hash
    samples = [sample for sample in data.samples if not (unseen and sample.split == "train")]
    told = None if progress is None else lambda done: progress(done, len(samples))
    return Compared(len(samples), unseen, contradicted_by(bundle, samples, device, progress=told))
