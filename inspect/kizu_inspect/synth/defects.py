"""The marks on a plate: scratch, dent and stain, each drawn into the metal's colour and returned as its strength a pixel."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from kizu_inspect.synth.plate import PLATE_HALF_PX, RIM_PX, Field, Scene

__all__ = ["MARKS"]


def _spot(rng: np.random.Generator, scene: Scene, clearance: float) -> tuple[float, float]:
    """A place on the plate (u, v) at least `clearance` px from its edge and from the holes."""
    reach = (PLATE_HALF_PX - 3) * scene.scale - clearance
    while True:
        u, v = rng.uniform(-reach, reach, 2)
        if np.all(np.hypot(scene.holes_uv[:, 0] - u, scene.holes_uv[:, 1] - v) > scene.hole_radii + RIM_PX + clearance):
            return float(u), float(v)


def _scratch(rng: np.random.Generator, scene: Scene, colour: Field) -> Field:
    """Draws a thin, slightly bent line across the brushing into `colour`; returns its strength, (S, S) in [0, 1]."""
    length = rng.uniform(15, 60) * scene.scale
    # Along the brushing it could not be told from a streak.
    angle = rng.uniform(np.deg2rad(18), np.deg2rad(162))
    bend = rng.uniform(-0.18, 0.18) * length
    u0, v0 = _spot(rng, scene, 5 * scene.scale)
    t = np.linspace(-0.5, 0.5, 17)
    along, across = t * length, bend * (0.25 - t**2) * 4
    u, v = u0 + along * np.cos(angle) - across * np.sin(angle), v0 + along * np.sin(angle) + across * np.cos(angle)
    limit = (PLATE_HALF_PX - 2) * scene.scale
    inside = (np.abs(u) < limit) & (np.abs(v) < limit)
    strength = np.sqrt(np.clip(1 - np.square(2 * t), 0.08, 1)) * rng.uniform(0.75, 1.0, t.size)  # fainter at its ends
    cos, sin = np.cos(scene.angle), np.sin(scene.angle)
    points = np.stack((scene.centre[0] + cos * u - sin * v, scene.centre[1] + sin * u + cos * v), axis=1)
    fixed = np.rint(points * 16).astype(np.int32)  # cv2 takes sixteenths of a pixel
    line = np.zeros(scene.x.shape, dtype=np.uint8)
    thickness = max(1, round(float(rng.uniform(1.0, 2.4)) * scene.scale))
    for i in range(t.size - 1):
        if inside[i] and inside[i + 1]:
            cv2.line(line, fixed[i].tolist(), fixed[i + 1].tolist(), int(255 * strength[i]), thickness, cv2.LINE_AA, 4)
    alpha = line.astype(np.float32) / np.float32(255)
    depth = np.float32(rng.uniform(36, 60) * (1 if rng.random() < 0.5 else -1))
    # The burr beside the groove catches the light the other way round.
    side = np.array([[1, 0, scene.light[0] * 1.3], [0, 1, scene.light[1] * 1.3]])
    burr = cv2.warpAffine(alpha, side, alpha.shape[::-1])
    colour += (depth * (alpha - np.float32(0.35) * burr * (1 - alpha)))[:, :, None]
    return np.asarray(alpha, np.float32)


def _dent(rng: np.random.Generator, scene: Scene, colour: Field) -> Field:
    """Presses a round dent into `colour`: dark towards the lamp, bright away from it; returns its disc."""
    radius = rng.uniform(5, 12) * scene.scale
    u0, v0 = _spot(rng, scene, radius)
    squeeze, turn = rng.uniform(0.85, 1.15), rng.uniform(0, np.pi)
    du, dv = scene.u - np.float32(u0), scene.v - np.float32(v0)
    a = (np.float32(np.cos(turn)) * du + np.float32(np.sin(turn)) * dv) * np.float32(squeeze / radius)
    b = (np.float32(np.cos(turn)) * dv - np.float32(np.sin(turn)) * du) * np.float32(1 / (squeeze * radius))
    squared = a * a + b * b  # 1 on the dent's rim
    bowl = np.exp(np.float32(-2.2) * squared)
    cos, sin = np.cos(scene.angle), np.sin(scene.angle)
    light_u = np.float32(cos * scene.light[0] + sin * scene.light[1])
    light_v = np.float32(cos * scene.light[1] - sin * scene.light[0])
    slope = -(du * light_u + dv * light_v) * np.float32(2.6 / radius) * bowl  # about -1 to 1
    depth = np.float32(rng.uniform(24, 46))
    glint = np.exp(-np.square((du + light_u * np.float32(0.45 * radius)) / np.float32(0.28 * radius))
                   - np.square((dv + light_v * np.float32(0.45 * radius)) / np.float32(0.28 * radius)))  # fmt: skip
    colour += (depth * (slope - np.float32(0.18) * bowl) + np.float32(rng.uniform(0, 14)) * glint)[:, :, None]
    return (squared <= 1).astype(np.float32)


def _stain(rng: np.random.Generator, scene: Scene, colour: Field) -> Field:
    """Lays an irregular, soft, darker and tinted spot on `colour`; returns its strength, (S, S) in [0, 1]."""
    radius = rng.uniform(6, 16) * scene.scale
    u0, v0 = _spot(rng, scene, 0.6 * radius)
    du, dv = scene.u - np.float32(u0), scene.v - np.float32(v0)
    distance, theta = np.hypot(du, dv), np.arctan2(dv, du)
    edge = np.ones_like(distance)
    for wave in range(2, 6):
        swing, phase = rng.uniform(0, 0.42 / wave), rng.uniform(0, 2 * np.pi)
        edge += np.float32(swing) * np.cos(np.float32(wave) * theta + np.float32(phase))
    soft = rng.uniform(1.5, 4.0) * scene.scale
    inward = np.float32(radius) * edge - distance  # px inside the outline
    alpha = np.clip(inward / np.float32(soft) + np.float32(0.5), 0, 1)
    # Patchy within, and often with the darker line where a drop dried.
    patches = rng.standard_normal((8, 8), dtype=np.float32)
    patchy = 1 + np.float32(0.22) * cv2.resize(patches, alpha.shape[::-1], interpolation=cv2.INTER_CUBIC)
    tide = np.float32(rng.uniform(0, 0.5)) * np.exp(-np.square(inward / np.float32(soft)))
    strength = np.clip(alpha * patchy + tide * alpha, 0, 1.6)
    darkening = rng.uniform(0.13, 0.30)
    tint = np.array(
        (-0.05, 0.0, 0.09) if rng.random() < 0.6 else (0.07, 0.0, -0.04), dtype=np.float32
    )  # rust, or oil and coolant
    taken = np.float32(darkening) + tint * np.float32(rng.uniform(0.4, 1.0))  # (3,)
    colour *= 1 - strength[:, :, None] * taken
    return np.asarray(alpha, np.float32)


MARKS: Mapping[str, Callable[[np.random.Generator, Scene, Field], Field]] = {
    "scratch": _scratch,
    "dent": _dent,
    "stain": _stain,
}
"""By kind: draws the mark into `colour` (S, S, 3) and returns its strength, (S, S) in [0, 1]; the mask: above 0.25."""
