"""Parts of several views: judged by the worst of them, when all are there or their time is up, and never OK without each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from kizu_inspect.picture.images import encode_png
from kizu_inspect.results import Verdict
from kizu_pipeline.publishing.events import read_schema
from kizu_pipeline.publishing.settings import WebhookTarget
from kizu_pipeline.settings import StationSettings
from line_world import ALL_PASS, ALL_REVIEW, LineWorld
from plc_world import Plc
from publish_world import Receiver
from views_world import LONG_S, PATTERN, VIEWS, judged, line, rows, settings, until_rows

GREY = encode_png(np.full((64, 64, 3), 77, np.uint8))  # shows no part: an ERROR


def test_two_good_views_are_one_ok(world: LineWorld, plc: Plc, capsys: pytest.CaptureFixture[str]) -> None:
    world.drop("P1_top.png", seed=0)
    world.drop("P1_bottom.png", seed=1)
    world.run(**ALL_PASS, **settings(world, plc=plc))
    assert plc.codes() == [("P1", "OK")]
    assert sorted(rows(world)) == [("P1", "bottom", "PASS"), ("P1", "top", "PASS")]
    (said,) = judged(capsys.readouterr().out)
    assert "lot=None missing=[] part=P1 verdict=PASS" in said
    assert "'top PASS'" in said


def test_nothing_is_ok_before_the_last_view_is_recorded(world: LineWorld, plc: Plc) -> None:
    seen: list[int] = []
    plc.on_result = lambda _: seen.append(len(world.inspections()))
    with line(world, **ALL_PASS, **settings(world, plc=plc)) as running:
        world.drop("P1_top.png", seed=0)
        running.until(1)
        assert plc.codes() == []
        world.drop("P1_bottom.png", seed=1)
        plc.until(lambda: plc.taken)
    assert (plc.codes(), seen) == ([("P1", "OK")], [2])


@pytest.mark.parametrize("review_signal", ["NG", "OK"])
def test_a_part_of_reviews_is_what_the_station_says(review_signal: str, world: LineWorld, plc: Plc) -> None:
    for view in VIEWS:
        world.drop(f"P1_{view}.png")
    world.run(**ALL_REVIEW, **settings(world, plc=plc, review_signal=review_signal))
    assert plc.codes() == [("P1", review_signal)]


def test_the_worst_view_is_the_parts_verdict_and_it_is_ng_at_once(
    world: LineWorld, plc: Plc, capsys: pytest.CaptureFixture[str]
) -> None:
    with line(world, **ALL_PASS, **settings(world, plc=plc)) as running:
        world.drop("P1_top.png", GREY)
        plc.until(lambda: plc.taken)
        assert plc.codes() == [("P1", "NG")]
        assert judged(capsys.readouterr().out) == []
        world.drop("P1_bottom.png")
        running.until(2)
    assert plc.codes() == [("P1", "NG")]
    (said,) = judged(capsys.readouterr().out)
    assert "verdict=ERROR" in said
    sent = {record.row.view: record.signal and record.signal.sent for record in world.inspections()}
    assert sent == {"top": "NG", "bottom": None}


def test_a_missing_view_is_an_error_row_and_ng(world: LineWorld, plc: Plc, capsys: pytest.CaptureFixture[str]) -> None:
    world.drop("L7_P1_top.png")
    summary = world.run(**ALL_PASS, **settings(world, 0.5, plc=plc))  # --once waits for it
    assert rows(world) == [("P1", "top", "PASS"), ("P1", "bottom", "ERROR")]
    missing = world.inspections()[1]
    assert missing.row.reason.startswith("view bottom did not come within 0.5 s.")
    assert (missing.row.lot, missing.row.image_sha256, missing.image_name) == ("L7", None, "no picture")
    assert plc.codes() == [("P1", "NG")]
    assert missing.signal is not None
    assert (missing.signal.sent, missing.signal.note) == ("NG", "late: no verdict by the deadline")
    (said,) = judged(capsys.readouterr().out)
    assert "missing=['bottom'] part=P1 verdict=ERROR" in said
    assert (summary.verdicts[Verdict.ERROR], summary.quarantined) == (1, 0)
    with world.records.unit(read_only=True) as unit:
        assert unit.quarantine.latest() == []


def test_a_view_that_comes_after_its_part_was_judged_has_its_row_and_no_ok(
    world: LineWorld, plc: Plc, capsys: pytest.CaptureFixture[str]
) -> None:
    with line(world, **ALL_PASS, **settings(world, 0.3, plc=plc)) as running:
        world.drop("P1_top.png", seed=0)
        plc.until(lambda: plc.taken)
        until_rows(world, 2)
        world.drop("P1_bottom.png", seed=1)
        running.until(2)
        world.drop("P2_top.png", seed=2)
        world.drop("P2_bottom.png", seed=3)
        plc.until(lambda: len(plc.taken) > 1)
    assert plc.codes() == [("P1", "NG"), ("P2", "OK")]
    assert rows(world)[:3] == [("P1", "top", "PASS"), ("P1", "bottom", "ERROR"), ("P1", "bottom", "PASS")]
    said = capsys.readouterr().out
    assert said.count("view came after its part was judged") == 1
    assert len(judged(said)) == 2


def test_the_same_serial_in_two_lots_is_two_parts(world: LineWorld, plc: Plc, capsys: pytest.CaptureFixture[str]) -> None:
    for number, name in enumerate(("A_P1_top", "B_P1_bottom", "B_P1_top", "A_P1_bottom")):
        world.drop(f"{name}.png", GREY if name == "A_P1_bottom" else None, seed=number)
    world.run(**ALL_PASS, **settings(world, plc=plc), max_batch=1)
    assert sorted(plc.codes()) == [("P1", "NG"), ("P1", "OK")]
    said = sorted(judged(capsys.readouterr().out))
    assert ["lot=A" in said[0], "verdict=ERROR" in said[0], "lot=B" in said[1], "verdict=PASS" in said[1]] == [True] * 4


def test_one_lots_view_is_none_of_the_others(world: LineWorld, plc: Plc) -> None:
    world.drop("A_P1_top.png", seed=0)
    world.drop("B_P1_bottom.png", seed=1)
    world.run(**ALL_PASS, **settings(world, 0.3, plc=plc))
    assert plc.codes() == [("P1", "NG"), ("P1", "NG")]
    assert sorted(rows(world)[2:]) == [("P1", "bottom", "ERROR"), ("P1", "top", "ERROR")]


def test_a_view_that_the_station_does_not_know_is_an_error_and_its_part_never_ok(world: LineWorld, plc: Plc) -> None:
    for view in ("side", *VIEWS):
        world.drop(f"P1_{view}.png")
    world.run(**ALL_PASS, **settings(world, plc=plc))
    found = {record.row.view: record.row for record in world.inspections()}
    assert found["side"].verdict is Verdict.ERROR
    assert found["side"].reason.startswith("unknown view: found side; expected one of top, bottom (")
    assert found["side"].image_sha256 is not None
    assert plc.codes() == [("P1", "NG")]


def test_a_picture_that_names_no_part_waits_for_nothing(world: LineWorld, plc: Plc) -> None:
    world.drop("noname.png")
    world.run(**ALL_PASS, **settings(world, plc=plc))
    row = world.only().row
    assert (row.verdict, row.part_generated) == (Verdict.ERROR, True)
    assert plc.codes() == [(row.part, "NG")]


def test_a_second_picture_of_a_view_counts_too(world: LineWorld, plc: Plc) -> None:
    world.drop("P1_top.png", seed=0)
    world.drop("sub/P1_top.png", GREY)
    world.drop("P1_bottom.png", seed=1)
    world.run(**ALL_PASS, **settings(world, plc=plc))
    assert plc.codes() == [("P1", "NG")]
    assert len(rows(world)) == 3


def test_a_backlog_makes_no_view_missing(world: LineWorld, capsys: pytest.CaptureFixture[str]) -> None:
    """What lay in the folder in time has come, however long the line takes for those before it."""
    for number in range(12):
        world.drop(f"P{number}_top.png", seed=number)
    for number in range(12):
        world.drop(f"P{number}_bottom.png", seed=number)
    world.run(**ALL_PASS, **settings(world, 0.01), max_batch=1)
    assert {verdict for _, _, verdict in rows(world)} == {"PASS"}
    assert len(judged(capsys.readouterr().out)) == 12


def test_a_late_verdict_of_one_view_makes_its_part_ng(world: LineWorld, plc: Plc) -> None:
    for view in VIEWS:
        world.drop(f"P1_{view}.png")
    world.run(**ALL_PASS, **settings(world, plc=plc, verdict_deadline_ms=0.001))
    assert plc.codes() == [("P1", "NG")]
    assert {verdict for _, _, verdict in rows(world)} == {"ERROR"}


LINE_OF_VIEWS = """
import json
import sys
from pathlib import Path
from line_world import ALL_PASS, LineWorld

with LineWorld(Path(sys.argv[1]), Path(sys.argv[2])) as world:
    source = world.folder(part_pattern=sys.argv[3])
    world.run(**ALL_PASS, once=False, policy="on_demand", source=source, line=json.loads(sys.argv[4]),
              progress=lambda done: print("done", done, file=sys.stderr, flush=True))
"""


def killed_after_the_first_view(world: LineWorld) -> None:
    """The service records P1's top, and is killed."""
    told = json.dumps({"views": VIEWS, "views_within_s": LONG_S})
    command = [sys.executable, "-c", LINE_OF_VIEWS, str(world.root), str(world.bundle), PATTERN, told]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])}
    world.drop("P1_top.png", seed=0)
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        try:
            assert any(said.startswith("done 1") for said in process.stderr)
        finally:
            process.kill()
    assert rows(world) == [("P1", "top", "PASS")]


def test_a_kill_between_two_views_makes_none_of_them_missing(
    world: LineWorld, plc: Plc, capsys: pytest.CaptureFixture[str]
) -> None:
    killed_after_the_first_view(world)
    world.drop("P1_bottom.png", seed=1)
    world.run(**ALL_PASS, **settings(world, plc=plc))
    assert rows(world) == [("P1", "top", "PASS"), ("P1", "bottom", "PASS")]
    (said,) = judged(capsys.readouterr().out)
    assert "missing=[] part=P1 verdict=PASS" in said
    assert plc.codes() == [("P1", "NG")]  # nobody knows how long its first view had waited
    capsys.readouterr()
    world.drop("P2_top.png", seed=2)
    world.drop("P2_bottom.png", seed=3)
    world.run(**ALL_PASS, **settings(world, plc=plc))
    assert plc.codes()[1:] == [("P2", "OK")]
    assert len(judged(capsys.readouterr().out)) == 1


def test_a_view_that_stays_away_after_a_restart_is_missing_once(world: LineWorld) -> None:
    world.drop("P1_top.png")
    stop = threading.Event()
    world.run(**ALL_PASS, **settings(world), once=False, stop=stop, progress=lambda _: stop.set())
    assert rows(world) == [("P1", "top", "PASS")]
    for _ in range(2):
        world.run(**ALL_PASS, **settings(world, 0.1))
        assert rows(world) == [("P1", "top", "PASS"), ("P1", "bottom", "ERROR")]


def test_each_part_is_an_event_that_keeps_to_its_schema(world: LineWorld) -> None:
    with Receiver() as receiver:
        world.drop("L7_P1_top.png", seed=0)
        world.drop("L7_P1_bottom.png", seed=1)
        world.drop("P2_top.png", seed=2)
        world.drop("noname.png", seed=3)
        world.run(**ALL_PASS, **settings(world, 0.5), publish=WebhookTarget(kind="webhook", url=receiver.url))
        events = receiver.events
    schema = read_schema("part", 1)
    Draft202012Validator.check_schema(schema)
    parts = {event["part"]: event for event in events if event["kind"] == "part"}
    for event in parts.values():
        Draft202012Validator(schema).validate(event)
        assert set(event) == set(schema["properties"]) == set(schema["required"])
    uids = {event["inspection"] for event in events if event["kind"] == "inspection"}
    assert uids == {view["inspection"] for event in parts.values() for view in event["views"]}
    assert [event["seq"] for event in events] == list(range(1, 9))
    assert (parts["P1"]["lot"], parts["P1"]["verdict"], parts["P1"]["signal"], parts["P1"]["missing"]) == (
        "L7",
        "PASS",
        "OK",
        [],
    )
    assert {view["view"] for view in parts["P1"]["views"]} == set(VIEWS)
    assert (parts["P2"]["verdict"], parts["P2"]["signal"], parts["P2"]["missing"]) == ("ERROR", "NG", ["bottom"])
    assert len(parts) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"views": ("top", "top")}, "a name of its own"),
        ({"views": ("",)}, "a name of its own"),
        ({"views": ("x" * 201,)}, "of 1 to 200 characters"),
        ({"source": {"kind": "camera", "device": 0}}, "a camera's frames tell no view"),
        ({"source": {"kind": "folder", "path": "in"}}, "views need a group"),
    ],
)
def test_views_that_could_never_be_told(changes: dict[str, Any], message: str) -> None:
    plain = {"id": "s", "views": VIEWS, "recipe": {"bundle": "b"}, "source": {"path": "in", "part_pattern": PATTERN}}
    with pytest.raises(ValidationError, match=message):
        StationSettings.model_validate({**plain, **changes})


def test_sidecars_tell_views_too(world: LineWorld, plc: Plc) -> None:
    for number, view in enumerate(VIEWS):
        world.drop(f"{number}.png", seed=number)
        world.drop(f"{number}.json", json.dumps({"part": "P1", "view": view}).encode())
    given = settings(world, plc=plc)
    world.run(**ALL_PASS, **{**given, "source": world.folder(sidecar_wait_s=5)})
    assert plc.codes() == [("P1", "OK")]
