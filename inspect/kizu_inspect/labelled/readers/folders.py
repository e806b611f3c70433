"""Class folders: `<class>/…`, also below train, val and test."""

from __future__ import annotations

from pathlib import Path

from kizu_inspect.labelled.findings import Report
from kizu_inspect.labelled.readers.files import GroupOf, picture_files, relative_name
from kizu_inspect.labelled.samples import SPLITS, Sample

__all__ = ["mask_beside", "read_folders"]

JPEG = (".jpg", ".jpeg")


def read_folders(root: Path, group_of: GroupOf, _report: Report) -> list[Sample]:
    """The pictures of each class folder; a PNG beside a JPEG of the same name is its mask."""
    split_folders = [root / name for name in SPLITS if (root / name).is_dir()]
    samples = []
    for base, split in [(folder, folder.name) for folder in split_folders] or [(root, "")]:
        for folder in sorted(child for child in base.iterdir() if child.is_dir() and not child.name.startswith(".")):
            files = picture_files(folder)
            photos = {file.with_suffix("") for file in files if file.suffix.lower() in JPEG}
            for file in files:
                if file.suffix.lower() == ".png" and file.with_suffix("") in photos:
                    continue  # a mask
                group = group_of(file.name, relative_name(file, root))
                samples.append(Sample(file, folder.name, split, group, mask=mask_beside(file)))
    return samples


def mask_beside(file: Path) -> Path | None:
    """The PNG beside a JPEG of the same name."""
    beside = file.with_suffix(".png")
    return beside if file.suffix.lower() in JPEG and beside.is_file() else None
