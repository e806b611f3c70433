"""Heads: from the last feature map A (N, K, h, w) to the logits (N, C), some of them with a linear readout of A."""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = [
    "EvidenceHead",
    "HeadName",
    "LfiHead",
    "LinearHead",
    "MlpHead",
    "Readout",
    "ReadoutHead",
    "build_head",
    "weighted_sum",
]

HeadName = Literal["evidence", "linear", "mlp", "lfi"]
Readout = Literal["evidence", "published"]

FLAT = 0.05
"""An attention map that varies by less than this share of the mean activation is taken for flat."""


class ReadoutHead(nn.Module, ABC):
    """A head whose logits pool a linear readout of A, so that each class has a map of its own (its CAM)."""

    @abstractmethod
    def channel_weights(self, targets: Tensor) -> Tensor:
        """W_c of class `targets` (N,) for each picture: (N, K); 0 for a class without evidence of its own."""

    def pooled_cells(self, cells: int) -> int:
        """Over how many of a map's cells a logit is a mean: there ∂y_c/∂A = W_c / pooled_cells, elsewhere 0."""
        return cells

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
        return self._pooled(self._evidence(activations))

    def judge(self, activations: Tensor) -> tuple[Tensor, Tensor]:
        """The logits (N, C), and what each cell alone would have for logits (N, C, h, w)."""
        evidence = self._evidence(activations)
        constant = self.bias.to(evidence.dtype)[None, :, None, None].expand(len(evidence), -1, *evidence.shape[2:])
        return self._pooled(evidence), constant.index_add(1, self.defects, evidence)

    def _pooled(self, evidence: Tensor) -> Tensor:
        cells = evidence.flatten(2)  # (N, D, Z)
        pooled = cells.topk(self.pooled_cells(cells.shape[2]), dim=2).values.mean(dim=2)  # (N, D)
        logits = self.bias.to(pooled.dtype).expand(len(pooled), -1)
        return logits.index_add(1, self.defects, pooled)  # (N, C)

    def _evidence(self, activations: Tensor) -> Tensor:
        """L, of every defect: (N, D, h, w)."""
        # Over channels last, as they lie in memory: einsum copies all of A, and takes five times as long in a training step.
        return F.linear(activations.permute(0, 2, 3, 1), self.weight).permute(0, 3, 1, 2)

    def channel_weights(self, targets: Tensor) -> Tensor:
        rows = torch.zeros(len(self.bias), self.weight.shape[1], dtype=self.weight.dtype, device=self.weight.device)
        return rows.index_copy(0, self.defects, self.weight)[targets]  # of (C, K), where the good row is 0

    def pooled_cells(self, cells: int) -> int:
        return max(1, round(self.top_share * cells))

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

    def channel_weights(self, targets: Tensor) -> Tensor:
        return self.linear.weight[targets]


class MlpHead(nn.Module):
    """Global average pooling and two linear layers: no linear readout, so CAM does not apply; Grad-CAM does."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, classes))

    def forward(self, activations: Tensor) -> Tensor:
        logits: Tensor = self.layers(activations.mean(dim=(2, 3)))
        return logits


class LfiHead(nn.Module):
    """LFI-CAM: a network that learns how important each channel is, and shows the classifier what it finds important.

    Lee et al., ICCV 2021 (https://arxiv.org/abs/2105.00937). The feature importance network sees each channel of A, min-max
    normalised, times the input's grey; four times 3×3 convolution, batch norm, ReLU; global average pooling and a softmax
    over the channels give the importance w. The attention map is ReLU(Σ_k w_k A^k), one a picture, whatever the class. The
    readout sees A + A ∘ attention (min-max normalised per picture): global average pooling and a linear layer as published, or
    an evidence readout. One cross-entropy trains both. `bottleneck` narrows the importance network's inner layers, and it sees
    the strongest of each `coarse` × `coarse` cells: what a channel is worth shows in a coarse map too, at a fraction of the
    cost. `gated` shows the readout A ∘ attention alone: added to A, the attention may lie anywhere and the class is told all
    the same. Without `attends` the readout sees A alone, which tells what the attention is worth.
    """

    def __init__(
        self,
        readout: ReadoutHead,
        channels: int,
        *,
        bottleneck: int | None = None,
        coarse: int = 1,
        gated: bool = False,
        attends: bool = True,
    ) -> None:
        super().__init__()
        inner = bottleneck or channels
        widths = [channels, inner, inner, inner, channels]
        layers: list[nn.Module] = []
        for width_in, width_out in pairwise(widths):
            layers += [nn.Conv2d(width_in, width_out, 3, padding=1, bias=False), nn.BatchNorm2d(width_out), nn.ReLU()]
        self.importance = nn.Sequential(*layers)
        self.readout = readout
        self.coarse = coarse
        self.gated = gated
        self.attends = attends

    def forward(self, activations: Tensor, grey: Tensor) -> Tensor:
        """Logits (N, C) of A (N, K, h, w) and the input's grey at the size of a map (N, 1, h, w)."""
        return self.judge(activations, grey)[0]

    def judge(self, activations: Tensor, grey: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, C), and the attention map (N, h, w) before its normalisation, so that a good part's stays faint."""
        attention = self.attention(activations, grey)
        logits: Tensor = self.readout(self.attended(activations, attention))
        return logits, attention

    def attention(self, activations: Tensor, grey: Tensor) -> Tensor:
        """The attention map (N, h, w) before its normalisation."""
        looked_at = activations
        if self.coarse > 1:
            looked_at = F.max_pool2d(activations, self.coarse, ceil_mode=True)
            grey = F.interpolate(grey, size=looked_at.shape[2:], mode="area")
        importance = self.importance(_channels_scaled(looked_at) * grey).mean(dim=(2, 3)).softmax(dim=1)  # (N, K)
        return torch.relu(weighted_sum(importance, activations))

    def attended(self, activations: Tensor, attention: Tensor) -> Tensor:
        """What the readout sees (N, K, h, w) of A under that attention map."""
        if not self.attends:
            return activations
        low, high = attention.amin(dim=(1, 2)), attention.amax(dim=(1, 2))  # torch 2.11's aminmax has no gradient
        # An attention map that is flat is left flat: to stretch it has no meaning, and its gradient would have no bounds.
        least = FLAT * activations.detach().abs().mean(dim=(1, 2, 3)) + torch.finfo(attention.dtype).tiny
        spread = torch.maximum(high - low, least)
        normalised = (attention - low[:, None, None]) / spread[:, None, None]
        attended = activations * normalised[:, None]
        return attended if self.gated else activations + attended


def weighted_sum(weights: Tensor, activations: Tensor) -> Tensor:
    """Σ_k w_k A^k of each picture (N, h, w), from its weights (N, K) and A (N, K, h, w)."""
    return torch.matmul(activations.permute(0, 2, 3, 1), weights[:, None, :, None]).squeeze(-1)


def _channels_scaled(activations: Tensor) -> Tensor:
    """Each channel min-max normalised; a constant one becomes 1, or 0 where it was 0."""
    low, high = activations.amin(dim=(2, 3), keepdim=True), activations.amax(dim=(2, 3), keepdim=True)
    varied = high > low
    scaled = (activations - low) / torch.where(varied, high - low, 1)
    return torch.where(varied, scaled, (activations != 0).to(activations.dtype))


def build_head(
    name: HeadName,
    channels: int,
    classes: int,
    *,
    good: int | None,
    top_share: float,
    readout: Readout = "evidence",
    bottleneck: int | None = None,
    coarse: int = 1,
    gated: bool = False,
    attends: bool = True,
) -> nn.Module:
    """The head called `name`, with fresh weights; the last five are the LFI head's."""
    if name == "mlp":
        return MlpHead(channels, classes)
    if name == "linear" or (name == "lfi" and readout == "published"):
        reading: ReadoutHead = LinearHead(channels, classes)
    else:
        reading = EvidenceHead(channels, classes, good=good, top_share=top_share)
    if name != "lfi":
        return reading
    return LfiHead(reading, channels, bottleneck=bottleneck, coarse=coarse, gated=gated, attends=attends)
