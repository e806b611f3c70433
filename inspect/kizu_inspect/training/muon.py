"""Muon: steps of equal length in every direction of a weight matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

__all__ = ["Muon"]

MOMENTUM = 0.95
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Momentum, made orthogonal: for convolution kernels (out, in, kh, kw), taken as matrices of `out` rows, and for matrices.

    A gradient of a small network is dominated by a few directions; a step that is equally long in all of them learns what
    is rare and faint (a scratch) in a fraction of the steps that AdamW takes. Jordan et al., 2024,
    https://kellerjordan.github.io/posts/muon/, with the length of step that matches AdamW's, so that both share one learning
    rate and weight decay (Liu et al., 2025, https://arxiv.org/abs/2502.16982).

    `torch.optim.Muon` computes the same for matrices alone, and in bfloat16, which on a processor without bfloat16 takes
    several times as long; here it is the gradient's own type.
    """

    def __init__(self, params: Iterable[Tensor], *, lr: float, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """One step by the gradients at hand."""
        loss = None if closure is None else closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, lr=group["lr"], weight_decay=group["weight_decay"])
        return loss

    def _update(self, parameter: Tensor, gradient: Tensor, *, lr: float, weight_decay: float) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(gradient)
        momentum: Tensor = state["momentum"]
        momentum.lerp_(gradient, 1 - MOMENTUM)
        direction = _orthogonal(gradient.lerp(momentum, MOMENTUM).flatten(1))  # (rows, columns); Nesterov's look ahead
        length = 0.2 * max(direction.shape) ** 0.5  # an AdamW step's root mean square
        parameter.mul_(1 - lr * weight_decay).add_(direction.reshape(parameter.shape), alpha=-lr * length)


def _orthogonal(matrix: Tensor) -> Tensor:
    """About U Vᵀ of the matrix's U S Vᵀ, by five Newton-Schulz steps: singular values between 0.5 and 1.5."""
    a, b, c = NEWTON_SCHULZ
    wide = matrix.T if len(matrix) > matrix.shape[1] else matrix
    wide = wide / wide.norm().clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(gram, gram, gram, beta=b, alpha=c), wide, beta=a)
    return wide.T if len(matrix) > matrix.shape[1] else wide
