"""Backbones by name, each with the geometry of its last feature map's cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from kizu_inspect.errors import ConfigError
from kizu_inspect.network.fused import FusedBackbone
from kizu_inspect.picture.images import CellGeometry

__all__ = ["BACKBONES", "LocalBackbone", "build_backbone", "cell_geometry", "read_weights"]


FUSED_CHANNELS: Final = 64


@fx.wrap
def _reflected(picture: Tensor, reach: int) -> Tensor:
    if reach == 0:
        return picture
    with torch.autocast(picture.device.type, enabled=False):
        return F.pad(picture, (reach,) * 4, mode="reflect")


class _ReflectConv2d(nn.Conv2d):
    """A convolution whose border is the picture's reflection.

    Its own padding mode would do the same, but autocast runs that in float32, which takes half of a training step.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        return F.conv2d(_reflected(input, int(self.padding[0])), self.weight, self.bias, self.stride)


class _Block(nn.Module):
    """conv k×k, BN, ReLU, conv 1×1, BN, plus skip, ReLU; the last BN's gain starts at 0, so the block starts as its skip."""

    def __init__(self, channels_in: int, channels: int, *, kernel: int, stride: int = 1) -> None:
        super().__init__()
        padding = (kernel - 1) // 2
        self.conv = _ReflectConv2d(channels_in, channels, kernel, stride, padding, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.mix = nn.Conv2d(channels, channels, 1, bias=False)
        self.mix_norm = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.mix_norm.weight)
        self.stride = stride
        self.skip: nn.Module = nn.Identity()
        if stride > 1 or channels_in != channels:
            self.skip = nn.Sequential(nn.Conv2d(channels_in, channels, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        skip = F.avg_pool2d(x, self.stride) if self.stride > 1 else x
        out = self.mix_norm(self.mix(F.relu(self.norm(self.conv(x)))))
        return F.relu(out + self.skip(skip))


class LocalBackbone(nn.Module):
    """A small network whose cells answer only for their own surroundings, so that evidence lies where its cell is drawn.

    Stride 8; receptive field 34 px (`context=1`, for surfaces) or 50 px (`context=3`, for parts), bounded by 1×1 kernels in
    the late blocks as in BagNet (Brendel and Bethge, 2019). Strided layers have kernel 4 and padding 1, which keeps the cells
    centred: cell i lies at 8·i + 3.5.
    """

    def __init__(self, channels_in: int, *, width: int = 16, context: int = 3) -> None:
        super().__init__()
        w = width
        self.channels = 4 * w
        self.stem = _ReflectConv2d(channels_in, w, 4, 2, 1, bias=False)
        self.stem_norm = nn.BatchNorm2d(w)
        self.blocks = nn.Sequential(
            _Block(w, w, kernel=3),
            _Block(w, 2 * w, kernel=4, stride=2),
            _Block(2 * w, 2 * w, kernel=3),
            _Block(2 * w, 4 * w, kernel=4, stride=2),
            _Block(4 * w, 4 * w, kernel=context),
            _Block(4 * w, 4 * w, kernel=1),
        )

    def in_order(self) -> list[nn.Module]:
        """Its layers, one after the other."""
        return [nn.Sequential(self.stem, self.stem_norm, nn.ReLU()), *self.blocks]

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.blocks(F.relu(self.stem_norm(self.stem(x))))
        return out


def _torchvisions(name: str, weights: dict[str, Tensor] | None, **options: Any) -> nn.Module:
    from torchvision import models  # takes longer to import than torch itself, and `local` needs none of it

    net: nn.Module = models.get_model(name, weights=None, **options)
    _load(net, weights)
    return net


def _resnet(name: str) -> Callable[..., tuple[nn.Module, int]]:
    def build(weights: dict[str, Tensor] | None, **options: Any) -> tuple[nn.Module, int]:
        net: Any = _torchvisions(name, weights, **options)
        body = nn.Sequential(
            net.conv1, net.bn1, net.relu, net.maxpool, net.layer1, net.layer2, net.layer3, net.layer4
        )  # fmt: skip
        return body, net.fc.in_features

    return build


def _sequential(name: str, channels: Callable[[nn.Module], int]) -> Callable[..., tuple[nn.Module, int]]:
    def build(weights: dict[str, Tensor] | None, **options: Any) -> tuple[nn.Module, int]:
        net: Any = _torchvisions(name, weights, **options)
        return net.features, channels(net)

    return build


def _load(net: nn.Module, weights: dict[str, Tensor] | None) -> None:
    """Takes the weights of every layer but the classifier, which is ours and has other classes."""
    if weights is None:
        return
    ours = net.state_dict()
    head = ("fc.", "classifier.")
    body = {key: value for key, value in weights.items() if not key.startswith(head)}
    missing = [key for key in ours if not key.startswith(head) and key not in body]
    if missing:
        raise ConfigError("weight file does not fit this backbone", found=f"no {missing[0]}", expected="torchvision's names")
    net.load_state_dict(body, strict=False)


def _first_conv_channels(net: nn.Module) -> int:
    last = [module for module in net.modules() if isinstance(module, nn.Conv2d)][-1]
    return last.out_channels


BACKBONES: Final[dict[str, Callable[..., tuple[nn.Module, int]]]] = {
    "resnet18": _resnet("resnet18"),
    "resnet34": _resnet("resnet34"),
    "resnet50": _resnet("resnet50"),
    "mobilenet_v3_small": _sequential("mobilenet_v3_small", lambda net: _first_conv_channels(net)),
    "mobilenet_v3_large": _sequential("mobilenet_v3_large", lambda net: _first_conv_channels(net)),
    "efficientnet_b0": _sequential("efficientnet_b0", lambda net: _first_conv_channels(net)),
    "convnext_tiny": _sequential("convnext_tiny", lambda net: net.classifier[2].in_features),  # type: ignore[index,union-attr]
}
"""torchvision's networks by their own names, for a picture of three channels. `local` is ours."""


def _strided_layers(module: nn.Module) -> Iterator[tuple[int, int, int]]:
    """(kernel, stride, padding) of the layers on the main way; shortcuts run beside it with the same stride."""
    for name, child in module.named_children():
        if name in ("downsample", "skip"):
            continue
        if isinstance(child, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)):
            kernel, stride, padding = (
                value[0] if isinstance(value, tuple) else value for value in (child.kernel_size, child.stride, child.padding)
            )
            yield int(kernel), int(stride), int(padding)
        else:
            yield from _strided_layers(child)


def cell_geometry(backbone: nn.Module) -> CellGeometry:
    """Where the backbone's cells lie in its input, folded over its convolution and pooling layers."""
    if isinstance(backbone, FusedBackbone):
        return backbone.cells
    return _through(CellGeometry(), backbone)


def _through(cells: CellGeometry, layers: nn.Module) -> CellGeometry:
    """The cells' geometry after `layers`."""
    if isinstance(layers, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)):
        layers = nn.Sequential(layers)
    for kernel, stride, padding in _strided_layers(layers):
        cells = cells.through(kernel=kernel, stride=stride, padding=padding)
    return cells


def build_backbone(
    name: str,
    channels_in: int,
    *,
    width: int = 16,
    context: int = 3,
    late_stride: int = 2,
    cell_px: int | None = None,
    weights: Path | None = None,
) -> tuple[nn.Module, int]:
    """The backbone called `name` and its number of output channels K.

    `width` and `context` shape `local`; `late_stride=1` keeps the last stage of a ResNet at stride 16; with `cell_px` the
    maps of all stages from that stride on are fused into one of its cells (64 channels); `weights` is a local torchvision
    state dict (.pth or .safetensors), never fetched. Raises ConfigError.
    """
    backbone, channels = _plain_backbone(
        name, channels_in, width=width, context=context, late_stride=late_stride, weights=weights
    )
    if cell_px is None:
        return backbone, channels
    fused = _fused(name, backbone, cell_px)
    return fused, fused.channels


def _fused(name: str, backbone: nn.Module, cell_px: int) -> FusedBackbone:
    """The backbone with its stages' maps fused at cells of `cell_px`. Raises ConfigError where no stage has such cells."""
    layers: list[nn.Module] = backbone.in_order() if isinstance(backbone, LocalBackbone) else list(backbone.children())
    ends: list[tuple[int, CellGeometry]] = []  # by growing stride: behind its last layer, and the cells there
    cells = CellGeometry()
    for end, layer in enumerate(layers, start=1):
        cells = _through(cells, layer)
        if ends and ends[-1][1].step_px == cells.step_px:
            ends.pop()
        ends.append((end, cells))
    taken = [(end, one) for end, one in ends if one.step_px >= cell_px]
    if not taken or taken[0][1].step_px != cell_px:
        expected = ", ".join(f"{one.step_px:.0f}" for _, one in ends if one.step_px > 1)
        raise ConfigError(f"{name} has no stage with cells of this size", found=f"{cell_px} px", expected=expected)
    starts = [0, *(end for end, _ in taken[:-1])]
    stages = [nn.Sequential(*layers[start:end]) for start, (end, _) in zip(starts, taken, strict=True)]
    return FusedBackbone(stages, [_channels_of(stage) for stage in stages], [one for _, one in taken], FUSED_CHANNELS)


def _channels_of(stage: nn.Module) -> int:
    """Channels of a stage's map: those of its last batch norm or layer norm, else of its last convolution."""
    for module in reversed(list(stage.modules())):
        if isinstance(module, nn.BatchNorm2d):
            return module.num_features
        if isinstance(module, nn.Conv2d):
            return module.out_channels
        if isinstance(module, nn.Linear):
            return module.out_features
    raise ValueError("a stage without layers")


def _plain_backbone(
    name: str, channels_in: int, *, width: int, context: int, late_stride: int, weights: Path | None
) -> tuple[nn.Module, int]:
    if name == "local":
        local = LocalBackbone(channels_in, width=width, context=context)
        return local, local.channels
    if name not in BACKBONES:
        raise ConfigError("unknown backbone", found=name, expected=", ".join(["local", *BACKBONES]))
    if weights is not None and not weights.is_file():
        raise ConfigError(
            f"weight file of {name} is missing",
            found=str(weights),
            expected="a state dict as torchvision publishes it",
            next_step=f"Fetch torchvision's weights of {name} where there is a network and put them at {weights}.",
        )
    body, channels = BACKBONES[name](read_weights(weights) if weights else None)
    if late_stride == 1:
        if not name.startswith("resnet"):
            raise ConfigError("late_stride=1 is not known for this backbone", found=name, expected="a resnet or late_stride=2")
        for module in body[7].modules():  # type: ignore[index]
            if isinstance(module, nn.Conv2d) and module.stride == (2, 2):
                module.stride = (1, 1)
    if channels_in != 3:
        _widen_first_layer(body, channels_in)
    return body, channels


def read_weights(path: Path) -> dict[str, Tensor]:
    """A state dict from .pth or .safetensors; a pickle that holds more than tensors is refused by torch."""
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        loaded: dict[str, Tensor] = load_file(path)
        return loaded
    state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def _widen_first_layer(body: nn.Module, channels_in: int) -> None:
    """Gives the first convolution another number of input channels; known channels keep their weights, new ones start at 0."""
    parent, name, first = next(
        (parent, name, child)
        for parent in body.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.Conv2d)
    )
    kernel, stride, padding = first.kernel_size[0], first.stride[0], first.padding[0]
    fresh = nn.Conv2d(channels_in, first.out_channels, kernel, stride, int(padding), bias=first.bias is not None)
    with torch.no_grad():
        if channels_in < 3:
            fresh.weight.copy_(first.weight.sum(dim=1, keepdim=True).expand_as(fresh.weight) / channels_in)
        else:
            fresh.weight.zero_()
            fresh.weight[:, :3].copy_(first.weight)
        if first.bias is not None and fresh.bias is not None:
            fresh.bias.copy_(first.bias)
    setattr(parent, name, fresh)
