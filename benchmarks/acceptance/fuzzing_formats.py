"""Mutations that know a picture format: headers, chunks, markers and directories that no camera writes."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

__all__ = ["OF_BMP", "OF_JPEG", "OF_PNG", "OF_TIFF", "Mutation"]

Mutation = Callable[[bytes, random.Random], bytes]
_PNG = b"\x89PNG\r\n\x1a\n"
_PIXELS_OF_A_BOMB = 1 << 26


def png_chunk(name: bytes, data: bytes) -> bytes:
    """With its right check sum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Name and content of each."""
    chunks, at = [], len(_PNG)
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    return chunks


def _png(chunks: list[tuple[bytes, bytes]]) -> bytes:
    return _PNG + b"".join(png_chunk(*chunk) for chunk in chunks)


def _png_with(data: bytes, name: bytes, change: Callable[[bytes], bytes]) -> bytes:
    return _png([(kind, change(content) if kind == name else content) for kind, content in png_chunks(data)])


def ihdr(data: bytes, draw: random.Random) -> bytes:
    side = draw.choice([0, 1, 63, 65, 4000, 65535, 1 << 31, (1 << 32) - 1])
    field = [struct.pack(">I", side), bytes([draw.randrange(256)])]
    at = draw.choice([0, 4, 8, 9, 10, 11, 12])
    new = field[0] if at < 8 else field[1]
    return _png_with(data, b"IHDR", lambda content: content[:at] + new + content[at + len(new) :])


def huge_png(data: bytes, draw: random.Random) -> bytes:
    sides = struct.pack(">II", draw.randint(20_000, 1 << 30), draw.randint(20_000, 1 << 30))
    return _png_with(data, b"IHDR", lambda content: sides + content[8:])


def shuffled_chunks(data: bytes, draw: random.Random) -> bytes:
    chunks = png_chunks(data)
    draw.shuffle(chunks)
    return _png(chunks)


def palette(data: bytes, draw: random.Random) -> bytes:
    short = draw.randbytes(3 * draw.choice([1, 2, 16, 255]) + draw.choice([0, 0, 1]))
    chunks = [chunk for chunk in png_chunks(data) if chunk[0] != b"PLTE"]
    return _png([chunks[0], (b"PLTE", short), *chunks[1:]])


def pixel_bomb(data: bytes, _draw: random.Random) -> bytes:
    return _png_with(data, b"IDAT", lambda _: _BOMB)


def text_bomb(data: bytes, draw: random.Random) -> bytes:
    name, before = draw.choice([(b"zTXt", b"k\0\0"), (b"iCCP", b"k\0\0"), (b"iTXt", b"k\0\1\0\0\0")])
    head, *rest = png_chunks(data)
    return _png([head, *[(name, before + _BOMB)] * draw.choice([1, 20]), *rest])


def animated(data: bytes, _draw: random.Random) -> bytes:
    head, *rest = png_chunks(data)
    return _png([head, (b"acTL", struct.pack(">II", 2, 0)), *rest])


def row_filters(data: bytes, draw: random.Random) -> bytes:
    rows = bytearray(zlib.decompress(b"".join(content for name, content in png_chunks(data) if name == b"IDAT")))
    for _ in range(4):
        rows[draw.randrange(len(rows))] = draw.randrange(256)
    return _png_with(data, b"IDAT", lambda _: zlib.compress(bytes(rows)))


def large_and_black(_data: bytes, _draw: random.Random) -> bytes:
    return _LARGE


_BOMB = zlib.compress(b"\0" * _PIXELS_OF_A_BOMB, 9)
_rows = zlib.compressobj(9)
_LARGE = _png([
    (b"IHDR", struct.pack(">IIBBBBB", 4000, 3900, 8, 0, 0, 0, 0)),
    (b"IDAT", b"".join([*(_rows.compress(b"\0" * 4001) for _ in range(3900)), _rows.flush()])), (b"IEND", b""),
])  # fmt: skip


def _sof(data: bytes) -> int:
    """Where the JPEG's frame header begins."""
    at = 2
    while data[at + 1] not in (0xC0, 0xC1, 0xC2):
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return at


def frame_header(data: bytes, draw: random.Random) -> bytes:
    at = _sof(data) + 4 + draw.randrange(15)
    return data[:at] + bytes([draw.choice([0, 1, 2, 5, 8, 12, 255, draw.randrange(256)])]) + data[at + 1 :]


def huge_jpeg(data: bytes, draw: random.Random) -> bytes:
    at = _sof(data) + 5
    return data[:at] + struct.pack(">HH", draw.randint(20_000, 65_535), draw.randint(20_000, 65_535)) + data[at + 4 :]


def markers(data: bytes, draw: random.Random) -> bytes:
    code = draw.choice([*range(0xC0, 0x100), 0x00, 0x01, 0x02])
    size = draw.choice([0, 1, 2, 3, 20, 65_535])
    return (
        data[:2]
        + (bytes([0xFF, code]) + struct.pack(">H", size) + draw.randbytes(max(0, size - 2))) * draw.choice([1, 50])
        + data[2:]
    )


def in_scan(data: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(_sof(data) + 20, len(data))
    return data[:at] + bytes([0xFF, draw.choice([0x00, 0xC4, 0xD0, 0xD7, 0xD9, 0xDA, 0xDD, 0xFF])]) + data[at:]


def scans_again(data: bytes, _draw: random.Random) -> bytes:
    at = data.rfind(b"\xff\xda")
    return data[:-2] + data[at:-2] * 200 + data[-2:]


def bmp_header(data: bytes, draw: random.Random) -> bytes:
    at = draw.choice([2, 10, 14, 18, 22, 26, 28, 30, 34, 46])
    value = draw.choice(
        [0, 1, 3, 4, 16, 24, 32, 64, 40, 12, 108, 124, 255, -1, -64, 1 << 30, -(1 << 31), draw.randint(-500, 500)]
    )
    return data[:at] + struct.pack("<i", value) + data[at + 4 :]


def huge_bmp(data: bytes, draw: random.Random) -> bytes:
    return (
        data[:18]
        + struct.pack("<ii", draw.randint(20_000, 1 << 30), draw.choice([-1, 1]) * draw.randint(20_000, 1 << 30))
        + data[26:]
    )


def bmp_runs(data: bytes, draw: random.Random) -> bytes:
    bits, compression = draw.choice([(8, 1), (4, 2), (24, 1), (32, 3)])
    return data[:28] + struct.pack("<HI", bits, compression) + data[34:]


def _directory(data: bytes) -> tuple[int, int]:
    """Where the TIFF's first directory begins, and its number of entries."""
    at = struct.unpack("<I", data[4:8])[0]
    return at, struct.unpack("<H", data[at : at + 2])[0]


def directory_loop(data: bytes, draw: random.Random) -> bytes:
    at, entries = _directory(data)
    end = at + 2 + 12 * entries
    if draw.random() < 0.5:
        return data[:end] + struct.pack("<I", at) + data[end + 4 :]
    second = data[at:end] + struct.pack("<I", at)
    return data[:end] + struct.pack("<I", len(data)) + data[end + 4 :] + second


def many_directories(data: bytes, _draw: random.Random) -> bytes:
    at, entries = _directory(data)
    end = at + 2 + 12 * entries
    chain = b"".join(struct.pack("<HI", 0, len(data) + 6 * (n + 1)) for n in range(9_999)) + struct.pack("<HI", 0, 0)
    return data[:end] + struct.pack("<I", len(data)) + data[end + 4 :] + chain


def pages(data: bytes, _draw: random.Random) -> bytes:
    with Image.open(io.BytesIO(data)) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "TIFF", save_all=True, append_images=[Image.fromarray(pixels[::-1])])
    return stream.getvalue()


def entry(data: bytes, draw: random.Random) -> bytes:
    at, entries = _directory(data)
    where = at + 2 + 12 * draw.randrange(entries) + draw.choice([0, 2, 4, 8])
    value = draw.choice([0, 1, 2, 65_535, 1 << 20, (1 << 32) - 1, draw.randrange(1 << 32)])
    return data[:where] + struct.pack("<I", value) + data[where + 4 :]


def huge_tiff(data: bytes, _draw: random.Random) -> bytes:
    at, entries = _directory(data)
    changed = bytearray(data)
    for place in range(at + 2, at + 2 + 12 * entries, 12):
        if struct.unpack("<H", data[place : place + 2])[0] in (256, 257):
            changed[place + 2 : place + 12] = struct.pack("<HII", 4, 1, 60_000)
    return bytes(changed)


def no_range(_data: bytes, draw: random.Random) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((64, 64), draw.random(), draw.choice([np.float32, np.int32]))).save(stream, "TIFF")
    return stream.getvalue()


def jpeg_inside(data: bytes, _draw: random.Random) -> bytes:
    with Image.open(io.BytesIO(data)) as picture:
        stream = io.BytesIO()
        picture.convert("RGB").save(stream, "TIFF", compression="jpeg")
    return stream.getvalue()


OF_PNG: list[tuple[Mutation, str]] = [
    (ihdr, "any"), (huge_png, "never"), (shuffled_chunks, "any"), (palette, "any"), (pixel_bomb, "never"), (text_bomb, "same"),
    (animated, "never"), (row_filters, "any"), (large_and_black, "never"),
]  # fmt: skip
OF_JPEG: list[tuple[Mutation, str]] = [
    (frame_header, "any"), (huge_jpeg, "never"), (markers, "any"), (in_scan, "any"), (scans_again, "any"),
]  # fmt: skip
OF_BMP: list[tuple[Mutation, str]] = [(bmp_header, "any"), (huge_bmp, "never"), (bmp_runs, "any")]
OF_TIFF: list[tuple[Mutation, str]] = [
    (directory_loop, "same"), (many_directories, "same"), (pages, "never"), (entry, "any"), (huge_tiff, "never"),
    (no_range, "never"), (jpeg_inside, "never"),
]  # fmt: skip
