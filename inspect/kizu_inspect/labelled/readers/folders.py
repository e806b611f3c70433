"""Class folders: `<class>/…`, also below train, val and test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kizu_inspect.labelled.annotated import Annotated
from kizu_inspect.labelled.findings import Finding
from kizu_inspect.labelled.readers.files import is_other_picture, relative_name, walk
from kizu_inspect.labelled.readers.reading import Reading, split_named
from kizu_inspect.labelled.samples import PICTURES

__all__ = ["folders_of", "mask_beside", "read_folders"]

JPEG = (".jpg", ".jpeg")


def read_folders(root: Path, reading: Reading) -> list[Annotated]:
    """The pictures of each class folder; a PNG beside a JPEG of the same name is its mask.

    Where folders are called as splits are, in capitals or not, classes are what lies in these; other folders are left out.
    """
    splits = [(folder, split) for folder in folders_of(root) if (split := split_named(folder.name)) is not None]
    if splits:
        for folder in folders_of(root):
            if split_named(folder.name) is None:
                for file in reading.pictures(folder):
                    reading.left_out[file] = "in a folder beside those of the splits"
    found: list[Annotated] = []
    for base, split in splits or [(root, "")]:
        for folder in folders_of(base):
            of_class = list(_of_class(folder, split, root, reading))
            unread = [file for file in walk(folder) if is_other_picture(file)] if not of_class else []
            if unread:
                _report_unread(folder, unread, reading)
            found += of_class
    known = {*(one.path for one in found), *(one.mask for one in found), *reading.left_out}
    reading.left_out |= {file: "in no folder of a class" for file in reading.pictures(root) if file not in known}
    return found


def _report_unread(folder: Path, unread: list[Path], reading: Reading) -> None:
    endings = sorted({file.suffix.lower() for file in unread})
    reading.report(
        Finding(
            "unread_class", f"class folder {folder} has no picture that is read",
            found=f"{len(unread)} of {', '.join(endings)}", expected=", ".join(PICTURES),
            next_step="Save them as PNG, or move the folder away.", pictures=tuple(unread),
        )
    )  # fmt: skip


def _of_class(folder: Path, split: str, root: Path, reading: Reading) -> Iterator[Annotated]:
    files = reading.pictures(folder)
    photos: dict[Path, list[Path]] = {}
    for file in files:
        if file.suffix.lower() in JPEG:
            photos.setdefault(file.with_suffix(""), []).append(file)
    for file in files:
        of_name = photos.get(file.with_suffix(""), [])
        if file.suffix.lower() == ".png" and of_name:
            if len(of_name) > 1:
                reading.same_name(f"mask {file} belongs to several pictures", of_name)
            continue
        group = reading.group_of(file.name, relative_name(file, root))
        yield Annotated(file, split, group, labels=(folder.name,), mask=mask_beside(file))


def folders_of(folder: Path) -> list[Path]:
    """The folders in a folder, sorted, without hidden ones."""
    return sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))


def mask_beside(file: Path) -> Path | None:
    """The PNG beside a JPEG of the same name, its ending in capitals or not."""
    if file.suffix.lower() not in JPEG:
        return None
    return next((beside for beside in (file.with_suffix(ending) for ending in (".png", ".PNG")) if beside.is_file()), None)
