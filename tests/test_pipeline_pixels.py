"""The bytes of GenICam frames as pixels, against bytes made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from kizu_inspect.errors import ImageError
from kizu_inspect.picture.depth import to_8_bits
from kizu_inspect.recipe import Bits
from kizu_pipeline.sources.pixels import FORMATS, pixels_of

CODES = {one.name: code for code, one in FORMATS.items()}


def grey(data: bytes, name: str, width_px: int, height_px: int = 1, *, bits: Bits | None = None, padding: int = 0) -> list[int]:
    """The values of a grey frame, row after row."""
    found = pixels_of(data, CODES[name], width_px=width_px, height_px=height_px, bits=bits, row_padding_bytes=padding)
    assert found.shape == (height_px, width_px, 3)
    assert found.dtype == np.uint8
    assert (found == found[:, :, :1]).all()
    return [int(value) for value in found[:, :, 0].ravel()]


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        pytest.param("Mono8", "00 01 80 ff", [0, 1, 128, 255], id="Mono8"),
        pytest.param("Mono10", "00 00 ff 03 00 02 04 00", [0, 255, 128, 1], id="Mono10: 0 1023 512 4"),
        pytest.param("Mono12", "00 00 ff 0f 00 08 10 00", [0, 255, 128, 1], id="Mono12: 0 4095 2048 16"),
        pytest.param("Mono14", "00 00 ff 3f 00 20 40 00", [0, 255, 128, 1], id="Mono14: 0 16383 8192 64"),
        pytest.param("Mono16", "00 00 ff ff 00 80 01 01", [0, 255, 128, 1], id="Mono16: 0 65535 32768 257"),
        # Two values in three bytes: the high bits of each around one byte with the low bits of both.
        pytest.param("Mono10Packed", "ff 03 00 00 30 ff", [255, 0, 0, 255], id="Mono10Packed: 1023 0 0 1023"),
        pytest.param("Mono10Packed", "80 00 01 01 00 00", [128, 1, 1, 0], id="Mono10Packed: 512 4 4 0"),
        pytest.param("Mono12Packed", "ff 0f 00 00 f0 ff", [255, 0, 0, 255], id="Mono12Packed: 4095 0 0 4095"),
        pytest.param("Mono12Packed", "80 00 01 01 00 00", [128, 1, 1, 0], id="Mono12Packed: 2048 16 16 0"),
        # One stream of bits, the lowest first.
        pytest.param("Mono12p", "ff 0f 00 00 f0 ff", [255, 0, 0, 255], id="Mono12p: 4095 0 0 4095"),
        pytest.param("Mono12p", "00 08 01 10 00 00", [128, 1, 1, 0], id="Mono12p: 2048 16 16 0"),
        pytest.param("Mono10p", "ff 03 00 c0 ff", [255, 0, 0, 255], id="Mono10p: 1023 0 0 1023"),
        pytest.param("Mono10p", "00 12 40 00 80", [128, 1, 1, 128], id="Mono10p: 512 4 4 512"),
    ],
)
def test_values_are_unpacked_and_scaled_by_their_true_depth(name: str, data: str, expected: list[int]) -> None:
    assert grey(bytes.fromhex(data), name, 4) == expected
    assert grey(bytes.fromhex(data), name, 2, 2) == expected


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("packing", ["Packed", "p"])
@pytest.mark.parametrize(("width_px", "height_px"), [(7, 5), (6, 4), (1, 1), (3, 1)])
def test_packed_frames_of_any_size(bits: Bits, packing: str, width_px: int, height_px: int) -> None:
    values = np.random.default_rng(bits).integers(0, 1 << bits, width_px * height_px).tolist()
    if packing == "p":
        stream = sum(value << (number * bits) for number, value in enumerate(values))
        data = stream.to_bytes(-(-bits * len(values) // 8), "little")
    else:
        low = bits - 8
        data = b""
        for first, second in zip(values[::2], [*values[1::2], 0], strict=False):
            mask = (1 << low) - 1
            data += bytes([first >> low, first & mask | (second & mask) << 4, second >> low])
        data = data[: -(-12 * len(values) // 8)]
    expected = [round(value * 255 / ((1 << bits) - 1)) for value in values]
    assert grey(data, f"Mono{bits}{packing}", width_px, height_px) == expected


@pytest.mark.parametrize(
    ("bits", "expected"),
    [
        pytest.param(None, [0, 8, 16], id="nothing said: all 16 bits"),
        pytest.param(12, [0, 128, 255], id="12 bits, not shifted"),
        pytest.param(16, [0, 8, 16], id="shifted up"),
    ],
)
def test_the_settings_say_how_a_16_bit_value_is_filled(bits: Bits | None, expected: list[int]) -> None:
    assert grey(np.array([0, 2048, 4095], dtype="<u2").tobytes(), "Mono16", 3, bits=bits) == expected


def test_values_that_are_shifted_up_are_not_taken_for_unshifted_ones() -> None:
    data = np.array([0, 2048 << 4], dtype="<u2").tobytes()
    with pytest.raises(
        ImageError, match=r"larger than its bit depth allows: found 32768; expected at most 4095.*bits; 16 where"
    ):
        grey(data, "Mono12", 2)
    assert grey(data, "Mono12", 2, bits=16) == [0, 128]


def test_a_packed_format_has_its_own_depth_whatever_the_settings_say() -> None:
    assert grey(bytes.fromhex("ff0f00"), "Mono12p", 2, bits=16) == [255, 0]


def test_rows_may_be_padded() -> None:
    assert grey(bytes([1, 2, 0, 0, 3, 4, 0, 0]), "Mono8", 2, 2, padding=2) == [1, 2, 3, 4]
    assert grey(bytes([1, 2, 0, 0, 3, 4]), "Mono8", 2, 2, padding=2) == [1, 2, 3, 4]  # the last row without
    # Three 12-bit values fill four and a half bytes; each row begins with a whole one.
    rows = bytes.fromhex("ff0f00ff0f 0000") + bytes.fromhex("00f0ff0000")
    assert grey(rows, "Mono12p", 3, 2, padding=2) == [255, 0, 255, 0, 255, 0]


def test_order_of_colours() -> None:
    assert pixels_of(bytes([250, 100, 20]), CODES["RGB8"], width_px=1, height_px=1).tolist() == [[[250, 100, 20]]]
    assert pixels_of(bytes([20, 100, 250]), CODES["BGR8"], width_px=1, height_px=1).tolist() == [[[250, 100, 20]]]


def test_red_is_red_in_every_bayer_format() -> None:
    colour = {"R": 240, "G": 96, "B": 16}
    for pattern in ("RG", "GR", "GB", "BG"):
        below = {"RG": "GB", "GR": "BG", "GB": "RG", "BG": "GR"}[pattern]
        tile = np.array([[colour[one] for one in pattern], [colour[one] for one in below]], dtype=np.uint8)
        frame = np.tile(tile, (4, 4))
        names = [name for name in CODES if name.startswith(f"Bayer{pattern}")]
        assert len(names) == 8
        found = pixels_of(frame.tobytes(), CODES[f"Bayer{pattern}8"], width_px=8, height_px=8)
        assert (found == [240, 96, 16]).all()
        wide = (frame.astype("<u2") * 257).tobytes()
        assert (pixels_of(wide, CODES[f"Bayer{pattern}16"], width_px=8, height_px=8) == [240, 96, 16]).all()


def test_too_few_bytes_are_no_frame() -> None:
    with pytest.raises(ImageError, match="frame is incomplete: found 5 bytes; expected 6 for 4 × 1"):
        grey(bytes(5), "Mono12p", 4)
    with pytest.raises(ImageError, match="frame is incomplete"):
        grey(b"", "Mono8", 0)


def test_an_unknown_format_is_named_beside_those_that_are_understood() -> None:
    with pytest.raises(
        ImageError, match=r"not understood: found 0x02100032 \(PFNC\); expected one of BGR8, .*Mono12p.* Set sta"
    ):
        pixels_of(bytes(8), 0x02100032, width_px=2, height_px=2)


def test_no_two_formats_are_one() -> None:
    assert len(CODES) == len(FORMATS) == 43


def test_eight_bits_stay_as_they_are() -> None:
    values = np.arange(256, dtype=np.uint8)
    assert np.array_equal(to_8_bits(values, bits=8), values)
    assert np.array_equal(to_8_bits(values.astype(np.uint16), bits=8), values)
