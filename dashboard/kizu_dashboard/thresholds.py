"""The limits by which an inspection was judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kizu_db.values import InspectionRecord

__all__ = ["Limits", "limits_of"]


@dataclass(frozen=True)
class Limits:
    """PASS below the first, REJECT from the second, REVIEW between; on the score 1 − p(good)."""

    pass_below: float
    reject_from: float


def limits_of(record: InspectionRecord) -> Limits | None:
    """The limits of then: the recipe's where it sets them, else the model's own; None where either is not on record."""
    settings: Mapping[str, Any] = record.recipe.content if record.recipe is not None else {}
    own = record.model.spec.get("thresholds") if record.model is not None else None
    known: Mapping[str, Any] = own if isinstance(own, Mapping) else {}
    found = []
    for name in ("pass_below", "reject_from"):
        value = settings.get(name)
        value = known.get(name) if value is None else value
        if not isinstance(value, int | float):
            return None
        found.append(float(value))
    return Limits(*found)
