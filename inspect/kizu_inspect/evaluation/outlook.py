"""What the maps of other methods would take, measured on one of the pictures."""

from __future__ import annotations

import time
from collections.abc import Sequence

from kizu_inspect.bundle import Bundle
from kizu_inspect.errors import BundleError, MethodError
from kizu_inspect.inspector import Inspector
from kizu_inspect.labelled.picture_files import read_picture
from kizu_inspect.labelled.samples import Sample
from kizu_inspect.network.devices import pick_device
from kizu_inspect.recipe import UNGATED, Device, ExplanationSettings, Recipe

__all__ = ["seconds_for"]


def seconds_for(
    bundle: Bundle, samples: Sequence[Sample], methods: Sequence[str], *, options: ExplanationSettings, device: Device
) -> dict[str, float]:
    """Seconds that the maps of all `samples` would take by method; methods that do not fit are left out.

    From the second map of one picture: the first also sets up memory and kernels.
    """
    sample = samples[len(samples) // 2]
    bits = bundle.spec.input.bits
    picture = read_picture(sample.path, bits=bits)
    reference = None if sample.reference is None else read_picture(sample.reference, bits=bits)
    taken: dict[str, float] = {}
    for method in methods:
        try:
            recipe = Recipe(bundle=bundle.path, gates=UNGATED, explanation=options.model_copy(update={"method": method}))
            judge = Inspector(bundle, recipe, device=pick_device(device), max_batch=16)
        except (BundleError, MethodError):
            continue
        batch = judge.judge([picture], references=[reference])
        for _ in range(2):
            begun = time.perf_counter()
            judge.explain(batch, [0], checked=False)
            taken[method] = (time.perf_counter() - begun) * len(samples)
    return taken
