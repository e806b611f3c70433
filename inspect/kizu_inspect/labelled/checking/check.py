"""Everything that is wrong with a labelled set, at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kizu_inspect.labelled.bit_depth import unfilled
from kizu_inspect.labelled.checking.looks import Look, look_at
from kizu_inspect.labelled.checking.near_twins import near_twins
from kizu_inspect.labelled.choices import Unlabelled
from kizu_inspect.labelled.dataset import Arranged, arrange
from kizu_inspect.labelled.defect_widths import DefectWidths, defect_widths
from kizu_inspect.labelled.findings import Finding
from kizu_inspect.labelled.readers import Format, read_samples
from kizu_inspect.labelled.readers.left_out import LeftOut
from kizu_inspect.labelled.samples import GOOD_NAMES, SPLITS, Sample
from kizu_inspect.labelled.twins import twins
from kizu_inspect.picture.inputs import CELL_PX, size_for
from kizu_inspect.recipe import Bits
from kizu_inspect.sums.intervals import parts_needed

__all__ = ["Checked", "check_set"]

TILED_BY_ITSELF: Final = "Training takes tiles by itself where it can; kizu data check --tile 128 measures defects in tiles."


@dataclass(frozen=True)
class Checked:
    """A set and what was found."""

    path: Path
    format: Format
    classes: tuple[str, ...]
    good: str | None
    samples: tuple[Sample, ...]
    """With the splits that training would take."""
    findings: tuple[Finding, ...]
    """Errors first."""
    left_out: LeftOut
    """The pictures that lie there and are not taken."""
    bits: Bits | None = None
    """How many bits of a 16-bit value were taken to be filled."""
    widths: DefectWidths | None = None
    """How wide the marked defects are in a network's input; None where no picture can be read."""

    @property
    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Pictures of each class in each split; a picture with several classes counts for each."""
        counted = Counter((label, sample.split) for sample in self.samples for label in sample.labels)
        return {name: {split: counted[name, split] for split in SPLITS} for name in self.classes}

    @property
    def boxes(self) -> int:
        """How many places are marked: boxes, or where there are none areas."""
        return sum(len(sample.boxes) or len(sample.areas) for sample in self.samples)

    @property
    def errors(self) -> int:
        """How many of the findings training refuses."""
        return sum(finding.severity == "error" for finding in self.findings)


def check_set(
    path: Path,
    *,
    good: str | None = None,
    group_pattern: str | None = None,
    seed: int = 0,
    promise: float = 0.05,
    bits: Bits | None = None,
    unlabelled: Unlabelled = "refuse",
    size: int | None = None,
    tile: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Checked:
    """Reads the set as training would and every picture of it, and gathers what is wrong. `progress`: pictures done, of all.

    `bits` are those of 16-bit values that are filled, `promise` is the miss rate that the set should be large enough to
    promise, `size` and `tile` are what training would be told of the network's input. Raises DataError only where nothing can
    be read: no set of a known format, or a manifest that is no table.
    """
    findings: list[Finding] = []
    read = read_samples(path, group_pattern=group_pattern, report=findings.append, unlabelled=unlabelled)
    arranged = arrange(path, read.samples, good=good, seed=seed, report=findings.append, left_out=read.left_out)
    samples, chosen = arranged.samples, arranged.good
    looks, found = look_at(
        samples, good=chosen, bits=bits, progress=None if progress is None else lambda done: progress(done, len(samples))
    )
    findings += [*found, *_repeated(arranged, looks), *_too_few(arranged, promise), *_places(samples, chosen)]
    if samples:
        findings += _good_class(arranged)
    if bits is None and (finding := unfilled(samples)) is not None:
        findings.append(finding)
    widths = _widths(looks, size=size, tile=tile)
    if widths is not None and (squeezed := widths.finding(TILED_BY_ITSELF)) is not None:
        findings.append(squeezed)
    ordered = sorted(findings, key=lambda finding: finding.severity != "error")
    return Checked(
        path, read.format, arranged.classes, chosen, samples, tuple(dict.fromkeys(ordered)), read.left_out, bits, widths
    )  # fmt: skip


def _widths(looks: Sequence[Look | None], *, size: int | None, tile: int | None) -> DefectWidths | None:
    """How wide the marked defects are in tiles of `tile` px, or in the input that whole pictures are fitted into."""
    known = [look for look in looks if look is not None]
    if not known:
        return None
    input_px = (tile, tile) if tile else size_for([look.size_px[::-1] for look in known], longest=size)
    defects = [defect for look in known for defect in look.defects]
    return defect_widths(defects, input_px, tiled=bool(tile), cell_px=CELL_PX)


def _good_class(arranged: Arranged) -> list[Finding]:
    named = [name for name in arranged.classes if name.lower() in GOOD_NAMES]
    if arranged.good is None:
        return [
            Finding(
                "no_good_class", "no class is good", found=", ".join(arranged.classes),
                expected=f"one called {', '.join(GOOD_NAMES)}, or --good NAME",
                next_step="Without one, every part gets its class and the verdict REJECT, and no miss rate can be promised.",
                severity="warning",
            )
        ]  # fmt: skip
    if len(named) > 1 and arranged.good in named:
        return [
            Finding(
                "several_good_classes", "several classes could be the good one", found=", ".join(named), expected="one",
                next_step=f"{arranged.good} is taken; --good names another.", severity="warning",
            )
        ]  # fmt: skip
    return []


def _repeated(arranged: Arranged, looks: Sequence[Look | None]) -> list[Finding]:
    """Same and nearly same pictures on two sides: in two splits, or in two groups that another seed may part."""
    samples, sides = arranged.samples, arranged.sides
    # What cannot be read is nobody's twin.
    same = twins(samples, sides, [f"row {row}" if look is None else look.sha256 for row, look in enumerate(looks)])
    return [*same, *near_twins(samples, sides, looks)]


def _too_few(arranged: Arranged, promise: float) -> list[Finding]:
    """What the set cannot promise or measure for want of pictures."""
    if arranged.good is None or not arranged.samples:
        return []
    findings = []
    needed = parts_needed(promise)
    validated = [sample for sample in arranged.samples if sample.split == "val" and sample.label != arranged.good]
    if len(validated) // 2 < needed:
        findings.append(
            Finding(
                "too_few_for_promise", f"too few defective pictures in val to promise a miss rate of {promise:.1%}",
                found=f"{len(validated)}, of which half set the limits",
                expected=f"{2 * needed}: {needed} without a miss in that half",
                severity="warning",
            )
        )  # fmt: skip
    counts = Counter(label for sample in arranged.samples if sample.split == "test" for label in sample.labels)
    few = {name: counts[name] for name in arranged.classes if name != arranged.good and counts[name] < needed}
    if few:
        findings.append(
            Finding(
                "too_few_of_a_class", f"too few test pictures to show a miss rate of {promise:.1%} for a class by itself",
                found=", ".join(f"{name} {count}" for name, count in few.items()),
                expected=f"{needed} of each, none of them missed", severity="warning",
            )
        )  # fmt: skip
    return findings


def _places(samples: Sequence[Sample], good: str | None) -> list[Finding]:
    """Defects that nobody marked, where others are."""
    defective = [] if good is None else [sample for sample in samples if sample.label != good]
    bare = [sample for sample in defective if not sample.boxes and not sample.masked]
    if not bare or len(bare) == len(defective):
        return []
    return [
        Finding(
            "unmarked", "defects without a box or mask, beside others that have one", found=f"{len(bare)} of {len(defective)}",
            expected="a place for each, which training with --tile needs", pictures=tuple(sample.path for sample in bare),
            severity="warning",
        )
    ]  # fmt: skip
