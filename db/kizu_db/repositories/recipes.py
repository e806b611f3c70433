"""By which settings a station judged."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from kizu_db.repositories.audit_trail import AuditTrail, canonical_time
from kizu_db.repositories.common import insert_unless_there, plain_json
from kizu_db.repositories.plant import ensure_place
from kizu_db.tables import ChosenLimitsTable, RecipeTable
from kizu_db.values import ChosenLimits, RecipeRow
from kizu_inspect.errors import RecordError

__all__ = ["Recipes", "recipe_content", "recipe_row"]

_ATTEMPTS = 5
_CHOSEN = ("chosen_as", "chosen_by", "reason", "seen")


class Recipes:
    """The recipes of all stations: a change is a new version, and no version is ever overwritten."""

    def __init__(self, session: Session, trail: AuditTrail) -> None:
        self._session = session
        self._trail = trail

    def register(self, station: str, recipe: Mapping[str, Any], model_hash: str | None, *, by: str = "kizu") -> RecipeRow:
        """By what the station is to judge: the recipe, with the limits that people chose for it last, where it sets none.

        `recipe` holds plain JSON values, as of `Recipe.model_dump(mode="json")`. Where it sets a limit itself, it wins; else
        the newest limits count that were chosen for this station and this model, whatever came between; else the model's own.
        The station's latest version where that says the same, else a new one. `by` is who set it. Raises RecordError for what
        is no JSON.
        """
        content = plain_json(recipe, f"The recipe of {station}")
        ensure_place(self._session, station)
        for _ in range(_ATTEMPTS):
            latest, chosen = self.latest(station), None
            whole = content
            if (content.get("pass_below"), content.get("reject_from")) == (None, None):
                last = self.chosen_last(station, model_hash)
                if last is not None:
                    whole, chosen = content | dict(zip(("pass_below", "reject_from"), last.limits, strict=True)), last.chosen
            if latest is not None and (latest.content, latest.model_hash, latest.chosen) == (whole, model_hash, chosen):
                return latest
            new = self.add(station, whole, model_hash, latest=latest, chosen=chosen, by=by)
            if new is not None:
                return new
            # Another program took this version in between: look again.
        raise RecordError(f"The recipe of {station} is being changed by several programs", next_step="Try again.")

    def add(
        self,
        station: str,
        content: Mapping[str, Any],
        model_hash: str | None,
        *,
        latest: RecipeRow | None,
        chosen: ChosenLimits | None,
        by: str,
        reason: str = "",
    ) -> RecipeRow | None:
        """The version after `latest`, with its event; None where another program has taken that number."""
        values = {
            "station": station,
            "version": 1 if latest is None else latest.version + 1,
            "content": dict(content),
            "model_hash": model_hash,
            "created_at": datetime.now(UTC),
        }
        new_id = insert_unless_there(self._session, RecipeTable, values)
        if new_id is None:
            return None
        if chosen is not None:
            told = dict(zip(_CHOSEN, (chosen.version, chosen.by, chosen.reason, dict(chosen.seen)), strict=True))
            self._session.execute(insert(ChosenLimitsTable).values(recipe_id=new_id, **told))
        new = self._session.get_one(RecipeTable, new_id)
        before = None if latest is None else recipe_content(self._session.get_one(RecipeTable, latest.id))
        self._trail.add(
            "recipe.version", actor=by, subject="recipe", subject_id=new_id, before=before, after=recipe_content(new),
            reason=reason,
        )  # fmt: skip
        return recipe_row(new)

    def latest(self, station: str) -> RecipeRow | None:
        """The station's newest version; None where it has none."""
        found = self.newest(station, limit=1)
        return found[0] if found else None

    def newest(self, station: str, *, limit: int, before: int | None = None) -> list[RecipeRow]:
        """The station's versions, newest first, at most `limit`, those below the version `before` where it is given."""
        versions = select(RecipeTable).where(RecipeTable.station == station).order_by(RecipeTable.version.desc())
        if before is not None:
            versions = versions.where(RecipeTable.version < before)
        return [recipe_row(row) for row in self._session.scalars(versions.limit(limit))]

    def version(self, station: str, version: int) -> RecipeRow | None:
        """This version of the station's; None where there is none."""
        found = select(RecipeTable).where(RecipeTable.station == station, RecipeTable.version == version)
        row = self._session.scalars(found).one_or_none()
        return None if row is None else recipe_row(row)

    def model_since(self, station: str) -> datetime | None:
        """Since when the station has the model of its newest version; None where it never had another one."""
        latest = self.latest(station)
        if latest is None:
            return None
        of_station = RecipeTable.station == station
        other = select(func.max(RecipeTable.version)).where(
            of_station, RecipeTable.model_hash.is_distinct_from(latest.model_hash)
        )
        last_other = self._session.scalar(other)
        if last_other is None:
            return None
        after = select(RecipeTable.created_at).where(of_station, RecipeTable.version > last_other)
        return self._session.scalar(after.order_by(RecipeTable.version).limit(1))

    def chosen_last(self, station: str, model_hash: str | None) -> RecipeRow | None:
        """The newest version by which somebody chose limits for this station with this model; None where nobody did."""
        chosen = select(RecipeTable).join(ChosenLimitsTable, ChosenLimitsTable.recipe_id == RecipeTable.id)
        chosen = chosen.where(
            RecipeTable.station == station,
            RecipeTable.model_hash == model_hash,
            ChosenLimitsTable.chosen_as == RecipeTable.version,
        )
        row = self._session.scalars(chosen.order_by(RecipeTable.version.desc()).limit(1)).first()
        return None if row is None else recipe_row(row)


def recipe_content(recipe: RecipeTable) -> dict[str, Any]:
    """What the audit trail keeps of a version."""
    names = ("id", "station", "version", "content", "model_hash")
    chosen = {} if recipe.chosen is None else {name: getattr(recipe.chosen, name) for name in _CHOSEN}
    return {name: getattr(recipe, name) for name in names} | {"created_at": canonical_time(recipe.created_at)} | chosen


def recipe_row(recipe: RecipeTable) -> RecipeRow:
    """The recipe as a plain value."""
    chosen = recipe.chosen
    return RecipeRow(
        id=recipe.id,
        station=recipe.station,
        version=recipe.version,
        content=recipe.content,
        model_hash=recipe.model_hash,
        created_at=recipe.created_at,
        chosen=None
        if chosen is None
        else ChosenLimits(version=chosen.chosen_as, by=chosen.chosen_by, reason=chosen.reason, seen=chosen.seen),
    )
