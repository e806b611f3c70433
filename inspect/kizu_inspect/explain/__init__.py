"""Explanation methods by name. A new one is a file beside these, and its entry in EXPLAINERS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor

from kizu_inspect.errors import MethodError
from kizu_inspect.explain.cam import cam
from kizu_inspect.explain.contract import Explainer, Maps, check_targets
from kizu_inspect.explain.grad_cam import grad_cam
from kizu_inspect.explain.grad_cam_pp import grad_cam_pp
from kizu_inspect.explain.lfi_cam import lfi_cam
from kizu_inspect.explain.refine import influence, refined
from kizu_inspect.explain.score_cam import score_cam
from kizu_inspect.network.forward import Forward
from kizu_inspect.recipe import ExplanationSettings

__all__ = ["EXPLAINERS", "Explainer", "Forward", "Maps", "explainer"]

EXPLAINERS: Final[dict[str, Callable[..., Maps]]] = {
    "cam": cam,
    "grad-cam": grad_cam,
    "grad-cam++": grad_cam_pp,
    "score-cam": score_cam,
    "lfi-cam": lfi_cam,
}
"""Every method by the name that a recipe carries."""


def explainer(method: str, settings: ExplanationSettings | None = None, *, good: int | None = None) -> Explainer:
    """The explainer called `method` with the options of `settings`; `good` is the model's good class, for margins.

    Raises MethodError: unknown, or a margin without a good class. What it returns raises MethodError
    for targets that are no classes of the model, and for a head that the method does not fit.
    """
    if method not in EXPLAINERS:
        raise MethodError(
            "unknown explanation method", found=method, expected=f"one of {', '.join(EXPLAINERS)}",
            next_step="Change explanation.method.",
        )  # fmt: skip
    settings = settings or ExplanationSettings(method=method)
    options: dict[str, Any] = {}
    if settings.target == "margin":
        if good is None:
            raise MethodError(
                "explanation.target margin needs a good class", found="a model without one", expected="target: class"
            )
        options["against"] = good
    if method == "grad-cam++":
        options["alpha_norm"] = settings.alpha_norm
    if method == "score-cam":
        options |= {"channels": settings.channels, "softmax": settings.channel_softmax, "masked": settings.masked}
        options["aligned_masks"] = settings.aligned_masks
        options["precision"] = torch.bfloat16 if settings.precision == "bfloat16" else None
    chosen, refine = EXPLAINERS[method], settings.refine == "pixels"
    against = None if method == "lfi-cam" else options.get("against")  # its map is the same for every class

    def explain(forward: Forward, targets: Tensor) -> Maps:
        check_targets(forward, targets)
        maps = chosen(forward, targets, **options)
        if not refine:
            return maps
        if forward.cells is None:
            raise MethodError("a map cannot be refined", found="a forward pass that does not say where its cells lie")
        return refined(maps, influence(forward, targets, against=against), forward.cells)

    return explain
