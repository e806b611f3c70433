"""The layout of MVTec AD: train/good, test/<defect>, ground_truth/<defect>/<name>_mask.png."""

from __future__ import annotations

from pathlib import Path

from kizu_inspect.labelled.annotated import Annotated
from kizu_inspect.labelled.findings import Finding, a_few
from kizu_inspect.labelled.readers.files import relative_name
from kizu_inspect.labelled.readers.folders import folders_of
from kizu_inspect.labelled.readers.reading import Reading
from kizu_inspect.labelled.samples import GOOD

__all__ = ["is_mvtec", "read_mvtec"]


def is_mvtec(folder: Path) -> bool:
    """Whether it lies so."""
    return all((folder / name).is_dir() for name in ("train/good", "test", "ground_truth"))


def read_mvtec(root: Path, reading: Reading) -> list[Annotated]:
    """The pictures of train and test, defects with their masks."""
    found: list[Annotated] = []
    unmasked: list[Path] = []
    pictures_of: dict[Path, list[Path]] = {}
    for split in ("train", "test"):
        for folder in folders_of(root / split):
            for file in reading.pictures(folder):
                mask = reading.only(root / "ground_truth" / folder.name, f"{file.stem}_mask.png")
                if mask is not None:
                    pictures_of.setdefault(mask, []).append(file)
                elif folder.name != GOOD:
                    unmasked.append(file)
                group = reading.group_of(file.name, relative_name(file, root))
                found.append(Annotated(file, split, group, labels=(folder.name,), mask=mask))
    for mask, pictures in pictures_of.items():
        if len(pictures) > 1:
            reading.same_name(f"mask {mask} belongs to several pictures", pictures)
    lone = [file for file in reading.pictures(root / "ground_truth") if file not in pictures_of]
    if lone:
        reading.report(
            Finding(
                "missing_file", "masks belong to no picture", found=a_few([file.relative_to(root) for file in lone]),
                expected="test/<defect>/<name> for ground_truth/<defect>/<name>_mask.png", pictures=tuple(lone),
                next_step="Bring back the pictures, or remove the masks.",
            )
        )  # fmt: skip
        reading.left_out |= dict.fromkeys(lone, "a mask of no picture")
    if unmasked:
        reading.report(
            Finding(
                "no_mask", "defects without a mask", found=a_few([file.relative_to(root) for file in unmasked]),
                expected="ground_truth/<defect>/<name>_mask.png", pictures=tuple(unmasked), severity="warning",
            )
        )  # fmt: skip
    return found
