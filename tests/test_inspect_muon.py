"""Muon against PyTorch's own, which takes matrices alone and calculates in bfloat16."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from kizu_inspect.training.muon import Muon

GRADIENTS = [torch.randn(24, 40, generator=torch.Generator().manual_seed(seed)) for seed in range(6)]


def after(optimiser: torch.optim.Optimizer, weight: Tensor, shape: tuple[int, ...] | None = None) -> Tensor:
    for gradient in GRADIENTS:
        weight.grad = gradient.to(weight.dtype).reshape(shape or gradient.shape)
        optimiser.step()
    return weight.detach()


def test_on_a_matrix_it_is_pytorchs() -> None:
    start = torch.randn(24, 40, generator=torch.Generator().manual_seed(9))
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    by_us = after(Muon([ours], lr=0.02, weight_decay=0.05), ours)
    peer = torch.optim.Muon([theirs], lr=0.02, weight_decay=0.05, adjust_lr_fn="match_rms_adamw")
    moved = by_us - start
    assert float((by_us - after(peer, theirs)).norm() / moved.norm()) < 0.02  # what is left is its bfloat16
    assert float(moved.norm()) > 0.3


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_kernel_is_taken_as_the_matrix_of_its_rows_however_it_lies_in_memory(layout: torch.memory_format) -> None:
    start = torch.randn(24, 10, 2, 2, generator=torch.Generator().manual_seed(9))
    kernel = nn.Parameter(start.clone().to(memory_format=layout))
    matrix = nn.Parameter(start.flatten(1).clone())
    as_kernel = after(Muon([kernel], lr=0.02), kernel, (24, 10, 2, 2))
    torch.testing.assert_close(as_kernel.flatten(1), after(Muon([matrix], lr=0.02), matrix))


def test_a_step_is_about_equally_long_in_every_direction() -> None:
    """However unequal the gradient's directions, in double precision the step's singular values lie near each other."""
    left, _ = torch.linalg.qr(torch.randn(24, 24, generator=torch.Generator().manual_seed(1), dtype=torch.float64))
    right, _ = torch.linalg.qr(torch.randn(40, 24, generator=torch.Generator().manual_seed(2), dtype=torch.float64))
    gradient = left @ torch.diag(torch.logspace(0, -1.5, 24, dtype=torch.float64)) @ right.T
    for one in (gradient, gradient.T):
        weight = nn.Parameter(torch.zeros_like(one))
        weight.grad = one
        Muon([weight], lr=1.0).step()
        lengths = torch.linalg.svdvals(weight.detach()) / (0.2 * 40**0.5)
        assert 0.5 < float(lengths.min()) <= float(lengths.max()) < 1.5
        # Downhill along the gradient's own directions.
        assert float((weight.detach() * one).sum()) < 0


def test_what_has_no_gradient_stays() -> None:
    weight = nn.Parameter(torch.ones(3, 4))
    Muon([weight], lr=1.0, weight_decay=0.5).step()
    assert torch.equal(weight.detach(), torch.ones(3, 4))
