"""What an explainer is given and what it gives back."""

from __future__ import annotations

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
    wrong = targets[(targets < 0) | (targets >= classes)]
    if len(wrong):
        raise MethodError("a target is no class of the model", found=str(wrong[0].item()), expected=expected)


def finish(forward: Forward, targets: Tensor, signed: Tensor, *, misfit: Tensor | None = None, of_class: bool = True) -> Maps:
    """Signed maps (N, h, w) as they are stored: ReLU, float32, non-finite values 0, each with its status.

    `misfit` (N,) marks pictures in some of whose channels the method's formula does not apply to negative activations. A
    map that is not `of_class` is the same for all classes, also for one without evidence of its own.
    """
    signed = signed.detach()
    signed = signed if signed.dtype == torch.float64 else signed.float()  # double precision is for comparison with references
    cells = signed.flatten(1)
    low, high = cells.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0).aminmax(dim=1)
    marks = [cells.isfinite().all(dim=1), high > 0, high > low, low < 0]
    marks.append(torch.zeros_like(marks[0]) if misfit is None else misfit)
    one_cell = cells.shape[1] == 1
    status = []
    for target, (finite, positive, varied, negative, misfits) in zip(
        targets.tolist(), torch.stack(marks, dim=1).tolist(), strict=True
    ):
        if of_class and isinstance(forward.head, ReadoutHead) and not forward.head.has_map(target):
            status.append(MapStatus.NO_EVIDENCE_MAP)
        elif not finite:
            status.append(MapStatus.NON_FINITE)
        elif misfits:
            status.append(MapStatus.SIGNED_ACTIVATIONS)
        elif positive:
            status.append(MapStatus.OK if varied or one_cell else MapStatus.FLAT)
        else:
            status.append(MapStatus.ALL_NEGATIVE if negative else MapStatus.FLAT)
    unmapped = [s in (MapStatus.NO_EVIDENCE_MAP, MapStatus.NON_FINITE) for s in status]
    silent = torch.tensor(unmapped, dtype=torch.bool, device=signed.device)  # the type is said because a batch may be empty
    values = torch.relu(torch.nan_to_num(signed, nan=0.0, posinf=0.0, neginf=0.0))
    return Maps(values.masked_fill(silent[:, None, None], 0), tuple(status))
