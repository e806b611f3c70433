"""Pictures by inspection: what the routes send to the browser. No path ever comes from outside, only an inspection's id."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from kizu_dashboard.room import Room
from kizu_db.values import InspectionRecord
from kizu_inspect.picture.decoding import decode_image
from kizu_inspect.picture.heatmap import upsample
from kizu_inspect.picture.images import encode_png
from kizu_inspect.results import ImageRGB, Verdict

__all__ = ["THUMBNAIL_PX", "Picture", "heatmap_png", "parse_uid", "photo", "shrink", "stored_image", "thumbnail"]

THUMBNAIL_PX: Final = 160
HEATMAP_PX: Final = 1024
"""A map is smooth between its few cells: more pixels than these would only make it slower."""


@dataclass(frozen=True)
class Picture:
    """Bytes for the browser."""

    data: bytes
    media_type: str


def parse_uid(text: str) -> str | None:
    """The id in its canonical form, or None where the text is no id."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return None


def stored_image(room: Room, record: InspectionRecord) -> ImageRGB | None:
    """The inspection's picture (H, W, 3) as it was judged, or None where none was kept.

    Raises RecordError where the file is missing or changed, ImageError where it does not decode.
    """
    data = _data(room, record)
    return None if data is None else _decoded(record, data)


def photo(room: Room, record: InspectionRecord) -> Picture | None:
    """The picture as the browser can show it: the file itself where it shows the very pixels that were judged, else a PNG.

    Raises RecordError and ImageError like `stored_image`.
    """
    data = _data(room, record)
    if data is None:
        return None
    # What was judged had been decoded; of a file that arrived cut a browser shows half as if it were whole.
    if record.row.verdict is Verdict.ERROR:
        _decoded(record, data)
    if data.startswith(b"\xff\xd8\xff"):
        return Picture(data, "image/jpeg")
    # 8 bits, grey or RGB: byte 24 is a PNG's bit depth, byte 25 its colour type. Others are converted before judging.
    if data.startswith(b"\x89PNG\r\n\x1a\n") and data[24:26] in (b"\x08\x00", b"\x08\x02"):
        return Picture(data, "image/png")
    return Picture(encode_png(_decoded(record, data)), "image/png")


def thumbnail(room: Room, record: InspectionRecord) -> Picture | None:
    """The picture with its longer side at most THUMBNAIL_PX, as JPEG. Raises like `stored_image`."""
    image = stored_image(room, record)
    if image is None:
        return None
    small = cv2.cvtColor(shrink(image, THUMBNAIL_PX), cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 82])
    return Picture(bytes(data), "image/jpeg")


def heatmap_png(record: InspectionRecord, method: str | None = None) -> Picture | None:
    """The map on the fixed scale as a grey PNG: 0 is no evidence, 255 the full scale; None where there is no map to draw.

    `method` None: the line's map. It covers the whole picture and has its proportions, with at most HEATMAP_PX pixels on the
    longer side.
    """
    explanation = record.explanation if method is None else record.explained_by(method)
    if explanation is None or not explanation.heatmap.status.has_map:
        return None
    hot = upsample(explanation.heatmap)  # (H, W) in [0, 1]
    longer = max(hot.shape)
    if longer > HEATMAP_PX:
        size = (max(1, hot.shape[1] * HEATMAP_PX // longer), max(1, hot.shape[0] * HEATMAP_PX // longer))
        hot = np.asarray(cv2.resize(hot, size, interpolation=cv2.INTER_AREA), np.float32)
    _, data = cv2.imencode(".png", np.rint(hot * 255).astype(np.uint8))
    return Picture(bytes(data), "image/png")


def shrink(image: ImageRGB, longest_px: int) -> ImageRGB:
    """The picture (H, W, 3) with its longer side at most `longest_px`; smaller pictures as they are."""
    height, width = image.shape[:2]
    if max(height, width) <= longest_px:
        return image
    scale = longest_px / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _data(room: Room, record: InspectionRecord) -> bytes | None:
    sha256 = record.row.kept_image
    return None if sha256 is None else room.images.get(sha256)


def _decoded(record: InspectionRecord, data: bytes) -> ImageRGB:
    """As its own recipe had it read."""
    content = record.recipe.content if record.recipe is not None else {}
    limit = content.get("max_megapixels")
    most = float(limit) if isinstance(limit, int | float) else 100.0
    return decode_image(data, max_megapixels=most, bits=content.get("bits"))
