"""Pictures whose class a person told: what a model may learn from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kizu_db.exports.told import LeftOut, Told
from kizu_db.image_store import ImageStore
from kizu_db.values import DrawnBox, InspectionRecord
from kizu_inspect.errors import DataError, RecordError
from kizu_inspect.labelled.samples import GOOD_NAMES, PICTURES

__all__ = ["Reviewed", "each_reviewed"]


@dataclass(frozen=True)
class Reviewed:
    """An inspection with a picture, and what its latest review says."""

    record: InspectionRecord
    sha256: str
    """The picture's name in the image store."""
    width_px: int
    height_px: int
    defect: str | None
    """The defect class; None where the part is good."""
    boxes: tuple[DrawnBox, ...] = ()
    """What the reviewer drew; empty where nothing was drawn."""

    def copy_picture(self, store: ImageStore, folder: Path, told: Told) -> Path | None:
        """The picture's copy in this folder, named by the inspection; None, and counted, where the store's is not sound.

        Raises OSError where the copy cannot be written.
        """
        try:
            data = store.get(self.sha256)
            suffix = store.path_of(self.sha256).suffix
        except RecordError as error:
            told.lose(f"inspection {self.record.row.uid}: {error}")
            return None
        if suffix not in PICTURES:
            told.left_out[LeftOut.NOT_DECODED] += 1
            return None
        path = folder / f"{self.record.row.uid}{suffix}"
        path.write_bytes(data)
        return path


def each_reviewed(records: Iterable[InspectionRecord], told: Told) -> Iterator[Reviewed]:
    """Those that a person reviewed, with a picture and, where defective, a class; the others are counted.

    Raises DataError for a defect class that the readers of labelled pictures would take for a good one or for several.
    """
    for record in records:
        found = _reviewed(record)
        if isinstance(found, LeftOut):
            told.left_out[found] += 1
        else:
            yield found


def _reviewed(record: InspectionRecord) -> Reviewed | LeftOut:
    review, sha256 = record.standing_review, record.row.kept_image
    if review is None:
        return LeftOut.NOT_REVIEWED
    if sha256 is None:
        return LeftOut.NO_PICTURE
    if record.width_px is None or record.height_px is None:
        return LeftOut.NOT_DECODED
    if review.disposition == "good":
        return Reviewed(record, sha256, record.width_px, record.height_px, None)
    defect = (review.defect_class or "").strip()
    if not defect:
        return LeftOut.NO_CLASS
    for name in (defect, *(box.defect_class.strip() for box in review.boxes)):
        if name.lower() in GOOD_NAMES or "|" in name:
            raise DataError(
                f"the review of inspection {record.row.uid} names a defect that training would read as something else",
                found=repr(name),
                expected=f"a name without |, and none of {', '.join(GOOD_NAMES)}",
                next_step="Review it again with another class.",
            )
    return Reviewed(record, sha256, record.width_px, record.height_px, defect, review.boxes)
