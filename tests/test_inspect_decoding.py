"""Decoding whatever a camera or a person hands in."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from kizu_inspect.errors import ImageError
from kizu_inspect.picture.decoding import decode_image, picture_size
from kizu_inspect.picture.images import encode_png

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def as_bytes(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
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


COLOUR, GREY = Image.fromarray(PICTURE), Image.fromarray(PICTURE[:, :, 0])
WHOLE = {
    "PNG": as_bytes(COLOUR, "PNG"),
    "grey PNG": as_bytes(GREY, "PNG"),
    "palette PNG": as_bytes(COLOUR.quantize(200), "PNG"),
    "16-bit PNG": by_opencv(GREY_16, ".png"),
    "JPEG": JPEG,
    "progressive JPEG": as_bytes(COLOUR, "JPEG", progressive=True),
    "grey JPEG": as_bytes(GREY, "JPEG"),
    "CMYK JPEG": as_bytes(COLOUR.convert("CMYK"), "JPEG"),
    "BMP": as_bytes(COLOUR, "BMP"),
    "TIFF": as_bytes(COLOUR, "TIFF"),
    "LZW TIFF": as_bytes(COLOUR, "TIFF", compression="tiff_lzw"),
    "deflated TIFF": as_bytes(GREY, "TIFF", compression="tiff_adobe_deflate"),
    "packed TIFF": as_bytes(GREY, "TIFF", compression="packbits"),
    "16-bit TIFF": as_bytes(Image.fromarray(GREY_16), "TIFF"),
    "16-bit colour TIFF": by_opencv(PICTURE.astype(np.uint16) * 257, ".tiff"),
}
UNCOMPRESSED = ("BMP", "TIFF", "16-bit TIFF")


def read_or_refused(data: bytes) -> np.ndarray | None:
    try:
        return decode_image(data)
    except ImageError:
        return None


@pytest.mark.parametrize("kind", WHOLE)
def test_a_picture_cut_anywhere_is_refused_or_wholly_there(kind: str) -> None:
    whole = decode_image(WHOLE[kind])
    size = len(WHOLE[kind])
    refused = 0
    for end in range(1, size, max(1, size // 97)):
        found = read_or_refused(WHOLE[kind][:end])
        refused += found is None
        assert found is None or np.array_equal(found, whole), f"cut at byte {end} of {size}"
    assert refused > 90


@pytest.mark.parametrize("kind", [kind for kind in WHOLE if kind not in UNCOMPRESSED])
def test_a_picture_whose_space_was_taken_before_its_rows_came_is_refused(kind: str) -> None:
    whole = decode_image(WHOLE[kind])
    size = len(WHOLE[kind])
    for end in range(1, size, max(1, size // 97)):
        found = read_or_refused(WHOLE[kind][:end] + bytes(size - end))
        assert found is None or np.array_equal(found, whole), f"0 from byte {end} of {size}"


@pytest.mark.parametrize("kind", ["PNG", "grey PNG", "palette PNG", "16-bit PNG"])
def test_any_changed_bit_of_a_png_is_found(kind: str) -> None:
    whole = decode_image(WHOLE[kind])
    random = np.random.default_rng(1)
    for at in random.integers(0, len(WHOLE[kind]), 200):
        data = bytearray(WHOLE[kind])
        data[at] ^= 1 << int(random.integers(8))
        found = read_or_refused(bytes(data))
        assert found is None or np.array_equal(found, whole), f"at byte {at}"


def test_a_jpeg_that_its_decoder_warns_of_is_refused() -> None:
    for byte in (5, 6, 7, 8):  # its height, then its width, in the frame's header
        data = bytearray(JPEG)
        data[data.index(b"\xff\xc0") + byte] ^= 16
        with pytest.raises(ImageError, match=r"truncated or broken: found .*Corrupt JPEG data"):
            decode_image(bytes(data))


def test_a_jpeg_has_the_pixels_that_pillow_gives_it() -> None:
    for kind in ("JPEG", "progressive JPEG", "grey JPEG", "CMYK JPEG"):
        with Image.open(io.BytesIO(WHOLE[kind])) as picture:
            np.testing.assert_array_equal(decode_image(WHOLE[kind]), np.asarray(picture.convert("RGB")), kind)
    for sampling in ("411", "420", "422", "440", "444"):
        factor = getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{sampling}")
        done, encoded = cv2.imencode(".jpg", PICTURE, [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor])
        assert done
        with Image.open(io.BytesIO(encoded)) as picture:
            np.testing.assert_array_equal(decode_image(bytes(encoded)), np.asarray(picture), sampling)


def test_two_pages_of_deep_colour_are_refused_too() -> None:
    pages = [PICTURE.astype(np.uint16) * 257] * 2
    done, data = cv2.imencodemulti(".tiff", pages)
    assert done
    with pytest.raises(ImageError, match="several pages: found a TIFF of 2 pages; expected one picture a file"):
        decode_image(data.tobytes())


def test_a_second_page_is_never_left_unseen() -> None:
    two = as_bytes(COLOUR, "TIFF", save_all=True, append_images=[GREY])
    with pytest.raises(ImageError, match="several pages: found a TIFF of 2 pages; expected one picture a file"):
        decode_image(two)


def test_a_smaller_copy_in_the_file_is_no_second_page() -> None:
    buffer = io.BytesIO()
    small = COLOUR.resize((15, 10))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    COLOUR.save(buffer, "TIFF", save_all=True, append_images=[small])
    with Image.open(io.BytesIO(buffer.getvalue())) as picture:
        assert picture.n_frames == 2
    np.testing.assert_array_equal(decode_image(buffer.getvalue()), PICTURE)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_pixels_lie_as_the_sensor_gave_them_whatever_the_orientation_says(kind: str, orientation: int) -> None:
    plain = decode_image(as_bytes(COLOUR, kind))
    exif = Image.Exif()
    exif[274] = orientation
    np.testing.assert_array_equal(decode_image(as_bytes(COLOUR, kind, exif=exif)), plain)


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_a_picture_s_size_is_that_of_its_pixels(tmp_path: Path, kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / "a"
    path.write_bytes(as_bytes(COLOUR, kind, exif=exif))
    assert picture_size(path) == (60, 40)


def test_white_may_be_0() -> None:
    def tiff(pixels: np.ndarray, photometric: int) -> bytes:
        height, width = pixels.shape
        bits, data = pixels.dtype.itemsize * 8, pixels.tobytes()
        tags = [(256, 3, width), (257, 3, height), (258, 3, bits), (259, 3, 1), (262, 3, photometric), (273, 4, 8)]
        tags += [(277, 3, 1), (278, 3, height), (279, 4, len(data))]
        directory = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
        return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(tags)) + directory + bytes(4)

    for pixels in (PICTURE[:, :, 0].copy(), GREY_16):
        most = np.iinfo(pixels.dtype).max
        np.testing.assert_array_equal(decode_image(tiff(most - pixels, 0)), decode_image(tiff(pixels, 1)))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(
            as_bytes(Image.fromarray(PICTURE[:, :, 0].astype(np.int32)), "TIFF"), "whole numbers of 32 bits", id="int"
        ),
        pytest.param(as_bytes(Image.fromarray(PICTURE[:, :, 0].astype(np.float32)), "TIFF"), "floating-point", id="float"),
    ],
)
def test_values_without_a_known_range_are_refused(data: bytes, said: str) -> None:
    with pytest.raises(ImageError, match=f"no known range: found {said}.*expected 8 or 16 bits"):
        decode_image(data)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_fourth_byte_that_is_no_transparency_does_not_blacken_the_part(kind: str) -> None:
    unused = COLOUR.convert("RGBA")
    unused.putalpha(0)
    with pytest.raises(ImageError, match="wholly transparent"):
        decode_image(as_bytes(unused, kind))


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@pytest.mark.parametrize("kind", [kind for kind in WHOLE if "PNG" in kind])
def test_a_png_whose_rows_end_early_is_refused_however_properly(kind: str) -> None:
    whole = WHOLE[kind]
    before, at = whole[: whole.index(b"IDAT") - 4], whole.index(b"IDAT") - 4
    stream = b""
    while whole[at + 4 : at + 8] == b"IDAT":
        length = int.from_bytes(whole[at : at + 4], "big")
        stream, at = stream + whole[at + 8 : at + 8 + length], at + 12 + length
    rows = zlib.decompress(stream)
    for kept in (len(rows) // 10, len(rows) // 2, len(rows) - 1):
        data = before + chunk(b"IDAT", zlib.compress(rows[:kept])) + chunk(b"IEND", b"")
        with pytest.raises(ImageError, match="picture is truncated or broken"):
            decode_image(data)
    assert np.array_equal(decode_image(before + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")), decode_image(whole))


@pytest.mark.parametrize("size", [(60, 40), (1, 1), (3, 2), (5, 9), (8, 8)])
@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA"])
def test_interlaced_and_odd_pngs_are_whole(mode: str, size: tuple[int, int]) -> None:
    picture = COLOUR.resize(size).convert(mode)
    assert np.array_equal(decode_image(as_bytes(picture, "PNG")), np.asarray(picture.convert("RGB"))) or mode == "RGBA"
    interlaced = interlaced_png(picture.convert("L"))
    assert np.array_equal(decode_image(interlaced)[:, :, 0], np.asarray(picture.convert("L")))


def interlaced_png(picture: Image.Image) -> bytes:
    """The grey picture as an Adam7 PNG, which Pillow does not write."""
    pixels = np.asarray(picture)
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    parts = [pixels[y::down, x::across] for x, y, across, down in passes]
    rows = b"".join(b"\0" + row.tobytes() for part in parts if part.size for row in part)
    header = struct.pack(">IIBBBBB", picture.width, picture.height, 8, 0, 0, 0, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


TWO = {
    "animated PNG": as_bytes(COLOUR, "PNG", save_all=True, append_images=[COLOUR.transpose(Image.Transpose.ROTATE_180)]),
    "MPO": as_bytes(COLOUR, "MPO", save_all=True, append_images=[COLOUR.transpose(Image.Transpose.ROTATE_180)]),
    **{f"{kind} after another": WHOLE[kind] + WHOLE[kind] for kind in ("PNG", "JPEG", "BMP")},
}


@pytest.mark.parametrize("kind", TWO)
def test_a_second_picture_in_a_file_is_never_left_unseen(kind: str) -> None:
    with pytest.raises(ImageError, match=r"several p.*expected one picture a file"):
        decode_image(TWO[kind])


def test_a_preview_beside_a_picture_is_no_second_one() -> None:
    data = as_bytes(COLOUR, "MPO", save_all=True, append_images=[COLOUR.resize((15, 10))])
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.format == "MPO"
    assert decode_image(data).shape == PICTURE.shape


@pytest.mark.parametrize(("compression", "found"), [("group4", "fax data"), ("tiff_ccitt", "fax data"), ("jpeg", "JPEG data")])
def test_a_tiff_whose_decoder_tells_no_damage_is_refused(compression: str, found: str) -> None:
    picture = COLOUR if compression == "jpeg" else COLOUR.convert("1")
    with pytest.raises(ImageError, match=f"does not tell damage: found a TIFF of {found}"):
        decode_image(as_bytes(picture, "TIFF", compression=compression))


def test_twelve_bits_are_taken_by_their_own_range() -> None:
    tags = [(256, 3, 2), (257, 3, 1), (258, 3, 12), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1), (278, 3, 1)]
    tags.append((279, 4, 3))
    directory = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    pixels = bytes([0xFF, 0xF8, 0x00])  # 4095 and 2048
    data = b"II*\0" + struct.pack("<I", 12) + pixels + b"\0" + struct.pack("<H", len(tags)) + directory + bytes(4)
    assert decode_image(data)[0, :, 0].tolist() == [255, 128]
