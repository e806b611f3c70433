"""Which models judged."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from kizu_db.repositories.audit_trail import AuditTrail, canonical_time
from kizu_db.repositories.common import insert_unless_there, plain_json
from kizu_db.tables import ModelTable, RecipeTable
from kizu_db.values import ModelRow
from kizu_inspect.results import ModelInfo

__all__ = ["Models", "model_content", "model_row"]


class Models:
    """The models, by hash. A registered model never changes: its hash names its content."""

    def __init__(self, session: Session, trail: AuditTrail) -> None:
        self._session = session
        self._trail = trail

    def register(self, model: ModelInfo, *, by: str = "kizu") -> None:
        """Keep what the bundle says of itself; a hash that is known already is left as it is. `by` is who brought it.

        Raises RecordError where the bundle's text cannot be kept as JSON.
        """
        if self.get(model.hash) is not None:
            return
        values = {
            "hash": model.hash,
            "name": model.name,
            "classes": list(model.classes),
            "good": model.good,
            "path": str(model.path),
            "spec": plain_json(model.spec, f"The bundle {model.path}"),
            "promise": None if model.promise is None else plain_json(model.promise, f"The promise of {model.path}"),
            "registered_at": datetime.now(UTC),
        }
        if insert_unless_there(self._session, ModelTable, values) is not None:
            after = model_content(self._session.get_one(ModelTable, model.hash))
            self._trail.add("model.register", actor=by, subject="model", subject_id=model.hash, after=after)

    def get(self, model_hash: str) -> ModelRow | None:
        """The model with this hash; None where it never judged here."""
        found = self._session.get(ModelTable, model_hash)
        return None if found is None else model_row(found)

    def of_station(self, station: str) -> ModelRow | None:
        """The model of the station's latest recipe that names one; None where it never had any."""
        latest = select(RecipeTable.model_hash).where(RecipeTable.station == station, RecipeTable.model_hash.is_not(None))
        model_hash = self._session.scalar(latest.order_by(RecipeTable.version.desc()).limit(1))
        return None if model_hash is None else self.get(model_hash)


def model_content(model: ModelTable) -> dict[str, Any]:
    """What the audit trail keeps of a model."""
    names = ("hash", "name", "classes", "good", "path", "spec", "promise")
    return {name: getattr(model, name) for name in names} | {"registered_at": canonical_time(model.registered_at)}


def model_row(model: ModelTable) -> ModelRow:
    """The model as a plain value."""
    return ModelRow(
        hash=model.hash,
        name=model.name,
        classes=tuple(model.classes),
        good=model.good,
        path=Path(model.path),
        spec=model.spec,
        promise=model.promise,
        registered_at=model.registered_at,
    )
