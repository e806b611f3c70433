"""A classifier that was trained elsewhere becomes a bundle: its own weights, with maps, calibration and limits."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from torch import Tensor, nn

from kizu_inspect.errors import BundleError, ConfigError, DataError
from kizu_inspect.labelled.dataset import LabelledSet
from kizu_inspect.network.backbones import BACKBONES, read_weights
from kizu_inspect.network.devices import pick_device
from kizu_inspect.network.heads import LinearHead
from kizu_inspect.network.model import Architecture, Classifier, HeadSettings, build_classifier
from kizu_inspect.training.calibrate import halves_of
from kizu_inspect.training.fit import logits_of
from kizu_inspect.training.make_bundle import MadeBundle, make_bundle
from kizu_inspect.training.settings import TrainingSettings, pictures_of

__all__ = ["ADOPTED", "IMAGENET_MEAN", "IMAGENET_STD", "adopt", "adopted_classifier", "architecture_of"]

ADOPTED: Final[dict[str, str]] = {"resnet18": "fc", "resnet34": "fc", "resnet50": "fc", "efficientnet_b0": "classifier.1"}
"""Networks whose classes are one linear layer behind global average pooling, so that each class has a map; by that layer."""
HIDDEN: Final = {
    "mobilenet_v3_small": "a hidden layer before its classes", "mobilenet_v3_large": "a hidden layer before its classes",
    "convnext_tiny": "a layer norm behind its pooling",
}  # fmt: skip
IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)
WRAPPED: Final = ("state_dict", "model_state_dict", "model")
"""Keys under which training programs keep the weights in a checkpoint."""
PREFIXES: Final = ("module.", "model.", "_orig_mod.")
"""What wrappers put before every name."""


def adopt(
    weights: Path,
    data: LabelledSet,
    out: Path,
    settings: TrainingSettings,
    *,
    classes: Sequence[str],
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> MadeBundle:
    """Writes the bundle of a torchvision classifier whose logits are those of `classes`, in that order, into `out`.

    Nothing is trained: the validation pictures of `data` set temperature, display scales and limits, its training pictures what
    counts as known. `settings` give the backbone, the input's size and the promise; `mean` and `std` (R, G, B of [0, 1]) are
    what the classifier's own training normalised with. Raises BundleError where the weights do not fit, DataError, ConfigError.
    """
    known = set(data.classes)
    unknown = sorted(known - set(classes))
    if unknown:
        raise DataError(
            "pictures of classes that the classifier does not know", found=", ".join(unknown),
            expected=f"some of {', '.join(classes)}", next_step="Give --classes in the order of its logits, or other pictures.",
        )  # fmt: skip
    data = replace(data, classes=tuple(classes))
    device = pick_device(settings.device)
    model = adopted_classifier(weights, settings, classes=classes, good=data.good, mean=mean, std=std).to(device)
    pictures = {name: pictures_of(data, name, settings) for name in ("train", "val")}
    if len(pictures["val"]) < 4 or len(pictures["train"]) == 0:
        raise DataError(
            "too few pictures to set limits on", found=f"{len(pictures['train'])} train and {len(pictures['val'])} val",
            expected="at least 1 train and 4 val", next_step="Add pictures, best such as its training has not seen.",
        )  # fmt: skip
    halves = halves_of(pictures["val"].samples, seed=settings.fit.seed)
    scheduling = pictures["val"].subset(halves.scheduling)
    loss = F.cross_entropy(logits_of(model, scheduling, device=device), torch.from_numpy(scheduling.labels))
    return make_bundle(model, data, pictures, halves, out, settings, steps=0, validation_loss=float(loss), device=device)


def adopted_classifier(
    weights: Path,
    settings: TrainingSettings,
    *,
    classes: Sequence[str],
    good: str | None,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> Classifier:
    """The network of a torchvision state dict, in evaluation mode: the same logits of the same normalised picture."""
    name = settings.architecture.backbone
    if name not in ADOPTED:
        raise ConfigError(
            f"{name} cannot be adopted", found=HIDDEN.get(name, "a network that torchvision does not make"),
            expected=", ".join(ADOPTED), next_step=f"Train it here: kizu train DATA --backbone {name} --weights FILE.",
        )  # fmt: skip
    if len(set(classes)) != len(classes) or len(classes) < 2:
        raise ConfigError(
            "--classes are not one name a logit", found=", ".join(classes), expected="two names or more, each once"
        )
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
        raise ConfigError(
            "mean and std are not those of red, green and blue", found=f"{mean} and {std}", expected="3 each, std > 0"
        )
    state = _state_of(weights)
    net = _built(name, state, len(classes), weights)
    body, _ = BACKBONES[name](state)
    model = build_classifier(
        settings.architecture, settings.input, classes=len(classes), good=None if good is None else list(classes).index(good)
    )
    assert isinstance(model.head, LinearHead)
    model.backbone.load_state_dict(body.state_dict())
    model.head.linear.load_state_dict(net.get_submodule(ADOPTED[name]).state_dict())
    model.profile.mean.copy_(torch.tensor(mean)[:, None, None])
    model.profile.std.copy_(torch.tensor(std)[:, None, None])
    return model.eval()


def architecture_of(backbone: str) -> Architecture:
    """The network as torchvision makes it: its last map as it is, pooled over all cells, and a linear layer."""
    return Architecture(backbone=backbone, head=HeadSettings(kind="linear"))


def _state_of(path: Path) -> dict[str, Tensor]:
    """The weights by torchvision's names, out of what training programs wrap around them."""
    if not path.is_file():
        raise BundleError("weight file is missing", found=str(path), expected="a state dict as .pth, .pt or .safetensors")
    try:
        read: Any = read_weights(path)
    except (pickle.UnpicklingError, SafetensorError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise BundleError(
            f"weights in {path} cannot be read", found=f"{type(error).__name__}: {error}".splitlines()[0][:200],
            expected="a state dict, saved by torch.save(model.state_dict(), …) or as .safetensors",
            next_step="Save the state dict alone: a whole pickled model holds code, which is not run.",
        ) from None  # fmt: skip
    for key in WRAPPED:
        if isinstance(read, Mapping) and isinstance(read.get(key), Mapping):
            read = read[key]
    if not isinstance(read, Mapping) or not read or not all(isinstance(value, Tensor) for value in read.values()):
        raise BundleError(
            f"weights in {path} are no state dict", found=type(read).__name__, expected="names with tensors",
            next_step="Save it by torch.save(model.state_dict(), …).",
        )  # fmt: skip
    state = {str(key): value for key, value in read.items()}
    while prefix := next((one for one in PREFIXES if all(key.startswith(one) for key in state)), None):
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _built(name: str, state: Mapping[str, Tensor], classes: int, path: Path) -> nn.Module:
    """torchvision's own network with these weights. Raises BundleError with the first thing that does not fit."""
    from torchvision import models

    layer = state.get(f"{ADOPTED[name]}.weight")
    if layer is not None and layer.ndim == 2 and len(layer) != classes:
        raise BundleError(
            f"weights in {path} have other classes", found=f"{len(layer)} logits", expected=f"{classes}, as --classes names",
            next_step="Name all its classes, in the order of its logits.",
        )  # fmt: skip
    net: nn.Module = models.get_model(name, weights=None, num_classes=classes)
    try:
        net.load_state_dict(dict(state), strict=True)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]]
        raise BundleError(
            f"weights in {path} do not fit torchvision's {name}", found="; ".join(lines)[:300] or str(error)[:300],
            expected=f"the names and shapes of torchvision.models.{name}(num_classes={classes})",
            next_step="Name the network that they are of, by --backbone.",
        ) from None  # fmt: skip
    return net
