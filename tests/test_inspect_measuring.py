"""Outline and sizes of pieces whose length and width are known by their drawing."""

from __future__ import annotations

from math import cos, hypot, pi, radians, sin

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from kizu_inspect.explain.measuring import MOST_VERTICES, measure

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

SIDE = 400
Y, X = (axis.astype(np.float64) for axis in np.mgrid[:SIDE, :SIDE])
MIDDLE = (200.3, 199.8)  # no centre of a pixel


def along(degrees: float) -> tuple[Floats, Floats]:
    """How far each pixel lies along and beside a line through the middle."""
    x, y = X - MIDDLE[0], Y - MIDDLE[1]
    return x * cos(radians(degrees)) + y * sin(radians(degrees)), y * cos(radians(degrees)) - x * sin(radians(degrees))


def line(length: float, width: float, degrees: float) -> Mask:
    """A straight scratch with round ends; `length` with its ends."""
    t, beside = along(degrees)
    return np.hypot(np.maximum(np.abs(t) - (length - width) / 2, 0), beside) <= width / 2


def rectangle(length: float, width: float, degrees: float) -> Mask:
    t, beside = along(degrees)
    return (np.abs(t) <= length / 2) & (np.abs(beside) <= width / 2)


def arc(radius: float, width: float, degrees: float) -> tuple[Mask, float]:
    """A bent scratch with round ends, and its length with them."""
    x, y = X - MIDDLE[0], Y - MIDDLE[1]
    shown = (np.abs(np.hypot(x, y) - radius) <= width / 2) & (np.arctan2(y, x) % (2 * pi) <= radians(degrees))
    for end in (0.0, radians(degrees)):
        shown |= np.hypot(x - radius * cos(end), y - radius * sin(end)) <= width / 2
    return shown, radius * radians(degrees) + width


@pytest.mark.parametrize("width", [3, 4, 6, 10])
@pytest.mark.parametrize("degrees", [0, 15, 22.5, 30, 45, 60, 75, 90])
def test_a_straight_scratch_has_its_length_at_every_angle(width: float, degrees: float) -> None:
    measured = measure(line(150, width, degrees))
    assert measured.length_px == pytest.approx(150, rel=0.01)
    assert measured.width_px == pytest.approx(width, abs=0.7)
    assert measured.area_px == pytest.approx(150 * width - (1 - pi / 4) * width**2, rel=0.2 if width < 5 else 0.07)


@pytest.mark.parametrize("width", [2, 4, 8])
@pytest.mark.parametrize("radius", [20, 60, 120])
@pytest.mark.parametrize("degrees", [60, 90, 180, 270])
def test_a_bent_scratch_is_as_long_as_its_bow(radius: float, width: float, degrees: float) -> None:
    piece, length = arc(radius, width, degrees)
    measured = measure(piece)
    assert measured.length_px == pytest.approx(length, rel=0.02)
    assert measured.width_px == pytest.approx(width, abs=0.7)
    if degrees == 180:
        assert measured.length_px > 1.4 * max(np.ptp(np.argwhere(piece), axis=0))  # than its box


@pytest.mark.parametrize(("length", "width"), [(20, 20), (20, 10), (100, 3), (100, 10)])
@pytest.mark.parametrize("degrees", [0, 22.5, 45])
def test_a_rectangle_has_its_sides(length: float, width: float, degrees: float) -> None:
    measured = measure(rectangle(length, width, degrees))
    assert (measured.length_px, measured.width_px) == pytest.approx((length, width), abs=1.5)


@pytest.mark.parametrize("diameter", [5, 9, 20, 61, 300])
def test_a_disc_is_as_long_as_wide(diameter: float) -> None:
    measured = measure(np.hypot(X - MIDDLE[0], Y - MIDDLE[1]) <= diameter / 2)
    assert (measured.length_px, measured.width_px) == pytest.approx((diameter, diameter), abs=1)
    assert measured.area_px == pytest.approx(pi * diameter**2 / 4, rel=0.05)


def test_a_wave_is_as_long_as_its_curve() -> None:
    xs = np.linspace(60, 340, 1000)
    ys = 200 + 25 * np.sin(xs / 18)
    distance = np.full((SIDE, SIDE), np.inf)
    for x, y in zip(xs, ys, strict=True):
        distance = np.minimum(distance, np.hypot(X - x, Y - y))
    measured = measure(distance <= 2.5)
    assert measured.length_px == pytest.approx(np.hypot(np.diff(xs), np.diff(ys)).sum() + 5, rel=0.01)
    assert measured.width_px == pytest.approx(5, abs=0.7)


@pytest.mark.parametrize(("radius", "width"), [(30, 4), (60, 8)])
def test_a_ring_is_as_long_as_its_circle(radius: float, width: float) -> None:
    measured = measure(np.abs(np.hypot(X - MIDDLE[0], Y - MIDDLE[1]) - radius) <= width / 2)
    assert measured.length_px == pytest.approx(2 * pi * radius, rel=0.01)
    assert measured.width_px == pytest.approx(width, abs=0.7)


def test_branches_count_together() -> None:
    piece = line(200, 4, 0)
    piece[100:200, 198:202] = True
    assert measure(piece).length_px == pytest.approx(200 + 98, rel=0.03)


@pytest.mark.parametrize(
    ("piece", "length", "width"),
    [
        (np.ones((1, 1), np.bool_), 1, 1),
        (np.ones((1, 50), np.bool_), 50, 1),
        (np.ones((50, 2), np.bool_), 50, 2),
        (np.eye(50, dtype=np.bool_), 50 * 2**0.5, 1.4),
    ],
    ids=["a pixel", "a row", "two columns", "a diagonal"],
)
def test_the_smallest_pieces(piece: Mask, length: float, width: float) -> None:
    measured = measure(piece)
    assert (measured.length_px, measured.width_px) == pytest.approx((length, width), abs=0.5)
    assert measured.area_px == np.count_nonzero(piece)


def drawn_anew(contour: tuple[tuple[int, int], ...]) -> Mask:
    paper = np.zeros((SIDE, SIDE), np.uint8)
    cv2.fillPoly(paper, [np.array(contour, np.int32)], 1)
    return paper > 0


def test_a_contour_is_within_a_pixel_of_the_pieces_outer_border() -> None:
    piece, _ = arc(60, 8, 270)
    contour = measure(piece).contour
    assert 32 < len(contour) < MOST_VERTICES
    (border,) = cv2.findContours(piece.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    polygon = np.array(contour, np.int32)
    away = [abs(cv2.pointPolygonTest(polygon, (float(x), float(y)), measureDist=True)) for x, y in border[:, 0]]
    assert max(away) <= 0.75
    ring = np.abs(np.hypot(X - MIDDLE[0], Y - MIDDLE[1]) - 60) <= 4
    assert all(hypot(x - MIDDLE[0], y - MIDDLE[1]) > 60 for x, y in measure(ring).contour)


def test_a_ragged_contour_is_simplified_until_it_fits() -> None:
    rng = np.random.default_rng(5)
    reach = cv2.GaussianBlur(rng.normal(120, 40, (1, 720)), (0, 0), 2)[0]
    angle = np.degrees(np.arctan2(Y - MIDDLE[1], X - MIDDLE[0])) % 360
    piece = np.hypot(X - MIDDLE[0], Y - MIDDLE[1]) <= reach[(2 * angle).astype(int)]
    contour = measure(piece).contour
    assert 32 < len(contour) <= MOST_VERTICES
    assert np.count_nonzero(drawn_anew(contour) != piece) < 0.15 * np.count_nonzero(piece)


def test_a_piece_of_many_pixels_is_measured_without_half_steps() -> None:
    piece = np.zeros((1501, 1501), np.bool_)
    piece[:, 700:740] = True
    piece[700:740] = True
    measured = measure(piece)
    assert measured.length_px == pytest.approx(2 * 1501 - 40, rel=0.025)
    assert measured.width_px == pytest.approx(40 * 2**0.5, abs=1)  # where they cross
