"""From a picture's bytes to its pixels, or to the reason why they are no whole picture."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, MpoImagePlugin, TiffImagePlugin, UnidentifiedImageError

from kizu_inspect.errors import ImageError
from kizu_inspect.picture.depth import to_8_bits
from kizu_inspect.picture.foreign import named_by_its_start
from kizu_inspect.recipe import Bits
from kizu_inspect.results import ImageRGB

__all__ = ["TURNED_BACK", "decode_image", "deep_values", "picture_size", "picture_turn"]

FORMATS = ("PNG", "JPEG", "BMP", "TIFF")
Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit; ours is checked from the header, before any pixel

SUBFILE_TYPE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, ORIENTATION = 254, 256, 257, 258, 259, 262, 274  # of TIFF 6.0
UNTOLD: Final = {2: "fax data", 3: "fax data", 4: "fax data", 6: "old JPEG data", 7: "JPEG data"}
"""TIFF compressions whose decoder goes on over damage without a word."""
ADAM7: Final = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""The passes of an interlaced PNG: first column, first row, and the steps between them."""
PNG_START: Final = b"\x89PNG\r\n\x1a\n"
PNG_STEP: Final = 1 << 20
BMP_HEADERS: Final = 26
SMALLER_COPY_OR_MASK, WHITE_IS_0 = 1 | 4, 0
TURNED_BACK: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""By TIFF's orientation: what undoes the turn that Pillow makes for it."""


def decode_image(data: bytes, *, max_megapixels: float = 100.0, bits: Bits | None = None) -> ImageRGB:
    """The picture in `data`: (H, W, 3) uint8 RGB.

    PNG, JPEG, BMP and TIFF; grey, palette and deeper pictures become 8-bit RGB (by their whole range, which of 16-bit values
    `bits` tells, where not all are filled; white as 0 is turned round), transparent pixels are laid over black. The header is
    read before any pixel, so that an oversized picture costs nothing. The orientation of EXIF and TIFF is ignored: boxes and
    masks speak of the sensor's pixels.

    Raises ImageError: empty, not a picture, truncated, damaged as far as the format can tell (what a decoder merely warns of
    is an error; PNG carries a check sum, BMP, JPEG and TIFF do not), of several pictures, of a compression
    whose decoder does not tell damage (fax and JPEG in TIFF), too large, or with values beyond `bits`.
    """
    if not data:
        raise ImageError("picture is empty", found="0 bytes", expected="a PNG, JPEG, BMP or TIFF file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged EXIF data, which nothing here reads
            with _opened(data) as picture:
                _check_size(picture.width, picture.height, max_megapixels)
                if isinstance(picture, TiffImagePlugin.TiffImageFile):
                    _check_pages(picture)
                if picture.format == "PNG":
                    # Pillow reads as many rows as there are, and the check sums that would tell only when asked.
                    _opened(data).verify()
                    if data.find(b"acTL", 0, data.find(b"IDAT")) >= 0:
                        raise ImageError("picture has several pages", found="an animated PNG", expected="one picture a file")
                _check_alone(data, picture)
                if picture.format in ("JPEG", "MPO"):
                    return _decode_jpeg(data, picture)
                turn_back = None
                if isinstance(picture, TiffImagePlugin.TiffImageFile):
                    turn_back = TURNED_BACK.get(picture.tag_v2.get(ORIENTATION, 1))
                picture.load()
                if picture.format == "PNG" and not _has_last_row(picture):
                    _check_png(data)
                if bits not in (None, 16) and _is_deep_colour(data, picture):
                    return _deep_colour(data, bits)
                pixels = _to_rgb8(picture, bits)
                return pixels if turn_back is None else np.asarray(Image.fromarray(pixels).transpose(turn_back))
    except UnidentifiedImageError:
        if data[:4] in (b"II*\0", b"MM\0*"):  # Pillow knows no TIFF with three 16-bit channels; OpenCV does
            return _decode_deep_tiff(data, max_megapixels, bits)
        raise ImageError("not a picture", found=named_by_its_start(data), expected="PNG, JPEG, BMP or TIFF") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ImageError(
            "picture is truncated or broken", found=str(error), expected="a whole file", next_step="Take it again."
        ) from None


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height in px of the pixels that `decode_image` gives, from the header where Pillow knows the format.

    Raises OSError or ImageError.
    """
    try:
        with Image.open(path, formats=FORMATS) as picture:
            if isinstance(picture, TiffImagePlugin.TiffImageFile):  # whose size Pillow already turns
                return picture.tag_v2[WIDTH], picture.tag_v2[HEIGHT]
            return picture.size
    except (OSError, SyntaxError, ValueError, KeyError):
        height, width = decode_image(path.read_bytes()).shape[:2]  # knows more formats, or tells what is wrong
        return width, height


def picture_turn(path: Path) -> int:
    """The orientation (1 to 8, as of EXIF and TIFF) in which viewers show the picture; 1 where the file says none.

    Raises OSError.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged EXIF data
            with Image.open(path, formats=FORMATS) as picture:
                tags = picture.tag_v2 if isinstance(picture, TiffImagePlugin.TiffImageFile) else picture.getexif()
                told = tags.get(ORIENTATION, 1)
    except (SyntaxError, ValueError, KeyError, TypeError, struct.error, UnidentifiedImageError):
        return 1
    return told if told in TURNED_BACK else 1


def _opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data), formats=FORMATS)


def _has_last_row(picture: Image.Image) -> bool:
    """Whether a decoded PNG shows that all its rows were there: those that were not are left black, down to the last."""
    if picture.mode not in ("L", "RGB") or picture.info.get("interlace"):
        return False  # black may be what a palette, or transparency, makes of something else
    return bool(np.asarray(picture.crop((0, picture.height - 1, picture.width, picture.height))).any())


def _check_png(data: bytes) -> None:
    """All rows must be there: a stream may end properly, with right check sums, before the picture does."""
    width, height, depth, kind, interlaced = struct.unpack(">IIBBxxB", data[16:29])
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    expected = 0
    for x, y, step_x, step_y in passes:
        columns, rows = -(-(width - x) // step_x), -(-(height - y) // step_y)
        expected += rows * (1 + -(-columns * bits // 8)) if columns > 0 and rows > 0 else 0
    stream, found, at = zlib.decompressobj(), 0, 8
    while at + 8 <= len(data):
        length, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if name == b"IDAT":
            left = data[at + 8 : at + 8 + length]
            while left and found <= expected:  # a bomb is not unpacked to its end
                found += len(stream.decompress(left, PNG_STEP))
                left = stream.unconsumed_tail
        at += 12 + length
    if found < expected:
        raise ValueError(f"{found} bytes of rows where {expected} belong")


def _check_alone(data: bytes, picture: Image.Image) -> None:
    """A second picture in the file may show another side of the part, and nobody would have looked at it."""
    second = False
    if isinstance(picture, MpoImagePlugin.MpoImageFile):  # smaller ones beside the picture are previews
        sizes = []
        for index in range(picture.n_frames):
            picture.seek(index)
            sizes.append(picture.size)
        picture.seek(0)
        second = sizes.count(sizes[0]) > 1
    elif picture.format == "JPEG":
        second = b"\xff\xd9\xff\xd8\xff" in data
    elif picture.format == "PNG":
        second = data.find(data[:8], 8) >= 0
    elif picture.format == "BMP":
        size = int.from_bytes(data[2:6], "little")
        second = size >= BMP_HEADERS and data.startswith(b"BM", size)
    if second:
        raise ImageError(
            "file holds several pictures", found=f"two in one {picture.format}", expected="one picture a file",
            next_step="Have the camera write one file a view; each is inspected.",
        )  # fmt: skip


def _check_pages(picture: TiffImagePlugin.TiffImageFile) -> None:
    """A second page may show another side of the part, and nobody would have looked at it."""
    compression = picture.tag_v2.get(COMPRESSION, 1)
    if compression in UNTOLD:
        raise ImageError(
            "picture's compression does not tell damage", found=f"a TIFF of {UNTOLD[compression]}",
            expected="none, LZW, Deflate or PackBits", next_step="Have the camera write another one, PNG or JPEG.",
        )  # fmt: skip
    pages = 0
    for index in range(picture.n_frames):
        picture.seek(index)
        pages += index == 0 or not picture.tag_v2.get(SUBFILE_TYPE, 0) & SMALLER_COPY_OR_MASK
    picture.seek(0)
    _check_one_page(pages)


def _check_one_page(pages: int) -> None:
    if pages > 1:
        raise ImageError(
            "picture has several pages", found=f"a TIFF of {pages} pages", expected="one picture a file",
            next_step="Have the camera write one file a view; each is inspected.",
        )  # fmt: skip


def _decode_jpeg(data: bytes, picture: Image.Image) -> ImageRGB:
    """Pillow's own decoder hears the library's warnings of damaged data and goes on; this one stops."""
    if picture.mode in ("RGB", "L"):
        return np.asarray(simplejpeg.decode_jpeg(data, "RGB", strict=True))
    simplejpeg.decode_jpeg(data, "CMYK", strict=True)
    return _to_rgb8(picture, None)


def _check_size(width_px: int, height_px: int, max_megapixels: float) -> None:
    megapixels = width_px * height_px / 1e6
    if megapixels > max_megapixels:
        raise ImageError(
            "picture is too large",
            found=f"{width_px} × {height_px} px ({megapixels:.1f} megapixels)",
            expected=f"at most {max_megapixels:g} megapixels",
            next_step="Raise recipe.max_megapixels if such pictures are meant.",
        )


def _to_rgb8(picture: Image.Image, bits: Bits | None) -> ImageRGB:
    if picture.mode in ("I", "F"):
        raise ImageError(
            "pixel values have no known range",
            found="whole numbers of 32 bits" if picture.mode == "I" else "floating-point numbers",
            expected="8 or 16 bits",
        )
    if picture.mode.startswith("I;16"):
        values, most, turned = np.asarray(picture).astype(np.uint16), 65535, False
        if isinstance(picture, TiffImagePlugin.TiffImageFile):
            most = 2 ** int(picture.tag_v2.get(BITS, (16,))[0]) - 1
            turned = picture.tag_v2.get(PHOTOMETRIC) == WHITE_IS_0
        whole = most == 65535
        grey = to_8_bits(values, bits=bits or 16) if whole else np.rint(values * (255 / most)).astype(np.uint8)
        return _grey_to_rgb(255 - grey if turned else grey)
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        with_alpha = picture.convert("RGBA")
        if not np.asarray(with_alpha)[:, :, 3].any():
            raise ImageError(
                "picture is wholly transparent", found="an alpha channel of 0 everywhere", expected="pixels that can be seen",
                next_step="Have the camera write three channels: the fourth is none of its own.",
            )  # fmt: skip
        black = Image.new("RGBA", with_alpha.size, (0, 0, 0, 255))
        return np.array(Image.alpha_composite(black, with_alpha).convert("RGB"), dtype=np.uint8)
    return np.array(picture.convert("RGB"), dtype=np.uint8)


def _grey_to_rgb(grey: npt.NDArray[np.uint8]) -> ImageRGB:
    return np.repeat(grey[:, :, None], 3, axis=2)


def _decode_deep_tiff(data: bytes, max_megapixels: float, bits: Bits | None) -> ImageRGB:
    broken = ImageError("picture is truncated or broken", found="a TIFF that does not decode", expected="a whole file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a directory cut short; its size is missing then
            header = TiffImagePlugin.ImageFileDirectory_v2(data[:8])
            stream = io.BytesIO(data)
            stream.seek(header.next)
            header.load(stream)
            width_px, height_px = int(header[WIDTH]), int(header[HEIGHT])
            pages, seen = 1, {0}
            while header.next not in seen:
                seen.add(header.next)
                stream.seek(header.next)
                header.load(stream)
                pages += not int(header.get(SUBFILE_TYPE, 0)) & SMALLER_COPY_OR_MASK
    except (OSError, SyntaxError, ValueError, KeyError, TypeError, struct.error):
        raise broken from None
    _check_one_page(pages)
    _check_size(width_px, height_px, max_megapixels)
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None:
        raise broken
    return _rgb_of(decoded, bits)


def _is_deep_colour(data: bytes, picture: Image.Image) -> bool:
    """Whether this is a PNG or TIFF of 16-bit colours, of which Pillow reads the upper bytes alone."""
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        return tuple(picture.tag_v2.get(BITS, ()))[:3] == (16, 16, 16)
    return picture.format == "PNG" and data[24] == 16 and data[25] in (2, 6)


def _deep_colour(data: bytes, bits: Bits | None) -> ImageRGB:
    """By OpenCV, which turns nothing where it is to change nothing."""
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None:
        raise ValueError("colours of 16 bits that do not decode")
    return _rgb_of(decoded, bits)


def deep_values(data: bytes) -> npt.NDArray[np.uint16] | None:
    """The values of a PNG or TIFF of 16 bits, as they are; None of any other picture, and where it does not decode."""
    if not (data.startswith(PNG_START) and data[24:25] == b"\x10") and data[:4] not in (b"II*\0", b"MM\0*"):
        return None
    decoded: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return decoded if decoded is not None and decoded.dtype == np.uint16 else None


def _rgb_of(pixels: npt.NDArray[Any], bits: Bits | None) -> ImageRGB:
    """What OpenCV decoded, grey or BGR with or without alpha."""
    if pixels.dtype == np.uint16:
        # What covers is no light: alpha fills its 16 bits whatever the colours do.
        alpha = [np.rint(pixels[:, :, 3:] / 257.0).astype(np.uint8)] if pixels.ndim == 3 and pixels.shape[2] == 4 else []
        colours = to_8_bits(pixels[:, :, :3] if pixels.ndim == 3 else pixels, bits=bits or 16)
        pixels = np.concatenate([colours, *alpha], axis=2) if alpha else colours
    elif pixels.dtype != np.uint8:
        raise ImageError("pixel values have no known range", found=str(pixels.dtype), expected="8 or 16 bit")
    if pixels.ndim == 2:
        return _grey_to_rgb(pixels.astype(np.uint8))
    colour = pixels[:, :, 2::-1].astype(np.float64)
    if pixels.shape[2] == 4:
        colour *= pixels[:, :, 3:].astype(np.float64) / 255
    return np.ascontiguousarray(np.rint(colour), dtype=np.uint8)
