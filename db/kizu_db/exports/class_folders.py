"""Reviewed pictures in class folders, from which `kizu train` learns."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from kizu_db.exports.folder import new_folder
from kizu_db.exports.reviewed import each_reviewed
from kizu_db.exports.told import Told
from kizu_db.image_store import ImageStore
from kizu_db.values import InspectionRecord
from kizu_inspect.errors import DataError
from kizu_inspect.labelled.samples import GOOD, SPLITS

__all__ = ["export_class_folders"]

_UNSAFE: Final = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
_LONGEST_BYTES: Final = 255
NARROWER: Final = "Leave those inspections out by period, station or verdict."


def export_class_folders(records: Iterable[InspectionRecord], store: ImageStore, out: Path) -> Told:
    """Writes each reviewed picture to <class>/<uid><suffix> in the new folder `out`.

    All good ones lie in one folder, called as the model of the first of them calls its good class ("good" where it has none):
    in two folders, one would be read as a defect. Pictures that the store has lost are counted and left out. Raises
    ConfigError, DataError for a class that cannot be a folder of its own, RecordError.
    """
    told = Told()
    with new_folder(out) as folder:
        defects: set[str] = set()
        for reviewed in each_reviewed(records, told):
            if reviewed.defect is None:
                model = reviewed.record.model
                name = told.good = told.good or (model.good if model is not None else None) or GOOD
            else:
                name = reviewed.defect
                defects.add(name)
            _require_folder_name(name)
            if told.good in defects:
                raise DataError("one model's good class is another's defect", found=told.good, next_step=NARROWER)
            (folder / name).mkdir(exist_ok=True)
            if reviewed.copy_picture(store, folder / name, told) is not None:
                told.written[name] += 1
    return told


def _require_folder_name(name: str) -> None:
    """Raise DataError for a class whose folder would be missed, be another one, or not be possible everywhere."""
    if (
        name.startswith(".") or name.endswith((".", " ")) or name in SPLITS or _UNSAFE.search(name)
        or len(name.encode()) > _LONGEST_BYTES
    ):  # fmt: skip
        raise DataError(
            "a class has a name that no folder can have", found=repr(name),
            expected=f"a file name of every system without a dot at its start, and none of {', '.join(SPLITS)}",
            next_step=f"Export as COCO instead. {NARROWER}",
        )  # fmt: skip
