"""The bytes of a GenICam frame as pixels: formats by their codes in the Pixel Format Naming Convention (PFNC)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from kizu_inspect.errors import ImageError
from kizu_inspect.picture.depth import to_8_bits
from kizu_inspect.recipe import Bits
from kizu_inspect.results import ImageRGB

__all__ = ["FORMATS", "PixelFormat", "pixels_of"]

Colours = Literal["Mono", "RGB", "BGR", "BayerGR", "BayerRG", "BayerGB", "BayerBG"]
Packing = Literal["none", "gige", "p"]
"""How values share bytes: not; GigE Vision's *Packed, two in three bytes; PFNC's *p, without gaps from the lowest bit up."""


@dataclass(frozen=True)
class PixelFormat:
    """One format: how many bits a value fills, how values share bytes, and what the values mean."""

    name: str
    bits: Bits
    colours: Colours
    packing: Packing = "none"

    @property
    def channels(self) -> int:
        """Values a pixel."""
        return 3 if self.colours in ("RGB", "BGR") else 1

    @property
    def stored_bits(self) -> int:
        """Bits in memory a value, on average."""
        if self.packing == "gige":
            return 12
        return self.bits if self.packing == "p" or self.bits == 8 else 16


_MONO_RGB = {
    0x01080001: PixelFormat("Mono8", 8, "Mono"),
    0x01100003: PixelFormat("Mono10", 10, "Mono"),
    0x010C0004: PixelFormat("Mono10Packed", 10, "Mono", "gige"),
    0x010A0046: PixelFormat("Mono10p", 10, "Mono", "p"),
    0x01100005: PixelFormat("Mono12", 12, "Mono"),
    0x010C0006: PixelFormat("Mono12Packed", 12, "Mono", "gige"),
    0x010C0047: PixelFormat("Mono12p", 12, "Mono", "p"),
    0x01100025: PixelFormat("Mono14", 14, "Mono"),
    0x01100007: PixelFormat("Mono16", 16, "Mono"),
    0x02180014: PixelFormat("RGB8", 8, "RGB"),
    0x02180015: PixelFormat("BGR8", 8, "BGR"),
}
_BAYER: tuple[tuple[str, Bits, Packing, tuple[int, int, int, int]], ...] = (
    ("8", 8, "none", (0x01080008, 0x01080009, 0x0108000A, 0x0108000B)),
    ("10", 10, "none", (0x0110000C, 0x0110000D, 0x0110000E, 0x0110000F)),
    ("10Packed", 10, "gige", (0x010C0026, 0x010C0027, 0x010C0028, 0x010C0029)),
    ("10p", 10, "p", (0x010A0056, 0x010A0058, 0x010A0054, 0x010A0052)),
    ("12", 12, "none", (0x01100010, 0x01100011, 0x01100012, 0x01100013)),
    ("12Packed", 12, "gige", (0x010C002A, 0x010C002B, 0x010C002C, 0x010C002D)),
    ("12p", 12, "p", (0x010C0057, 0x010C0059, 0x010C0055, 0x010C0053)),
    ("16", 16, "none", (0x0110002E, 0x0110002F, 0x01100030, 0x01100031)),
)
_PATTERNS: tuple[Colours, ...] = ("BayerGR", "BayerRG", "BayerGB", "BayerBG")

FORMATS: Final[Mapping[int, PixelFormat]] = _MONO_RGB | {
    code: PixelFormat(f"{pattern}{suffix}", bits, pattern, packing)
    for suffix, bits, packing, codes in _BAYER
    for pattern, code in zip(_PATTERNS, codes, strict=True)
}
"""What is understood, by PFNC code."""

# PFNC names a Bayer pattern by the first two pixels of its first row; these are all four.
_DEMOSAIC = {
    "BayerGR": cv2.COLOR_BayerGRBG2RGB,
    "BayerRG": cv2.COLOR_BayerRGGB2RGB,
    "BayerGB": cv2.COLOR_BayerGBRG2RGB,
    "BayerBG": cv2.COLOR_BayerBGGR2RGB,
}


def pixels_of(
    data: bytes, code: int, *, width_px: int, height_px: int, row_padding_bytes: int = 0, bits: Bits | None = None
) -> ImageRGB:
    """A frame's bytes as (H, W, 3) RGB of 8 bits, scaled by the values' true depth.

    `bits` says how many bits of a 16-bit value are filled, where that is not what the format says. Raises ImageError: a format
    that is not understood, too few bytes, values beyond the depth.
    """
    pixel_format = FORMATS.get(code)
    if pixel_format is None:
        raise ImageError(
            "the camera's pixel format is not understood",
            found=f"0x{code:08X} (PFNC)",
            expected="one of " + ", ".join(sorted(one.name for one in FORMATS.values())),
            next_step="Set station.source.pixel_format.",
        )
    values = _values(data, pixel_format, width_px, height_px, row_padding_bytes)
    filled = bits if bits is not None and pixel_format.packing == "none" and pixel_format.bits > 8 else pixel_format.bits
    grey = to_8_bits(values, bits=filled)
    if pixel_format.channels == 3:
        grey = grey.reshape(height_px, width_px, 3)
        return np.ascontiguousarray(grey[:, :, ::-1] if pixel_format.colours == "BGR" else grey)
    grey = grey.reshape(height_px, width_px)
    return np.asarray(cv2.cvtColor(grey, _DEMOSAIC.get(pixel_format.colours, cv2.COLOR_GRAY2RGB)), dtype=np.uint8)


def _values(
    data: bytes, pixel_format: PixelFormat, width_px: int, height_px: int, row_padding_bytes: int
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """The values of the frame, one after the other: unpacked, not scaled."""
    rows, values_a_row = (height_px, width_px) if row_padding_bytes else (1, width_px * height_px)
    values_a_row *= pixel_format.channels
    used = -(-values_a_row * pixel_format.stored_bits // 8)
    needed = rows * (used + row_padding_bytes) - row_padding_bytes  # the last row may go without
    if values_a_row == 0 or len(data) < needed:
        raise ImageError("frame is incomplete", found=f"{len(data)} bytes", expected=f"{needed} for {width_px} × {height_px}")
    if row_padding_bytes:
        whole = np.zeros(rows * (used + row_padding_bytes), dtype=np.uint8)
        whole[:needed] = np.frombuffer(data, dtype=np.uint8, count=needed)
        lines = np.ascontiguousarray(whole.reshape(rows, -1)[:, :used])
    else:
        lines = np.frombuffer(data, dtype=np.uint8, count=needed).reshape(1, used)
    if pixel_format.packing == "none":
        return lines if pixel_format.bits == 8 else lines.view("<u2")
    unpack = _unpack_gige if pixel_format.packing == "gige" else _unpack_p
    return unpack(lines, pixel_format.bits)[:, :values_a_row]


def _unpack_gige(lines: NDArray[np.uint8], bits: int) -> NDArray[np.uint16]:
    """(R, B) bytes as (R, values): the high 8 bits of two values on either side of the byte with their low bits."""
    padded = np.pad(lines, ((0, 0), (0, -lines.shape[1] % 3))).reshape(lines.shape[0], -1, 3).astype(np.uint16)
    low = bits - 8
    first = padded[..., 0] << low | padded[..., 1] & (1 << low) - 1
    second = padded[..., 2] << low | padded[..., 1] >> 4 & (1 << low) - 1
    return np.stack([first, second], axis=-1).reshape(lines.shape[0], -1)


def _unpack_p(lines: NDArray[np.uint8], bits: int) -> NDArray[np.uint16]:
    """(R, B) bytes as (R, values): one stream of bits, each value and each byte lowest bit first. 10 or 12 bits."""
    values = 8 // np.gcd(bits, 8)  # in a group that ends with a byte
    size = bits * values // 8
    groups = np.pad(lines, ((0, 0), (0, -lines.shape[1] % size))).reshape(lines.shape[0], -1, size).astype(np.uint16)
    found = []
    for value in range(values):
        at, shift = divmod(value * bits, 8)
        found.append((groups[..., at] >> shift | groups[..., at + 1] << (8 - shift)) & (1 << bits) - 1)
    return np.stack(found, axis=-1).reshape(lines.shape[0], -1)
