"""The spool by itself: what is kept comes back once and whole, and a file that is not its own is refused."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kizu_db.uid import new_uid
from kizu_db.values import NewInspection
from kizu_inspect.errors import ConfigError, RecordError, RecordRefused, RecordsAway
from kizu_inspect.results import Judgement, Verdict
from kizu_pipeline.observing.state import LineState
from kizu_pipeline.spool import Batch, Spool
from test_pipeline_away import hearing_that_they_are_away

NEVER = threading.Event()
STATE = LineState("x", stop=NEVER)


def batch(*keys: str) -> Batch:
    now = datetime.now(UTC)
    news = tuple(
        NewInspection(
            source="folder:x", source_key=key, station="x", part=key, captured_at=now, judged_at=now, image_name=f"{key}.png",
            judgement=Judgement(Verdict.PASS, "good", {"good": 0.75, "부품": 0.25}, predicted="good", score=0.25),
            image_sha256="ab" * 32, timings_ms={"judge": 1.5}, measured={"level": 3.0}, lot="L1", view="left",
        )
        for key in keys
    )  # fmt: skip
    return Batch(tuple(new_uid() for _ in news), news, ())


def opened(tmp_path: Path, database: str = "a" * 64) -> Spool:
    spool = Spool(tmp_path / "s" / "x.db", station="x", most_rows=1000, state=STATE)
    spool.begin(database)
    return spool


def test_results_that_would_not_come_back_are_not_kept_silently(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.refused(RecordsAway("gone"))
    one = batch("a")
    for changes in ({"timings_ms": {"judge": float("nan")}}, {"part": "half a character: \ud800"}):
        with pytest.raises(RecordRefused, match="Results cannot be kept"):
            spool.keep(replace(one, news=(replace(one.news[0], **changes),)))
    assert spool.keep(one)


def test_a_disk_that_is_full_refuses_whole_batches_and_takes_them_when_there_is_room(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.refused(RecordsAway("gone"))
    kept = [batch("first")]
    assert spool.keep(kept[0])
    assert spool._connection is not None
    pages = spool._connection.execute("PRAGMA page_count").fetchone()[0]
    spool._connection.execute(f"PRAGMA max_page_count = {pages + 4}")
    refused = None
    while refused is None:
        one = batch(*(f"{len(kept)}-{number}" for number in range(4)))
        try:
            spool.keep(one)
        except RecordsAway as error:
            refused = str(error)
        else:
            kept.append(one)
    assert "database or disk is full" in refused
    with pytest.raises(RecordsAway, match="database or disk is full"):
        spool.keep(one)
    spool._connection.execute("PRAGMA max_page_count = 1000")
    assert spool.keep(one)
    came: list[Batch] = []
    spool.record(came.append, ended=NEVER.is_set)
    assert came == [*kept, one]


def test_a_spool_file_that_is_removed_is_told_and_made_anew(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.refused(RecordsAway("gone"))
    spool.keep(batch("a"))
    (tmp_path / "s" / "x.db").unlink()
    with hearing_that_they_are_away(lambda: None, words="the spool's file is gone", times=1) as said:
        spool.keep(second := batch("b"))
    assert said == ["the spool's file is gone, and what it held"]
    came: list[Batch] = []
    assert opened(tmp_path).record(came.append, ended=NEVER.is_set) == 1
    assert came == [second]


def test_what_is_kept_comes_back_as_it_was_until_it_is_recorded(tmp_path: Path) -> None:
    spool, first, second = opened(tmp_path), batch("a", "b"), batch("c")
    assert not spool.keep(first)  # the database is there
    assert not (tmp_path / "s").exists()
    spool.refused(RecordsAway("gone"))
    assert spool.keep(first)
    assert spool.keep(second)
    spool.close()
    spool = opened(tmp_path)
    assert spool.active
    assert spool.known(["a", "c", "z"]) == {"a": (first.uids[0], None), "c": (second.uids[0], None)}
    came: list[Batch] = []

    def add(one: Batch) -> None:
        came.append(one)
        if len(came) == 2:
            raise RecordsAway("gone again")

    with pytest.raises(RecordsAway):
        spool.record(add, ended=NEVER.is_set)
    assert spool.record(came.append, ended=NEVER.is_set) == 1
    assert came == [first, second, second]
    assert not spool.active
    assert spool.known(["a"]) == {}
    spool.close()


def test_a_spool_for_another_database_is_refused(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.refused(RecordsAway("gone"))
    spool.keep(batch("a"))
    spool.close()
    with pytest.raises(
        ConfigError, match=r"holds 1 results for another database: found the one that begins with a{12}; expected b{12}"
    ):
        opened(tmp_path, database="b" * 64)
    opened(tmp_path).record(lambda _: None, ended=NEVER.is_set)
    opened(tmp_path, database="b" * 64).close()


def test_a_broken_spool_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "x.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(RecordError, match=r"The spool .*x\.db cannot be used: found file is not a database"):
        opened(tmp_path)
