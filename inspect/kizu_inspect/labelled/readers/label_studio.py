"""Label Studio's JSON: a list of tasks, each a picture with the annotations that people submitted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from kizu_inspect.labelled.annotated import Annotated, Mark
from kizu_inspect.labelled.findings import Finding
from kizu_inspect.labelled.readers.drawn import ellipse, finite, turned_box
from kizu_inspect.labelled.readers.files import absent_files, relative_name
from kizu_inspect.labelled.readers.json_files import json_alone, peek_json, read_json
from kizu_inspect.labelled.readers.reading import Reading
from kizu_inspect.labelled.samples import PICTURES
from kizu_inspect.labelled.shapes import Outline

__all__ = ["is_label_studio", "label_studio_files", "read_label_studio"]

PREFIX = 9
"""Characters that Label Studio puts before the name of a picture that was uploaded: eight and a hyphen."""


def label_studio_files(files: Sequence[Path], folder: Path) -> list[Path]:
    """The exports of Label Studio in a folder itself, of `files` those below it."""
    return [file for file in json_alone(files, folder) if is_label_studio(file)]


def is_label_studio(file: Path) -> bool:
    """Whether the file is a list of tasks."""
    content = peek_json(file)
    return isinstance(content, list) and bool(content) and all(_is_task(one) for one in content[:5])


def _is_task(one: object) -> bool:
    return isinstance(one, dict) and isinstance(one.get("data"), dict) and "annotations" in one


def read_label_studio(source: Path, reading: Reading) -> list[Annotated]:
    """The picture of each task with its one annotation that was not skipped; an annotation without results says it is good.

    A task that nobody annotated is without labels. Predictions of a model are no labels.
    """
    tasks = read_json(source, "an export of Label Studio in JSON", reading.report)
    if not isinstance(tasks, list) or not all(_is_task(one) for one in tasks):
        if tasks is not None:
            expected = "a list of tasks with data and annotations"
            reading.report(Finding("annotation", f"{source} is no export of Label Studio", "another JSON", expected))
        return []
    reading.once(((one.get("id"), _named(one)) for one in tasks if "id" in one), f"{source}: several tasks have the id {{key}}")
    found, absent = [], []
    for task in tasks:
        picture = _picture(task, source, reading)
        if picture is None:
            absent.append(_named(task))
            continue
        found.append(_annotated(task, picture, source, reading))
    if absent:
        reading.report(absent_files(str(source), absent, next_step="Put the pictures beside it, or into images/."))
    return found


def _named(task: dict[str, Any]) -> str:
    """What the task calls its picture."""
    values = [value for value in task["data"].values() if isinstance(value, str)]
    path = [value for value in values if Path(urlsplit(value).path).suffix.lower() in PICTURES or "local-files" in value]
    return next(iter([*path, *values]), "a task without a picture")


def _picture(task: dict[str, Any], source: Path, reading: Reading) -> Path | None:
    named = _named(task)
    address = urlsplit(named)
    local = parse_qs(address.query).get("d", [""])[0]
    name = unquote(local or address.path).replace("\\", "/")
    last = name.rsplit("/", 1)[-1]
    tried = [name.lstrip("/"), last, *([last[PREFIX:]] if last[PREFIX - 1 : PREFIX] == "-" else [])]
    return next((found for one in tried if (found := reading.find(one, source.parent)) is not None), None)


def _annotated(task: dict[str, Any], picture: Path, source: Path, reading: Reading) -> Annotated:
    given = task["annotations"] if isinstance(task["annotations"], list) else []
    made = [one for one in given if isinstance(one, dict) and not one.get("was_cancelled")]
    if len(made) > 1:
        reading.same_name(f"{source}: several annotations of {picture.name}", [f"annotation {one.get('id')}" for one in made])
    group = reading.group_of(picture.name, relative_name(picture, reading.root))
    marks: list[Mark] = []
    labels: list[str] = []
    sizes: set[tuple[int, int]] = set()
    results = (made[0].get("result") or []) if made else []
    for number, result in enumerate(results, start=1):
        try:
            _take(result, marks, labels, sizes)
        except (TypeError, ValueError, LookupError, AttributeError, OverflowError) as error:
            reading.report(
                Finding(
                    "boxes", f"{source}: result {number} of {picture.name} is not understood", found=str(error),
                    expected="rectanglelabels, polygonlabels, ellipselabels or choices, with one label", pictures=(picture,),
                )
            )  # fmt: skip
    if len(sizes) > 1:
        found = ", ".join(f"{width} × {height}" for width, height in sorted(sizes))
        what = f"{source}: {picture.name} was drawn on in several sizes"
        reading.report(Finding("drawn_on_other_size", what, found, "one size", pictures=(picture,)))
    size = next(iter(sizes), None)
    return Annotated(picture, "", group, tuple(labels), tuple(marks), size, "shares", unlabelled=not made)


def _take(result: dict[str, Any], marks: list[Mark], labels: list[str], sizes: set[tuple[int, int]]) -> None:
    """Puts what the result says to the others. Raises ValueError, TypeError or LookupError where it is not understood."""
    kind, value = result["type"], result["value"]
    if kind == "choices":
        labels += [str(one).strip() for one in value["choices"]]
        return
    (name,) = value[kind] if kind in value else value["labels"]
    if result.get("image_rotation"):
        raise ValueError("a picture that was turned for drawing")
    width, height = int(result["original_width"]), int(result["original_height"])
    if min(finite(width, height)) < 1:
        raise ValueError(f"drawn on a picture of {width} × {height} px")
    sizes.add((width, height))
    marks.append(_mark(str(name).strip(), str(kind), value, (width, height)))


def _mark(name: str, kind: str, value: dict[str, Any], size: tuple[int, int]) -> Mark:
    width, height = size

    def shares(outline: Outline) -> Outline:
        return tuple((x / width, y / height) for x, y in outline)

    if kind.startswith("polygon"):
        corners = [finite(x, y) for x, y in value["points"]]
        if len(corners) < 3:
            raise ValueError("an outline that has not three corners")
        return Mark(name, outlines=(tuple((x / 100, y / 100) for x, y in corners),))
    if kind.startswith("rectangle"):
        x, y, across, down, degrees = finite(*(value[key] for key in ("x", "y", "width", "height")), value.get("rotation") or 0)
        if not degrees:
            return Mark(name, (x / 100, y / 100, (x + across) / 100, (y + down) / 100))
        left, top = x * width / 100, y * height / 100
        box = (left, top, left + across * width / 100, top + down * height / 100)
        return Mark(name, outlines=(shares(turned_box(*box, degrees, about=(left, top))),))
    if kind.startswith("ellipse"):
        x, y, across, down, degrees = finite(
            *(value[key] for key in ("x", "y", "radiusX", "radiusY")), value.get("rotation") or 0
        )
        drawn = ellipse(x * width / 100, y * height / 100, across * width / 100, down * height / 100, degrees)
        return Mark(name, outlines=(shares(drawn),))
    raise ValueError(f"{kind}, which is not read")
