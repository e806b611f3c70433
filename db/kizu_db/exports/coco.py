"""Reviewed pictures as COCO: annotations.json and the pictures in images/."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Final, TextIO

from kizu_db.exports.folder import new_folder
from kizu_db.exports.reviewed import Reviewed, each_reviewed
from kizu_db.exports.told import LeftOut, Told
from kizu_db.image_store import ImageStore
from kizu_db.values import DrawnBox, InspectionRecord
from kizu_inspect.labelled.samples import GOOD
from kizu_inspect.versions import version_of

__all__ = ["export_coco"]

DESCRIPTION: Final = (
    'Pictures whose class a person reviewed. Boxes are those that the reviewer drew, and of a picture with "drawn": false the '
    "regions of the model's map, which nobody drew or corrected, in the reviewed category. A picture without annotations was "
    "reviewed as good."
)


def export_coco(records: Iterable[InspectionRecord], store: ImageStore, out: Path) -> Told:
    """Writes the reviewed pictures into the new folder `out`, named by their inspections.

    Defective ones have boxes [x, y, width, height] in pixels: those that the latest review drew, each in its class, or else the
    regions of the standing map, in the reviewed class; where the map has none, or regions of several classes, the inspection
    is left out, for a picture without boxes is a good one. Pictures that the store has lost are counted and left out. Raises
    ConfigError, DataError, RecordError.
    """
    told = Told()
    with new_folder(out) as folder:
        pictures = folder / "images"
        pictures.mkdir()
        # Annotations come with the images and stand behind them: until the end they lie in a file without a name.
        with (
            (folder / "annotations.json").open("w", encoding="utf-8") as file,
            TemporaryFile("w+", encoding="utf-8", dir=folder) as annotations,
        ):
            coco = _CocoFile(file, annotations)
            for reviewed in each_reviewed(records, told):
                boxes = _boxes(reviewed)
                if isinstance(boxes, LeftOut):
                    told.left_out[boxes] += 1
                    continue
                picture = reviewed.copy_picture(store, pictures, told)
                if picture is None:
                    continue
                coco.add(picture.name, reviewed, boxes)
                if reviewed.defect is None:
                    told.good = GOOD  # what the format's readers call a picture without boxes
                told.written.update(images=1, annotations=len(boxes))
            coco.finish()
    return told


def _boxes(reviewed: Reviewed) -> tuple[DrawnBox, ...] | LeftOut:
    """The boxes of a picture: none where it is good."""
    if reviewed.defect is None:
        return ()
    if reviewed.boxes:
        return reviewed.boxes
    explanation = reviewed.record.explanation
    if explanation is None or not explanation.regions:
        return LeftOut.NO_REGION
    if len({region.label for region in explanation.regions}) > 1:
        return LeftOut.SEVERAL_CLASSES
    return tuple(
        DrawnBox(x1=region.x1, y1=region.y1, x2=region.x2, y2=region.y2, defect_class=reviewed.defect)
        for region in explanation.regions
    )


class _CocoFile:
    """A COCO file that is written as pictures come: only the categories are in memory."""

    def __init__(self, file: TextIO, annotations: TextIO) -> None:
        self._file, self._annotations = file, annotations
        self._categories: dict[str, int] = {}
        self._images = self._boxes = 0
        info = {
            "description": DESCRIPTION,
            "version": f"Kizu {version_of('kizu')}",
            "date_created": datetime.now(UTC).isoformat(),
        }
        self._file.write(f'{{"info": {json.dumps(info)},\n"licenses": [],\n"images": [')

    def add(self, name: str, reviewed: Reviewed, boxes: Iterable[DrawnBox]) -> None:
        """A picture with its boxes; none where it is good."""
        self._images += 1
        image = {
            "id": self._images, "file_name": name, "width": reviewed.width_px, "height": reviewed.height_px,
            "date_captured": reviewed.record.row.captured_at.isoformat(), "drawn": bool(reviewed.boxes),
        }  # fmt: skip
        self._file.write(_entry(image, first=self._images == 1))
        for box in boxes:
            self._boxes += 1
            category = self._categories.setdefault(box.defect_class, len(self._categories) + 1)
            width, height = box.x2 - box.x1, box.y2 - box.y1
            annotation = {
                "id": self._boxes, "image_id": self._images, "category_id": category,
                "bbox": [box.x1, box.y1, width, height], "area": width * height, "segmentation": [], "iscrowd": 0,
            }  # fmt: skip
            self._annotations.write(_entry(annotation, first=self._boxes == 1))

    def finish(self) -> None:
        """Write what stands behind the images."""
        self._file.write('],\n"annotations": [')
        self._annotations.seek(0)
        shutil.copyfileobj(self._annotations, self._file)
        categories = [{"id": number, "name": name, "supercategory": "defect"} for name, number in self._categories.items()]
        self._file.write(f'],\n"categories": {json.dumps(categories, ensure_ascii=False)}}}\n')


def _entry(content: dict[str, Any], *, first: bool) -> str:
    return ("\n" if first else ",\n") + json.dumps(content)
