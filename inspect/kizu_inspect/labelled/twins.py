"""Pictures that lie in a set twice: in training and beyond it, or under two labels."""

from __future__ import annotations

from collections.abc import Sequence

from kizu_inspect.labelled.findings import Finding, a_few
from kizu_inspect.labelled.samples import SPLITS, Sample

__all__ = ["pair", "twins", "where"]


def twins(samples: Sequence[Sample], sides: Sequence[str], contents: Sequence[str]) -> list[Finding]:
    """Pictures of the same `contents` with several labels or on two of the `sides`: splits, or groups that a seed may part."""
    same: dict[str, list[int]] = {}
    for row, content in enumerate(contents):
        same.setdefault(content, []).append(row)
    findings = []
    for rows in same.values():
        labels = sorted({"|".join(samples[row].labels) for row in rows})
        if len(labels) > 1:
            what = f"one picture has the labels {' and '.join(labels)}"
            findings.append(pair("contradiction", what, samples, rows, "one label"))
        if len({sides[row] for row in rows}) > 1:
            findings.append(pair("duplicate", f"the same picture lies {where(samples, rows)}", samples, rows))
    return findings


def where(samples: Sequence[Sample], rows: Sequence[int]) -> str:
    """On which sides pictures lie, for a message."""
    splits = [split for split in SPLITS if any(samples[row].split == split for row in rows)]
    return f"in {' and '.join(splits)}" if len(splits) > 1 else "in groups that a split may part"


def pair(kind: str, what: str, samples: Sequence[Sample], rows: Sequence[int], expected: str = "one side") -> Finding:
    """The warning that these pictures are the same, or nearly."""
    files = tuple(samples[row].path for row in rows)
    return Finding(
        kind, what, found=a_few(files),
        expected=expected, next_step="Give them one group, or remove all but one." if expected == "one side" else None,
        pictures=files, severity="warning",
    )  # fmt: skip
