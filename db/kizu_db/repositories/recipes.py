"""By which settings a station judged."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from kizu_db.repositories.audit_trail import AuditTrail, canonical_time
from kizu_db.repositories.common import insert_unless_there, plain_json
from kizu_db.repositories.plant import ensure_place
from kizu_db.tables import RecipeTable
from kizu_db.values import RecipeRow
from kizu_inspect.errors import RecordError

__all__ = ["Recipes", "recipe_content", "recipe_row"]

_ATTEMPTS = 5


class Recipes:
    """The recipes of all stations: a change is a new version, and no version is ever overwritten."""

    def __init__(self, session: Session, trail: AuditTrail) -> None:
        self._session = session
        self._trail = trail

    def register(self, station: str, recipe: Mapping[str, Any], model_hash: str | None, *, by: str = "kizu") -> RecipeRow:
        """The station's latest version where it says the same (settings and model), else a new version. `by` is who set it.

        `recipe` holds plain JSON values, as of `Recipe.model_dump(mode="json")`. Raises RecordError for others.
        """
        content = plain_json(recipe, f"The recipe of {station}")
        ensure_place(self._session, station)
        for _ in range(_ATTEMPTS):
            latest = self._latest(station)
            if latest is not None and latest.content == content and latest.model_hash == model_hash:
                return recipe_row(latest)
            values = {
                "station": station,
                "version": 1 if latest is None else latest.version + 1,
                "content": content,
                "model_hash": model_hash,
                "created_at": datetime.now(UTC),
            }
            new_id = insert_unless_there(self._session, RecipeTable, values)
            if new_id is not None:
                new = self._session.get_one(RecipeTable, new_id)
                before = None if latest is None else recipe_content(latest)
                self._trail.add(
                    "recipe.version", actor=by, subject="recipe", subject_id=new_id, before=before, after=recipe_content(new)
                )
                return recipe_row(new)
            # Another program took this version in between: look again.
        raise RecordError(f"The recipe of {station} is being changed by several programs", next_step="Try again.")

    def _latest(self, station: str) -> RecipeTable | None:
        versions = select(RecipeTable).where(RecipeTable.station == station).order_by(RecipeTable.version.desc())
        return self._session.scalars(versions.limit(1)).first()


def recipe_content(recipe: RecipeTable) -> dict[str, Any]:
    """What the audit trail keeps of a version."""
    names = ("id", "station", "version", "content", "model_hash")
    return {name: getattr(recipe, name) for name in names} | {"created_at": canonical_time(recipe.created_at)}


def recipe_row(recipe: RecipeTable) -> RecipeRow:
    """The recipe as a plain value."""
    return RecipeRow(
        id=recipe.id,
        station=recipe.station,
        version=recipe.version,
        content=recipe.content,
        model_hash=recipe.model_hash,
        created_at=recipe.created_at,
    )
