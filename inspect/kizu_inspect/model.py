"""Classifier = input profile + backbone + head, built from a description that travels in the bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from kizu_inspect.backbones import build_backbone, cell_geometry
from kizu_inspect.heads import HeadName, build_head
from kizu_inspect.images import CellGeometry
from kizu_inspect.profile import InputProfile, ProfileName
from kizu_inspect.settings import Settings

__all__ = ["Architecture", "Classifier", "HeadSettings", "InputSettings", "build_classifier"]


class InputSettings(Settings):
    """What the network is given."""

    height_px: int = Field(default=160, ge=32, le=2048, title="Height", description="Height of the network's input.")
    width_px: int = Field(default=160, ge=32, le=2048, title="Width", description="Width of the network's input.")
    resize: Literal["letterbox", "stretch"] = Field(
        default="letterbox", title="Resize", description="Keep the aspect ratio and reflect the rest, or stretch."
    )
    profile: ProfileName = Field(
        default="part", title="Profile", description="part (fixed geometry), surface (texture) or plain (ImageNet backbones)."
    )


class HeadSettings(Settings):
    """From the last feature map to the logits."""

    kind: HeadName = Field(default="evidence", title="Kind", description="evidence, linear or mlp.")
    top_share: float = Field(
        default=0.03, gt=0, le=1, title="Top share",
        description="Share of the cells whose mean evidence is a defect's logit (evidence head).",
    )  # fmt: skip


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

    def features(self, images: Tensor, references: Tensor | None = None) -> Tensor:
        """The last feature map A (N, K, h, w) of images (N, 3, H, W), RGB in [0, 1]."""
        activations: Tensor = self.backbone(self.profile(images, references))
        return activations

    def forward(self, images: Tensor, references: Tensor | None = None) -> Tensor:
        """The logits (N, C)."""
        logits: Tensor = self.head(self.features(images, references))
        return logits

    @property
    def cells(self) -> CellGeometry:
        """Where the cells of A lie in the network's input."""
        return cell_geometry(self.backbone)


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
    head = build_head(architecture.head.kind, channels, classes, good=good, top_share=architecture.head.top_share)
    model = Classifier(profile, backbone, head)
    return model.to(memory_format=torch.channels_last)
