"""From outlines and run lengths, as annotation files have them, to pixels, and from pixels to the spans of a sample."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from kizu_inspect.labelled.samples import Spans

__all__ = ["Outline", "Pixels", "around", "fill", "pixels_of", "pixels_of_runs", "runs_of", "runs_of_text", "spans_of"]

MOST_PX = 400_000_000
"""A file that says more of a picture is not believed: its mask alone would fill the memory."""
Pixels = npt.NDArray[np.bool_]
"""(H, W) whether each pixel is meant."""
Outline = tuple[tuple[float, float], ...]
"""(x, y) of the corners in px; 0, 0 is the upper left corner of the picture, and of its first pixel."""


def fill(outlines: Iterable[Outline], size_px: tuple[int, int]) -> Spans:
    """The pixels of a picture of (height, width) whose middle lies in one of the outlines (even-odd where it crosses itself).

    An outline too thin to hold any middle has those pixels through which it goes: what somebody drew is never nothing.
    """
    height, width = size_px
    found: list[tuple[int, int, Pixels]] = []
    for outline in outlines:
        corners = np.array(outline, np.float64).reshape(-1, 2)
        left, top = (int(value) for value in np.clip(np.floor(corners.min(axis=0)), 0, (width, height)))
        right, bottom = (int(value) for value in np.clip(np.ceil(corners.max(axis=0)) + 1, 0, (width, height)))
        if left < right and top < bottom:
            inside = _inside(corners - (left, top), (bottom - top, right - left))
            found.append((left, top, inside if inside.any() else _passed(corners - (left, top), inside.shape)))
    if not found:
        return ()
    left, top = min(x for x, _, _ in found), min(y for _, y, _ in found)
    right = max(x + pixels.shape[1] for x, _, pixels in found)
    bottom = max(y + pixels.shape[0] for _, y, pixels in found)
    union = np.zeros((bottom - top, right - left), np.bool_)
    for x, y, pixels in found:
        union[y - top : y - top + pixels.shape[0], x - left : x - left + pixels.shape[1]] |= pixels
    return spans_of(union, x=left, y=top)


def _inside(corners: npt.NDArray[np.float64], size_px: tuple[int, int]) -> Pixels:
    """By where each row's middle line crosses the edges: beyond each crossing a pixel is what its left neighbour is not."""
    height, width = size_px
    ends = np.roll(corners, -1, axis=0)
    low, high = np.minimum(corners[:, 1], ends[:, 1]), np.maximum(corners[:, 1], ends[:, 1])
    first = np.clip(np.ceil(low - 0.5), 0, height).astype(np.int64)
    count = np.clip(np.ceil(high - 0.5), 0, height).astype(np.int64) - first
    edges = np.repeat(np.arange(len(corners)), count)
    rows = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + first[edges]
    (x1, y1), (x2, y2) = corners[edges].T, ends[edges].T
    crossed = x1 + (rows + 0.5 - y1) * (x2 - x1) / (y2 - y1)
    columns = np.clip(np.ceil(crossed - 0.5), 0, width).astype(np.int64)
    turns = np.zeros((height, width + 1), np.uint8)
    np.add.at(turns, (rows, columns), 1)
    return (np.cumsum(turns, axis=1, dtype=np.uint8) & 1).astype(np.bool_)[:, :width]


def _passed(corners: npt.NDArray[np.float64], size_px: tuple[int, ...]) -> Pixels:
    drawn = np.zeros(size_px, np.uint8)
    cv2.polylines(drawn, [np.floor(corners).astype(np.int32).reshape(-1, 1, 2)], isClosed=True, color=1)
    return drawn.astype(np.bool_)


def spans_of(pixels: Pixels, *, x: int = 0, y: int = 0) -> Spans:
    """The spans of these pixels, of which the first lies at (x, y)."""
    padded = np.zeros((pixels.shape[0], pixels.shape[1] + 2), np.int8)
    padded[:, 1:-1] = pixels
    change = np.diff(padded, axis=1)
    rows, starts = np.nonzero(change == 1)
    ends = np.nonzero(change == -1)[1]
    return tuple(zip((rows + y).tolist(), (starts + x).tolist(), (ends + x).tolist(), strict=True))


def pixels_of(spans: Spans, size_px: tuple[int, int]) -> Pixels:
    """The pixels (H, W) of these spans, as far as they lie in a picture of (height, width)."""
    pixels = np.zeros(size_px, np.bool_)
    for row, start, end in spans:
        if 0 <= row < size_px[0]:
            pixels[row, max(0, start) : max(0, end)] = True
    return pixels


def around(spans: Spans) -> tuple[int, int, int, int]:
    """The smallest box that holds the spans, of which there is one at least: x1, y1, x2, y2; right and lower exclusive."""
    rows, starts, ends = zip(*spans, strict=True)
    return min(starts), min(rows), max(ends), max(rows) + 1


def pixels_of_runs(counts: Sequence[int], size_px: tuple[int, int], *, by_rows: bool = False) -> Pixels:
    """Run lengths: pixels outside, inside, outside, … from the upper left corner on, column after column, as COCO has them.

    `by_rows` they go row after row, as CVAT has them.

    Raises ValueError where they are not those of a picture of (height, width).
    """
    height, width = size_px
    if not 0 < height * width <= MOST_PX or min(counts, default=-1) < 0 or sum(counts) != height * width:
        raise ValueError(f"runs of {sum(counts)} px for {width} × {height}")
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return flat.reshape(height, width) if by_rows else np.ascontiguousarray(flat.reshape(width, height).T)


def runs_of(spans: Spans, size_px: tuple[int, int]) -> list[int]:
    """COCO's run lengths of these spans, of which there is one at least, all of them in a picture of (height, width)."""
    x1, y1, x2, y2 = around(spans)
    inside = pixels_of(tuple((row - y1, start - x1, end - x1) for row, start, end in spans), (y2 - y1, x2 - x1))
    columns, starts, ends = np.array(spans_of(np.ascontiguousarray(inside.T))).T
    starts, ends = ((columns + x1) * size_px[0] + edge + y1 for edge in (starts, ends))
    apart = starts[1:] != ends[:-1]  # one run goes from the foot of a column on at the head of the next
    edges = np.column_stack((starts[np.append(True, apart)], ends[np.append(apart, True)])).ravel()
    counts: list[int] = np.diff(edges, prepend=0).tolist()
    rest = size_px[0] * size_px[1] - int(edges[-1])
    return [*counts, rest] if rest else counts


def runs_of_text(text: str) -> list[int]:
    """The run lengths that COCO writes as text: 5 bits a character, from the third on as the difference to the last but one.

    Raises ValueError where the text ends within a number.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"{character!r} in run lengths")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("run lengths end within a number")
    return counts
