"""A row that the records refuse for what is in it ends no line: it is an ERROR, its part is NG, and all others go on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kizu_db import engine
from kizu_db.settings import DatabaseSettings
from kizu_db.values import InspectionRecord
from kizu_inspect.errors import RecordRefused
from kizu_inspect.results import Verdict
from kizu_pipeline.disk import DiskSettings
from kizu_pipeline.publishing.settings import WebhookTarget
from kizu_pipeline.stages.attempts import JOURNAL_NAME
from line_world import ALL_PASS, LineWorld, names_in
from observed_world import observed_line
from plc_world import READY, Plc
from publish_world import Receiver
from refusing_world import allow_all, refuse
from test_pipeline_away import hearing_that_they_are_away
from test_pipeline_signal import line, wait_until
from test_pipeline_spool import drop, locked, other_program, parts, waiting, waiting_in_spool

P1 = "substr(new.image_name, 1, 2) = 'P1'"
P1_PASSES = f"{P1} AND new.verdict = 'PASS'"
P1_IS_NAMED = "new.part_id IN (SELECT id FROM part WHERE serial = 'P1')"
PLANT = "the plant does not want it"


@pytest.fixture(autouse=True)
def _soon_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "PROMPT_S", 0.2)  # how long the line waits for another writer before it goes into its spool


@pytest.fixture
def world(tmp_path: Path, line_bundle: Path, database: DatabaseSettings) -> Iterator[LineWorld]:
    with LineWorld(tmp_path, line_bundle, database=database) as made:
        yield made


@pytest.fixture
def local(tmp_path: Path, line_bundle: Path) -> Iterator[tuple[LineWorld, DatabaseSettings]]:
    """With a SQLite file."""
    database = DatabaseSettings(url=f"sqlite:///{tmp_path / 'kizu.db'}")
    with LineWorld(tmp_path, line_bundle, database=database) as made:
        yield made, database


def drop_four(world: LineWorld) -> None:
    for number in range(4):
        world.drop(f"P{number}.png", seed=number)


def the_refused(world: LineWorld) -> InspectionRecord:
    """The second of four, an ERROR between three that pass."""
    records = world.inspections()
    assert [one.row.verdict for one in records] == [Verdict.PASS, Verdict.ERROR, Verdict.PASS, Verdict.PASS]
    assert [one.image_name for one in records] == [f"P{number}.png" for number in range(4)]
    return records[1]


def test_it_is_an_error_and_the_rest_of_its_batch_is_not(world: LineWorld, database: DatabaseSettings) -> None:
    drop_four(world)
    refuse(database, P1_PASSES)
    summary = world.run(**ALL_PASS, max_batch=4)
    record = the_refused(world)
    assert record.row.reason.startswith("the verdict PASS of part P1 cannot be recorded: found The database")
    assert PLANT in record.row.reason
    assert record.row.reason == record.error
    assert (record.row.part, record.row.part_generated, record.row.score) == ("P1", False, None)
    assert record.row.image_sha256 is not None
    assert world.images.get(record.row.image_sha256) == (world.done / "P1.png").read_bytes()  # where other ERRORs go
    assert names_in(world.done) == [f"P{number}.png" for number in range(4)]
    assert names_in(world.incoming) == names_in(world.quarantine) == []
    assert (summary.files, summary.verdicts[Verdict.ERROR]) == (4, 1)


def test_one_whose_names_are_refused_gets_a_part_that_is_made_up(world: LineWorld, database: DatabaseSettings) -> None:
    drop_four(world)
    refuse(database, P1_IS_NAMED)
    world.run(**ALL_PASS, max_batch=4)
    record = the_refused(world)
    assert record.row.part.startswith("unnamed-")
    assert record.row.part_generated
    assert record.row.reason.startswith("the verdict PASS of part P1 cannot be recorded: found ")
    assert record.row.image_sha256 is not None
    assert len(names_in(world.done)) == 4
    world.drop("P1.png", seed=9)
    assert world.run(**ALL_PASS).files == 1  # it is known by the file, and not taken again


def test_where_nothing_of_it_is_taken_the_line_ends_and_nothing_moves(world: LineWorld, database: DatabaseSettings) -> None:
    drop_four(world)
    refuse(database, P1)
    with hearing_that_they_are_away(lambda: None), pytest.raises(RecordRefused, match=PLANT):
        world.run(**ALL_PASS, max_batch=4)
    assert parts(world) == names_of(names_in(world.done)) == ["P0"]
    assert not (world.incoming / JOURNAL_NAME).exists()  # it was no picture's doing
    allow_all(database)
    assert world.run(**ALL_PASS).files == 3
    assert parts(world) == ["P0", "P1", "P2", "P3"]


def names_of(files: list[str]) -> list[str]:
    return [Path(file).stem for file in files]


def test_a_file_that_is_no_picture_lies_in_quarantine_all_the_same(world: LineWorld, database: DatabaseSettings) -> None:
    world.drop("P1.png", b"no picture")
    refuse(database, P1_IS_NAMED)
    assert world.run(**ALL_PASS).quarantined == 1
    record = world.only()
    assert names_in(world.quarantine) == ["P1.png", "P1.png.json"]
    note = json.loads((world.quarantine / "P1.png.json").read_bytes())
    assert (note["inspection"], note["error"]) == (record.row.uid, record.row.reason)
    with world.records.unit(read_only=True) as unit:
        (aside,) = unit.quarantine.latest()
    assert aside.uid_inspection == record.row.uid


def test_the_log_and_the_counts_tell_of_it(local: tuple[LineWorld, DatabaseSettings]) -> None:
    world, database = local
    drop_four(world)
    refuse(database, P1_PASSES)
    with observed_line(world, max_batch=4) as running:
        running.waits_for("row refused; it is recorded as ERROR")
        running.waits_for("inspected", 4)
        running.until(lambda: running.status()["events"]["rows_refused"] == 1)
        assert running.status()["verdicts"]["ERROR"] == 1
        assert PLANT in running.status()["last_error"]["text"]
        assert running.samples()["kizu_line_events_total", "rows_refused"] == 1


def test_its_picture_is_kept_also_where_those_of_passed_parts_are_not(local: tuple[LineWorld, DatabaseSettings]) -> None:
    world, database = local
    drop_four(world)
    refuse(database, P1_PASSES)
    world.run(**ALL_PASS, disk=DiskSettings(warn=0.001, drop_pass=0.001, stop=100))  # any disk is as full as that
    record = the_refused(world)
    assert [one.row.kept_image is not None for one in world.inspections()] == [False, True, False, False]
    assert record.row.image_sha256 is not None
    assert world.images.get(record.row.image_sha256)


@pytest.mark.parametrize("rule", [P1_PASSES, P1_IS_NAMED], ids=["verdict", "names"])
def test_the_control_hears_ng(rule: str, local: tuple[LineWorld, DatabaseSettings], plc: Plc) -> None:
    world, database = local
    refuse(database, rule)
    with line(world, **ALL_PASS, line={"signal": plc.settings()}):
        plc.until(lambda: plc.states and plc.states[-1][1] == READY)
        for number in range(3):
            world.drop(f"P{number}.png", seed=number)
            plc.until(lambda number=number: len(plc.codes()) == number + 1)  # type: ignore[misc]
    assert plc.codes() == [("P0", "OK"), ("P1", "NG"), ("P2", "OK")]


@pytest.mark.parametrize("rule", [P1_PASSES, P1_IS_NAMED], ids=["verdict", "names"])
def test_a_part_with_such_a_view_is_ng_and_an_error(rule: str, local: tuple[LineWorld, DatabaseSettings], plc: Plc) -> None:
    world, database = local
    refuse(database, f"{rule} AND instr(new.image_name, 'left') > 0")
    source = world.folder(part_pattern="(?P<part>[^_]+)_(?P<view>.+)")
    station = {"signal": plc.settings(), "views": ("left", "right"), "views_within_s": 60.0}
    with Receiver() as receiver:
        publish = WebhookTarget(kind="webhook", url=receiver.url)
        with line(world, **ALL_PASS, source=source, line=station, publish=publish):
            plc.until(lambda: plc.states and plc.states[-1][1] == READY)
            for number in range(3):
                for view in ("left", "right"):
                    world.drop(f"P{number}_{view}.png", seed=number)
                plc.until(lambda number=number: len(plc.codes()) == number + 1)  # type: ignore[misc]
            wait_until(lambda: sum(event["kind"] == "part" for event in receiver.events) == 3)
    assert plc.codes() == [("P0", "OK"), ("P1", "NG"), ("P2", "OK")]
    verdicts = {event["part"]: event["verdict"] for event in receiver.events if event["kind"] == "part"}
    assert verdicts == {"P0": "PASS", "P1": "ERROR", "P2": "PASS"}


def test_rows_of_views_that_did_not_come_end_no_line_either(local: tuple[LineWorld, DatabaseSettings]) -> None:
    world, database = local
    refuse(database, f"new.image_name = 'no picture' AND ({P1_IS_NAMED} OR new.view = 'far')")
    source = world.folder(part_pattern="(?P<part>[^_]+)_(?P<view>.+)")
    with Receiver() as receiver:
        publish = WebhookTarget(kind="webhook", url=receiver.url)
        station = {"views": ("left", "right", "far"), "views_within_s": 0.5}
        with line(world, **ALL_PASS, source=source, line=station, publish=publish):
            for number in range(3):
                world.drop(f"P{number}_left.png", seed=number)
            wait_until(lambda: sum(event["kind"] == "part" for event in receiver.events) == 3)
    told = {event["part"]: event for event in receiver.events if event["kind"] == "part"}
    assert {part: (event["verdict"], event["missing"]) for part, event in told.items()} == {
        f"P{number}": ("ERROR", ["right", "far"]) for number in range(3)
    }
    assert len(world.inspections()) == 9
    assert {seen["inspection"] for event in told.values() for seen in event["views"]} == {
        one.row.uid for one in world.inspections()
    }


@pytest.mark.parametrize("rule", [P1_PASSES, P1_IS_NAMED], ids=["verdict", "names"])
def test_out_of_the_spool_it_becomes_an_error_too(rule: str, local: tuple[LineWorld, DatabaseSettings], plc: Plc) -> None:
    """The control heard OK; the records, and whoever reads their events, are told the truth."""
    world, database = local
    with Receiver() as receiver:
        publish = WebhookTarget(kind="webhook", url=receiver.url)
        with line(world, **ALL_PASS, max_batch=4, line={"signal": plc.settings()}, publish=publish):
            plc.until(lambda: plc.states and plc.states[-1][1] == READY)
            refuse(database, rule)
            with locked(world):
                drop(world, 0, 1, 2)
                plc.until(lambda: plc.codes() == [("P0", "OK"), ("P1", "OK"), ("P2", "OK")])
                assert waiting_in_spool(world) == 3
            wait_until(lambda: waiting_in_spool(world) == 0)
            drop(world, 3)
            receiver.wait(4)
    record = the_refused(world)
    assert record.signal is not None
    assert record.signal.sent == "OK"
    assert PLANT in record.row.reason
    told = {event["image_name"]: event["verdict"] for event in receiver.events}
    assert told == {"P0.png": "PASS", "P1.png": "ERROR", "P2.png": "PASS", "P3.png": "PASS"}


def test_one_that_waits_in_the_spool_ends_no_start(local: tuple[LineWorld, DatabaseSettings]) -> None:
    world, database = local
    with other_program(world) as other:
        with line(world, **ALL_PASS, max_batch=4, runtime={"drain_s": 0.0}):
            drop(world, 0)
            wait_until(lambda: parts(world) == ["P0"])
            refuse(database, P1_PASSES)
            other.execute("BEGIN IMMEDIATE")
            drop(world, 1, 2)
        other.execute("ROLLBACK")
    assert waiting_in_spool(world) == 2
    world.drop("P3.png", seed=3)
    assert world.run(**ALL_PASS).files == 1
    assert PLANT in the_refused(world).row.reason
    assert waiting_in_spool(world) == 0


def test_a_part_that_waits_for_its_other_view_is_not_ok_any_more(local: tuple[LineWorld, DatabaseSettings], plc: Plc) -> None:
    """Its first view passed while the database was away; the second comes when the first has become an ERROR."""
    world, database = local
    source = world.folder(part_pattern="(?P<part>[^_]+)_(?P<view>.+)")
    station = {"signal": plc.settings(), "views": ("left", "right"), "views_within_s": 60.0}
    with Receiver() as receiver:
        publish = WebhookTarget(kind="webhook", url=receiver.url)
        with line(world, **ALL_PASS, source=source, line=station, publish=publish):
            plc.until(lambda: plc.states and plc.states[-1][1] == READY)
            refuse(database, f"{P1_PASSES} AND instr(new.image_name, 'left') > 0")
            for number in (0, 1):
                with locked(world):
                    world.drop(f"P{number}_left.png", seed=number)
                    wait_until(lambda: waiting(world) == [])
                    assert waiting_in_spool(world) == 1
                wait_until(lambda: waiting_in_spool(world) == 0)
                world.drop(f"P{number}_right.png", seed=number)
                plc.until(lambda number=number: len(plc.codes()) == number + 1)  # type: ignore[misc]
            wait_until(lambda: sum(event["kind"] == "part" for event in receiver.events) == 2)
    assert plc.codes() == [("P0", "OK"), ("P1", "NG")]
    verdicts = {event["part"]: event["verdict"] for event in receiver.events if event["kind"] == "part"}
    assert verdicts == {"P0": "PASS", "P1": "ERROR"}


def test_a_part_whose_last_view_waits_too_is_told_as_it_is_recorded(
    local: tuple[LineWorld, DatabaseSettings], plc: Plc
) -> None:
    """Both views were judged while the database was away: the control heard OK, and the part's event says ERROR."""
    world, database = local
    source = world.folder(part_pattern="(?P<part>[^_]+)_(?P<view>.+)")
    station = {"signal": plc.settings(), "views": ("left", "right"), "views_within_s": 60.0}
    with Receiver() as receiver:
        publish = WebhookTarget(kind="webhook", url=receiver.url)
        with line(world, **ALL_PASS, source=source, line=station, publish=publish):
            plc.until(lambda: plc.states and plc.states[-1][1] == READY)
            refuse(database, f"{P1_PASSES} AND instr(new.image_name, 'left') > 0")
            with locked(world):
                for view in ("left", "right"):
                    world.drop(f"P1_{view}.png", seed=1)
                plc.until(lambda: plc.codes() == [("P1", "OK")])
            receiver.wait(3)
    (part,) = (event for event in receiver.events if event["kind"] == "part")
    assert part["verdict"] == "ERROR"
    assert {seen["view"]: seen["verdict"] for seen in part["views"]} == {"left": "ERROR", "right": "PASS"}
