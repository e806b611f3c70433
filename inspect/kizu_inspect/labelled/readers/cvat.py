"""CVAT's own XML of pictures: every image with its boxes, polygons, ellipses, masks and tags."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

from kizu_inspect.errors import DataError
from kizu_inspect.labelled.annotated import Annotated, Mark
from kizu_inspect.labelled.findings import Finding
from kizu_inspect.labelled.readers.drawn import ellipse, finite, turned_box
from kizu_inspect.labelled.readers.files import absent_files, relative_name
from kizu_inspect.labelled.readers.reading import Reading, split_named
from kizu_inspect.labelled.readers.xml_files import read_xml, root_tag
from kizu_inspect.labelled.shapes import pixels_of_runs, spans_of

__all__ = ["cvat_files", "read_cvat"]

KNOWN = "box, polygon, ellipse, mask or tag"
BESIDE = ("attribute",)


def cvat_files(files: Sequence[Path], folder: Path) -> list[Path]:
    """The XML files of CVAT in a folder itself, of `files` those below it."""
    return [
        file for file in files
        if file.parent == folder and file.suffix.lower() == ".xml" and root_tag(file) == "annotations"
    ]  # fmt: skip


def read_cvat(source: Path, reading: Reading) -> list[Annotated]:
    """The images of the file with what is drawn on them; one without anything is good. Raises DataError for a video."""
    root = read_xml(source, reading.report)
    if root is None:
        return []
    images = root.findall("image")
    if root.find("track") is not None:
        raise DataError(
            f"{source} has tracks of a video", found="tracks", expected="images", next_step="Export it as CVAT for images."
        )
    reading.once(
        ((one.get("name"), f"image {one.get('id')}") for one in images), f"{source}: several images are called {{key}}"
    )
    reading.once(
        ((one.get("id"), one.get("name")) for one in images if one.get("id")), f"{source}: several images have the id {{key}}"
    )
    found, absent = [], []
    for image in images:
        name = (image.get("name") or "").replace("\\", "/")
        picture = reading.find(name, source.parent)
        if picture is None:
            absent.append(name)
            continue
        found.append(_annotated(image, picture, source, reading))
    if absent:
        reading.report(absent_files(str(source), absent, next_step="Put the pictures beside it, or into images/."))
    return found


def _annotated(image: Element, picture: Path, source: Path, reading: Reading) -> Annotated:
    marks: list[Mark] = []
    labels: list[str] = []
    for shape in image:
        if shape.tag in BESIDE:
            continue
        try:
            name = (shape.get("label") or "").strip()
            if not name:
                raise ValueError("no label")
            if shape.tag == "tag":
                labels.append(name)
            else:
                marks.append(_mark(name, shape))
        except (TypeError, ValueError, OverflowError) as error:
            reading.report(
                Finding(
                    "boxes", f"{source}: a {shape.tag} of {picture.name} is not understood", found=str(error),
                    expected=f"a label, and a {KNOWN}", pictures=(picture,),
                )
            )  # fmt: skip
    try:
        width, height = int(image.get("width") or 0), int(image.get("height") or 0)
    except ValueError:
        width = height = 0
    split = split_named(image.get("subset") or "") or ""
    group = reading.group_of(picture.name, relative_name(picture, reading.root))
    return Annotated(picture, split, group, tuple(labels), tuple(marks), (width, height) if min(width, height) > 0 else None)


def _mark(name: str, shape: Element) -> Mark:
    """Raises ValueError or TypeError where it is not understood."""
    if shape.tag == "box":
        x1, y1, x2, y2 = finite(*(shape.get(edge) for edge in ("xtl", "ytl", "xbr", "ybr")))
        (degrees,) = finite(shape.get("rotation") or 0)
        if degrees:
            return Mark(name, outlines=(turned_box(x1, y1, x2, y2, degrees, about=((x1 + x2) / 2, (y1 + y2) / 2)),))
        return Mark(name, (x1, y1, x2, y2))
    if shape.tag == "polygon":
        corners = [finite(*point.split(",")) for point in (shape.get("points") or "").split(";")]
        if len(corners) < 3 or any(len(corner) != 2 for corner in corners):
            raise ValueError("an outline that has not three corners")
        return Mark(name, outlines=(tuple((x, y) for x, y in corners),))
    if shape.tag == "ellipse":
        x, y, across, down, degrees = finite(*(shape.get(key) for key in ("cx", "cy", "rx", "ry")), shape.get("rotation") or 0)
        return Mark(name, outlines=(ellipse(x, y, across, down, degrees),))
    if shape.tag == "mask":
        return Mark(name, spans=_spans(shape))
    raise ValueError(f"a {shape.tag}, which covers no pixels")


def _spans(shape: Element) -> tuple[tuple[int, int, int], ...]:
    """The pixels of a mask: run lengths of its box, row after row, first those outside."""
    left, top, width, height = (int(finite(shape.get(key))[0]) for key in ("left", "top", "width", "height"))
    counts = [int(count) for count in (shape.get("rle") or "").split(",")]
    pixels = pixels_of_runs(counts, (height, width), by_rows=True)
    if not pixels.any():
        raise ValueError("a mask that marks nothing")
    return spans_of(pixels, x=left, y=top)
