"""Writing a set in the layout of other tools: whole or not at all, and never a defect as a good picture."""

from __future__ import annotations

import os
import secrets
import shutil
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kizu_inspect.errors import ConfigError, DataError
from kizu_inspect.labelled.choices import Layout
from kizu_inspect.labelled.findings import Finding, a_few
from kizu_inspect.labelled.readers.files import unreadable
from kizu_inspect.labelled.samples import GOOD, GOOD_NAMES, Sample
from kizu_inspect.labelled.writers import coco, voc
from kizu_inspect.labelled.writers.marked import Losses, Marked, marked_pictures, names_for
from kizu_inspect.picture.decoding import picture_turn

__all__ = ["write_set"]

Writer = Callable[[Path, Iterable[Marked], Sequence[str], Sequence[str], Losses], None]
WRITERS: Final[Mapping[Layout, tuple[str, Writer]]] = {
    "coco": (coco.PICTURES_IN, coco.write_coco),
    "voc": (voc.PICTURES_IN, voc.write_voc),
}

CANNOT_STAND: Final = frozenset(("Cc", "Cs"))
"""Unicode's categories of controls and of halves of a character, which a name that is no UTF-8 has."""


def write_set(out: Path, samples: Sequence[Sample], layout: Layout, *, good: str | None = None) -> list[Finding]:
    """Writes the samples with copies of their pictures into the new folder `out`; returns warnings of what it does not hold.

    Without `good`, a class called good, ok, normal, pass or free is the good one. Raises DataError for a set that the layout
    would falsify, and where the disk refuses: nothing stays behind then. Raises ConfigError where `out` is in use.
    """
    labels = sorted({label for sample in samples for label in sample.labels})
    good = good or next((name for name in labels if name.lower() in GOOD_NAMES), None)
    marked = {name for sample in samples for name in (*(box[4] for box in sample.boxes), *(one[0] for one in sample.areas))}
    classes = sorted({*labels, *marked} - ({good} - marked if good is not None else set()))
    _refuse(samples, layout, classes, good)
    losses = Losses()
    if good is not None and good != GOOD:
        for sample in samples:
            if sample.label == good and not sample.boxes and not sample.areas:
                losses.add("good_name", f"pictures of the class {good} have no marks, and are read as good", sample.path)
    pictures_in, write = WRITERS[layout]
    with _new_folder(out) as folder:
        place = folder / pictures_in
        place.mkdir()
        write(folder, marked_pictures(samples, good=good, losses=losses), classes, [one.split for one in samples], losses)
        for sample, name in zip(samples, names_for([sample.path for sample in samples]), strict=True):
            shutil.copyfile(sample.path, place / name)
    return losses.findings()


def _refuse(samples: Sequence[Sample], layout: Layout, classes: Sequence[str], good: str | None) -> None:
    called = layout.upper()
    unmarked = [sample for sample in samples if sample.labels != (good,) and not _all_marked(sample)]
    if unmarked:
        raise DataError(
            f"pictures have a class and nothing marked for it, and {called} would make good ones of them",
            found=a_few([f"{sample.path} ({'|'.join(sample.labels)})" for sample in unmarked]),
            expected="a box, an outline or a mask for each class of a picture",
            next_step="Convert to a manifest, mark the defects, or name the good class by --good.",
        )  # fmt: skip
    if len({bool(sample.split) for sample in samples}) > 1:
        raise DataError(
            f"some pictures have a split and some have none, which {called} cannot say",
            found=a_few([sample.path for sample in samples if not sample.split]), expected="a split for all, or for none",
            next_step="Convert with --splits anew, or name the splits of the others.",
        )  # fmt: skip
    turned = [sample.path for sample in samples if (sample.boxes or sample.masked) and _turned(sample.path)]
    if turned:
        raise DataError(
            f"pictures are shown turned, and of {called} nobody can tell whether its marks are", found=a_few(turned),
            expected="pictures without an orientation", next_step="Take the orientation out of the files.",
        )  # fmt: skip
    if layout == "voc":
        _refuse_for_voc(samples, classes)


def _turned(picture: Path) -> bool:
    try:
        return picture_turn(picture) != 1
    except OSError as error:
        raise unreadable("picture", picture, error).as_error() from None


def _all_marked(sample: Sample) -> bool:
    named = {*(box[4] for box in sample.boxes), *(name for name, _ in sample.areas)}
    return named.issuperset(sample.labels) or (sample.mask is not None and not named and not sample.areas)


def _refuse_for_voc(samples: Sequence[Sample], classes: Sequence[str]) -> None:
    names = [*classes, *(sample.path.name for sample in samples), *(sample.group for sample in samples)]
    wrong = sorted(
        {name for name in names if name != name.strip() or not CANNOT_STAND.isdisjoint(map(unicodedata.category, name))}
    )
    if wrong:
        raise DataError(
            "names cannot stand in the files of VOC", found=a_few([ascii(name) for name in wrong]),
            expected="printable characters, no blank at either end", next_step="Rename them, or convert to COCO.",
        )  # fmt: skip
    if len(classes) > voc.MOST_CLASSES:
        raise DataError(
            "there are more classes than VOC can number", found=str(len(classes)), expected=f"{voc.MOST_CLASSES} or fewer",
            next_step="Convert to COCO.",
        )  # fmt: skip


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """A hidden folder beside `out`, which becomes `out` when the block ends, and is removed where it fails."""
    try:
        if os.path.lexists(out) and (not out.is_dir() or any(out.iterdir())):
            raise ConfigError("the set would mix with what is there", found=str(out), expected="a new or empty folder")
        target = out.resolve()
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f".{target.name}-{secrets.token_hex(4)}.tmp")
        unfinished.mkdir()
    except OSError as error:
        raise ConfigError(f"set {out} cannot be made", found=str(error), expected="a place that can be written to") from None
    try:
        yield unfinished
        unfinished.rename(target)
    except OSError as error:
        raise DataError(
            f"set {out} cannot be written", found=str(error),
            next_step="Nothing of it was kept. Check the free space and the owner of that place.",
        ) from None  # fmt: skip
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
