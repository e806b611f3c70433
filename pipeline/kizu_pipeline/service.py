"""The line's service: take, judge, record, put away, explain, in the order that loses nothing.

    picture into the image store ─▶ transaction 1 (inspection, event, map pending) ─▶ file to done/ ─▶ transaction 2 (map)

Killed at any instant, the next start finds each file either without a row (it is judged) or with one (it is only put away).
"""

from __future__ import annotations

import gc
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from kizu_db.image_store import ImageStore
from kizu_db.records import Records, Unit
from kizu_db.values import ExplanationState, InspectionRecord, NewInspection, RecipeRow
from kizu_inspect.errors import AlreadyInspected, ConfigError, ImageError, KizuError
from kizu_inspect.results import Judgement, Verdict
from kizu_pipeline.explaining import ExplanationStep
from kizu_pipeline.patience import Patience
from kizu_pipeline.policy import drawn_for_audit, explanation_due
from kizu_pipeline.publishing.station import Publishing, open_publishing
from kizu_pipeline.settings import RuntimeSettings, StationSettings
from kizu_pipeline.sources import Intake, Picture, Work, open_intake
from kizu_pipeline.summary import RunSummary

if TYPE_CHECKING:
    from kizu_inspect.inspector import Inspector
    from kizu_inspect.judged import JudgedBatch

__all__ = ["run_station"]

_STORING_THREADS = 16
DRAIN_S = 5.0
"""For how long a service that is to stop makes the maps of what it has judged; the next start makes the others."""

_log = structlog.get_logger("kizu.line")


def run_station(
    station: StationSettings,
    runtime: RuntimeSettings,
    records: Records,
    image_store: ImageStore,
    *,
    once: bool,
    stop: threading.Event,
    progress: Callable[[int], None] | None = None,
) -> RunSummary:
    """Judge what the station's source gives, until `stop`; with `once`, until no picture waits and no explanation is pending.

    `progress` is called with the number of pieces of work done so far. A picture that cannot be judged is a recorded ERROR.
    Records that are away are waited for. Raises, before anything is judged: BundleError, MethodError, ConfigError (a bundle
    without a promise), SourceError; later: RecordError (a database that is another one than at the start, or refuses for good),
    SourceError (camera or folder lost), and at the end of `once` KizuError for files that are recorded but could not be put
    away. After any of them a new start goes on where this one ended.
    """
    from kizu_inspect.inspector import Inspector  # torch is heavy: not before it is needed

    recipe = station.recipe
    inspector = Inspector.load(recipe, device=runtime.device, max_batch=runtime.max_batch)
    if inspector.model.promise is None and not recipe.allow_no_promise:
        raise ConfigError(
            f"the bundle {recipe.bundle} promises no miss rate",
            found="promise: null (its validation set was too small)",
            expected="a promise, or the recipe's word that none is wanted",
            next_step="Train with more defective parts, or set recipe.allow_no_promise: true.",
        )
    # A stored picture waits for the disk several times; the disk settles many such waits at once.
    with (
        open_intake(station, runtime, once=once, stop=stop) as intake,
        open_publishing(station, records, once=once, stop=stop) as publishing,
        ThreadPoolExecutor(max_workers=min(runtime.max_batch, _STORING_THREADS), thread_name_prefix="kizu-store") as storing,
    ):
        with records.unit() as unit:
            by = f"station {station.id}"
            unit.models.register(inspector.model, by=by)
            recipe_row = unit.recipes.register(station.id, recipe.model_dump(mode="json"), inspector.model.hash, by=by)
        # The network and all that is loaded by now stay: looked through by each full collection they would hold up the line.
        gc.collect()
        gc.freeze()
        line = _Line(station, runtime, inspector, recipe_row, records, image_store, intake, publishing, storing, stop)
        _log.info("started", station=station.id, source=intake.source, model=inspector.model.hash, device=inspector.device)
        try:
            summary = line.run(once=once, stop=stop, progress=progress)
        finally:
            gc.unfreeze()
    _log.info("ended", station=station.id, stopped=stop.is_set(), **summary.as_json())
    return summary


@dataclass(frozen=True)
class _Loaded:
    """A piece of work with its picture in memory, and in the image store."""

    work: Work
    picture: Picture
    sha256: str
    store_ms: float


@dataclass(frozen=True)
class _Unreadable:
    """A piece of work whose picture cannot be had."""

    work: Work
    error: str


class _Line:
    """One run of one station. All but the waiting for the image store happens in the calling thread, a batch at a time."""

    def __init__(
        self,
        station: StationSettings,
        runtime: RuntimeSettings,
        inspector: Inspector,
        recipe_row: RecipeRow,
        records: Records,
        image_store: ImageStore,
        intake: Intake,
        publishing: Publishing,
        storing: Executor,
        stop: threading.Event,
    ) -> None:
        self._station = station
        self._recipe = station.recipe
        self._max_batch = runtime.max_batch
        self._heartbeat = runtime.heartbeat
        self._inspector = inspector
        self._recipe_row = recipe_row
        self._records = records
        self._image_store = image_store
        self._intake = intake
        self._publishing = publishing
        self._patience = Patience(stop, beat=self._beat)
        self._explaining = ExplanationStep(
            inspector,
            runtime,
            self._patience,
            station=station.id,
            recipe_id=recipe_row.id,
            records=records,
            image_store=image_store,
            publishing=publishing,
        )
        self._storing = storing
        self._verdicts: Counter[Verdict] = Counter()
        self._counts: Counter[str] = Counter()
        self._stuck: dict[str, str] = {}
        """Work that is recorded but could not be put away, and why, by its key."""

    def run(self, *, once: bool, stop: threading.Event, progress: Callable[[int], None] | None) -> RunSummary:
        """The loop: verdicts first, then what is left to explain, then wait."""
        started = time.monotonic()
        done = 0
        while not stop.is_set():
            self._beat()
            works = self._intake.take(self._max_batch)
            if works:
                begun = time.perf_counter()
                self._process(works)
                done += len(works)
                if once:  # nobody waits for the next verdict, and what a verdict has left makes a map at the least cost
                    while self._explaining.waiting and not stop.is_set():
                        self._count("explained", *self._explaining.make_idle())
                else:  # maps get as much time as verdicts while pictures wait, so that they hold up none beyond their share
                    self._count("explained", *self._explaining.make_beside(time.perf_counter() - begun))
                if progress is not None:
                    progress(done)
                continue
            if self._explaining.waiting:
                self._count("explained", *self._explaining.make_idle())
                continue
            made, failed = self._explaining.catch_up()
            self._count("pending_made", made, failed)
            if made or failed:
                continue
            if self._intake.ended or (once and not self._intake.waiting):
                break
            self._intake.wait()
        until = time.monotonic() + DRAIN_S
        while self._explaining.waiting and time.monotonic() < until:
            self._count("explained", *self._explaining.make_idle())
        if once and self._stuck and not stop.is_set():
            raise KizuError(
                f"{len(self._stuck)} files are inspected and recorded but could not be put away",
                found=min(self._stuck.values()) + "; and others" * (len(self._stuck) > 1),
                expected="all in the done or quarantine folder",
                next_step="Correct permissions or free space and start again; they will only be moved.",
            )
        return RunSummary(
            verdicts={verdict: self._verdicts[verdict] for verdict in Verdict},
            quarantined=self._counts["quarantined"],
            only_moved=self._counts["only_moved"],
            explained=self._counts["explained"],
            pending_made=self._counts["pending_made"],
            explanations_failed=self._counts["explanations_failed"],
            seconds=time.monotonic() - started,
            device=self._inspector.device,
        )

    def _count(self, name: str, made: int, failed: int) -> None:
        self._counts[name] += made
        self._counts["explanations_failed"] += failed

    def _beat(self) -> None:
        if self._heartbeat is None:
            return
        try:
            self._heartbeat.touch()
        except OSError as error:  # a line that judges goes on; its supervisor sees the old heartbeat
            _log.warning("heartbeat failed", path=str(self._heartbeat), error=error.strerror)

    def _process(self, works: Sequence[Work]) -> None:
        """One batch, through to its rows."""
        pictures: list[tuple[Work, Picture]] = []
        unreadable: list[_Unreadable] = []
        for work in self._without_recorded(works):
            try:
                picture = work.load()
            except ImageError as error:
                unreadable.append(_Unreadable(work, str(error)))
                continue
            if picture is not None:
                pictures.append((work, picture))
        loaded = list(self._storing.map(self._store, pictures))
        if unreadable:
            self._refuse(unreadable)
        if loaded:
            self._judge(loaded)

    def _store(self, one: tuple[Work, Picture]) -> _Loaded:
        work, picture = one
        started = time.perf_counter()
        sha256 = self._patience.kept(lambda: self._image_store.put(picture.data, suffix=picture.suffix))
        return _Loaded(work, picture, sha256, (time.perf_counter() - started) * 1e3)

    def _without_recorded(self, works: Sequence[Work]) -> list[Work]:
        """The work that has no row yet; what has one, from a run that was cut off, is only put away."""
        uids, recorded = self._patience.kept(lambda: self._known(works))
        new = []
        for work in works:
            uid = uids[work.key]
            if uid is None:
                new.append(work)
                continue
            self._counts["only_moved"] += work.key not in self._stuck
            record = recorded[work.key]
            # A row without a picture is that of a file that could not be read.
            error = record.error if record is not None and record.row.image_sha256 is None else None
            _log.info("recorded before; only put away", image=work.name, inspection=uid)
            self._put_away(work, uid, error=error)
        return new

    def _known(self, works: Sequence[Work]) -> tuple[dict[str, str | None], dict[str, InspectionRecord | None]]:
        """By key the uid of each work's inspection, and the records of those that have one."""
        keys = [work.key for work in works]  # which reads the files: not within a transaction
        with self._records.unit(read_only=True) as unit:
            uids = {key: unit.inspections.uid_of(self._intake.source, key) for key in keys}
            return uids, {key: unit.inspections.get(uid) for key, uid in uids.items() if uid is not None}

    def _judge(self, loaded: Sequence[_Loaded]) -> None:
        started = time.perf_counter()
        batch = self._inspector.judge([one.picture.image for one in loaded], names=[one.work.name for one in loaded])
        judge_ms = (time.perf_counter() - started) * 1e3 / len(loaded)
        inspections = [
            self._inspection(one, judgement, judge_ms=judge_ms) for one, judgement in zip(loaded, batch.judgements, strict=True)
        ]
        uids = self._record(inspections)
        for one, uid, inspection in zip(loaded, uids, inspections, strict=True):
            self._report(uid, inspection)
            self._put_away(one.work, uid)
        self._let_explain(batch, uids, inspections)

    def _refuse(self, unreadable: Sequence[_Unreadable]) -> None:
        inspections = [self._error_row(one) for one in unreadable]
        for one, uid, inspection in zip(unreadable, self._record(inspections, refused=True), inspections, strict=True):
            self._counts["quarantined"] += 1
            self._report(uid, inspection)
            self._put_away(one.work, uid, error=one.error)

    def _let_explain(self, batch: JudgedBatch, uids: Sequence[str], inspections: Sequence[NewInspection]) -> None:
        due = {
            index: uids[index]
            for index, inspection in enumerate(inspections)
            if inspection.explanation_state is ExplanationState.PENDING
        }
        if due:
            self._explaining.put(batch, due)

    def _record(self, inspections: Sequence[NewInspection], *, refused: bool = False) -> list[str]:
        """Transaction 1: the rows of one batch, all or none. Returns their uids."""

        def add_all() -> list[str]:
            with self._records.unit() as unit:
                unit.inspections.expect(inspections)
                return [self._add(unit, inspection, refused=refused) for inspection in inspections]

        return self._patience.kept(add_all)

    def _add(self, unit: Unit, inspection: NewInspection, *, refused: bool) -> str:
        try:
            uid = unit.inspections.add(inspection)
        except AlreadyInspected:
            # Another service took the same work meanwhile: the lock lies on a folder, not on a video or a copied station.
            known = unit.inspections.uid_of(inspection.source, inspection.source_key)
            if known is None:
                raise
            return known
        if refused:
            unit.quarantine.add(uid, inspection.judgement.reason)
        self._publishing.add(unit, uid, inspection)
        return uid

    def _inspection(self, one: _Loaded, judgement: Judgement, *, judge_ms: float) -> NewInspection:
        share = self._recipe.audit_share
        may_be_drawn = judgement.verdict is Verdict.PASS and share > 0
        audit = may_be_drawn and drawn_for_audit(self._intake.source, one.work.key, share)
        return replace(
            self._row(one.work, judgement),
            image_sha256=one.sha256,
            model_hash=self._inspector.model.hash,
            device=self._inspector.device,
            timings_ms={**one.picture.timings_ms, "store": one.store_ms, "judge": judge_ms},
            explanation_state=explanation_due(judgement, self._recipe.explanation.policy, audit=audit),
            audit=audit,
            audit_probability=share if may_be_drawn else None,
        )

    def _error_row(self, one: _Unreadable) -> NewInspection:
        return self._row(one.work, Judgement(verdict=Verdict.ERROR, reason=one.error))

    def _row(self, work: Work, judgement: Judgement) -> NewInspection:
        """What is known of a piece of work whatever became of its picture."""
        return NewInspection(
            source=self._intake.source,
            source_key=work.key,
            station=self._station.id,
            part=work.part.part,
            part_generated=work.part.generated,
            view=work.part.view,
            lot=work.part.lot,
            captured_at=work.captured_at,
            judged_at=datetime.now(UTC),
            judgement=judgement,
            image_name=work.name,
            recipe_id=self._recipe_row.id,
            error=judgement.reason if judgement.verdict is Verdict.ERROR else None,
        )

    def _report(self, uid: str, inspection: NewInspection) -> None:
        """Count the decision, and log it in one line."""
        judgement = inspection.judgement
        self._verdicts[judgement.verdict] += 1
        log = _log.error if judgement.verdict is Verdict.ERROR else _log.info
        log(
            "inspected",
            inspection=uid,
            part=inspection.part,
            view=inspection.view,
            verdict=judgement.verdict.value,
            reason=judgement.reason,
            score=judgement.score,
            image=inspection.image_name,
        )

    def _put_away(self, work: Work, uid: str, *, error: str | None = None) -> None:
        """Move the file of recorded work; where that fails it is tried again later, or by the next start."""
        try:
            if error is None:
                work.inspected()
            else:
                work.refused(error, inspection=uid)
        except OSError as failure:
            _log.error("recorded but not put away", inspection=uid, image=work.name, error=str(failure))
            self._stuck[work.key] = str(failure)
            self._intake.postpone(work)
        else:
            self._stuck.pop(work.key, None)
