"""Heads: from the last feature map A (N, K, h, w) to the logits (N, C), some of them with a linear readout of A."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

__all__ = ["EvidenceHead", "HeadName", "LinearHead", "MlpHead", "ReadoutHead", "build_head"]

HeadName = Literal["evidence", "linear", "mlp"]


class ReadoutHead(nn.Module):
    """A head whose logits pool a linear readout of A, so that each class has a map of its own (its CAM)."""

    def class_map(self, activations: Tensor, targets: Tensor) -> Tensor:
        """The signed evidence map of class `targets` (N,) for each picture: (N, h, w), in logit units."""
        raise NotImplementedError

    def has_map(self, target: int) -> bool:
        """Whether this class has evidence of its own to show."""
        return target >= 0


class EvidenceHead(ReadoutHead):
    """Evidence first, pooling after: logit_c = mean of the top q of the Z cells of L_c, plus b_c; L = W·A, no bias.

    q = max(1, round(top_share·Z)). The logit of the good class is a learned constant: every defect needs positive evidence
    at some place, and a good part stays cold. Top-q pooling stands between maximum (training stalls) and mean (evidence
    spreads).
    """

    defects: Tensor

    def __init__(self, channels: int, classes: int, *, good: int | None, top_share: float) -> None:
        super().__init__()
        defects = [index for index in range(classes) if index != good]
        self.good = good
        self.top_share = top_share
        self.weight = nn.Parameter(torch.empty(len(defects), channels).normal_(0, 0.05))
        self.bias = nn.Parameter(torch.zeros(classes))
        self.register_buffer("defects", torch.tensor(defects), persistent=False)

    def forward(self, activations: Tensor) -> Tensor:
        evidence = torch.einsum("dk,nkhw->ndhw", self.weight, activations).flatten(2)  # (N, D, Z)
        q = max(1, round(self.top_share * evidence.shape[2]))
        pooled = evidence.topk(q, dim=2).values.mean(dim=2)  # (N, D)
        logits = self.bias.to(pooled.dtype).expand(len(pooled), -1)
        return logits.index_add(1, self.defects, pooled)  # (N, C)

    def class_map(self, activations: Tensor, targets: Tensor) -> Tensor:
        rows = torch.zeros(len(self.bias), self.weight.shape[1], dtype=self.weight.dtype, device=self.weight.device)
        rows = rows.index_copy(0, self.defects, self.weight)  # (C, K), the good row 0
        return torch.einsum("nk,nkhw->nhw", rows[targets], activations)

    def has_map(self, target: int) -> bool:
        return target != self.good


class LinearHead(ReadoutHead):
    """Global average pooling and one linear layer; the mean of a class's map plus its bias is its logit."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, classes)

    def forward(self, activations: Tensor) -> Tensor:
        logits: Tensor = self.linear(activations.mean(dim=(2, 3)))
        return logits

    def class_map(self, activations: Tensor, targets: Tensor) -> Tensor:
        return torch.einsum("nk,nkhw->nhw", self.linear.weight[targets], activations)


class MlpHead(nn.Module):
    """Global average pooling and two linear layers: no linear readout, so CAM does not apply; Grad-CAM does."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, classes))

    def forward(self, activations: Tensor) -> Tensor:
        logits: Tensor = self.layers(activations.mean(dim=(2, 3)))
        return logits


def build_head(name: HeadName, channels: int, classes: int, *, good: int | None, top_share: float) -> nn.Module:
    """The head called `name`, with fresh weights."""
    if name == "evidence":
        return EvidenceHead(channels, classes, good=good, top_share=top_share)
    return LinearHead(channels, classes) if name == "linear" else MlpHead(channels, classes)
