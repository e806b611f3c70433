"""The stage after the verdict: rows, log, and the files put away."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from kizu_db.recordable import require_recordable
from kizu_db.uid import new_uid
from kizu_db.values import ExplanationState, NewInspection
from kizu_inspect.errors import RecordRefused, RecordsAway
from kizu_inspect.results import Judgement, Verdict
from kizu_pipeline.policy import drawn_for_audit, explanation_due, picture_may_go
from kizu_pipeline.sources import Picture, Work
from kizu_pipeline.spool import Batch
from kizu_pipeline.stages.around import Around
from kizu_pipeline.stages.conveyor import Conveyor
from kizu_pipeline.stages.items import Items, JudgedItems, Loaded, Unreadable
from kizu_pipeline.stages.judge import Judge
from kizu_pipeline.stages.part_state import Change
from kizu_pipeline.stages.writing import NO_PICTURE, add_parts, add_row, recorded_as_error

if TYPE_CHECKING:
    from kizu_inspect.judged import JudgedBatch

__all__ = ["Recorder"]

_log = structlog.get_logger("kizu.line")

Due = tuple["JudgedBatch", dict[int, str]]
"""A batch, and the inspections of those of its pictures that are to be explained, by their index."""

Recorded = tuple[list[str], list[NewInspection], Change]
"""The uids of rows, the rows as they were recorded, and what becomes of their parts."""


class Recorder:
    """Transaction 1 of every batch, in the order of arrival."""

    def __init__(
        self,
        around: Around,
        judge: Judge,
        *,
        let_explain: Callable[[Due], None],
        progress: Callable[[int], None],
    ) -> None:
        self._around = around
        self._recipe = around.station.recipe
        self._recipe_id = judge.recipe.id
        """Of the batch that is being recorded, or was last."""
        self._source = around.intake.source
        self._model_hash = judge.inspector.model.hash
        self._device = judge.inspector.device
        self._let_explain = let_explain
        self._progress = progress
        self.verdicts: Counter[Verdict] = Counter()
        self.quarantined = 0
        self.done = 0
        """Pieces of work that have their rows."""
        self.batches = 0
        """Batches that were recorded, put away, and handed on to be explained."""

    def run(self, judged: Conveyor[JudgedItems]) -> None:
        """Until nothing more comes."""
        try:
            while not judged.ended:
                if (items := judged.get()) is not None:
                    self.record(items)
                    self.batches += 1
                self._record_missing()
        finally:
            judged.end()  # after a failure nobody is to wait for room

    def record(self, judged: JudgedItems) -> None:
        """One batch: its pictures, then its rows, then its files, then what of it is to be explained."""
        self._recipe_id = judged.recipe_id
        news: list[NewInspection] = []
        index = 0
        at: list[int | None] = []
        for item in judged.items:
            if isinstance(item, Loaded):
                judgement = Judgement(verdict=Verdict.ERROR, reason=judged.error or "not judged")
                if judged.batch is not None:
                    judgement = judged.batch.judgements[index]
                news.append(self._inspection(item, judgement, judge_ms=judged.judge_ms))
                at.append(index)
                index += 1
            else:
                news.append(self._row(item.work, Judgement(verdict=Verdict.ERROR, reason=item.error)))
                at.append(None)
        views, signal = self._around.views, self._around.signal
        news = self._stored(judged.items, [signal.timely(views.known(new)) for new in news])
        rows = self._recorded_whole(judged.items, news)
        self._around.attempts.done([item.work.key for item in judged.items])
        self.done += len(rows)
        due = {
            number: uid
            for number, (uid, new) in zip(at, rows, strict=True)
            if number is not None and new.explanation_state is ExplanationState.PENDING
        }
        if due and judged.batch is not None and not self._around.spooling:  # else they are made once their rows are recorded
            self._let_explain((judged.batch, due))
        self._progress(self.done)

    def _stored(self, items: Items, news: Sequence[NewInspection]) -> list[NewInspection]:
        """Their pictures are in the image store now, or where the disk is nearly full their rows say that they are not."""
        loaded = {index: item for index, item in enumerate(items) if isinstance(item, Loaded)}
        stored = list(news)
        for index, item in loaded.items():
            if item.storing is not None:
                names, share_ms = item.storing.waited_for(beat=self._around.pulse.beat)
                timings_ms = {**news[index].timings_ms, "store": share_ms}
                stored[index] = replace(news[index], image_sha256=names[item.place], timings_ms=timings_ms)
        if waiting := {index: item.picture for index, item in loaded.items() if item.storing is None}:
            held = None if self._around.spooling else self._around.patience.kept(self._held_lots)
            for index, picture in waiting.items():
                stored[index] = self._kept(picture, news[index], held)
        return stored

    def _kept(self, picture: Picture, new: NewInspection, held_lots: Collection[str] | None) -> NewInspection:
        """Whether the picture is worth its place is known with its verdict; not, where nobody can tell which lots are held."""
        if held_lots is not None and picture_may_go(new, held_lots):
            self._around.state.count("pictures_not_kept")
            return replace(new, image_sha256=hashlib.sha256(picture.data).hexdigest(), image_kept=False)
        store = self._around.image_store
        sha256 = self._around.patience.kept(lambda: store.put(picture.data, suffix=picture.suffix))
        return replace(new, image_sha256=sha256)

    def _held_lots(self) -> set[str]:
        with self._around.records.unit(read_only=True, prompt=self._around.spool is not None) as unit:
            return {held.name for held in unit.lots.held()}

    def _recorded_whole(self, items: Items, news: Sequence[NewInspection]) -> list[tuple[str, NewInspection]]:
        """Record the batch and put it away: its uids and rows. Refused for what is in it, one at a time; then as an ERROR."""
        try:
            uids, rows, change = self._recorded(news)
        except RecordRefused as refusal:
            if len(items) > 1:
                return [one for item, new in zip(items, news, strict=True) for one in self._recorded_whole((item,), [new])]
            uids, rows, change = self._recorded_refused(items[0], news[0], refusal)
        for item, uid, new in zip(items, uids, rows, strict=True):
            self._report(uid, new)
            self._around.state.judged(item.work, new)
            loaded = isinstance(item, Loaded)
            self.quarantined += not loaded
            self._around.putting_away.put_away(item.work, uid, error=None if loaded else new.judgement.reason)
        self._around.views.keep(change)
        return list(zip(uids, rows, strict=True))

    def _recorded_refused(
        self, item: Loaded | Unreadable | None, new: NewInspection, refusal: RecordRefused, *, missing: bool = False
    ) -> Recorded:
        """As an ERROR, of which a person can see the picture; its part knows it whatever names the row has."""
        self._around.state.count("rows_refused")
        _log.error(
            "row refused; it is recorded as ERROR", part=new.part, verdict=new.judgement.verdict.value, error=str(refusal)
        )
        if isinstance(item, Loaded) and not new.image_kept:
            new = self._kept(item.picture, replace(new, image_kept=True), None)
        _, recorded = recorded_as_error(new, refusal, lambda row: self._recorded([row], missing=missing, named=new))
        return recorded

    def _recorded(
        self, news: Sequence[NewInspection], *, missing: bool = False, named: NewInspection | None = None
    ) -> Recorded:
        """Transaction 1: the rows of one batch, all or none, and what they decide of their parts.

        `missing` are rows of views that did not come; `named` has the names by which the part knows a single one. Raises
        RecordRefused for what is in them.
        """
        around, spool = self._around, self._around.spool
        uids = [new_uid() for _ in news]  # the same for records and spool: a commit may be kept though its answer was lost

        def after(uids: Sequence[str], rows: Sequence[NewInspection]) -> Change:
            if named is not None:
                rows = [replace(row, part=named.part, view=named.view, lot=named.lot) for row in rows]
            return around.views.after(list(zip(uids, rows, strict=True)), missing=missing)

        def add_all() -> Recorded:
            with around.records.unit(prompt=spool is not None) as unit:
                unit.inspections.expect(news)
                timely = [around.signal.timely(new) for new in news]
                added = [add_row(around, unit, new, uid) for new, uid in zip(timely, uids, strict=True)]
                known = [uid for uid, _ in added]
                change = after(known, timely)
                if any(is_new for _, is_new in added):  # else this was committed before, and its answer was lost
                    add_parts(around, unit, change.judged)
                return known, timely, change

        def keep() -> Recorded | None:
            """In the spool; None where the records are to be asked."""
            if spool is None or not spool.active:
                return None
            timely = [around.signal.timely(new) for new in news]
            for new in timely:
                require_recordable(new)  # before the line's control hears of it: the records will see it later
            change = after(uids, timely)
            if not spool.keep(Batch(tuple(uids), tuple(timely), change.judged)):
                return None
            around.state.count("spooled", len(uids))
            return uids, timely, change

        while spool is not None:
            if (kept := around.patience.kept(keep)) is not None:
                return kept
            try:
                with around.state.asking_records():
                    return add_all()
            except RecordsAway as error:
                spool.refused(error)
        return around.patience.kept(add_all)

    def _record_missing(self) -> None:
        """Rows for the views that did not come while their parts waited, and with them the verdicts of these parts."""
        overdue = self._around.views.overdue()
        if not overdue:
            return
        now = datetime.now(UTC)
        news = [
            NewInspection(
                source=self._source,
                source_key=f"missing|{part.rows[0].uid}|{view}",
                station=self._around.station.id,
                part=part.part,
                view=view,
                lot=part.lot,
                captured_at=now,
                judged_at=now,
                judgement=Judgement(verdict=Verdict.ERROR, reason=(reason := self._around.views.why_missing(view))),
                image_name=NO_PICTURE,
                recipe_id=self._recipe_id,
                error=reason,
            )
            for part, missing in overdue
            for view in missing
        ]
        self._recorded_missing(news)

    def _recorded_missing(self, news: Sequence[NewInspection]) -> None:
        """Record them; refused for what is in them, one at a time."""
        try:
            uids, rows, change = self._recorded(news, missing=True)
        except RecordRefused as refusal:
            if len(news) > 1:
                for new in news:
                    self._recorded_missing([new])
                return
            uids, rows, change = self._recorded_refused(None, news[0], refusal, missing=True)
        for uid, new in zip(uids, rows, strict=True):
            self._report(uid, new)
            self._around.state.missing(new)
        self._around.views.keep(change)

    def _inspection(self, one: Loaded, judgement: Judgement, *, judge_ms: float) -> NewInspection:
        share = self._recipe.audit_share
        may_be_drawn = judgement.verdict is Verdict.PASS and share > 0
        audit = may_be_drawn and drawn_for_audit(self._source, one.work.key, share)
        return replace(
            self._row(one.work, judgement),
            model_hash=self._model_hash,
            device=self._device,
            timings_ms={**one.picture.timings_ms, "judge": judge_ms},
            explanation_state=explanation_due(judgement, self._recipe.explanation.policy, audit=audit),
            audit=audit,
            audit_probability=share if may_be_drawn else None,
            measured=judgement.measured or None,
        )

    def _row(self, work: Work, judgement: Judgement) -> NewInspection:
        """What is known of a piece of work whatever became of its picture."""
        return NewInspection(
            source=self._source,
            source_key=work.key,
            station=self._around.station.id,
            part=work.part.part,
            part_generated=work.part.generated,
            view=work.part.view,
            lot=work.part.lot,
            captured_at=work.captured_at,
            judged_at=datetime.now(UTC),
            judgement=judgement,
            image_name=work.name,
            recipe_id=self._recipe_id,
            error=judgement.reason if judgement.verdict is Verdict.ERROR else None,
        )

    def _report(self, uid: str, new: NewInspection) -> None:
        """Tell the line and the log of the decision, and count it."""
        self._around.views.decided(uid, new)
        judgement = new.judgement
        self.verdicts[judgement.verdict] += 1
        log = _log.error if judgement.verdict is Verdict.ERROR else _log.info
        log(
            "inspected",
            inspection=uid,
            part=new.part,
            view=new.view,
            verdict=judgement.verdict.value,
            reason=judgement.reason,
            score=judgement.score,
            image=new.image_name,
        )
