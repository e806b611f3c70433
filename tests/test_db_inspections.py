"""Inspections, recorded and found again, on both databases."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from threading import Barrier, Thread
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from db_examples import NOON, explanation, inspection, judgement, model, raw, review
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings
from kizu_db.values import ExplanationState, InspectionRow
from kizu_inspect.errors import AlreadyInspected, RecordError
from kizu_inspect.results import RegionCheck, Verdict


def test_a_record_comes_back_as_it_was_written(records: Records) -> None:
    new = inspection(
        view="top",
        lot="L7",
        part_generated=True,
        image_sha256="cd" * 32,
        model_hash=model().hash,
        device="cpu",
        timings_ms={"decode": 3.5, "classify": 11.25},
        explanation_state=ExplanationState.PENDING,
        audit=True,
        audit_probability=0.01,
    )
    with records.unit() as unit:
        unit.models.register(model())
        recipe = unit.recipes.register("press-3", {"bundle": "bundles/plates"}, model().hash)
        uid = unit.inspections.add(replace(new, recipe_id=recipe.id))
    with records.unit(read_only=True) as unit:
        found = unit.inspections.get(uid)
        assert unit.inspections.uid_of(new.source, new.source_key) == uid
    assert found is not None
    assert found.row == InspectionRow(
        number=found.row.number,
        uid=uid,
        part=new.part,
        part_generated=True,
        view="top",
        lot="L7",
        station="press-3",
        captured_at=new.captured_at,
        judged_at=new.judged_at,
        verdict=Verdict.REJECT,
        reason=new.judgement.reason,
        predicted="scratch",
        target="scratch",
        score=0.875,
        image_sha256="cd" * 32,
        image_pruned_at=None,
        model_hash=model().hash,
        explanation_state=ExplanationState.PENDING,
        audit=True,
        disposition=None,
        has_heatmap=False,
        explanation_conflict=False,
    )
    assert list(found.probabilities.items()) == [("scratch", 0.75), ("good", 0.125), ("dent", 0.125)]
    assert (found.width_px, found.height_px, found.device) == (160, 120, "cpu")
    assert (found.source, found.source_key, found.image_name) == (new.source, new.source_key, new.image_name)
    assert found.timings_ms == {"decode": 3.5, "classify": 11.25}
    assert found.audit_probability == 0.01
    assert found.model is not None
    assert found.model.classes == ("good", "scratch", "dent")
    assert found.recipe == recipe
    assert (found.explanation, found.explanation_error, found.reviews, found.error) == (None, None, (), None)


def test_an_image_that_could_not_be_judged_has_its_row(records: Records) -> None:
    with records.unit() as unit:
        uid = unit.inspections.add(inspection(Verdict.ERROR, error="cannot identify image file"))
        found = unit.inspections.get(uid)
    assert found is not None
    assert (found.row.verdict, found.error) == (Verdict.ERROR, "cannot identify image file")
    assert (found.row.score, found.row.predicted, dict(found.probabilities)) == (None, None, {})
    assert (found.model, found.recipe, found.width_px) == (None, None, None)


def test_a_piece_of_work_has_one_inspection(records: Records, database: DatabaseSettings) -> None:
    first = inspection()
    with records.unit() as unit:
        unit.inspections.add(first)
    with records.unit() as unit:
        with pytest.raises(AlreadyInspected, match="was inspected before"):
            unit.inspections.add(replace(first, judgement=judgement(Verdict.PASS)))
        # The unit is still of use, and another source may use the same key.
        unit.inspections.add(replace(first, source="folder other"))
    with raw(database) as connection:
        assert connection.scalar(text("SELECT count(*) FROM inspection")) == 2


def test_two_programs_at_once_record_a_piece_of_work_once(records: Records) -> None:
    work = [inspection(part="P-shared") for _ in range(10)]
    barrier = Barrier(2)
    refused: list[str] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            for new in work:
                barrier.wait()
                try:
                    with records.unit() as unit:
                        unit.inspections.add(new)
                except AlreadyInspected:
                    refused.append(new.source_key)
        except Exception as exc:  # noqa: BLE001 - handed to the test's own thread
            failed.append(exc)
            barrier.abort()

    threads = [Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert sorted(refused) == sorted(new.source_key for new in work)
    with records.unit() as unit:
        assert len(unit.inspections.latest()) == len(work)


def test_programs_that_add_the_same_new_parts_in_other_orders_do_not_block_each_other(records: Records) -> None:
    barrier = Barrier(2)
    failed: list[Exception] = []

    def run(order: int) -> None:
        try:
            for number in range(12):
                batch = [inspection(part=f"P-{number}-{n}", lot=f"L{n % 3}", station=f"press-{n % 2}") for n in range(16)][
                    ::order
                ]
                barrier.wait()
                with records.unit() as unit:
                    unit.inspections.expect(batch)
                    for new in batch:
                        unit.inspections.add(new)
        except Exception as exc:  # noqa: BLE001 - handed to the test's own thread
            failed.append(exc)
            barrier.abort()

    threads = [Thread(target=run, args=(order,)) for order in (1, -1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with records.unit(read_only=True) as unit:
        assert len(unit.inspections.latest(limit=1000)) == 2 * 12 * 16


def test_the_database_itself_refuses_a_second_row(records: Records, database: DatabaseSettings) -> None:
    with records.unit() as unit:
        unit.inspections.add(inspection(source_key="a.png|1|1"))
    with raw(database) as connection:
        columns = ", ".join(
            row[0]
            for row in connection.execute(text("SELECT * FROM inspection")).cursor.description
            if row[0] not in ("id", "uid")
        )
        with pytest.raises(Exception, match=r"(?i)unique"), connection.begin_nested():
            connection.execute(
                text(f"INSERT INTO inspection (id, uid, {columns}) SELECT 99, 'other', {columns} FROM inspection")
            )


def test_a_unit_is_kept_whole_or_not_at_all(records: Records) -> None:
    new = inspection()

    def fail_after_writing() -> None:
        with records.unit() as unit:
            unit.models.register(model())
            unit.inspections.add(new)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after_writing()
    with records.unit() as unit:
        assert unit.inspections.uid_of(new.source, new.source_key) is None
        assert unit.models.get(model().hash) is None


def test_an_unknown_model_is_refused_in_our_words(records: Records) -> None:
    with pytest.raises(RecordError, match=r"(?i)refused the work: found .*foreign key"), records.unit() as unit:
        unit.inspections.add(inspection(model_hash="ee" * 32))
    with records.unit() as unit:
        assert unit.inspections.latest() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"judgement": replace(judgement(), score=float("nan"))},
        {"judgement": replace(judgement(), probabilities={"good": float("inf")})},
        {"timings_ms": {"decode": float("nan")}},
        {"judged_at": datetime(2026, 3, 1, 12, 0)},  # noqa: DTZ001 - a time without a zone is the case
        {"audit_probability": 1.5},
    ],
    ids=["nan-score", "infinite-probability", "nan-timing", "naive-time", "probability-above-1"],
)
def test_what_means_nothing_is_refused(records: Records, changes: dict[str, Any]) -> None:
    with pytest.raises(RecordError), records.unit() as unit:
        unit.inspections.add(inspection(**changes))


def test_a_read_only_unit_writes_nothing(records: Records) -> None:
    with pytest.raises(RecordError, match=r"read.?only"), records.unit(read_only=True) as unit:
        unit.inspections.add(inspection())
    with records.unit() as unit:  # the same connection writes again
        unit.inspections.add(inspection())


def test_reading_goes_on_while_another_writes(records: Records) -> None:
    with records.unit() as writer:
        writer.inspections.add(inspection())
        with records.unit(read_only=True) as reader:
            assert reader.inspections.latest() == []
    with records.unit(read_only=True) as reader:
        assert len(reader.inspections.latest()) == 1


def test_times_are_utc_and_aware_whatever_zone_they_came_in(records: Records) -> None:
    seoul = timezone(timedelta(hours=9))
    captured = datetime(2026, 3, 1, 2, 30, 0, 123456, tzinfo=seoul)
    with records.unit() as unit:
        uid = unit.inspections.add(inspection(captured_at=captured, judged_at=captured))
    with records.unit() as unit:
        found = unit.inspections.get(uid)
        assert found is not None
        assert found.row.captured_at == captured
        assert found.row.captured_at.tzinfo is UTC
        assert [row.uid for row in unit.inspections.latest(since=captured)] == [uid]
        assert unit.inspections.latest(until=captured) == []
        assert unit.inspections.latest(since=captured + timedelta(microseconds=1)) == []


def test_names_that_no_database_takes_are_recorded_all_the_same(records: Records) -> None:
    undecodable = b"teil_\xff.png".decode("utf-8", "surrogateescape")
    new = inspection(source_key=undecodable, part="部品-ß-🙂", image_name=undecodable, error="a\0b")
    with records.unit() as unit:
        uid = unit.inspections.add(new)
    with records.unit() as unit:
        assert unit.inspections.uid_of(new.source, undecodable) == uid
        found = unit.inspections.get(uid)
    assert found is not None
    assert (found.image_name, found.row.part, found.error) == ("teil_\\udcff.png", "部品-ß-🙂", "a\ufffdb")


def test_views_of_one_part_share_it_and_lots_part_it(records: Records, database: DatabaseSettings) -> None:
    with records.unit() as unit:
        for view, lot in (("top", None), ("side", None), ("top", "L1"), ("side", "L1")):
            unit.inspections.add(inspection(part="P-1", view=view, lot=lot))
        rows = unit.inspections.latest(named="P-1")
    assert [(row.view, row.lot) for row in rows] == [("side", "L1"), ("top", "L1"), ("side", None), ("top", None)]
    with raw(database) as connection:
        assert connection.scalar(text("SELECT count(*) FROM part")) == 2


def test_latest_is_newest_first_and_filtered(records: Records) -> None:
    verdicts = [Verdict.PASS, Verdict.REJECT, Verdict.REVIEW, Verdict.ERROR, Verdict.PASS]
    with records.unit() as unit:
        uids = [
            unit.inspections.add(inspection(verdict, part=f"Ab-{i}_x", judged_at=NOON + timedelta(minutes=i)))
            for i, verdict in enumerate(verdicts)
        ]
        other = unit.inspections.add(inspection(station="press-4", part="100%", judged_at=NOON - timedelta(days=1)))
        latest = unit.inspections.latest

        def found(**filters: Any) -> list[str]:
            return [row.uid for row in latest(**filters)]

        # The order is that of recording: the last one has the oldest time.
        assert found() == [other, *reversed(uids)]
        assert found(limit=2) == [other, uids[4]]
        assert found(limit=2, before=uids[4]) == [uids[3], uids[2]]
        assert found(before=uids[0]) == []
        assert found(before="no-such-uid") == []
        assert found(verdicts={Verdict.REJECT, Verdict.REVIEW}) == [other, uids[2], uids[1]]
        assert found(verdicts=[]) == []
        assert found(station="press-4") == [other]
        assert found(named="aB-3") == [uids[3]]
        assert found(named="%") == [other]
        assert found(named="_x") == [*reversed(uids)]
        assert found(since=NOON + timedelta(minutes=1), until=NOON + timedelta(minutes=3)) == [uids[2], uids[1]]


def test_rows_of_certain_inspections_are_newest_first(records: Records) -> None:
    with records.unit() as unit:
        first, _, third = (unit.inspections.add(inspection()) for _ in range(3))
        assert [row.uid for row in unit.inspections.rows([first, "no such", third])] == [third, first]
        assert unit.inspections.rows([]) == []


def test_counts_name_every_verdict(records: Records) -> None:
    with records.unit() as unit:
        for verdict in (Verdict.PASS, Verdict.PASS, Verdict.REJECT):
            unit.inspections.add(inspection(verdict, judged_at=NOON))
        unit.inspections.add(inspection(Verdict.REVIEW, judged_at=NOON, station="press-4"))
        counts = unit.rollups.verdicts
        assert counts() == {Verdict.PASS: 2, Verdict.REVIEW: 1, Verdict.ERROR: 0, Verdict.REJECT: 1}
        assert list(counts()) == list(Verdict)
        assert counts(station="press-4")[Verdict.PASS] == 0
        assert counts(since=NOON, until=NOON + timedelta(hours=1))[Verdict.PASS] == 2
        assert sum(counts(until=NOON).values()) == 0


def test_flagged_is_what_a_report_shows(records: Records) -> None:
    with records.unit() as unit:
        uids = [
            unit.inspections.add(inspection(verdict, judged_at=NOON + timedelta(minutes=i)))
            for i, verdict in enumerate([Verdict.REJECT, Verdict.PASS, Verdict.ERROR, Verdict.REVIEW])
        ]
        unit.inspections.store_explanation(uids[0], explanation())
        unit.reviews.add(review(uids[0]))
    with records.unit(read_only=True) as unit:
        flagged = unit.inspections.flagged()
        assert [record.row.uid for record in flagged] == [uids[0], uids[2], uids[3]]
        assert flagged[0].explanation is not None
        assert flagged[0].reviews[0].reviewer == "Mina"
        assert [record.row.uid for record in unit.inspections.flagged(limit=2)] == [uids[2], uids[3]]
        since = NOON + timedelta(minutes=1)
        later = unit.inspections.flagged(since=since, until=NOON + timedelta(minutes=3), station="press-3")
        assert [record.row.uid for record in later] == [uids[2]]
        assert unit.inspections.flagged(station="press-4") == []


def test_uids_are_of_version_7_and_in_order(records: Records) -> None:
    with records.unit() as unit:
        uids = [unit.inspections.add(inspection()) for _ in range(5)]
        assert unit.inspections.get("' OR 1=1 --") is None
    assert uids == sorted(uids)
    assert {uuid.UUID(uid).version for uid in uids} == {7}


def test_a_map_comes_back_exactly(records: Records) -> None:
    stored = explanation()
    with records.unit() as unit:
        uid = unit.inspections.add(inspection(explanation_state=ExplanationState.PENDING))
    with records.unit() as unit:
        unit.inspections.store_explanation(uid, stored)
    with records.unit() as unit:
        found = unit.inspections.get(uid)
    assert found is not None
    assert found.explanation is not None
    assert found.row.explanation_state is ExplanationState.DONE
    assert found.row.has_heatmap
    heatmap = found.explanation.heatmap
    assert heatmap.grid.dtype == np.float16
    assert heatmap.grid.tobytes() == stored.heatmap.grid.tobytes()
    assert heatmap.grid.shape == stored.heatmap.grid.shape
    assert replace(heatmap, grid=stored.heatmap.grid) == stored.heatmap
    assert found.explanation.regions == stored.regions
    assert found.explanation.check == stored.check
    assert not found.row.explanation_conflict


def test_maps_that_do_not_explain_their_verdict_are_found(records: Records) -> None:
    conflict = RegionCheck(0.5, 0.25, conflict=True)
    with records.unit() as unit:
        explained, open_, _ = (unit.inspections.add(inspection()) for _ in range(3))
        unit.inspections.store_explanation(explained, explanation())
        unit.inspections.store_explanation(open_, replace(explanation(), check=conflict))
        assert [row.uid for row in unit.inspections.latest(conflicting=True)] == [open_]
        assert {row.uid: row.explanation_conflict for row in unit.inspections.latest()}[open_]
        unit.inspections.store_explanation(open_, replace(explanation(), check=None))  # made again, and not asked
        assert unit.inspections.latest(conflicting=True) == []
        found = unit.inspections.get(open_)
    assert found is not None
    assert found.explanation is not None
    assert found.explanation.check is None


def test_every_float16_survives(records: Records) -> None:
    cells = np.arange(2**16, dtype=np.uint16).view(np.float16).reshape(256, 256)
    turned = replace(explanation().heatmap, grid=cells.T)  # not in row order in memory
    with records.unit() as unit:
        uid = unit.inspections.add(inspection())
        unit.inspections.store_explanation(uid, replace(explanation(), heatmap=turned))
        found = unit.inspections.get(uid)
    assert found is not None
    assert found.explanation is not None
    assert found.explanation.heatmap.grid.tobytes() == np.ascontiguousarray(cells.T).tobytes()


def test_a_map_made_again_replaces_that_methods_map(records: Records, database: DatabaseSettings) -> None:
    with records.unit() as unit:
        uid = unit.inspections.add(inspection())
        unit.inspections.store_explanation(uid, explanation("cam"))
        unit.inspections.store_explanation(uid, explanation("grad-cam", seed=1))
        unit.inspections.store_explanation(uid, replace(explanation("cam", seed=2), regions=()))
        found = unit.inspections.get(uid)
    assert found is not None
    assert [one.heatmap.method for one in found.explanations] == ["grad-cam", "cam"]
    assert found.explanation == found.explained_by("grad-cam")  # the line's, though another was stored after it
    assert found.explanations[1].regions == ()
    with raw(database) as connection:
        assert connection.execute(text("SELECT method FROM heatmap ORDER BY id")).scalars().all() == ["grad-cam", "cam"]
        assert connection.scalar(text("SELECT count(*) FROM region")) == 2


def test_pending_maps_are_found_oldest_first_until_they_are_settled(records: Records) -> None:
    pending = ExplanationState.PENDING
    with records.unit() as unit:
        add = unit.inspections.add
        uids = [add(inspection(explanation_state=pending)) for _ in range(3)]
        add(inspection())
        add(inspection(explanation_state=pending, station="press-4"))
        assert [row.uid for row in unit.inspections.pending_explanations("press-3", 10)] == uids
        assert [row.uid for row in unit.inspections.pending_explanations("press-3", 2)] == uids[:2]
        unit.inspections.store_explanation(uids[0], explanation())
        unit.inspections.fail_explanation(uids[1], "the stored picture is missing")
        assert [row.uid for row in unit.inspections.pending_explanations("press-3", 10)] == uids[2:]
        failed = unit.inspections.get(uids[1])
    assert failed is not None
    assert failed.row.explanation_state is ExplanationState.FAILED
    assert failed.explanation_error == "the stored picture is missing"


def test_a_map_that_cannot_be_kept_is_refused(records: Records) -> None:
    good = explanation()
    bad = {
        "float32": replace(good.heatmap, grid=good.heatmap.grid.astype(np.float32)),
        "(10,)": replace(good.heatmap, grid=good.heatmap.grid[:, 0]),
        "found nan": replace(good.heatmap, maximum=float("nan")),
    }
    with records.unit() as unit:
        uid = unit.inspections.add(inspection(explanation_state=ExplanationState.PENDING))
        for message, heatmap in bad.items():
            with pytest.raises(RecordError) as caught:
                unit.inspections.store_explanation(uid, replace(good, heatmap=heatmap))
            assert message in str(caught.value)
        with pytest.raises(RecordError, match="no such inspection"):
            unit.inspections.store_explanation("nobody", good)
        with pytest.raises(RecordError, match="no such inspection"):
            unit.inspections.fail_explanation("nobody", "why")
        assert [row.uid for row in unit.inspections.pending_explanations("press-3", 10)] == [uid]
