"""The step after the verdict: maps for what was flagged, at once or, after a restart, from the stored picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from kizu_db.image_store import ImageStore
from kizu_db.records import Records
from kizu_db.values import InspectionRow, ModelRow
from kizu_inspect.errors import BundleError, ImageError, KizuError, MethodError, RecordError
from kizu_inspect.images import decode_image
from kizu_inspect.recipe import Recipe
from kizu_inspect.results import Explanation, ImageRGB
from kizu_pipeline.settings import RuntimeSettings

if TYPE_CHECKING:
    from kizu_inspect.inspector import Inspector, JudgedBatch

__all__ = ["ExplanationStep", "Outcome"]

_log = structlog.get_logger("kizu.explain")

Outcome = Explanation | str
"""An explanation, or why there is none."""


class ExplanationStep:
    """Makes promised explanations and records them; one that cannot be made is recorded as failed, with the reason."""

    def __init__(
        self,
        inspector: Inspector,
        recipe: Recipe,
        runtime: RuntimeSettings,
        *,
        station: str,
        records: Records,
        image_store: ImageStore,
    ) -> None:
        self._recipe = recipe
        self._runtime = runtime
        self._station = station
        self._records = records
        self._image_store = image_store
        self._inspectors: dict[str, Inspector | str] = {inspector.model.hash: inspector}
        """By model hash; a string says why that model cannot be had."""
        self._inspector = inspector

    def after_verdict(self, batch: JudgedBatch, uids: Mapping[int, str]) -> int:
        """Explain the pictures of the batch at these indices and record that under these inspections; how many worked."""
        indices = list(uids)
        outcomes = explain_each(self._inspector, batch, indices)
        return self._record(dict(zip(uids.values(), outcomes, strict=True)))

    def catch_up(self) -> tuple[int, int]:
        """Make some of the station's pending explanations from their stored pictures: how many, and how many failed.

        (0, 0) says that none is pending.
        """
        with self._records.unit(read_only=True) as unit:
            rows = unit.inspections.pending_explanations(self._station, self._runtime.max_batch)
            models = {row.model_hash: unit.models.get(row.model_hash) for row in rows if row.model_hash is not None}
        outcomes: dict[str, Outcome] = {}
        for hash_, model in models.items():
            outcomes |= self._explain_stored([row for row in rows if row.model_hash == hash_], model)
        for row in rows:
            outcomes.setdefault(row.uid, "the record names no model")
        made = self._record(outcomes)
        return made, len(outcomes) - made

    def _explain_stored(self, rows: Sequence[InspectionRow], model: ModelRow | None) -> dict[str, Outcome]:
        """Outcomes by uid for inspections that one model judged."""
        inspector = self._inspector_of(model) if model is not None else "the record's model is not in the database"
        if isinstance(inspector, str):
            return {row.uid: inspector for row in rows}
        outcomes: dict[str, Outcome] = {}
        images: dict[str, ImageRGB] = {}
        for row in rows:
            try:
                if row.image_sha256 is None:
                    raise RecordError("the record names no picture")
                images[row.uid] = decode_image(
                    self._image_store.get(row.image_sha256), max_megapixels=self._recipe.max_megapixels
                )
            except (RecordError, ImageError) as error:
                outcomes[row.uid] = str(error)
        if images:
            batch = inspector.judge(list(images.values()))
            outcomes |= dict(zip(images, explain_each(inspector, batch, range(len(images))), strict=True))
        return outcomes

    def _inspector_of(self, model: ModelRow) -> Inspector | str:
        """The model that judged, which after a change of recipe is not the one in use now."""
        if model.hash not in self._inspectors:
            self._inspectors[model.hash] = self._load(model.hash, model.path)
        return self._inspectors[model.hash]

    def _load(self, hash_: str, path: Path) -> Inspector | str:
        from kizu_inspect.inspector import Inspector

        # The thresholds of today's recipe are left out: a map does not depend on them, and they may not fit that model.
        recipe = self._recipe.model_copy(update={"bundle": path, "pass_below": None, "reject_from": None})
        try:
            inspector = Inspector.load(recipe, device=self._runtime.device, max_batch=self._runtime.max_batch)
        except (BundleError, MethodError) as error:
            return f"the model that judged cannot be loaded: {error}"
        if inspector.model.hash != hash_:
            return f"the bundle at {path} is not the model that judged (found {inspector.model.hash}, expected {hash_})"
        return inspector

    def _record(self, outcomes: Mapping[str, Outcome]) -> int:
        """Transaction 2: all outcomes of one batch. Returns the number of explanations."""
        if not outcomes:
            return 0
        try:
            self._store(outcomes)
        except RecordError as error:
            if len(outcomes) > 1:
                return sum(self._record({uid: outcome}) for uid, outcome in outcomes.items())
            if isinstance(next(iter(outcomes.values())), str):
                raise  # not even the failure can be recorded: the database is away
            # Values that the records refuse (an infinite maximum, say) would come up again at every start.
            outcomes = dict.fromkeys(outcomes, str(error))
            self._store(outcomes)
        made = 0
        for uid, outcome in outcomes.items():
            if isinstance(outcome, str):
                _log.error("not explained", inspection=uid, error=outcome)
            else:
                made += 1
                _log.info("explained", inspection=uid, method=outcome.heatmap.method, map=outcome.heatmap.status.value)
        return made

    def _store(self, outcomes: Mapping[str, Outcome]) -> None:
        with self._records.unit() as unit:
            for uid, outcome in outcomes.items():
                if isinstance(outcome, str):
                    unit.inspections.fail_explanation(uid, outcome)
                else:
                    unit.inspections.store_explanation(uid, outcome)


def explain_each(inspector: Inspector, batch: JudgedBatch, indices: Sequence[int]) -> list[Outcome]:
    """One outcome an index; where the whole batch fails, each is tried alone, so that one bad picture costs one map."""
    try:
        return list(inspector.explain(batch, indices))
    except Exception as error:  # noqa: BLE001 - the verdicts stand already; no method's failure may stop the line
        _log.exception("explanation failed", pictures=len(indices))
        if len(indices) == 1:
            return [str(error) if isinstance(error, KizuError) else f"{type(error).__name__}: {error}"]
    return [outcome for index in indices for outcome in explain_each(inspector, batch, [index])]
