"""The limits of the score by which a station's parts pass and are rejected, as people choose them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from kizu_db.permissions import Action
from kizu_db.repositories.audit_trail import AuditTrail
from kizu_db.repositories.common import plain_json
from kizu_db.repositories.recipes import Recipes
from kizu_db.repositories.users import Users
from kizu_db.tables import InspectionTable
from kizu_db.values import ChosenLimits, RecipeRow
from kizu_inspect.errors import RecordError

__all__ = ["ChosenBy", "StationLimits"]

_TAKEN: Final = "recipe.taken"
_NAMES: Final = ("pass_below", "reject_from")


@dataclass(frozen=True)
class ChosenBy:
    """Who chooses limits, why, and after having looked at which version of the station's recipe."""

    name: str
    reason: str
    after: int


class StationLimits:
    """Chosen limits are a new version of the station's recipe, which is otherwise that of its line."""

    def __init__(self, session: Session, recipes: Recipes, trail: AuditTrail, users: Users) -> None:
        self._session = session
        self._recipes = recipes
        self._trail = trail
        self._users = users

    def choose(
        self, station: str, pass_below: float, reject_from: float, *, by: ChosenBy, model_hash: str, seen: Mapping[str, Any]
    ) -> RecipeRow:
        """PASS below the one, REJECT from the other, both 0 to 1. `model_hash` names the model whose scores were looked at.

        `seen` are the figures by which they were chosen, as plain JSON. Raises NotAllowed where the person may not,
        RecordError where the limits are none, the recipe or its model is another one meanwhile, kizu.yaml sets limits itself,
        or there is nothing to change.
        """
        _check(pass_below, reject_from)
        latest = self._may_change(station, by)
        if latest.model_hash != model_hash:
            raise RecordError(
                f"These limits are for the scores of another model than that of {station}", found=f"model {model_hash[:12]}",
                expected=f"model {(latest.model_hash or 'none')[:12]}",
                next_step="Choose them by parts that the new model judged.",
            )  # fmt: skip
        return self._add(latest, (float(pass_below), float(reject_from)), by, seen)

    def take_again(self, station: str, version: int, *, by: ChosenBy) -> RecipeRow:
        """The limits of an earlier version of the station's recipe, as a new one. Raises like `choose`."""
        latest = self._may_change(station, by)
        earlier = self._recipes.version(station, version)
        if earlier is None:
            raise RecordError(f"{station} has no version {version}", found=f"versions 1 to {latest.version}")
        if earlier.model_hash != latest.model_hash:
            raise RecordError(
                f"The limits of version {version} are for the scores of another model than that of {station}",
                found=f"model {(earlier.model_hash or 'none')[:12]}", expected=f"model {(latest.model_hash or 'none')[:12]}",
                next_step="Take a version of the same model.",
            )  # fmt: skip
        return self._add(latest, earlier.limits, by, {"again": version})

    def taken(self, recipe: RecipeRow) -> None:
        """Tell the audit trail, once, that the station judges by chosen limits from now on."""
        if not any(event.action == _TAKEN for event in self._trail.of("recipe", recipe.id)):
            self._trail.add(_TAKEN, actor=f"station {recipe.station}", subject="recipe", subject_id=recipe.id)

    def judged_by(self, recipe_id: int, *, most: int) -> int:
        """How many inspections this version judged, counted up to `most`."""
        some = select(InspectionTable.id).where(InspectionTable.recipe_id == recipe_id).limit(most).subquery()
        return self._session.scalar(select(func.count()).select_from(some)) or 0

    def _may_change(self, station: str, by: ChosenBy) -> RecipeRow:
        """The version to go on from."""
        self._users.require(by.name, Action.SET_LIMITS)
        if not by.reason.strip():
            raise RecordError("Say why", found="no reason", expected="a few words for the audit trail")
        latest = self._recipes.latest(station)
        if latest is None:
            raise RecordError(f"{station} has no recipe yet", next_step="Start its line once, with `kizu run`.")
        if latest.version != by.after:
            raise _changed(station, found=latest.version, looked_at=by.after)
        if latest.set_by_file:
            raise RecordError(
                f"The kizu.yaml of {station} sets its limits itself, and wins",
                found=", ".join(f"{name}: {latest.content[name]}" for name in _NAMES if latest.content.get(name) is not None),
                expected="neither of them in the station's recipe",
                next_step="Change them there, or take both lines out; then start the line again.",
            )
        return latest

    def _add(
        self, latest: RecipeRow, limits: tuple[float | None, float | None], by: ChosenBy, seen: Mapping[str, Any]
    ) -> RecipeRow:
        if limits == latest.limits:
            raise RecordError(f"{latest.station} has these limits already", found=f"version {latest.version}")
        reason = by.reason.strip()
        chosen = ChosenLimits(
            version=latest.version + 1, by=by.name, reason=reason, seen=plain_json(seen, "What limits are chosen by")
        )
        content = {**latest.content, **dict(zip(_NAMES, limits, strict=True))}
        new = self._recipes.add(
            latest.station, content, latest.model_hash, latest=latest, chosen=chosen, by=by.name, reason=reason
        )
        if new is None:
            raise _changed(latest.station, found=latest.version + 1, looked_at=by.after)
        return new


def _check(pass_below: float, reject_from: float) -> None:
    for name, value in zip(_NAMES, (pass_below, reject_from), strict=True):
        if isinstance(value, bool) or not isfinite(value) or not 0 <= value <= 1:
            raise RecordError(f"{name} is no limit of a score", found=repr(value), expected="a number from 0 to 1")
    if pass_below > reject_from:
        raise RecordError(
            "The PASS limit lies above the REJECT limit", found=f"{pass_below} and {reject_from}",
            expected="pass_below ≤ reject_from",
        )  # fmt: skip


def _changed(station: str, *, found: int, looked_at: int) -> RecordError:
    return RecordError(
        f"The recipe of {station} was changed meanwhile", found=f"version {found}",
        expected=f"version {looked_at}, as looked at", next_step="Look at the new one, and decide again.",
    )  # fmt: skip
