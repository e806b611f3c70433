"""What a set that is written says of each picture: its things, each with a class, a box and, where it is known, its pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from kizu_inspect.errors import DataError, ImageError
from kizu_inspect.labelled.findings import Finding, a_few
from kizu_inspect.labelled.places import defects_of, marked_by
from kizu_inspect.labelled.readers.files import unreadable
from kizu_inspect.labelled.samples import Box, Sample, Spans
from kizu_inspect.labelled.shapes import Pixels, around, spans_of
from kizu_inspect.picture.decoding import picture_size

__all__ = ["Losses", "Marked", "Thing", "marked_pictures", "names_for"]


@dataclass(frozen=True)
class Thing:
    """One thing that is marked, in px of the picture; right and lower edge exclusive."""

    name: str
    box: tuple[int, int, int, int]
    spans: Spans = ()
    """Its pixels; none where the box alone is known."""


@dataclass(frozen=True)
class Marked:
    """A picture of the set that is written."""

    sample: Sample
    name: str
    """Its file's name in the new set, in which no other differs from it by its ending or by capitals alone."""
    size_px: tuple[int, int]
    """Height and width."""
    things: tuple[Thing, ...]


@dataclass
class Losses:
    """What the new set does not say as the old one does: kind, sentence and the pictures."""

    _pictures: dict[tuple[str, str], list[Path]] = field(default_factory=dict)

    def add(self, kind: str, what: str, picture: Path) -> None:
        """Counts a picture under this sentence."""
        self._pictures.setdefault((kind, what), []).append(picture)

    def findings(self) -> list[Finding]:
        """A warning for each sentence."""
        return [
            Finding(kind, what, found=a_few(pictures), pictures=tuple(pictures), severity="warning")
            for (kind, what), pictures in self._pictures.items()
        ]


def names_for(pictures: Sequence[Path]) -> list[str]:
    """A file name for each picture, all in one folder: its own, or with its number before it where others have that."""
    stems = Counter(picture.stem.casefold() for picture in pictures)
    if max(stems.values(), default=1) == 1:
        return [picture.name for picture in pictures]
    digits = len(str(len(pictures)))
    return [f"{number:0{digits}}_{picture.name}" for number, picture in enumerate(pictures, start=1)]


def marked_pictures(samples: Sequence[Sample], *, good: str | None, losses: Losses) -> Iterator[Marked]:
    """The pictures with all that is marked on them, the first label's first. What cannot be said goes to `losses`.

    Raises DataError for marks that do not fit their picture, and for a mask that does not say which class lies where.
    """
    for sample, name in zip(samples, names_for([sample.path for sample in samples]), strict=True):
        try:
            width, height = picture_size(sample.path)
        except (OSError, ImageError) as error:
            raise unreadable("picture", sample.path, error).as_error() from None
        plain = sample.labels == (good,) and not sample.boxes and not sample.areas
        things = () if plain else _things(sample, (height, width), losses)
        if sample.reference is not None:
            losses.add("no_reference", "references of pictures are not kept", sample.path)
        yield Marked(
            sample, name, (height, width), tuple(sorted(things, key=lambda thing: sample.labels.index(thing.name)))
        )  # fmt: skip


def _things(sample: Sample, size_px: tuple[int, int], losses: Losses) -> Iterable[Thing]:
    defects = defects_of(sample, size_px)
    if sample.areas:
        return _paired(sample, losses)
    marked = marked_by(sample, size_px)
    if marked is None:
        return [Thing(name, (x1, y1, x2, y2)) for x1, y1, x2, y2, name in defects]
    return _shared_out(sample, marked, losses)


def _paired(sample: Sample, losses: Losses) -> list[Thing]:
    """Each box with the area that fills it best, of those of its class; an area of no box has the box around it."""
    pairs = sorted(
        (
            (-_shared(box, around(spans)), number, place)
            for place, (name, spans) in enumerate(sample.areas)
            for number, box in enumerate(sample.boxes) if box[4] == name
        )
    )  # fmt: skip
    area_of: dict[int, int] = {}
    taken: set[int] = set()
    for shared, number, place in pairs:
        if shared < 0 and number not in area_of and place not in taken:
            area_of[number] = place
            taken.add(place)
    things = [
        Thing(name, (x1, y1, x2, y2), sample.areas[area_of[number]][1] if number in area_of else ())
        for number, (x1, y1, x2, y2, name) in enumerate(sample.boxes)
    ]
    alone = [area for place, area in enumerate(sample.areas) if place not in taken]
    if alone and sample.boxes:
        losses.add("own_box", "what is marked beside the boxes has boxes of its own", sample.path)
    return [*things, *(Thing(name, around(spans), spans) for name, spans in alone)]


def _shared(one: Box, other: tuple[int, int, int, int]) -> float:
    """How much of what two boxes cover together both of them cover: 0 to 1."""
    across, down = min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1])
    both = max(across, 0) * max(down, 0)
    sizes = [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (one[:4], other)]
    return both / (sum(sizes) - both)


def _shared_out(sample: Sample, marked: Pixels, losses: Losses) -> list[Thing]:
    """The mask's pixels to the smallest box around each, as training takes them; what lies in no box, piece by piece."""
    owner = np.full(marked.shape, -1, np.int32)
    by_size = sorted(enumerate(sample.boxes), key=lambda one: (one[1][3] - one[1][1]) * (one[1][2] - one[1][0]), reverse=True)
    for number, (x1, y1, x2, y2, _) in by_size:
        owner[y1:y2, x1:x2] = number
    things = [
        Thing(name, (x1, y1, x2, y2), spans_of(marked[y1:y2, x1:x2] & (owner[y1:y2, x1:x2] == number), x=x1, y=y1))
        for number, (x1, y1, x2, y2, name) in enumerate(sample.boxes)
    ]
    beside = marked & (owner < 0)
    if not beside.any():
        return things
    if sample.others:
        raise DataError(
            f"mask {sample.mask} does not say which class lies where", found=", ".join(sample.labels),
            expected="a box of its class around each thing", next_step="Convert to a manifest, or add boxes.",
        )  # fmt: skip
    if sample.boxes:
        losses.add("own_box", "what is marked beside the boxes has boxes of its own", sample.path)
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(beside.astype(np.uint8), connectivity=8)
    for number, (x, y, width, height, _) in enumerate(stats.tolist()[1:], start=1):
        inside = pieces[y : y + height, x : x + width] == number
        things.append(Thing(sample.label, (x, y, x + width, y + height), spans_of(inside, x=x, y=y)))
    return things
