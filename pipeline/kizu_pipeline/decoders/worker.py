"""What runs in a decoder's process: bytes from shared memory in, pixels into it.

    python -m kizu_pipeline.decoders.worker FD ANSWERS

FD is a memory file (memfd) that both sides have. A request is `REQUEST` on standard input: how many bytes of the file are the
picture, what it may measure, and how many bits of a 16-bit value are filled (0: nobody said). The answer is `ANSWER` into the
pipe ANSWERS, since libraries print on standard output: height and width of the pixels (H, W, 3) that the file holds now, or
0, 0 and the length of the error that stands in it. The process ends with its input.
"""

from __future__ import annotations

import os
import signal
import struct
import sys

import cv2
import numpy as np

from kizu_inspect.errors import ImageError
from kizu_inspect.picture.decoding import decode_image
from kizu_inspect.recipe import Bits

__all__ = ["ANSWER", "REQUEST"]

REQUEST = struct.Struct("<QdB")
ANSWER = struct.Struct("<III")


def answer(shared: int, size: int, max_megapixels: float, bits: Bits | None) -> bytes:
    """Decode what the shared file holds, and put the outcome there."""
    try:
        image = decode_image(_read(shared, size), max_megapixels=max_megapixels, bits=bits)
        height, width = image.shape[:2]
        _write(shared, memoryview(np.ascontiguousarray(image).data).cast("B"))
        return ANSWER.pack(height, width, 0)
    except ImageError as error:
        words = str(error)
    except MemoryError:
        words = "picture needs more memory than its decoder may take. Make it smaller, or raise runtime.decoder_mb."
    except Exception as error:  # noqa: BLE001 - decoders fail in ways of their own on hostile bytes; that is one bad picture
        words = f"picture cannot be decoded: found {type(error).__name__}: {error}"
    told = words.encode("utf-8", errors="backslashreplace")
    _write(shared, memoryview(told))
    return ANSWER.pack(0, 0, len(told))


def _read(shared: int, size: int) -> bytes:
    data = bytearray(size)
    view, at = memoryview(data), 0
    while at < size and (count := os.preadv(shared, [view[at:]], at)) > 0:
        at += count
    return bytes(data)


def _write(shared: int, data: memoryview) -> None:
    at = 0
    while at < len(data):
        at += os.pwrite(shared, data[at:], at)


def main() -> None:
    """Answer until the input ends."""
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the service, which then ends our input
        signal.signal(number, signal.SIG_IGN)
    cv2.setNumThreads(1)
    shared = int(sys.argv[1])
    source, out = sys.stdin.buffer, os.fdopen(int(sys.argv[2]), "wb")
    out.write(ANSWER.pack(0, 0, 0))  # ready
    out.flush()
    while len(request := source.read(REQUEST.size)) == REQUEST.size:
        size, max_megapixels, bits = REQUEST.unpack(request)
        out.write(answer(shared, size, max_megapixels, bits or None))
        out.flush()


if __name__ == "__main__":
    main()
