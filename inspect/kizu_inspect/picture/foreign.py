"""What a file is that is no picture Kizu reads, by its first bytes."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["named_by_its_start"]

SIGNS: Final = (
    (0, b"GIF8", "a GIF picture"),
    (8, b"WEBP", "a WebP picture"),
    (4, b"jP  ", "a JPEG 2000 picture"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (4, b"ftypavif", "an AVIF picture"),
    (4, b"ftyphei", "a HEIF picture"),
    (4, b"ftypmif1", "a HEIF picture"),
    (4, b"JXL ", "a JPEG XL picture"),
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (0, b"\x76\x2f\x31\x01", "an OpenEXR picture"),
    (128, b"DICM", "a DICOM file"),
    (0, b"%PDF", "a PDF"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"version https://git-lfs", "a pointer of Git LFS, in whose place the picture was not fetched"),
    (0, b"<!DOCTYPE", "a web page"),
    (0, b"<html", "a web page"),
)
PNM: Final = re.compile(rb"P[1-7Ff]\s")


def named_by_its_start(data: bytes) -> str:
    """Such as `a WebP picture`; the first bytes where they tell nothing."""
    if PNM.match(data):
        return "a PNM picture"
    known = next((name for at, sign, name in SIGNS if data.startswith(sign, at)), None)
    return known or f"a file beginning with bytes {data[:8].hex(' ')}"
