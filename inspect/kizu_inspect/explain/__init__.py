"""Explanation methods by name. A new one is a file beside these, and its entry in EXPLAINERS."""

from __future__ import annotations

from typing import Final

from kizu_inspect.errors import MethodError
from kizu_inspect.explain.cam import cam
from kizu_inspect.explain.contract import Explainer, Forward, Maps
from kizu_inspect.explain.grad_cam import grad_cam

__all__ = ["EXPLAINERS", "METHODS", "Explainer", "Forward", "Maps", "explainer"]

METHODS: Final = ("cam", "grad-cam", "grad-cam++", "score-cam", "lfi-cam")
"""The names that a recipe may carry, built or not."""

EXPLAINERS: Final[dict[str, Explainer]] = {
    "cam": cam,
    "grad-cam": grad_cam,
}


def explainer(method: str) -> Explainer:
    """The explainer called `method`. Raises MethodError: unknown, or known and not yet built."""
    if method in EXPLAINERS:
        return EXPLAINERS[method]
    what = "explanation method is not built yet" if method in METHODS else "unknown explanation method"
    raise MethodError(
        what, found=method, expected=f"one of those built: {', '.join(EXPLAINERS)}", next_step="Change explanation.method."
    )
