"""Do pictures of 16 bits fill them? A camera of 12 bits leaves them nearly black for whoever does not know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kizu_inspect.labelled.findings import Finding
from kizu_inspect.labelled.samples import Sample
from kizu_inspect.picture.decoding import deep_values
from kizu_inspect.picture.depth import depth_of

__all__ = ["unfilled"]

_LOOKED_AT: Final = 100


def unfilled(samples: Sequence[Sample]) -> Finding | None:
    """What is wrong where pictures of 16 bits hold values of fewer, and nobody has said of how many; of some of the samples."""
    found = []
    for sample in samples[:: max(1, len(samples) // _LOOKED_AT)]:
        try:
            values = deep_values(sample.path.read_bytes())
        except OSError:  # told by whoever reads it
            continue
        if values is not None:
            found.append((sample.path, int(values.max(initial=0))))
    largest = max((value for _, value in found), default=0)
    bits = depth_of(largest)
    if not found or bits == 16:
        return None
    return Finding(
        "bit_depth", "pictures of 16 bits fill only some of them", found=f"no value above {largest} in {len(found)} pictures",
        expected="values up to 65535",
        next_step=f"Say --bits with the camera's depth, {bits} or more; 16 where they are meant so.",
        pictures=tuple(path for path, _ in found),
    )  # fmt: skip
