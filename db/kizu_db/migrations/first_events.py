"""The audit events of what the first version of the records kept, for the step to the second: as that step was released."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

__all__ = ["tell_of_first_records"]

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)
_AT_ONCE = 2000


def tell_of_first_records(connection: sa.Connection) -> None:
    """The audit events of what the first version kept, in the order in which it came."""
    number, previous = 0, "0" * 64

    def append(rows: list[tuple[datetime, str, str, str, object, dict[str, Any], str]]) -> None:
        nonlocal number, previous
        values = []
        for at, actor, action, subject, subject_id, after, reason in rows:
            number += 1
            content = json.dumps(after, sort_keys=True, separators=(",", ":"), allow_nan=False)
            told = (actor, action, subject, str(subject_id), None, content, reason)
            link = json.dumps([previous, number, _text(at), *told], separators=(",", ":"))
            link = hashlib.sha256(link.encode()).hexdigest()
            names = ("actor", "action", "subject", "subject_id", "before", "after", "reason")
            at = at.astimezone(UTC).replace(tzinfo=None) if connection.dialect.name == "sqlite" else at
            values.append(
                {"id": number, "at": at, **dict(zip(names, told, strict=True)), "previous_hash": previous, "hash": link}
            )
            previous = link
        if values:
            connection.execute(sa.insert(event), values)

    names = ["id", "at", "actor", "action", "subject", "subject_id", "before", "after", "reason", "previous_hash", "hash"]
    event = sa.table("audit_event", *(sa.column(name, _TIME if name == "at" else None) for name in names))
    by = "kizu db upgrade"
    model = sa.table("model", *(sa.column(name, kind) for name, kind in _MODEL.items()))
    recipe = sa.table("recipe", *(sa.column(name, kind) for name, kind in _RECIPE.items()))
    models = connection.execute(sa.select(model).order_by(model.c.registered_at, model.c.hash))
    append(
        [
            (_aware(row["registered_at"]), by, "model.register", "model", row["hash"], _plain(row), "")
            for row in models.mappings()
        ]
    )
    recipes = connection.execute(sa.select(recipe).order_by(recipe.c.id))
    append(
        [(_aware(row["created_at"]), by, "recipe.version", "recipe", row["id"], _plain(row), "") for row in recipes.mappings()]
    )
    review = sa.table("review", *(sa.column(name, kind) for name, kind in _REVIEW.items()))
    inspection = sa.table("inspection", sa.column("id"), sa.column("uid"))
    after = 0
    while True:
        query = sa.select(review, inspection.c.uid.label("inspection")).join_from(
            review, inspection, inspection.c.id == review.c.inspection_id
        )
        rows = connection.execute(query.where(review.c.id > after).order_by(review.c.id).limit(_AT_ONCE)).mappings().all()
        if not rows:
            return
        after = rows[-1]["id"]
        told = [{name: value for name, value in _plain(row).items() if name != "inspection_id"} for row in rows]
        append([
            (_aware(row["reviewed_at"]), row["reviewer"], "review.add", "review", row["id"], content, row["reason"])
            for row, content in zip(rows, told, strict=True)
        ])  # fmt: skip


_MODEL: dict[str, Any] = {
    "hash": sa.Text(), "name": sa.Text(), "classes": sa.JSON(), "good": sa.Text(), "path": sa.Text(), "spec": sa.JSON(),
    "promise": sa.JSON(), "registered_at": _TIME,
}  # fmt: skip
_RECIPE: dict[str, Any] = {
    "id": _ID, "station": sa.Text(), "version": sa.Integer(), "content": sa.JSON(), "model_hash": sa.Text(),
    "created_at": _TIME,
}  # fmt: skip
_REVIEW: dict[str, Any] = {
    "id": _ID, "inspection_id": _ID, "reviewer": sa.Text(), "disposition": sa.Text(), "defect_class": sa.Text(),
    "decision": sa.Text(), "treatment": sa.Text(), "reason": sa.Text(), "shown_ms": sa.Integer(), "nonce": sa.Text(),
    "supersedes": _ID, "reviewed_at": _TIME,
}  # fmt: skip


def _aware(when: datetime) -> datetime:
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)


def _text(when: datetime) -> str:
    return _aware(when).astimezone(UTC).isoformat(timespec="microseconds")


def _plain(row: Any) -> dict[str, Any]:
    return {name: _text(value) if isinstance(value, datetime) else value for name, value in row.items()}
