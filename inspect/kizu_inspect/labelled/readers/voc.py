"""Pascal VOC: Annotations/*.xml, JPEGImages/, and the lists in ImageSets/Main/{train,val,test}.txt where there are any."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import parse

from kizu_inspect.labelled.findings import Finding, Report, a_few
from kizu_inspect.labelled.readers.files import GroupOf, absent_files, picture_files, relative_name, unannotated
from kizu_inspect.labelled.samples import SPLITS, Box, Sample, boxed_sample, outward

__all__ = ["is_voc", "read_voc"]


def is_voc(folder: Path) -> bool:
    """Whether there are XML files in Annotations."""
    return any((folder / "Annotations").glob("*.xml"))


def read_voc(root: Path, group_of: GroupOf, report: Report) -> list[Sample]:
    """The pictures of JPEGImages with the boxes of the XML of the same name; one without it, or without objects, is good.

    Where there are lists, only the pictures listed are taken. VOC counts pixels from 1 and both edges of a box lie in it:
    (xmin, ymin, xmax, ymax) becomes (xmin − 1, ymin − 1, xmax, ymax). A 0, from a tool that counts from 0, stays 0.
    """
    pictures = {file.stem: file for file in reversed(picture_files(root / "JPEGImages"))}  # a .jpg before a .png
    annotations = {file.stem: file for file in sorted((root / "Annotations").glob("*.xml"))}
    split_of = _lists(root / "ImageSets" / "Main", report)
    named = list(split_of) or sorted({*pictures, *annotations})
    absent = [f"JPEGImages/{name}" for name in named if name not in pictures]
    if absent:
        source = "ImageSets/Main" if split_of else "Annotations"
        report(absent_files(f"{root / source}", absent, next_step="Add the pictures or remove their names."))
    left_out = [file for name, file in pictures.items() if split_of and name not in split_of]
    if left_out:
        report(
            Finding(
                "unlisted", f"pictures in no list of {root / 'ImageSets' / 'Main'} are left out",
                found=a_few([file.name for file in left_out]), pictures=tuple(left_out), severity="warning",
            )
        )  # fmt: skip
    chosen = [name for name in named if name in pictures]
    bare = [pictures[name] for name in chosen if name not in annotations]
    if bare:
        report(unannotated(bare))
    samples = []
    for name in chosen:
        file = pictures[name]
        boxes = _boxes(annotations[name], file, report) if name in annotations else []
        group = group_of(file.name, relative_name(file, root))
        samples.append(boxed_sample(file, split_of.get(name, ""), group, boxes))
    return samples


def _lists(folder: Path, report: Report) -> dict[str, str]:
    """The split of each picture listed, by its name without ending."""
    found = [(split, folder / f"{split}.txt") for split in SPLITS if (folder / f"{split}.txt").is_file()]
    if {"train", "val"}.isdisjoint(split for split, _ in found) and (folder / "trainval.txt").is_file():
        found.append(("train", folder / "trainval.txt"))
    split_of: dict[str, str] = {}
    for split, file in found:
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            name = line.strip()
            other = split_of.setdefault(name, split) if name else split
            if other != split:
                report(
                    Finding(
                        "two_splits", f"{folder} lists a picture in two splits", found=f"{name} in {other} and {split}",
                        expected="each picture in one list",
                    )
                )  # fmt: skip
    return split_of


def _boxes(annotation: Path, picture: Path, report: Report) -> list[Box]:
    try:
        objects = parse(annotation).getroot().findall("object")
    except (OSError, ParseError, DefusedXmlException, LookupError, ValueError) as error:
        found = f"{type(error).__name__}: {error}"
        report(Finding("annotation", f"{annotation} cannot be read", found, "an XML file", pictures=(picture,)))
        return []
    boxes: list[Box] = []
    for number, one in enumerate(objects, start=1):
        try:
            boxes.append(_box(one))
        except (TypeError, ValueError):
            edges = [one.findtext(f"bndbox/{edge}") for edge in ("xmin", "ymin", "xmax", "ymax")]
            report(
                Finding(
                    "boxes", f"{annotation}: object {number} is not understood",
                    found=f"name {one.findtext('name')}, bndbox {edges}",
                    expected="a name, and a bndbox of xmin, ymin, xmax and ymax", pictures=(picture,),
                )
            )  # fmt: skip
    return boxes


def _box(one: Element) -> Box:
    """Raises TypeError where something is missing, ValueError where it is no number."""
    name = (one.findtext("name") or "").strip()
    if not name:
        raise ValueError("no name")
    x1, y1, x2, y2 = (float(one.findtext(f"bndbox/{edge}")) for edge in ("xmin", "ymin", "xmax", "ymax"))  # type: ignore[arg-type]
    return (*outward(x1 - 1 if x1 else 0, y1 - 1 if y1 else 0, x2, y2), name)
