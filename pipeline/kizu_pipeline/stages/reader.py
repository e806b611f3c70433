"""The first stage: takes what the source has, decodes it, and has it brought into the image store."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from typing import Final

import structlog

from kizu_inspect.errors import ImageError, RecordsAway
from kizu_pipeline.sources import Picture, Work
from kizu_pipeline.stages.around import Around
from kizu_pipeline.stages.attempts import MAX_ATTEMPTS
from kizu_pipeline.stages.conveyor import Conveyor
from kizu_pipeline.stages.items import Items, Loaded, Storing, Unreadable
from kizu_pipeline.stages.putting_away import Row

__all__ = ["Reader"]

BATCH_BYTES: Final = 256_000_000
"""A batch whose pictures take as much in memory is not filled further."""

_log = structlog.get_logger("kizu.line")


class Reader:
    """Batches of loaded pictures, in the order in which the source gives them."""

    def __init__(self, around: Around) -> None:
        self._around = around
        self._intake = around.intake
        self._putting_away = around.putting_away
        self._attempts = around.attempts
        self._decoding_threads = around.runtime.decoders
        self._max_batch = around.runtime.max_batch
        self.only_moved = 0
        """Pieces of work that had their row already, from a run that was cut off."""
        self._first_looked_s = math.inf
        """When the source was looked at for the first time (monotonic)."""
        self.busy = False
        """Whether pictures were taken and are not all handed over: one will come soon."""

    def run(self, out: Conveyor[Items], *, once: bool) -> None:
        """Until `stop`, the source's end, or with `once` until nothing waits."""
        works_for = self._around.pulse.works_for, (threading.current_thread().name,)
        with (
            ThreadPoolExecutor(1, "kizu-store", *works_for) as storing,
            ThreadPoolExecutor(self._decoding_threads, "kizu-decode", *works_for) as decoding,
        ):
            try:
                while not self._around.stop.is_set():
                    self._around.pulse.beat()
                    waited = self._intake.waiting
                    works = self._intake.take(self._max_batch)
                    self._first_looked_s = min(self._first_looked_s, time.monotonic())
                    self.busy = bool(works)
                    new = self._without_recorded(works)
                    self._around.views.looked(self._intake.taken_until_s)
                    if works:
                        for items in self._batches(new, decoding, storing):
                            out.put(items)
                        continue
                    waited = waited or self._intake.waiting or self._around.views.open
                    if self._intake.ended or (once and not waited):
                        break
                    self._around.pulse.ends()  # waiting is no work that could hang
                    self._intake.wait()
            finally:
                out.end()

    def _without_recorded(self, works: Sequence[Work]) -> list[Work]:
        """The work that has no row yet; what has one, from a run that was cut off, is only put away."""
        if not works:
            return []
        recorded = self._looked_up(works)
        new = []
        for work in works:
            if (row := recorded.get(work.key)) is None:
                new.append(work)
                self._around.views.expects(work)
                continue
            uid, error = row
            self.only_moved += work.key not in self._putting_away.stuck
            _log.info("recorded before; only put away", image=work.name, inspection=uid)
            self._putting_away.put_away(work, uid, error=error)
            self._attempts.done([work.key])
        return new

    def _looked_up(self, works: Sequence[Work]) -> dict[str, Row]:
        """The rows of those of these pieces of work that have one, by key.

        While the records are away those that are known without them; what came since the start has no other.
        """
        around, spool, keys = self._around, self._around.spool, [work.key for work in works]
        if spool is None:
            return around.patience.kept(lambda: self._recorded(keys))
        if not spool.active:
            try:
                with around.state.asking_records():
                    return self._recorded(keys)
            except RecordsAway as error:
                spool.refused(error)
        known = self._putting_away.known(keys) | around.patience.kept(lambda: spool.known(keys))
        if old := [work.key for work in works if work.key not in known and work.seen_s <= self._first_looked_s]:
            # It lay there at the start, perhaps with its row, and the line's control has heard of it: only the records know.
            return known | around.patience.kept(lambda: self._recorded(old))
        return known

    def _recorded(self, keys: Sequence[str]) -> dict[str, Row]:
        with self._around.records.unit(read_only=True, prompt=self._around.spool is not None) as unit:
            uids = unit.inspections.uids_of(self._intake.source, keys)
            records = {key: unit.inspections.get(uid) for key, uid in uids.items()}
        # A row without a picture is that of a file that could not be read.
        return {
            key: (uid, record.error if (record := records[key]) is not None and record.row.image_sha256 is None else None)
            for key, uid in uids.items()
        }

    def _batches(self, works: Sequence[Work], decoding: Executor, storing: Executor) -> Iterator[Items]:
        """Loaded. What was in work when the program last ended is in work alone: the next end tells whose it was."""
        together: list[Work] = []
        for work in works:
            if not (before := self._attempts.of(work.key)):
                together.append(work)
                continue
            yield from self._loaded(together, decoding, storing)
            together = []
            if before < MAX_ATTEMPTS:
                self._wait_until_alone()
                yield from self._loaded([work], decoding, storing)
                self._wait_until_alone()
            else:
                error = ImageError(
                    "picture may have ended the program", found=f"{before} times in work when it did",
                    expected="a picture that it outlives", next_step="Tell the makers, with this file.",
                )  # fmt: skip
                yield (Unreadable(work, str(error)),)
        yield from self._loaded(together, decoding, storing)

    def _wait_until_alone(self) -> None:
        self._around.pulse.ends()
        self._attempts.wait_until_none(self._around.stop)
        self._around.pulse.beat()

    def _loaded(self, works: Sequence[Work], decoding: Executor, storing: Executor) -> Iterator[Items]:
        if not works:
            return
        self._attempts.begin([work.key for work in works])
        items: list[Loaded | Unreadable] = []
        held_bytes = 0
        for work, picture in self._decoded(works, decoding):
            if picture is None:
                self._around.views.forget(work)
                self._intake.finished(work)
                self._attempts.done([work.key])
            elif isinstance(picture, ImageError):
                items.append(Unreadable(work, str(picture)))
            else:
                items.append(Loaded(work, picture))
                held_bytes += picture.image.nbytes
                if held_bytes >= BATCH_BYTES:
                    yield self._storing(items, storing)
                    items, held_bytes = [], 0
        if items:
            yield self._storing(items, storing)

    def _storing(self, items: Sequence[Loaded | Unreadable], storing: Executor) -> Items:
        """The batch, whose pictures go into the image store while it is judged."""
        pictures = [item.picture for item in items if isinstance(item, Loaded)]
        if self._around.state.drops_passed or not pictures:
            return tuple(items)
        together = Storing(storing.submit(self._stored, pictures))
        places = count()
        return tuple(
            replace(item, storing=together, place=next(places)) if isinstance(item, Loaded) else item for item in items
        )

    def _stored(self, pictures: Sequence[Picture]) -> tuple[Sequence[str], float]:
        """Their names, and a picture's share of the time (ms)."""
        started, files = time.perf_counter(), [(picture.data, picture.suffix) for picture in pictures]
        names = self._around.patience.kept(lambda: self._around.image_store.put_all(files))
        return names, (time.perf_counter() - started) * 1e3 / len(pictures)

    def _decoded(self, works: Sequence[Work], decoding: Executor) -> Iterator[tuple[Work, Picture | ImageError | None]]:
        """Each with its picture, in order; only a few are decoded ahead, for a picture may be large."""
        ahead: deque[tuple[Work, Future[Picture | ImageError | None]]] = deque()
        for work in works:
            ahead.append((work, decoding.submit(self._load, work)))
            if len(ahead) > self._decoding_threads:
                first, future = ahead.popleft()
                yield first, future.result()
        for work, future in ahead:
            yield work, future.result()

    def _load(self, work: Work) -> Picture | ImageError | None:
        try:
            return work.load(self._around.decoders.decode)
        except ImageError as error:
            return error
