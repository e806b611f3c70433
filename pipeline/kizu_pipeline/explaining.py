"""The step after the verdict: maps for what was flagged, at once or, after a restart, from the stored picture."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from kizu_db.values import InspectionRecord
from kizu_inspect.errors import BundleError, ConfigError, ImageError, KizuError, MethodError, RecordError, RecordsAway
from kizu_inspect.results import Explanation, ImageRGB
from kizu_pipeline.sources.base import Queue
from kizu_pipeline.stages.around import Around
from kizu_pipeline.stages.attempts import MAX_ATTEMPTS
from kizu_pipeline.stages.judge import Judge

if TYPE_CHECKING:
    from kizu_inspect.inspector import Inspector
    from kizu_inspect.judged import JudgedBatch

__all__ = ["ExplanationStep", "Outcome"]

_log = structlog.get_logger("kizu.explain")

MOST_BATCHES: Final = 4
"""So many batches keep what their verdicts have left, for their maps."""
MOST_CREDIT_S: Final = 1.0
AWAY_S: Final = 10.0
IDLE_S: Final = 0.25
"""For how long maps are made at a stretch where no picture waits."""

Outcome = Explanation | str
"""An explanation, or why there is none."""


@dataclass
class _Due:
    """Pictures of one batch that wait for their maps."""

    batch: JudgedBatch
    uids: dict[int, str]
    """Their inspections, by their index in the batch."""


class ExplanationStep:
    """Makes promised explanations and records them; one that cannot be made is recorded as failed, with the reason."""

    def __init__(self, around: Around, judge: Judge) -> None:
        self._decode = around.decoders.decode
        self._runtime = around.runtime
        self._patience = around.patience
        self._attempts = around.attempts
        self._station = around.station.id
        self._records = around.records
        self._image_store = around.image_store
        self._publishing = around.publishing
        self._spool = around.spool
        self._inspectors: dict[tuple[str, int], Inspector | str] = {}
        """By model hash and recipe; a string says why that judge cannot be had."""
        self.judge_is(judge)
        self._due: deque[_Due] = deque()
        self._credit_s = 0.0
        self._refused: tuple[float, RecordsAway] | None = None
        """Since when (monotonic, s) what is pending cannot be had, and why."""
        self._not_before = 0.0
        """When what is pending in the records may be looked for again (monotonic)."""
        self._each_s = MOST_CREDIT_S
        """What a map takes, as of the last ones; at first a guess that lets one be tried alone."""

    def judge_is(self, judge: Judge) -> None:
        """Who gives the verdicts from now on: what waits keeps its own."""
        self._inspector = judge.inspector
        self._inspectors[judge.inspector.model.hash, judge.recipe.id] = judge.inspector

    def put(self, batch: JudgedBatch, uids: Mapping[int, str]) -> None:
        """Let the pictures of the batch at these indices wait for their maps, to be recorded under these inspections.

        Of more batches than `MOST_BATCHES` the oldest is let go: its maps are pending in the records, and made from the stored
        pictures once the line has nothing else to do.
        """
        self._due.append(_Due(batch, dict(uids)))
        if len(self._due) > MOST_BATCHES:
            self._due.popleft()

    @property
    def waiting(self) -> bool:
        """Whether maps are to be made from what a verdict has left."""
        return bool(self._due)

    def queues(self) -> dict[str, Queue]:
        """The maps that wait for what a verdict has left; any thread may ask."""
        return {"maps": Queue(sum(len(due.uids) for due in self._due.copy()))}

    def make_beside(self, verdicts_s: float) -> tuple[int, int]:
        """Make as many of those maps as are likely to take as long as the verdicts took: how many, and how many failed.

        The time that is not used is kept for the next call, up to `MOST_CREDIT_S`: where maps take long, verdicts go on and
        each waits for one map at most, and where one takes longer than that for none.
        """
        self._credit_s = min(self._credit_s + verdicts_s, MOST_CREDIT_S)
        made = failed = 0
        while self._due and (count := int(self._credit_s / self._each_s)) > 0:
            begun = time.perf_counter()
            stored, refused = self._make(count)
            self._credit_s -= time.perf_counter() - begun
            made, failed = made + stored, failed + refused
        return made, failed

    def make_idle(self) -> tuple[int, int]:
        """Make one of those maps, or as many as take `IDLE_S`: the next picture may come at any moment."""
        return self._make(max(1, int(IDLE_S / self._each_s)))

    def _make(self, count: int) -> tuple[int, int]:
        """Of the oldest batch that waits."""
        due = self._due[0]
        some = dict(list(due.uids.items())[:count])
        begun = time.perf_counter()
        outcomes = explain_each(self._inspector, due.batch, list(some))
        self._each_s = (self._each_s + 3 * (time.perf_counter() - begun) / len(some)) / 4
        for index in some:
            del due.uids[index]
        if not due.uids:
            self._due.popleft()
        return self._recorded(dict(zip(some.values(), outcomes, strict=True)))

    def _recorded(self, outcomes: Mapping[str, Outcome]) -> tuple[int, int]:
        """How many explanations, and how many failures; none where the records are away: they are pending, and made later."""
        try:
            made = self._record(outcomes)
        except RecordsAway as error:
            if self._spool is None:
                raise
            self._spool.refused(error)
            return 0, 0
        return made, len(outcomes) - made

    def let_go(self) -> None:
        """What a verdict has left is not kept any longer: its maps are pending, and made from the stored pictures."""
        self._due.clear()

    def catch_up(self) -> tuple[int, int]:
        """Make some of the station's pending explanations from their stored pictures: how many, and how many failed.

        (0, 0) says that none is pending, or that they cannot be had now: pictures are not kept waiting for that.
        """
        if time.monotonic() < self._not_before:
            return 0, 0
        try:
            pending = self._pending()
            begun = time.perf_counter()
            try:
                outcomes = self._made_of(pending)
            finally:
                self._attempts.done([_attempt(record.row.uid) for record in pending])
            if pending:
                self._each_s = (self._each_s + 3 * (time.perf_counter() - begun) / len(pending)) / 4
        except RecordsAway as error:
            self._refused = (self._refused[0] if self._refused else time.monotonic(), error)
            self._not_before = time.monotonic() + min(AWAY_S, self._patience.most_s)
            self._patience.state.records_away(self, str(error))
            _log.error("pending maps must wait", error=str(error), for_s=AWAY_S)
            return 0, 0
        self._refused = None
        self._patience.state.records_back(self)
        return self._recorded(outcomes)

    def must_wait(self) -> bool:
        """Whether pending maps cannot be had for now. Raises RecordsAway where that is so for too long."""
        if self._refused is None:
            return False
        since_s, error = self._refused
        if time.monotonic() - since_s >= self._patience.most_s:
            raise error
        return True

    def _made_of(self, pending: Sequence[InspectionRecord]) -> dict[str, Outcome]:
        judged_alike: dict[tuple[str, int], list[InspectionRecord]] = {}
        outcomes: dict[str, Outcome] = {}
        for record in pending:
            if record.model is None or record.recipe is None:
                outcomes[record.row.uid] = "the record does not name the model and the recipe that judged"
                continue
            if self._attempts.of(_attempt(record.row.uid)) >= MAX_ATTEMPTS:
                outcomes[record.row.uid] = f"making it may have ended the program, {MAX_ATTEMPTS} times"
                continue
            self._attempts.begin([_attempt(record.row.uid)])
            judged_alike.setdefault((record.model.hash, record.recipe.id), []).append(record)
        for (model_hash, recipe_id), records in judged_alike.items():
            outcomes |= self._explain_stored(records, self._inspector_of(model_hash, recipe_id, records[0]))
        return outcomes

    def _pending(self) -> list[InspectionRecord]:
        with self._records.unit(read_only=True, prompt=self._spool is not None) as unit:
            some = min(self._runtime.max_batch, max(1, int(IDLE_S / self._each_s)))  # the next picture may come at any moment
            rows = unit.inspections.pending_explanations(self._station, some)
            return [record for row in rows if (record := unit.inspections.get(row.uid)) is not None]

    def _explain_stored(self, records: Sequence[InspectionRecord], inspector: Inspector | str) -> dict[str, Outcome]:
        """Outcomes by uid for inspections that one model and recipe judged."""
        if isinstance(inspector, str):
            return {record.row.uid: inspector for record in records}
        outcomes: dict[str, Outcome] = {}
        images: dict[str, ImageRGB] = {}
        for record in records:
            uid, sha256 = record.row.uid, record.row.image_sha256
            try:
                if sha256 is None:
                    raise RecordError("the record names no picture")
                data = self._image_store.get(sha256)
                then = record.recipe_then
                images[uid] = self._decode(data, max_megapixels=then.max_megapixels, bits=then.bits)
            except RecordsAway:
                raise
            except (RecordError, ImageError) as error:
                outcomes[uid] = str(error)
        names = {record.row.uid: record.image_name for record in records}
        for uid, image in images.items():  # one at a time: nobody waits for these, and large ones would not fit together
            try:
                batch = inspector.judge([image], names=[names[uid]])
            except Exception as error:  # noqa: BLE001 - as in `explain_each`
                _log.exception("judging again for a map failed", inspection=uid)
                outcomes[uid] = f"{type(error).__name__}: {error}"
                continue
            outcomes[uid] = explain_each(inspector, batch, [0])[0]
        return outcomes

    def _inspector_of(self, model_hash: str, recipe_id: int, record: InspectionRecord) -> Inspector | str:
        """The judge of that time, which after a change of recipe or model is not the one in use now."""
        key = (model_hash, recipe_id)
        if key not in self._inspectors:
            from kizu_inspect.inspector import Inspector

            try:
                then = record.recipe_then
                if model_hash == self._inspector.model.hash and self._inspector.judges_like(then):
                    self._inspectors[key] = self._inspector.with_limits(then.pass_below, then.reject_from)
                else:
                    self._inspectors[key] = Inspector.load(
                        then, device=self._runtime.device, max_batch=self._runtime.max_batch, model_hash=model_hash
                    )
            except (BundleError, MethodError, ConfigError) as error:
                self._inspectors[key] = f"the model that judged cannot be loaded: {error}"
        return self._inspectors[key]

    def _record(self, outcomes: Mapping[str, Outcome]) -> int:
        """Transaction 2: all outcomes of one batch. Returns the number of explanations."""
        if not outcomes:
            return 0
        try:
            if self._spool is None:
                self._patience.kept(lambda: self._store(outcomes))
            else:  # verdicts do not wait for maps
                with self._patience.state.asking_records():
                    self._store(outcomes)
        except RecordsAway:
            raise  # they are pending, and made later
        except RecordError as error:
            if len(outcomes) > 1:
                return sum(self._record({uid: outcome}) for uid, outcome in outcomes.items())
            if isinstance(next(iter(outcomes.values())), str):
                raise  # not even the failure can be recorded
            # Values that the records refuse (an infinite maximum, say) would come up again at every start.
            failed: dict[str, Outcome] = dict.fromkeys(outcomes, str(error))
            self._patience.kept(lambda: self._store(failed))
            outcomes = failed
        made = 0
        for uid, outcome in outcomes.items():
            if isinstance(outcome, str):
                _log.error("not explained", inspection=uid, error=outcome)
            else:
                made += 1
                _log.info("explained", inspection=uid, method=outcome.heatmap.method, map=outcome.heatmap.status.value)
        return made

    def _store(self, outcomes: Mapping[str, Outcome]) -> None:
        with self._records.unit(prompt=self._spool is not None) as unit:
            for uid, outcome in outcomes.items():
                if isinstance(outcome, str):
                    unit.inspections.fail_explanation(uid, outcome)
                else:
                    unit.inspections.store_explanation(uid, outcome)
                self._publishing.add_explanation(unit, uid, outcome)


def explain_each(inspector: Inspector, batch: JudgedBatch, indices: Sequence[int]) -> list[Outcome]:
    """One outcome an index; where the whole batch fails, each is tried alone, so that one bad picture costs one map."""
    try:
        return list(inspector.explain(batch, indices))
    except Exception as error:  # noqa: BLE001 - the verdicts stand already; no method's failure may stop the line
        _log.exception("explanation failed", pictures=len(indices))
        if len(indices) == 1:
            return [str(error) if isinstance(error, KizuError) else f"{type(error).__name__}: {error}"]
    return [outcome for index in indices for outcome in explain_each(inspector, batch, [index])]


def _attempt(uid: str) -> str:
    """Under what the making of this inspection's map is counted."""
    return f"map|{uid}"
