"""A sound plate under its camera: where it lies, its brushed surface, its edges and holes, and the photograph of it.

Lengths are those of a 160 px picture and are multiplied by the scene's scale, `size_px / 160`; the brushing and the sensor's
noise keep their pixel size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from kizu_inspect.results import ImageRGB

__all__ = ["PLATE_HALF_PX", "RIM_PX", "Field", "Scene", "distance_to_hole", "outline", "photograph", "place", "surface"]

PLATE_HALF_PX = 66.0
CORNER_RADIUS_PX = 9.0
HOLE_INSET_PX = 42.0
HOLE_RADIUS_PX = 8.5
RIM_PX = 2.2

Field = npt.NDArray[np.float32]
"""One number a pixel: (S, S) float32."""


@dataclass(frozen=True)
class Scene:
    """One plate under its camera: all that the defect may look at, before any defect."""

    scale: float
    """Pixels of this picture for one of a 160 px picture."""
    x: Field
    y: Field
    u: Field
    """Plate coordinate along the brushing, px from the plate's centre."""
    v: Field
    holes_uv: npt.NDArray[np.float32]
    """(4, 2) centres of the holes in plate coordinates."""
    hole_radii: npt.NDArray[np.float32]
    centre: tuple[float, float]
    angle: float
    """Radians by which the plate is turned."""
    light: tuple[float, float]
    """Unit vector towards the lamp, in the picture's plane."""


def place(rng: np.random.Generator, size_px: int) -> Scene:
    """Where the plate lies, its holes and the lamp."""
    scale = size_px / 160
    middle = (size_px - 1) / 2
    centre = (middle + float(rng.uniform(-4, 4)) * scale, middle + float(rng.uniform(-4, 4)) * scale)
    angle = float(np.deg2rad(rng.uniform(-3, 3)))
    axis = np.arange(size_px, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    dx, dy = x - np.float32(centre[0]), y - np.float32(centre[1])
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    inset = HOLE_INSET_PX * scale
    holes = np.array([(-inset, -inset), (inset, -inset), (-inset, inset), (inset, inset)], dtype=np.float32)
    holes += rng.uniform(-0.7, 0.7, holes.shape).astype(np.float32) * np.float32(scale)
    radii = (HOLE_RADIUS_PX * scale * rng.uniform(0.93, 1.07, 4)).astype(np.float32)
    lamp = float(rng.uniform(0, 2 * np.pi))
    return Scene(
        scale=scale,
        x=x,
        y=y,
        u=cos * dx + sin * dy,
        v=cos * dy - sin * dx,
        holes_uv=holes,
        hole_radii=radii,
        centre=centre,
        angle=angle,
        light=(float(np.cos(lamp)), float(np.sin(lamp))),
    )


def surface(rng: np.random.Generator, scene: Scene) -> Field:
    """The brushed metal's brightness, (S, S) grey levels, with light and harmless marks, as if it filled the picture."""
    size = scene.x.shape[0]
    margin = 12
    # Brushing: noise smeared along the plate's u axis, in two lengths, each of about unit deviation.
    grain = rng.standard_normal((size + 2 * margin, size + 2 * margin), dtype=np.float32)
    brushed = cv2.blur(grain, (63, 1)) * np.float32(7.9) + cv2.blur(grain, (11, 1)) * np.float32(1.6)
    brushed *= np.float32(rng.uniform(2.5, 5.5))
    # Faint streaks of the brush: long, along the brushing, so that a line alone is no scratch.
    along = np.arange(size + 2 * margin, dtype=np.float32) - np.float32(size / 2 + margin)
    for _ in range(int(rng.integers(0, 5))):
        v0, width = rng.uniform(-60, 60) * scene.scale, rng.uniform(0.7, 2.2)
        middle, reach = rng.uniform(-60, 60) * scene.scale, rng.uniform(25, 80) * scene.scale
        depth = rng.uniform(5, 14) * rng.choice((-1, 1))
        brushed += np.outer(np.float32(depth) * _bell(along, v0, width), _bell(along, middle, reach))
    turn = cv2.getRotationMatrix2D((size / 2 + margin, size / 2 + margin), -np.rad2deg(scene.angle), 1.0)
    turn[:, 2] -= margin
    metal = cv2.warpAffine(brushed, turn, (size, size), flags=cv2.INTER_LINEAR) + np.float32(rng.uniform(128, 178))

    # The lamp: a slope over the plate, and one or two broad reflections.
    axis = scene.x[0]
    direction, steepness = rng.uniform(0, 2 * np.pi), rng.uniform(0.02, 0.18) * 2 / size
    away = axis - np.float32(size / 2)
    light = np.add.outer(np.float32(steepness * np.sin(direction)) * away + 1, np.float32(steepness * np.cos(direction)) * away)
    for _ in range(int(rng.integers(1, 3))):
        cx, cy = rng.uniform(0, size, 2)
        reach = rng.uniform(40, 85) * scene.scale
        light += np.outer(np.float32(rng.uniform(-0.10, 0.14)) * _bell(axis, cy, reach), _bell(axis, cx, reach))
    return np.asarray(metal * light, np.float32)


def _bell(axis: Field, middle: float, width: float) -> Field:
    """exp(−((axis − middle) / width)²)."""
    return np.asarray(np.exp(-np.square((axis - np.float32(middle)) * np.float32(1 / width))), np.float32)


def outline(rng: np.random.Generator, scene: Scene, drilled: Sequence[bool]) -> tuple[Field, Field]:
    """Which share of a pixel is metal, and what the edges of plate and holes add to its brightness; each (S, S)."""
    scale = np.float32(scene.scale)
    half = np.float32(rng.uniform(0.985, 1.015) * PLATE_HALF_PX) * scale
    corner = np.float32(CORNER_RADIUS_PX) * scale
    qu, qv = np.abs(scene.u) - (half - corner), np.abs(scene.v) - (half - corner)
    outside = np.hypot(np.maximum(qu, 0), np.maximum(qv, 0)) + np.minimum(np.maximum(qu, qv), 0) - corner  # px, < 0 inside
    cover = np.clip(0.5 - outside, 0, 1)

    # A bevelled edge is bright where it faces the lamp and dark where it looks away.
    cos, sin = np.cos(scene.angle), np.sin(scene.angle)
    light_u = np.float32(cos * scene.light[0] + sin * scene.light[1])
    light_v = np.float32(cos * scene.light[1] - sin * scene.light[0])
    bevel = np.float32(rng.uniform(14, 34))
    facing = np.where(qu > qv, np.sign(scene.u) * light_u, np.sign(scene.v) * light_v)
    shade = bevel * facing * np.clip(1 - np.abs(outside + 1.5 * scale) / (1.5 * scale), 0, 1)
    rim_depth = np.float32(rng.uniform(18, 42))
    for number, is_drilled in enumerate(drilled):
        if not is_drilled:
            continue
        near = _around_hole(scene, number)
        du, dv = scene.u[near] - scene.holes_uv[number, 0], scene.v[near] - scene.holes_uv[number, 1]
        distance = np.hypot(du, dv)
        past = distance - scene.hole_radii[number]  # px outside the hole's edge
        cover[near] = np.minimum(cover[near], np.clip(past + 0.5, 0, 1))
        ring = np.clip(1 - np.abs(past - 0.5 * RIM_PX * scale) / (0.5 * RIM_PX * scale), 0, 1)
        # A countersink falls away from the surface, so it faces the lamp on the side opposite to a raised edge.
        shade[near] -= rim_depth * ring * (du * light_u + dv * light_v) / np.maximum(distance, 1)
    return cover, shade


def _around_hole(scene: Scene, number: int) -> tuple[slice, slice]:
    """Rows and columns of a window that holds one hole with its rim."""
    u, v = scene.holes_uv[number]
    cos, sin = np.cos(scene.angle), np.sin(scene.angle)
    x, y = scene.centre[0] + cos * u - sin * v, scene.centre[1] + sin * u + cos * v
    reach = float(scene.hole_radii[number]) + (RIM_PX + 2) * scene.scale + 1
    return slice(max(0, int(y - reach)), int(y + reach) + 2), slice(max(0, int(x - reach)), int(x + reach) + 2)


def distance_to_hole(scene: Scene, number: int) -> Field:
    """Distance of every pixel from a hole's centre, (S, S) px."""
    return np.asarray(np.hypot(scene.u - scene.holes_uv[number, 0], scene.v - scene.holes_uv[number, 1]), np.float32)


def photograph(rng: np.random.Generator, scene: Scene, colour: Field, cover: Field) -> ImageRGB:
    """What the camera makes of the metal (S, S, 3) on its dark bench: shadow, colour, exposure, blur, noise."""
    size = cover.shape[0]
    bench = np.float32(rng.uniform(34, 78)) * (1 + np.float32(rng.uniform(-0.25, 0.25)) * (scene.y / size - np.float32(0.5)))
    shift = np.array([[1, 0, -3.0 * scene.light[0] * scene.scale], [0, 1, -3.0 * scene.light[1] * scene.scale]])
    shadow = cv2.GaussianBlur(cv2.warpAffine(cover, shift, (size, size)), (0, 0), 2.2 * scene.scale)
    bench = bench * (1 - np.float32(rng.uniform(0.25, 0.55)) * shadow)
    exposure = rng.uniform(0.82, 1.18)
    metal_tint = (exposure * (1 + rng.uniform(-0.04, 0.04, 3))).astype(np.float32)
    bench_tint = (exposure * (1 + rng.uniform(-0.10, 0.10, 3))).astype(np.float32)
    below = bench[:, :, None] * bench_tint
    photo = colour * metal_tint
    photo -= below
    photo *= cover[:, :, None]
    photo += below
    photo = np.asarray(cv2.GaussianBlur(photo, (0, 0), float(rng.uniform(0.45, 0.75))), np.float32)
    noise = rng.standard_normal(photo.shape, dtype=np.float32)
    # Rounds, and holds to 0 and 255 as a sensor does.
    return cv2.addWeighted(photo, 1.0, noise, float(rng.uniform(1.5, 4.0)), 0.0, dtype=cv2.CV_8U).astype(np.uint8, copy=False)
