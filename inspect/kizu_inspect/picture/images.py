"""Decoding, and the way between a picture and the network's input: the one place that knows a picture's geometry."""

from __future__ import annotations

import io
import struct
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from kizu_inspect.errors import ImageError
from kizu_inspect.results import GridGeometry, ImageRGB

__all__ = ["CellGeometry", "Placement", "decode_image", "encode_png", "fit_image", "grid_geometry", "place"]

FORMATS = ("PNG", "JPEG", "BMP", "TIFF")
Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit; ours is checked from the header, before any pixel
ResizePolicy = Literal["letterbox", "stretch"]


def decode_image(data: bytes, *, max_megapixels: float = 100.0) -> ImageRGB:
    """The picture in `data`: (H, W, 3) uint8 RGB.

    PNG, JPEG, BMP and TIFF; grey, palette and 16-bit pictures become 8-bit RGB (16-bit values divided by 257), transparent
    pixels are laid over black. The header is read before any pixel, so that an oversized picture costs nothing. EXIF
    orientation is ignored: boxes and masks speak of the sensor's pixels.

    Raises ImageError: empty, not a picture, truncated or broken, or too large.
    """
    if not data:
        raise ImageError("picture is empty", found="0 bytes", expected="a PNG, JPEG, BMP or TIFF file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged EXIF data, which nothing here reads
            with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
                _check_size(picture.width, picture.height, max_megapixels)
                picture.load()
                return _to_rgb8(picture)
    except UnidentifiedImageError:
        if data[:4] in (b"II*\0", b"MM\0*"):  # Pillow knows no TIFF with three 16-bit channels; OpenCV does
            return _decode_deep_tiff(data, max_megapixels)
        start = data[:8].hex(" ")
        raise ImageError(
            "not a picture", found=f"a file beginning with bytes {start}", expected="PNG, JPEG, BMP or TIFF"
        ) from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ImageError(
            "picture is truncated or broken", found=str(error), expected="a whole file", next_step="Take it again."
        ) from None


def _check_size(width_px: int, height_px: int, max_megapixels: float) -> None:
    megapixels = width_px * height_px / 1e6
    if megapixels > max_megapixels:
        raise ImageError(
            "picture is too large",
            found=f"{width_px} × {height_px} px ({megapixels:.1f} megapixels)",
            expected=f"at most {max_megapixels:g} megapixels",
            next_step="Raise recipe.max_megapixels if such pictures are meant.",
        )


def _to_rgb8(picture: Image.Image) -> ImageRGB:
    if picture.mode.startswith("I") or picture.mode == "F":
        values = np.asarray(picture)
        if values.dtype.kind == "f" or values.min() < 0 or values.max() > 65535:
            raise ImageError("pixel values have no known range", found=f"mode {picture.mode}", expected="8 or 16 bit")
        return _grey_to_rgb(np.rint(values.astype(np.float64) / 257).astype(np.uint8))
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        with_alpha = picture.convert("RGBA")
        black = Image.new("RGBA", with_alpha.size, (0, 0, 0, 255))
        return np.array(Image.alpha_composite(black, with_alpha).convert("RGB"), dtype=np.uint8)
    return np.array(picture.convert("RGB"), dtype=np.uint8)


def _grey_to_rgb(grey: npt.NDArray[np.uint8]) -> ImageRGB:
    return np.repeat(grey[:, :, None], 3, axis=2)


def _decode_deep_tiff(data: bytes, max_megapixels: float) -> ImageRGB:
    broken = ImageError("picture is truncated or broken", found="a TIFF that does not decode", expected="a whole file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a directory cut short; its size is missing then
            header = TiffImagePlugin.ImageFileDirectory_v2(data[:8])
            stream = io.BytesIO(data)
            stream.seek(header.next)
            header.load(stream)
        width_px, height_px = int(header[TiffImagePlugin.IMAGEWIDTH]), int(header[TiffImagePlugin.IMAGELENGTH])
    except (OSError, SyntaxError, ValueError, KeyError, TypeError, struct.error):
        raise broken from None
    _check_size(width_px, height_px, max_megapixels)
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None:
        raise broken
    pixels: npt.NDArray[Any] = decoded
    if pixels.dtype == np.uint16:
        pixels = np.rint(pixels / 257.0)
    elif pixels.dtype != np.uint8:
        raise ImageError("pixel values have no known range", found=str(pixels.dtype), expected="8 or 16 bit")
    if pixels.ndim == 2:
        return _grey_to_rgb(pixels.astype(np.uint8))
    colour = pixels[:, :, 2::-1].astype(np.float64)
    if pixels.shape[2] == 4:
        colour *= pixels[:, :, 3:].astype(np.float64) / 255
    return np.ascontiguousarray(np.rint(colour), dtype=np.uint8)


def encode_png(image: ImageRGB) -> bytes:
    """The picture (H, W, 3) RGB or (H, W) grey, uint8, as PNG bytes."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    done, data = cv2.imencode(".png", bgr)
    if not done:
        raise ImageError("picture cannot be encoded", found=f"shape {image.shape}", expected="(H, W, 3) uint8")
    return bytes(data)


@dataclass(frozen=True)
class CellGeometry:
    """Where the cells of a network's last feature map lie: cell (i, j) is centred on input pixel start_px + step_px·(i, j).

    A layer with kernel k, stride t and padding p over cells at c + s·i gives cells at c + s·((k − 1)/2 − p), step s·t, whose
    receptive field is larger by s·(k − 1).
    """

    start_px: float = 0.0
    step_px: float = 1.0
    field_px: float = 1.0
    """Side of the receptive field: a cell sees nothing farther than half of it."""

    def through(self, *, kernel: int, stride: int, padding: int) -> CellGeometry:
        """The cells' geometry after one more convolution or pooling layer."""
        return CellGeometry(
            self.start_px + self.step_px * ((kernel - 1) / 2 - padding),
            self.step_px * stride,
            self.field_px + self.step_px * (kernel - 1),
        )


@dataclass(frozen=True)
class Placement:
    """How a picture lies in the network's input: input = (picture + 0.5)·scale − 0.5 + offset, in pixels, x and y apart."""

    scale_x: float
    scale_y: float
    offset_x_px: int
    offset_y_px: int
    width_px: int
    height_px: int


def place(width_px: int, height_px: int, *, input_px: tuple[int, int], policy: ResizePolicy) -> Placement:
    """Where a picture of this size comes to lie in an input of `input_px` (height, width)."""
    input_height, input_width = input_px
    if policy == "stretch":
        new_width, new_height = input_width, input_height
    else:
        scale = min(input_width / width_px, input_height / height_px)
        new_width = min(input_width, max(1, round(width_px * scale)))
        new_height = min(input_height, max(1, round(height_px * scale)))
    return Placement(
        scale_x=new_width / width_px,
        scale_y=new_height / height_px,
        offset_x_px=(input_width - new_width) // 2,
        offset_y_px=(input_height - new_height) // 2,
        width_px=width_px,
        height_px=height_px,
    )


def fit_image(image: ImageRGB, *, input_px: tuple[int, int], policy: ResizePolicy, nearest: bool = False) -> ImageRGB:
    """The picture (H, W, 3) uint8 as the network's input size; what letterboxing leaves free is filled by reflection.

    `nearest` mixes no values: for pictures whose values are names.
    """
    height, width = image.shape[:2]
    placed = place(width, height, input_px=input_px, policy=policy)
    size = (round(width * placed.scale_x), round(height * placed.scale_y))
    if size != (width, height):
        shrinks = size[0] < width or size[1] < height
        how = cv2.INTER_NEAREST_EXACT if nearest else cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        image = np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)
    left, top = placed.offset_x_px, placed.offset_y_px
    right, bottom = input_px[1] - size[0] - left, input_px[0] - size[1] - top
    if left or top or right or bottom:
        image = np.asarray(cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_REFLECT), np.uint8)
    return image


def grid_geometry(cells: CellGeometry, placed: Placement) -> GridGeometry:
    """Where the map's cells lie in the original picture: receptive-field centres with the placement undone."""
    return GridGeometry(
        origin_x_px=(cells.start_px - placed.offset_x_px + 0.5) / placed.scale_x - 0.5,
        origin_y_px=(cells.start_px - placed.offset_y_px + 0.5) / placed.scale_y - 0.5,
        step_x_px=cells.step_px / placed.scale_x,
        step_y_px=cells.step_px / placed.scale_y,
        width_px=placed.width_px,
        height_px=placed.height_px,
    )


def input_geometry(cells: CellGeometry, *, input_px: tuple[int, int]) -> GridGeometry:
    """Where the map's cells lie in the network's input of `input_px` (height, width)."""
    height, width = input_px
    return GridGeometry(cells.start_px, cells.start_px, cells.step_px, cells.step_px, width, height)
