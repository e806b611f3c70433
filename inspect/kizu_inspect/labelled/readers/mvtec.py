"""The layout of MVTec AD: train/good, test/<defect>, ground_truth/<defect>/<name>_mask.png."""

from __future__ import annotations

from pathlib import Path

from kizu_inspect.labelled.findings import Finding, Report, a_few
from kizu_inspect.labelled.readers.files import GroupOf, picture_files, relative_name
from kizu_inspect.labelled.samples import GOOD, Sample

__all__ = ["is_mvtec", "read_mvtec"]


def is_mvtec(folder: Path) -> bool:
    """Whether it lies so."""
    return all((folder / name).is_dir() for name in ("train/good", "test", "ground_truth"))


def read_mvtec(root: Path, group_of: GroupOf, report: Report) -> list[Sample]:
    """The pictures of train and test, defects with their masks."""
    samples, unmasked = [], []
    for split in ("train", "test"):
        for folder in sorted(child for child in (root / split).iterdir() if child.is_dir() and not child.name.startswith(".")):
            for file in picture_files(folder):
                mask = root / "ground_truth" / folder.name / f"{file.stem}_mask.png"
                if folder.name != GOOD and not mask.is_file():
                    unmasked.append(file)
                group = group_of(file.name, relative_name(file, root))
                samples.append(Sample(file, folder.name, split, group, mask=mask if mask.is_file() else None))
    if unmasked:
        report(
            Finding(
                "no_mask", "defects without a mask", found=a_few([file.relative_to(root) for file in unmasked]),
                expected="ground_truth/<defect>/<name>_mask.png", pictures=tuple(unmasked), severity="warning",
            )
        )  # fmt: skip
    return samples
