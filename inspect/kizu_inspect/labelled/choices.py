"""What a set may be and what may be said of it, for the help of commands: light to import."""

from __future__ import annotations

from typing import Final, Literal, get_args

__all__ = ["EXPECTED", "LAYOUTS", "UNLABELLED", "Layout", "Unlabelled"]

EXPECTED: Final = (
    "class folders, a manifest CSV, or a set as MVTec AD, Pascal VOC, COCO, YOLO, labelme, CVAT, Label Studio or Datumaro "
    "lay it out"
)
Unlabelled = Literal["refuse", "good", "leave-out"]
"""What becomes of pictures of which nobody said anything."""
UNLABELLED: Final[tuple[Unlabelled, ...]] = get_args(Unlabelled)
Layout = Literal["coco", "voc"]
"""In which layouts a set can be written, beside a manifest."""
LAYOUTS: Final[tuple[Layout, ...]] = get_args(Layout)
