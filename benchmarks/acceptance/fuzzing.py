"""Broken, absurd and hostile picture files, and names that no sane program gives: what `fuzzed_files.py` throws at the line."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass

import cv2
import numpy as np
from fuzzing_formats import OF_BMP, OF_JPEG, OF_PNG, OF_TIFF, Mutation
from PIL import Image

__all__ = ["FORMATS", "Fuzzed", "encode", "fuzz", "name_for"]

FORMATS = (
    "png",
    "grey.png",
    "palette.png",
    "deep.png",
    "jpg",
    "progressive.jpg",
    "bmp",
    "tif",
    "lzw.tif",
    "deflate.tif",
    "deep.tif",
)
_PNG, _HEAD = b"\x89PNG\r\n\x1a\n", 64
_ZIP_TAIL = b"PK\x03\x04" + b"\0" * 26 + b"PK\x05\x06" + b"\0" * 18


@dataclass(frozen=True)
class Fuzzed:
    """One file."""

    data: bytes
    kind: str
    judged: str
    """When it may have another verdict than ERROR: "never", "same" (its pixels are those of the original) or "any"."""


def encode(pixels: np.ndarray, wanted: str) -> bytes:
    """The picture (H, W, 3, RGB) as a file of one of `FORMATS`."""
    kind, stream = wanted.rpartition(".")[2], io.BytesIO()
    picture = Image.fromarray(pixels)
    if wanted == "deep.png":
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.uint16) * 257
        return bytes(cv2.imencode(".png", grey)[1])
    if wanted == "deep.tif":
        return bytes(cv2.imencode(".tif", pixels[:, :, ::-1].astype(np.uint16) * 257)[1])
    options: dict[str, object] = {
        "progressive.jpg": {"progressive": True}, "lzw.tif": {"compression": "tiff_lzw"},
        "deflate.tif": {"compression": "tiff_adobe_deflate"},
    }.get(wanted, {})  # fmt: skip
    picture = {"grey.png": picture.convert("L"), "palette.png": picture.quantize(64)}.get(wanted, picture)
    picture.save(stream, {"jpg": "JPEG", "tif": "TIFF"}.get(kind, kind.upper()), **options)
    return stream.getvalue()


def fuzz(original: bytes, wanted: str, draw: random.Random) -> Fuzzed:
    """The original (of the format `wanted`) after one mutation drawn from those of any file and those of its format."""
    kind = wanted.rpartition(".")[2]
    offered = [*_ANY, *{"png": OF_PNG, "jpg": OF_JPEG, "bmp": OF_BMP, "tif": OF_TIFF}[kind] * 2]
    mutate, judged = draw.choice(offered)
    return Fuzzed(mutate(original, draw), f"{kind}:{mutate.__name__.strip('_')}", judged)


def name_for(number: int, suffix: str, draw: random.Random) -> bytes:
    """A file name with this number in it; a sixth of them are odd."""
    plain = f"F{number:06d}"
    odd = [
        f"{plain}\n{suffix}", f"-rf {plain}{suffix}", f"--help={plain}{suffix}", f"🔥{plain}🏭{suffix}", f" {plain} {suffix}",
        f"{plain}|a|b{suffix}", f"{plain}$(reboot)`id`{suffix}", f"{plain}%s%n{{0}}{suffix}", f"'{plain}\";--{suffix}", plain,
        f"{plain}.", f"{plain}.tar.gz.exe", f"{plain}\t\x01\x1b[2J{suffix}", f"\u202e{plain}{suffix}",
        f"{plain}e\u0301{suffix}",
                f"{plain}\\..\\{suffix}", f"{plain}{'x' * (255 - len(plain) - len(suffix))}{suffix}", f"{plain}.{'y' * 240}",
        f"{plain}{'é' * ((255 - len(plain) - len(suffix)) // 2)}{suffix}", f"{plain}{suffix.upper()}", f"{plain}.json.png",
    ]  # fmt: skip
    broken = [b"\xff\xfe" + plain.encode() + b"\xc3" + suffix.encode(), plain.encode() + b"\xed\xa0\x80" + suffix.encode()]
    if draw.random() >= 1 / 6:
        return (plain + suffix).encode()
    return draw.choice([*(name.encode() for name in odd), *broken])


def flip_header(data: bytes, draw: random.Random) -> bytes:
    return _flipped(data, draw, min(_HEAD, len(data)), draw.randint(1, 8))


def flip_body(data: bytes, draw: random.Random) -> bytes:
    return _flipped(data, draw, len(data), draw.randint(1, 32))


def _flipped(data: bytes, draw: random.Random, below: int, times: int) -> bytes:
    changed = bytearray(data)
    for _ in range(times):
        changed[draw.randrange(below)] ^= 1 << draw.randrange(8)
    return bytes(changed)


def overwritten(data: bytes, draw: random.Random) -> bytes:
    at, size = draw.randrange(len(data)), draw.randint(1, 512)
    run = draw.choice([b"\0" * size, b"\xff" * size, draw.randbytes(size)])[: len(data) - at]
    return data[:at] + run + data[at + len(run) :]


def truncated(data: bytes, draw: random.Random) -> bytes:
    return data[: draw.randrange(1, len(data))]


def ends_in_zeros(data: bytes, draw: random.Random) -> bytes:
    cut = draw.randrange(1, len(data))
    return data[:cut] + b"\0" * (len(data) - cut)


def other_magic(data: bytes, draw: random.Random) -> bytes:
    others = [magic for magic in (_PNG, b"\xff\xd8\xff\xe0", b"BM", b"II*\0", b"MM\0*") if not data.startswith(magic[:2])]
    magic = draw.choice(others)
    return magic + data[len(magic) :]


def swapped_blocks(data: bytes, draw: random.Random) -> bytes:
    size = min(64, len(data) // 4)
    first, second = sorted(draw.sample(range(len(data) // size), 2))
    blocks = [data[at : at + size] for at in range(0, len(data), size)]
    blocks[first], blocks[second] = blocks[second], blocks[first]
    return b"".join(blocks)


def twice(data: bytes, draw: random.Random) -> bytes:
    return data * draw.randint(2, 3)


def garbage_behind(data: bytes, draw: random.Random) -> bytes:
    return data + draw.choice([draw.randbytes(draw.randint(1, 4000)), _ZIP_TAIL, b"%PDF-1.7\n%%EOF", b"<?php ?>"])


def garbage_before(data: bytes, draw: random.Random) -> bytes:
    return draw.choice([draw.randbytes(5), b"%PDF-1.7\n", b"GIF89a", b"\xef\xbb\xbf", b"\n", b"<html>"]) + data


def empty(_data: bytes, _draw: random.Random) -> bytes:
    return b""


def noise_with_magic(data: bytes, draw: random.Random) -> bytes:
    return data[: draw.choice([2, 4, 8, 26, 54])] + draw.randbytes(draw.randint(0, 5000))


def noise(_data: bytes, draw: random.Random) -> bytes:
    return draw.randbytes(draw.randint(1, 5000))


def as_text(data: bytes, _draw: random.Random) -> bytes:
    return data.replace(b"\n", b"\r\n") if b"\n" in data else data[:-1]


_ANY: list[tuple[Mutation, str]] = [
    (flip_header, "any"), (flip_body, "any"), (overwritten, "any"), (truncated, "same"), (truncated, "same"),
    (ends_in_zeros, "any"), (other_magic, "never"), (swapped_blocks, "any"), (twice, "same"), (garbage_behind, "same"),
    (garbage_before, "never"), (empty, "never"), (noise_with_magic, "never"), (noise, "never"), (as_text, "any"),
]  # fmt: skip
