"""The line's service: take, judge, record, put away, explain, in the order that loses nothing.

    picture into the image store ─▶ transaction 1 (inspection, event, map pending) ─▶ file to done/ ─▶ transaction 2 (map)

While the disk is nearly full the picture is stored after its verdict, or, of a part that passes, not at all.

Killed at any instant, the next start finds each file either without a row (it is judged) or with one (it is only put away).
"""

from __future__ import annotations

import gc
import math
import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from kizu_db.image_store import ImageStore
from kizu_db.records import Records
from kizu_inspect.errors import ConfigError, KizuError
from kizu_inspect.results import Verdict
from kizu_pipeline.decoders import DecoderPool, memory_mb_for
from kizu_pipeline.explaining import ExplanationStep
from kizu_pipeline.line_signal.station_signal import open_signal
from kizu_pipeline.observing.observe import Observer, observe
from kizu_pipeline.patience import Patience
from kizu_pipeline.publishing.station import open_publishing
from kizu_pipeline.settings import RuntimeSettings, StationSettings
from kizu_pipeline.sources import open_intake
from kizu_pipeline.sources.base import Queue
from kizu_pipeline.spool import open_spool
from kizu_pipeline.stages.around import Around
from kizu_pipeline.stages.attempts import Attempts
from kizu_pipeline.stages.conveyor import Conveyor, Pulse, Stage
from kizu_pipeline.stages.items import Items, JudgedItems
from kizu_pipeline.stages.judge import Judge, judged
from kizu_pipeline.stages.limits import LimitsWatch, open_limits
from kizu_pipeline.stages.putting_away import PuttingAway
from kizu_pipeline.stages.reader import Reader
from kizu_pipeline.stages.recorder import Due, Recorder
from kizu_pipeline.stages.views import PartViews
from kizu_pipeline.stages.writing import record_spooled
from kizu_pipeline.summary import RunSummary

__all__ = ["run_station"]

_TURN_S: Final = 0.2
_DUE_S: Final = 1.0
"""How often what is pending in the records is asked for while no picture comes."""

_log = structlog.get_logger("kizu.line")


def run_station(
    station: StationSettings,
    runtime: RuntimeSettings,
    records: Records,
    image_store: ImageStore,
    *,
    once: bool,
    stop: threading.Event,
    progress: Callable[[int], None] = lambda _done: None,
    started: Callable[[], None] = lambda: None,
) -> RunSummary:
    """Judge what the station's source gives, until `stop`; with `once`, until no picture waits and no explanation is pending.

    `progress` is called with the number of pieces of work that have their rows, from a thread of the line;
    `started` once, when the model is loaded and the source is open.
    A picture that cannot be judged is a recorded ERROR.
    Records that are away are waited for, with `once` for `runtime.once_waits_s`. Raises, before anything is judged:
    BundleError, MethodError, ConfigError (a bundle without a promise), SourceError; later: RecordError (a database that is
    another one than at the start, refuses for good, or with `once` was away too long), SourceError (camera or folder lost),
    and at the end of `once` KizuError for files that are recorded but could not be put away. After any of them a new start
    goes on where this one ended.
    """
    watched = observe(station.id, runtime, stop, images=image_store.path, database=records.file)
    with watched as observer:
        return _run(station, runtime, records, image_store, observer, once=once, stop=stop, progress=progress, started=started)


def _run(
    station: StationSettings,
    runtime: RuntimeSettings,
    records: Records,
    image_store: ImageStore,
    observer: Observer,
    *,
    once: bool,
    stop: threading.Event,
    progress: Callable[[int], None],
    started: Callable[[], None],
) -> RunSummary:
    # Threads that wait by turning take the cores that decoding, recording and the dashboard need: beside two busy programs the
    # same line judged 30 pictures a second instead of 130. OpenMP reads this when torch loads it.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from kizu_inspect.inspector import Inspector  # torch is heavy: not before it is needed

    recipe = station.recipe
    inspector = Inspector.load(recipe, device=runtime.device, max_batch=runtime.max_batch, parallel=True)
    if inspector.model.promise is None and not recipe.allow_no_promise:
        raise ConfigError(
            f"the bundle {recipe.bundle} promises no miss rate",
            found="promise: null (its validation set was too small)",
            expected="a promise, or the recipe's word that none is wanted",
            next_step="Train with more defective parts, or set recipe.allow_no_promise: true.",
        )
    memory_mb = runtime.decoder_mb or memory_mb_for(recipe.max_megapixels)
    with (
        DecoderPool(runtime.decoders, memory_mb=memory_mb) as decoders,
        open_signal(station, records) as signal,
        observer.watching(
            open_intake(station, runtime, once=once, stop=stop, bits=inspector.bits, triggers=signal.triggers)
        ) as intake,
        open_publishing(station, records, once=once, stop=stop, state=observer.state) as publishing,
        open_spool(station.id, runtime, image_store, observer.state) as spool,
    ):
        limits = open_limits(station, records, inspector)
        # The network and all that is loaded by now stay: looked through by each full collection they would hold up the line.
        gc.collect()
        gc.freeze()
        pulse = Pulse(runtime.heartbeat, told=observer.state.turned)
        attempts = Attempts(intake.folder)
        around = Around(
            station=station,
            runtime=runtime,
            records=records,
            image_store=image_store,
            intake=intake,
            decoders=decoders,
            publishing=publishing,
            signal=signal,
            state=observer.state,
            stop=stop,
            pulse=pulse,
            patience=Patience(
                stop,
                beat=pulse.beat,
                away=attempts.forgive,
                state=observer.state,
                most_s=runtime.once_waits_s if once else math.inf,
            ),
            putting_away=PuttingAway(intake),
            attempts=attempts,
            views=PartViews(station, signal),
            spool=None if once or not runtime.spool_rows else spool,
        )
        with records.unit(read_only=True) as unit:
            spool.begin(unit.trail.root() or "")
        spool.record(partial(record_spooled, around), ended=stop.is_set)  # what the last run had to leave
        signal.spooled_while(lambda: spool.active)
        around.views.restore(records)
        line = _Line(around, limits, progress)
        _log.info(
            "started", station=station.id, source=intake.source, model=inspector.model.hash, device=inspector.device,
            recipe_version=limits.judge.recipe.version,
        )  # fmt: skip
        started()
        signal.ready()
        try:
            summary = line.run(once=once)
        finally:
            gc.unfreeze()
    _log.info("ended", station=station.id, stopped=stop.is_set(), **summary.as_json())
    return summary


class _Line:
    """One run of one station: a thread reads, one records, and the calling one judges and explains."""

    def __init__(self, around: Around, limits: LimitsWatch, progress: Callable[[int], None]) -> None:
        self._around = around
        self._limits = limits
        self._judge_is = judge = limits.judge
        self._stop = around.stop
        self._pulse = around.pulse
        self._loaded: Conveyor[Items] = Conveyor(1, around.pulse)
        self._judged: Conveyor[JudgedItems] = Conveyor(1, around.pulse)
        self._due: queue.SimpleQueue[Due] = queue.SimpleQueue()
        self._reader = Reader(around)
        self._recorder = Recorder(around, judge, let_explain=self._due.put, progress=progress)
        self._explaining = ExplanationStep(around, judge)
        state = around.state
        state.watch_queues("maps", self._explaining.queues)
        state.watch_queues("line", lambda: {"loaded": Queue(self._loaded.depth), "judged": Queue(self._judged.depth)})
        model, self._device = judge.inspector.model.hash, judge.inspector.device
        state.running(model=model, device=self._device, recipe=judge.recipe.id, source=around.intake.source)
        self._handed_over = 0
        """Batches that were given to the recorder."""
        self._look_again = 0.0
        self._counts: Counter[str] = Counter()

    def run(self, *, once: bool) -> RunSummary:
        """Verdicts first, then what is left to explain, then wait."""
        started = time.monotonic()
        reader, recorder = (
            Stage(name, work, pulse=self._pulse, stop=self._stop)
            for name, work in (
                ("kizu-read", lambda: self._reader.run(self._loaded, once=once)),
                ("kizu-record", lambda: self._recorder.run(self._judged)),
            )
        )
        recorded = threading.Event()
        watch = partial(self._limits.run, recorded, asks=lambda: not self._around.spooling)
        others = [reader, recorder, Stage("kizu-limits", watch, pulse=self._pulse, stop=self._stop)]
        if (spool := self._around.spool) is not None:
            work = partial(
                spool.run,
                self._around.records,
                partial(record_spooled, self._around),
                ended=recorded,
                drain_s=self._around.runtime.drain_s,
            )
            others.append(Stage("kizu-spool", work, pulse=self._pulse, stop=self._stop))
        failed = True
        try:
            self._judge(once=once)
            self._around.signal.stopping()
            self._judged.end()
            self._finish(recorder, once=once)
            failed = False
        except BaseException:  # Ctrl-C too: the other threads are to end; it is raised again
            self._stop.set()
            raise
        finally:
            self._loaded.end()
            self._judged.end()
            for stage in (reader, recorder):
                stage.join()
            recorded.set()
            for stage in others:
                stage.join()
            self._pulse.ends()
            if failed or any(stage.failure is not None for stage in others):
                self._around.attempts.forgive()  # what is told is no picture's doing; what ends the program says nothing
        for stage in others:
            if stage.failure is not None:
                raise stage.failure
        self._around.attempts.close()
        if once and (stuck := self._around.putting_away.stuck) and not self._stop.is_set():
            raise KizuError(
                f"{len(stuck)} files are inspected and recorded but could not be put away",
                found=min(stuck.values()) + "; and others" * (len(stuck) > 1),
                expected="all in the done or quarantine folder",
                next_step="Correct permissions or free space and start again; they will only be moved.",
            )
        return RunSummary(
            verdicts={verdict: self._recorder.verdicts[verdict] for verdict in Verdict},
            quarantined=self._recorder.quarantined,
            only_moved=self._reader.only_moved,
            explained=self._counts["explained"],
            pending_made=self._counts["pending_made"],
            explanations_failed=self._counts["explanations_failed"],
            seconds=time.monotonic() - started,
            device=self._device,
        )

    def _judge(self, *, once: bool) -> None:
        """Until the reader has nothing more."""
        while not self._loaded.ended:
            items = self._loaded.get(wait=self._reader.busy or not self._explaining.waiting)
            if items is None:
                self._judge_now()
                if once or not self._reader.busy:
                    self._make_idle()
                continue
            begun = time.perf_counter()
            for part in judged(self._judge_now(), items):
                self._handed_over += self._judged.put(part)
            self._take_due()
            if self._around.spooling:  # a map can only be recorded behind its inspection
                self._explaining.let_go()
            elif once:  # nobody waits for the next verdict, and what a verdict has left makes a map at the least cost
                while self._explaining.waiting and not self._stop.is_set():
                    self._count("explained", *self._explaining.make_idle())
            else:  # maps get as much time as verdicts while pictures wait, so that they hold up none beyond their share
                self._count("explained", *self._explaining.make_beside(time.perf_counter() - begun))

    def _judge_now(self) -> Judge:
        """By whom the next batch is judged: between two of them limits are taken that somebody chose."""
        judge = self._limits.judge
        if judge is not self._judge_is:
            self._judge_is = judge
            self._explaining.judge_is(judge)
            self._limits.took(judge)
            self._around.state.limits_taken(judge.recipe.id)
        return judge

    def _make_idle(self) -> bool:
        """Make some maps while no picture waits; whether there were any."""
        if self._around.spooling:
            return False
        settled = self._recorder.batches == self._handed_over
        self._take_due()
        if self._explaining.waiting:
            self._count("explained", *self._explaining.make_idle())
            return True
        # What was just recorded is pending too, and comes from the recorder.
        if not settled or time.monotonic() < self._look_again:
            return False
        made, failed = self._explaining.catch_up()
        self._count("pending_made", made, failed)
        if made or failed:
            return True
        self._look_again = time.monotonic() + _DUE_S
        return False

    def _finish(self, recorder: Stage, *, once: bool) -> None:
        """Let the recorder end, and make the maps: all of them, or where the service is to stop for so long as it may.

        Raises RecordsAway where with `once` the pending ones cannot be had for too long.
        """
        self._look_again = 0.0
        until = time.monotonic() + self._around.runtime.drain_s
        while True:
            self._pulse.beat()
            running = recorder.running
            if self._stop.is_set():
                self._take_due()
                if self._explaining.waiting and time.monotonic() < until and not self._around.spooling:
                    self._count("explained", *self._explaining.make_idle())
                    continue
            elif self._make_idle():
                continue
            if not running:
                if not once or self._stop.is_set() or not self._explaining.must_wait():
                    return
                self._look_again = 0.0
            recorder.join(timeout_s=_TURN_S)

    def _take_due(self) -> None:
        while True:
            try:
                batch, uids = self._due.get_nowait()
            except queue.Empty:
                return
            self._explaining.put(batch, uids)

    def _count(self, name: str, made: int, failed: int) -> None:
        self._counts[name] += made
        self._counts["explanations_failed"] += failed
