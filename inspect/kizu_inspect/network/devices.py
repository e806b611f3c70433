"""Which processor judges."""

from __future__ import annotations

import time
from typing import get_args

import torch

from kizu_inspect.errors import ConfigError
from kizu_inspect.recipe import Device

__all__ = ["clock", "device_name", "pick_device", "quick_precision"]


def pick_device(device: Device) -> torch.device:
    """The device asked for; `auto` is CUDA where there is one. Raises ConfigError for another word, and when CUDA is absent."""
    if device not in get_args(Device):
        raise ConfigError("unknown device", found=device, expected=", ".join(get_args(Device)), next_step="Change --device.")
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise ConfigError(
            "no CUDA device", found="none", expected="a GPU and its driver", next_step="Set device to auto or cpu."
        )
    return torch.device("cuda" if available and device != "cpu" else "cpu")


def quick_precision(device: torch.device) -> torch.dtype | None:
    """bfloat16 where processor or card computes in it; None where float32 is as quick."""
    has_it = torch.cuda.is_bf16_supported() if device.type == "cuda" else torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.bfloat16 if has_it else None


def device_name(device: torch.device) -> str:
    """`cpu`, or `cuda: ` and the card's name, as it stands in the records."""
    return "cpu" if device.type == "cpu" else f"cuda: {torch.cuda.get_device_name(device)}"


def clock(device: torch.device) -> float:
    """Seconds, as time.perf_counter's, once `device` has done all that it was given: a card's work goes on behind a call."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
