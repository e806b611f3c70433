"""What an explainer is given and what it gives back."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from kizu_inspect.errors import MethodError
from kizu_inspect.network.forward import Forward
from kizu_inspect.network.heads import ReadoutHead
from kizu_inspect.results import MapStatus

__all__ = ["Explainer", "Maps", "check_targets", "finish"]


@dataclass(frozen=True)
class Maps:
    """Raw maps (N, h, w) float32, non-negative and finite, and what each of them is worth."""

    values: Tensor
    status: tuple[MapStatus, ...]


Explainer = Callable[[Forward, Tensor], Maps]
"""(forward, targets (N,) int64: the class explained in each picture) -> Maps. A pure function, without hooks."""


def check_targets(forward: Forward, targets: Tensor) -> None:
    """Raises MethodError unless `targets` are class indices, one for each picture of `forward`."""
    pictures, classes = forward.logits.shape
    expected = f"{pictures} class indices below {classes}, as int64"
    if targets.dtype != torch.int64 or targets.shape != (pictures,):
        raise MethodError("targets do not fit the pictures", found=f"{targets.dtype} {tuple(targets.shape)}", expected=expected)
    wrong = [target for target in targets.tolist() if not 0 <= target < classes]
    if wrong:
        raise MethodError("a target is no class of the model", found=str(wrong[0]), expected=expected)


def finish(forward: Forward, targets: Tensor, signed: Tensor, *, misfit: Tensor | None = None, of_class: bool = True) -> Maps:
    """Signed maps (N, h, w) as they are stored: ReLU, float32, non-finite values 0, each with its status.

    `misfit` (N,) marks pictures in some of whose channels the method's formula does not apply to negative activations. A
    map that is not `of_class` is the same for all classes, also for one without evidence of its own.
    """
    signed = signed.detach()
    signed = signed if signed.dtype == torch.float64 else signed.float()  # double precision is for comparison with references
    low, high = signed.flatten(1).aminmax(dim=1)  # NaN where a cell is NaN: one look at the map, and one copy to the host
    misfits = torch.zeros_like(low) if misfit is None else misfit.to(low.dtype)
    found = torch.stack([low, high, misfits], dim=1).tolist()
    one_cell = signed.shape[1:].numel() == 1
    status = []
    for target, (least, most, misfits_formula) in zip(targets.tolist(), found, strict=True):
        if of_class and isinstance(forward.head, ReadoutHead) and not forward.head.has_map(target):
            status.append(MapStatus.NO_EVIDENCE_MAP)
        elif not (math.isfinite(least) and math.isfinite(most)):
            status.append(MapStatus.NON_FINITE)
        elif misfits_formula:
            status.append(MapStatus.SIGNED_ACTIVATIONS)
        elif most > 0:
            status.append(MapStatus.OK if most > least or one_cell else MapStatus.FLAT)
        else:
            status.append(MapStatus.ALL_NEGATIVE if least < 0 else MapStatus.FLAT)
    values = torch.relu(signed)
    silent = [i for i, one in enumerate(status) if one in (MapStatus.NO_EVIDENCE_MAP, MapStatus.NON_FINITE)]
    if silent:
        values[silent] = 0
    return Maps(values, tuple(status))
