"""Decoding whatever a camera or a person hands in."""

from __future__ import annotations

import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from kizu_inspect.errors import ImageError
from kizu_inspect.picture.images import decode_image, encode_png

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def as_bytes(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def by_opencv(pixels: np.ndarray, suffix: str) -> bytes:
    done, data = cv2.imencode(suffix, pixels)
    assert done
    return bytes(data)


JPEG = as_bytes(Image.fromarray(PICTURE), "JPEG")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(b"", "picture is empty: found 0 bytes", id="empty"),
        pytest.param(b"part 17, press 3", "not a picture: found a file beginning with bytes", id="text"),
        pytest.param(as_bytes(Image.fromarray(PICTURE), "GIF"), "not a picture", id="gif"),
        pytest.param(JPEG[: len(JPEG) // 2], "picture is truncated or broken", id="truncated JPEG"),
        pytest.param(encode_png(PICTURE)[:2000], "picture is truncated or broken", id="truncated PNG"),
        pytest.param(
            by_opencv(PICTURE.astype(np.uint16), ".tiff")[:3000], "picture is truncated or broken", id="truncated TIFF"
        ),
    ],
)
def test_what_is_no_whole_picture_is_an_error_that_says_so(data: bytes, said: str) -> None:
    with pytest.raises(ImageError, match=said):
        decode_image(data)


def test_a_picture_over_the_limit_is_refused_by_its_header() -> None:
    with pytest.raises(ImageError, match=r"found 60 × 40 px \(0.0 megapixels\); expected at most 0.001 megapixels"):
        decode_image(encode_png(PICTURE), max_megapixels=0.001)


def test_a_tiff_of_deep_colour_is_refused_by_its_header_too() -> None:
    data = bytearray(by_opencv(PICTURE.astype(np.uint16), ".tiff"))
    (width_tag,) = (at for at in range(len(data)) if data[at : at + 8] == struct.pack("<HHI", 256, 3, 1))
    data[width_tag + 8 : width_tag + 10] = struct.pack("<H", 65_000)  # its pixels would not even be there
    with pytest.raises(ImageError, match=r"too large: found 65000 × 40 px \(2\.6 megapixels\); expected at most 1 megapixels"):
        decode_image(bytes(data), max_megapixels=1)


GREY_16 = (np.arange(40 * 60, dtype=np.uint16).reshape(40, 60) * 27).astype(np.uint16)
ALPHA = np.dstack([PICTURE, np.full((40, 60), 128, np.uint8)])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(encode_png(PICTURE), PICTURE, id="PNG"),
        pytest.param(as_bytes(Image.fromarray(PICTURE), "BMP"), PICTURE, id="BMP"),
        pytest.param(as_bytes(Image.fromarray(PICTURE[:, :, 0]), "PNG"), PICTURE[:, :, :1].repeat(3, 2), id="grey"),
        pytest.param(by_opencv(GREY_16, ".png"), np.rint(GREY_16 / 257)[:, :, None].repeat(3, 2), id="16-bit grey PNG"),
        pytest.param(by_opencv(GREY_16, ".tiff"), np.rint(GREY_16 / 257)[:, :, None].repeat(3, 2), id="16-bit grey TIFF"),
        pytest.param(by_opencv(PICTURE[:, :, ::-1].astype(np.uint16) * 257, ".tiff"), PICTURE, id="16-bit colour TIFF"),
        pytest.param(by_opencv(PICTURE[:, :, ::-1].astype(np.uint16) * 257, ".png"), PICTURE, id="16-bit colour PNG"),
        pytest.param(as_bytes(Image.fromarray(ALPHA), "PNG"), np.rint(PICTURE * (128 / 255)), id="alpha over black"),
    ],
)
def test_every_kind_of_picture_becomes_8_bit_rgb(data: bytes, expected: np.ndarray) -> None:
    decoded = decode_image(data)
    assert decoded.dtype == np.uint8
    assert np.abs(decoded.astype(int) - expected.astype(int)).max() <= 1
