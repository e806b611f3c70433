"""Pascal VOC: an XML for each picture, in Annotations or beside it; lists in ImageSets/Main, masks in SegmentationObject."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import Element

from kizu_inspect.labelled.annotated import Annotated, Mark
from kizu_inspect.labelled.findings import Finding
from kizu_inspect.labelled.readers.files import absent_files, is_picture, relative_name
from kizu_inspect.labelled.readers.reading import Reading, split_in, split_named
from kizu_inspect.labelled.readers.voc_masks import VocMasks
from kizu_inspect.labelled.readers.xml_files import read_xml, root_tag
from kizu_inspect.labelled.samples import PICTURES

__all__ = ["is_voc", "read_voc"]

FOLDER = "Annotations"


def is_voc(folder: Path, files: Iterable[Path]) -> bool:
    """Whether there are VOC's XML files in Annotations or beside pictures, or its masks, of `files` those below the folder."""
    every = list(files)
    pictures = {file.with_suffix("") for file in every if is_picture(file)}
    xml = [file for file in every if file.suffix.lower() == ".xml"]
    inside = [file for file in xml if file.relative_to(folder).parts[0].lower() == FOLDER.lower()]
    beside = [file for file in xml if file.with_suffix("") in pictures]
    tops = {file.relative_to(folder).parts[0].lower() for file in pictures}
    masked = "jpegimages" in tops and not tops.isdisjoint(("segmentationclass", "segmentationobject"))
    return bool(inside) or masked or any(root_tag(file) == "annotation" for file in beside[:5])


def read_voc(root: Path, reading: Reading) -> list[Annotated]:
    """The pictures of JPEGImages, or of the whole folder, with what the XML of the same name says; one without objects is good.

    Where there are lists, only the pictures listed are taken. VOC counts pixels from 1 and both edges of a box lie in it:
    (xmin, ymin, xmax, ymax) becomes (xmin − 1, ymin − 1, xmax, ymax). A 0, from a tool that counts from 0, stays 0.
    """
    place, notes = (next(iter(reading.named(root, name)), root) for name in ("JPEGImages", FOLDER))
    masks = VocMasks(root, reading)
    pictures = _by_name(
        (file for file in reading.pictures(place) if not masks.are_in(file)),
        place,
        "pictures differ by their ending alone",
        reading,
    )
    xml = (file for file in reading.files if file.suffix.lower() == ".xml" and file.is_relative_to(notes))
    annotations = _by_name(xml, notes, "two XML files speak of one picture", reading)
    annotation_of = _paired(pictures, annotations, reading)
    split_of = _lists(root, pictures, reading)
    source = "ImageSets/Main" if split_of else FOLDER
    absent = [name for name in split_of or annotations if name not in pictures and name not in annotation_of.values()]
    if absent:
        lost = [f"{place.name}/{name}" for name in absent]
        reading.report(absent_files(f"{root / source}", lost, next_step="Add the pictures or remove their names."))
    left_out = [file for name, file in pictures.items() if split_of and name not in split_of]
    if left_out:
        reading.left_out |= dict.fromkeys(left_out, "in no list of ImageSets/Main")
    found = []
    for name, file in pictures.items():
        if split_of and name not in split_of:
            continue
        note = annotation_of.get(name)
        split = split_of.get(name, "") if split_of else split_in(file, root)
        one = Annotated(
            file, split, reading.group_of(file.name, relative_name(file, root)),
            unlabelled=note is None and not masks.has(name),
        )  # fmt: skip
        if note is not None:
            one = _annotated(one, annotations[note], reading)
        found.append(masks.laid_on(one, name))
    return found


def _by_name(files: Iterable[Path], folder: Path, what: str, reading: Reading) -> dict[str, Path]:
    """The files by their names below the folder, without ending; those of one name are reported."""
    named: dict[str, list[Path]] = {}
    for file in files:
        named.setdefault(file.relative_to(folder).with_suffix("").as_posix(), []).append(file)
    for same in named.values():
        if len(same) > 1:
            reading.same_name(what, same)
    return {name: same[0] for name, same in named.items()}


def _paired(pictures: dict[str, Path], annotations: dict[str, Path], reading: Reading) -> dict[str, str]:
    """The annotation of each picture: that of its name and folder, else the one of its name where no other may be meant."""
    pairs = {name: name for name in pictures if name in annotations}
    by_stem: dict[str, list[str]] = {}
    for name in annotations:
        if name not in pairs:
            by_stem.setdefault(Path(name).name, []).append(name)
    rivals: dict[str, list[str]] = {}
    for name in pictures:
        if name not in pairs and Path(name).name in by_stem:
            rivals.setdefault(Path(name).name, []).append(name)
    for stem, names in rivals.items():
        notes = by_stem[stem]
        if len(names) > 1 or len(notes) > 1:
            reading.same_name(
                f"it is not clear which XML {stem} belongs to which picture",
                [*(annotations[note] for note in notes), *(pictures[name] for name in names)],
            )
        pairs[names[0]] = notes[0]
    return pairs


def _lists(root: Path, pictures: dict[str, Path], reading: Reading) -> dict[str, str]:
    """The split of each picture listed, by its name without ending."""
    folder = root / "ImageSets" / "Main"
    texts = [file for file in sorted(folder.glob("*")) if file.suffix.lower() == ".txt" and file.is_file()]
    found = [(split, file) for file in texts if (split := split_named(file.stem)) is not None]
    if {"train", "val"}.isdisjoint(split for split, _ in found):
        found += [("train", file) for file in texts if file.stem.lower() == "trainval"]
    stems: dict[str, list[str]] = {}
    for name in pictures:
        stems.setdefault(Path(name).name, []).append(name)
    split_of: dict[str, str] = {}
    for split, file in found:
        for line in file.read_text(encoding="utf-8-sig", errors="replace").splitlines():
            said = line.strip().replace("\\", "/")
            if not said:
                continue
            ending = "" if said in pictures else next((one for one in PICTURES if said.lower().endswith(one)), "")
            name = said[: len(said) - len(ending)]
            alike = stems.get(name, []) if name not in pictures else []
            if len(alike) > 1:
                reading.same_name(f"{file} lists {said}, of which there are several", [pictures[one] for one in alike])
            name = next(iter(alike), name)
            other = split_of.setdefault(name, split)
            if other != split:
                reading.report(
                    Finding(
                        "two_splits", f"{folder} lists a picture in two splits", found=f"{said} in {other} and {split}",
                        expected="each picture in one list",
                    )
                )  # fmt: skip
    return split_of


def _annotated(one: Annotated, file: Path, reading: Reading) -> Annotated:
    root = read_xml(file, reading.report)
    if root is None:
        return one
    marks: list[Mark] = []
    for number, thing in enumerate(root.findall("object"), start=1):
        try:
            marks.append(_mark(thing))
        except (TypeError, ValueError):
            edges = [thing.findtext(f"bndbox/{edge}") for edge in ("xmin", "ymin", "xmax", "ymax")]
            reading.report(
                Finding(
                    "boxes", f"{file}: object {number} is not understood",
                    found=f"name {thing.findtext('name')}, bndbox {edges}",
                    expected="a name, and one bndbox of xmin, ymin, xmax and ymax", pictures=(one.path,),
                )
            )  # fmt: skip
    group = reading.group_of(
        one.path.name, (root.findtext("group") or "").strip() or one.group
    )  # in sets that Kizu has written
    return replace(one, group=group, marks=tuple(marks), drawn_on=_size(root))


def _size(root: Element) -> tuple[int, int] | None:
    try:
        width, height = (int(float(root.findtext(f"size/{side}") or 0)) for side in ("width", "height"))
    except (ValueError, OverflowError):
        return None
    return (width, height) if min(width, height) > 0 else None  # a tool that does not know it writes 0


def _mark(one: Element) -> Mark:
    """Raises TypeError where something is missing, ValueError where it is no number or stands twice."""
    name = (one.findtext("name") or "").strip()
    if not name or len(one.findall("name")) > 1 or len(one.findall("bndbox")) > 1:
        raise ValueError("no name, or several")
    x1, y1, x2, y2 = (float(one.findtext(f"bndbox/{edge}")) for edge in ("xmin", "ymin", "xmax", "ymax"))  # type: ignore[arg-type]
    if not all(abs(edge) < 1e9 for edge in (x1, y1, x2, y2)):
        raise ValueError("no finite number")
    return Mark(name, (x1 - 1 if x1 else 0, y1 - 1 if y1 else 0, x2, y2))
