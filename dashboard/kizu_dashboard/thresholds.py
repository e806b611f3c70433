"""The limits by which an inspection was judged, and by which a station judges."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kizu_db.records import Unit
from kizu_db.values import InspectionRecord, ModelRow, RecipeRow

__all__ = ["Limits", "Standing", "limits_in_force", "limits_of", "read_standing"]


@dataclass(frozen=True)
class Limits:
    """PASS below the first, REJECT from the second, REVIEW between; on the score 1 − p(good)."""

    pass_below: float
    reject_from: float


def limits_of(record: InspectionRecord) -> Limits | None:
    """The limits of then; None where either is not on record."""
    return limits_in_force(record.recipe, record.model)


def limits_in_force(recipe: RecipeRow | None, model: ModelRow | None) -> Limits | None:
    """The recipe's where it sets them, else the model's own; None where either is not on record."""
    chosen = (None, None) if recipe is None else recipe.limits
    own = (None, None) if model is None else model.limits
    low, high = (mine if mine is not None else its for mine, its in zip(chosen, own, strict=True))
    return None if low is None or high is None else Limits(low, high)


@dataclass(frozen=True)
class Standing:
    """By what a station judges."""

    recipe: RecipeRow
    """Its newest version."""
    model: ModelRow | None
    model_since: datetime | None
    """Since when it has this model; None where it never had another one."""

    @property
    def limits(self) -> Limits | None:
        """None where they are not on record."""
        return limits_in_force(self.recipe, self.model)


def read_standing(unit: Unit, station: str) -> Standing | None:
    """None for a station without a recipe."""
    recipe = unit.recipes.latest(station)
    if recipe is None:
        return None
    model = None if recipe.model_hash is None else unit.models.get(recipe.model_hash)
    return Standing(recipe, model, unit.recipes.model_since(station))
