"""Pictures that look nearly the same on both sides of a split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from kizu_inspect.labelled.checking.alike import clusters, nearest_alike
from kizu_inspect.labelled.checking.looks import Look, look_at
from kizu_inspect.labelled.dataset import LabelledSet
from kizu_inspect.labelled.findings import Finding
from kizu_inspect.labelled.samples import Sample
from kizu_inspect.labelled.twins import pair, where
from kizu_inspect.recipe import Bits

__all__ = ["MOST", "near_twins", "near_twins_of"]

MOST: Final = 3000
"""Pictures of a set that training looks through for twins; more of them would take longer than the training itself."""


def near_twins_of(data: LabelledSet, bits: Bits | None) -> list[Finding]:
    """The warnings of `near_twins` for a set as training takes it; of one of more than `MOST` that nobody searched."""
    if len(data.samples) > MOST:
        return [
            Finding(
                "near_unsearched", "nearly the same pictures on two sides of a split were not searched for",
                found=f"{len(data.samples)} pictures", expected=f"at most {MOST}", next_step="kizu data check searches all.",
                severity="warning",
            )
        ]  # fmt: skip
    looks, _ = look_at(data.samples, good=data.good, bits=bits)
    sides = [sample.split if data.split_seed is None else sample.group for sample in data.samples]
    return near_twins(data.samples, sides, looks)


def near_twins(samples: Sequence[Sample], sides: Sequence[str], looks: Sequence[Look | None]) -> list[Finding]:
    """Pictures of other contents that look nearly the same and lie on two of the `sides`."""
    known = [(row, look) for row, look in enumerate(looks) if look is not None]
    if not known:
        return []
    near = nearest_alike(
        np.stack([look.look for _, look in known]),
        np.unique([sides[row] for row, _ in known], return_inverse=True)[1],
        np.unique([look.sha256 for _, look in known], return_inverse=True)[1],
    )
    strength = {known[i][0]: correlation for i, _, correlation in near}
    findings = []
    for rows in clusters([(known[i][0], known[j][0]) for i, j, _ in near], len(samples)):
        strongest = max(strength.get(row, 0) for row in rows)
        what = f"pictures that look nearly the same (correlation {strongest:.3f}) lie {where(samples, rows)}"
        findings.append(pair("near_duplicate", what, samples, rows))
    return findings
