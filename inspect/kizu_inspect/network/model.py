"""Classifier = input profile + backbone + head, built from a description that travels in the bundle."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, fx, nn
from torch.fx.experimental.optimization import fuse

from kizu_inspect.network.backbones import build_backbone, cell_geometry
from kizu_inspect.network.forward import Forward, Predict
from kizu_inspect.network.heads import EvidenceHead, HeadName, LfiHead, Readout, build_head
from kizu_inspect.network.novelty import Novelty
from kizu_inspect.network.profile import InputProfile
from kizu_inspect.picture.images import CellGeometry
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.settings import Settings

__all__ = ["Architecture", "Classifier", "HeadSettings", "build_classifier"]


class HeadSettings(Settings):
    """From the last feature map to the logits."""

    kind: HeadName = Field(default="evidence", title="Kind", description="evidence, linear, mlp or lfi.")
    labels: Literal["one", "several"] = Field(
        default="one", title="Labels",
        description="one: a part has one class, by softmax. several: each defect class is judged for itself, by a sigmoid.",
    )  # fmt: skip
    top_share: float = Field(
        default=0.03, gt=0, le=1, title="Top share",
        description="Share of the cells whose mean evidence is a defect's logit (evidence head).",
    )  # fmt: skip
    readout: Readout = Field(
        default="evidence", title="Readout", description="What the LFI head reads its classes with: evidence, or as published."
    )
    bottleneck: int | None = Field(
        default=None, ge=1, title="Bottleneck",
        description="Inner channels of the LFI head's importance network (default: as many as the feature map has).",
    )  # fmt: skip
    attends: bool = Field(
        default=True, title="Attends", description="False trains the LFI head without its attention, for comparison."
    )


class Architecture(Settings):
    """The network, so that its weights can be loaded again."""

    backbone: str = Field(default="local", title="Backbone", description="local, or a torchvision network by name.")
    width: int = Field(default=16, ge=4, le=256, title="Width", description="Channels of the first stage of `local`.")
    context: Literal[1, 3] = Field(
        default=3, title="Context", description="Kernel of the late blocks of `local`: receptive field 34 px (1) or 50 px (3)."
    )
    late_stride: Literal[1, 2] = Field(default=2, title="Late stride", description="Stride of a ResNet's last stage.")
    head: HeadSettings = HeadSettings()


class Classifier(nn.Module):
    """A network that judges a picture and leaves what the explanations need."""

    def __init__(self, profile: InputProfile, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.profile = profile
        self.backbone = backbone
        self.head = head
        self.novelty: Novelty | None = None
        """What it remembers of its training; a bundle without one judges by its classes alone."""

    def forward(self, images: Tensor, references: Tensor | None = None) -> Tensor:
        """The logits (N, C)."""
        seen = self.profile(images, references)
        activations = self.backbone(seen)
        grey = self._grey(seen, activations)
        logits: Tensor = self.head(activations) if grey is None else self.head(activations, grey)
        return logits

    def with_evidence(self, images: Tensor, references: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """The logits (N, C), and those of each cell (N, C, h, w) where the head judges cells before it pools them."""
        if not isinstance(self.head, EvidenceHead):
            return self(images, references), None
        activations = self.backbone(self.profile(images, references))
        return self.head(activations), self.head.cell_logits(activations)

    def explainable(self, images: Tensor, references: Tensor | None = None) -> Forward:
        """One forward pass, without gradients, and all that it leaves to explain it from."""
        with torch.no_grad():
            seen = self.profile(images, references)
            activations = self.backbone(seen)
            grey, attention = self._grey(seen, activations), None
            if isinstance(self.head, LfiHead) and grey is not None:
                logits, attention = self.head.judge(activations, grey)
            else:
                logits = self.head(activations)
        neutral = None
        if self.profile.name == "part":
            neutral = self.profile.golden.expand(3, -1, -1)
        elif self.profile.name == "reference" and references is not None:
            neutral = references.expand(-1, 3, -1, -1)
        return Forward(
            images, references, activations, logits, self.head, self._predictor, grey, attention, neutral, self.cells
        )

    def _predictor(self, precision: torch.dtype | None) -> Predict:
        """Images -> logits for many pictures: the backbone in `precision` with folded batch norms, and the head itself."""
        backbone = _folded(self.backbone) if precision is None else _folded(copy.deepcopy(self.backbone)).to(precision)

        def predict(images: Tensor, references: Tensor | None = None, /) -> Tensor:
            with torch.no_grad():
                seen = self.profile(images, references)
                activations = backbone(seen.to(dtype=precision or seen.dtype, memory_format=torch.channels_last)).to(seen.dtype)
                grey = self._grey(seen, activations)
                logits: Tensor = self.head(activations) if grey is None else self.head(activations, grey)
                return logits

        return predict

    def _grey(self, seen: Tensor, activations: Tensor) -> Tensor | None:
        """The channel mean of the backbone's input at the size of a map (N, 1, h, w), where the head asks for it."""
        if not isinstance(self.head, LfiHead):
            return None
        return F.interpolate(seen.mean(dim=1, keepdim=True), size=activations.shape[2:], mode="bilinear", align_corners=False)

    @property
    def cells(self) -> CellGeometry:
        """Where the cells of A lie in the network's input."""
        return cell_geometry(self.backbone)


def _folded(backbone: nn.Module) -> nn.Module:
    """The same function but for rounding, and faster: each batch norm folded into a copy of the convolution before it.

    The other layers are shared with `backbone`, which stays as it is.
    """
    if backbone.training:
        return backbone
    try:
        folded: nn.Module = fuse(backbone, inplace=True)  # in place of a traced module, whose containers are its own
    except fx.proxy.TraceError:  # its way depends on the values: there is no fixed graph to fold
        return backbone
    return folded


def build_classifier(
    architecture: Architecture, inputs: InputSettings, *, classes: int, good: int | None, weights: Path | None = None
) -> Classifier:
    """A classifier with fresh weights from torch's global generator (the backbone's from `weights`, where given)."""
    profile = InputProfile(inputs.profile, height_px=inputs.height_px, width_px=inputs.width_px)
    backbone, channels = build_backbone(
        architecture.backbone,
        profile.channels,
        width=architecture.width,
        context=architecture.context,
        late_stride=architecture.late_stride,
        weights=weights,
    )
    head = build_head(
        architecture.head.kind,
        channels,
        classes,
        good=good,
        top_share=architecture.head.top_share,
        readout=architecture.head.readout,
        bottleneck=architecture.head.bottleneck,
        attends=architecture.head.attends,
    )
    model = Classifier(profile, backbone, head)
    return model.to(memory_format=torch.channels_last)
