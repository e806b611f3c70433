"""Classifier = input profile + backbone + head, built from a description that travels in the bundle."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, fx, nn
from torch.fx.experimental.optimization import fuse

from kizu_inspect.network.backbones import build_backbone, cell_geometry
from kizu_inspect.network.forward import Entrance, Forward, Predict
from kizu_inspect.network.heads import EvidenceHead, HeadName, LfiHead, Readout, build_head
from kizu_inspect.network.novelty import Novelty
from kizu_inspect.network.profile import COMPARING, InputProfile
from kizu_inspect.picture.images import CellGeometry
from kizu_inspect.picture.inputs import InputSettings, ProfileName
from kizu_inspect.settings import Settings

__all__ = ["Answers", "Architecture", "Classifier", "HeadSettings", "build_classifier"]


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
    coarse: int = Field(
        default=1, ge=1, le=16, title="Coarse",
        description="The LFI head's importance network sees the strongest of each so many × so many cells.",
    )  # fmt: skip
    branch: bool = Field(
        default=False, title="Branch",
        description="An LFI head beside the head: it gives LFI-CAM's map, the verdict stays the head's.",
    )  # fmt: skip
    gated: bool = Field(
        default=False, title="Gated",
        description="The LFI head's readout sees the features times the attention alone, instead of the features and that.",
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
    cell_px: Literal[4, 8, 16] | None = Field(
        default=None, title="Cells",
        description="Fuse the maps of the stages into one of cells of so many px; null: the last stage's map as it is.",
    )  # fmt: skip
    masks: Literal["picture", "input"] = Field(
        default="picture", title="Masks",
        description="Whether Score-CAM's masks hide parts of the picture, or of what the input profile makes of it.",
    )  # fmt: skip
    head: HeadSettings = HeadSettings()

    def knows_neutral(self, profile: ProfileName) -> bool:
        """Whether there is a picture in which the model finds nothing, for Score-CAM's masks to hide behind."""
        return profile in COMPARING or self.masks == "input"


@dataclass(frozen=True)
class Answers:
    """What training holds against the truth."""

    logits: Tensor
    """(N, C)."""
    cells: Tensor | None
    """(N, C, h, w): each cell's logits, where the head judges cells before it pools them."""
    branch: Tensor | None
    """(N, C): the LFI branch's logits, where there is one."""
    attention: Tensor | None
    """(N, h, w): the attention map of the LFI head or branch."""


class Classifier(nn.Module):
    """A network that judges a picture and leaves what the explanations need."""

    def __init__(self, profile: InputProfile, backbone: nn.Module, head: nn.Module, branch: LfiHead | None = None) -> None:
        super().__init__()
        self.profile = profile
        self.backbone = backbone
        self.head = head
        self.branch = branch
        self.masks_input = False
        """Whether Score-CAM's masks lie on what the backbone is given instead of on the picture."""
        self.novelty: Novelty | None = None
        """What it remembers of its training; a bundle without one judges by its classes alone."""

    def forward(self, images: Tensor, references: Tensor | None = None) -> Tensor:
        """The logits (N, C)."""
        return self._judged_from(self.profile(images, references))

    def answers(self, images: Tensor, references: Tensor | None = None, *, detached: bool = True) -> Answers:
        """All that training holds against the truth; a `detached` branch learns on the features and does not change them."""
        seen = self.profile(images, references)
        activations = self.backbone(seen)
        if isinstance(self.head, LfiHead):
            logits, looked_at = self.head.judge(activations, _grey(seen, activations))
            return Answers(logits, None, None, looked_at)
        branch: Tensor | None = None
        attention = None
        if self.branch is not None:
            features = activations.detach() if detached else activations
            branch, attention = self.branch.judge(features, _grey(seen, activations))
        if isinstance(self.head, EvidenceHead):
            logits, cells = self.head.judge(activations)
            return Answers(logits, cells, branch, attention)
        return Answers(self.head(activations), None, branch, attention)

    def explainable(self, images: Tensor, references: Tensor | None = None) -> Forward:
        """One forward pass, without gradients, and all that it leaves to explain it from."""
        with torch.no_grad():
            seen = self.profile(images, references)
            activations = self.backbone(seen)
            grey, attention = None, None
            if isinstance(self.head, LfiHead):
                grey = _grey(seen, activations)
                logits, attention = self.head.judge(activations, grey)
            else:
                logits = self.head(activations)
                grey = None if self.branch is None else _grey(seen, activations)
        neutral = None
        if self.profile.name == "part":
            neutral = self.profile.golden.expand(3, -1, -1)
        elif self.profile.name == "reference" and references is not None:
            neutral = references.expand(-1, 3, -1, -1)
        return Forward(
            images,
            references,
            activations,
            logits,
            self.head,
            self.predictor,
            grey,
            attention,
            neutral,
            self.cells,
            self.branch,
            self.masks_input,
            Entrance(self._shown, self._judged_from),
        )

    def _shown(self, images: Tensor, references: Tensor | None) -> tuple[Tensor, Tensor]:
        return self.profile(images, references), self.profile.neutral(images, references)

    def _judged_from(self, seen: Tensor) -> Tensor:
        return self._judged(seen, self.backbone(seen))

    def predictor(self, precision: torch.dtype | None) -> Predict:
        """Images -> logits for many pictures: the backbone in `precision` with folded batch norms, and the head itself."""
        backbone = _folded(self.backbone) if precision is None else _folded(copy.deepcopy(self.backbone)).to(precision)

        def predict(images: Tensor, references: Tensor | None = None, masks: Tensor | None = None, /) -> Tensor:
            with torch.no_grad():
                seen = self.profile(images, references)
                if masks is not None:
                    seen = torch.lerp(self.profile.neutral(images, references), seen, masks)
                activations = backbone(seen.to(dtype=precision or seen.dtype, memory_format=torch.channels_last)).to(seen.dtype)
                return self._judged(seen, activations)

        return predict

    def _judged(self, seen: Tensor, activations: Tensor) -> Tensor:
        """The head's logits (N, C)."""
        by_grey = isinstance(self.head, LfiHead)
        logits: Tensor = self.head(activations, _grey(seen, activations)) if by_grey else self.head(activations)
        return logits

    @property
    def cells(self) -> CellGeometry:
        """Where the cells of A lie in the network's input."""
        return cell_geometry(self.backbone)


def _grey(seen: Tensor, activations: Tensor) -> Tensor:
    """The channel mean of the backbone's input at the size of a map (N, 1, h, w)."""
    # Each channel first, then their mean: the same but for rounding, over a fraction of the pixels.
    small = F.interpolate(seen, size=activations.shape[2:], mode="bilinear", align_corners=False)
    return small.mean(dim=1, keepdim=True)


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
        cell_px=architecture.cell_px,
        weights=weights,
    )
    own = architecture.head

    def head_called(kind: HeadName) -> nn.Module:
        return build_head(
            kind, channels, classes, good=good, top_share=own.top_share, readout=own.readout, bottleneck=own.bottleneck,
            coarse=own.coarse, gated=own.gated, attends=own.attends,
        )  # fmt: skip

    head, branch = head_called(own.kind), head_called("lfi") if own.branch and own.kind != "lfi" else None
    assert branch is None or isinstance(branch, LfiHead)
    model = Classifier(profile, backbone, head, branch)
    model.masks_input = architecture.masks == "input"
    return model.to(memory_format=torch.channels_last)
