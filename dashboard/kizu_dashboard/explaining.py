"""Making a map that an inspection does not have, from the stored picture and the model named in its record."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from kizu_dashboard.language.speaking import marked
from kizu_dashboard.pictures import stored_image
from kizu_dashboard.room import Room
from kizu_db.permissions import Action
from kizu_db.values import ExplanationState, InspectionRecord
from kizu_inspect.errors import RecordError
from kizu_inspect.recipe import Recipe

if TYPE_CHECKING:
    from kizu_inspect.inspector import Inspector

__all__ = ["can_explain", "explain_stored", "methods_of"]

# An Inspector serves one thread at a time, and a loaded model is large: one is kept, the last that was used.
_lock = threading.Lock()
_loaded: dict[str, Inspector] = {}


def methods_of(record: InspectionRecord) -> list[str]:
    """The methods whose map can be looked at or made, the line's first."""
    stored = [explanation.heatmap.method for explanation in record.explanations]
    scaled = record.model.spec.get("explanation", {}) if record.model is not None else {}
    makeable = [method for method in scaled if can_explain(record, method)]
    return list(dict.fromkeys([record.method, *stored, *makeable]))


def can_explain(record: InspectionRecord, method: str) -> bool:
    """Whether the map of this method is not there and everything is on record that it is made from."""
    judged = bool(record.probabilities)
    made = record.explained_by(method) is not None
    return judged and not made and record.model is not None and record.row.kept_image is not None


def explain_stored(room: Room, uid: str, method: str, *, by: str) -> None:
    """Make the map of this method as the line would have made it, and store it with the inspection.

    Raises NotAllowed where `by` may not review (a map is evidence that reviews go by), RecordError where the inspection, its
    picture or its model is not on record, BundleError where the model's files are gone or are another model by now, MethodError
    where the method does not fit the model.
    """
    with room.records.unit(read_only=True) as unit:
        unit.users.require(by, Action.REVIEW)  # before the work, which takes seconds, and again where it is stored
        record = unit.inspections.get(uid)
    if record is None or record.model is None:
        raise RecordError(marked("nothing to explain"), found=f"inspection {uid} without a model on record")
    image = stored_image(room, record)
    if image is None:
        raise RecordError(marked("nothing to explain"), found=f"inspection {uid} without a stored picture")
    with _lock:
        inspector = _inspector(record.recipe_then, record.model.hash, method)
        batch = inspector.judge([image], names=[record.image_name])
        (explanation,) = inspector.explain(batch, [0])
    with room.records.unit() as unit:
        # The line's map may still be promised, or have failed for a reason: another method's does not settle that.
        promised = record.row.explanation_state in (ExplanationState.PENDING, ExplanationState.FAILED)
        unit.users.require(by, Action.REVIEW)
        unit.inspections.store_explanation(uid, explanation, settles=method == record.method or not promised)


def _inspector(recipe: Recipe, model_hash: str, method: str) -> Inspector:
    recipe = recipe.model_copy(update={"explanation": recipe.explanation.model_copy(update={"method": method})})
    key = f"{model_hash} {recipe.model_dump_json()}"
    if key in _loaded:
        return _loaded[key]
    # torch takes seconds to load and most sessions never need it.
    from kizu_inspect.inspector import Inspector

    # On the processor, so that a dashboard beside the line never takes memory from the line's accelerator.
    inspector = Inspector.load(recipe, device="cpu", max_batch=1, model_hash=model_hash)
    _loaded.clear()
    _loaded[key] = inspector
    return inspector
