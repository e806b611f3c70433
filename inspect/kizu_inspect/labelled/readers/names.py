"""Names of classes that two people, or two tools, wrote differently."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from kizu_inspect.labelled.findings import Finding
from kizu_inspect.labelled.samples import Sample

__all__ = ["name_findings"]


def name_findings(path: Path, samples: Sequence[Sample]) -> list[Finding]:
    """Classes of the set at `path` whose names cannot be kept, or that differ by capitals, blanks or Unicode form alone."""
    counts = Counter(label for sample in samples for label in sample.labels)
    findings = []
    names = sorted(name for name in counts if not name or "|" in name)
    if names:
        findings.append(
            Finding(
                "class_name", f"data set {path} has a class whose name cannot be kept", found=", ".join(map(repr, names)),
                expected="a name without |, which separates several classes of a picture",
            )
        )  # fmt: skip
    alike: dict[str, list[str]] = {}
    for name in sorted(counts):
        alike.setdefault(_same(name), []).append(name)
    findings += [
        Finding(
            "class_spelling", f"data set {path} has one class in several spellings",
            found=", ".join(f"{name!a} ({counts[name]})" for name in same),
            expected="one spelling", next_step="Rename the others: they would be learned as classes of their own.",
            pictures=tuple(sample.path for sample in samples if not set(same).isdisjoint(sample.labels)),
        )
        for same in alike.values() if len(same) > 1
    ]  # fmt: skip
    return findings


def _same(name: str) -> str:
    """What is the same of two spellings."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(character for character in folded if not character.isspace() and character not in "_-\u200b\ufeff")
