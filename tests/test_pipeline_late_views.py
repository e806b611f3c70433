"""When a view is late, and when it is missing: by when it came, not by when the line found time to look."""

from __future__ import annotations

import os
import sqlite3
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kizu_pipeline.sources import folder
from line_world import ALL_PASS, LineWorld, drawn_png
from plc_world import Plc
from views_world import PATTERN, VIEWS, judged, line, rows, settings, until_rows


def feed(world: LineWorld, first: int, count: int) -> None:
    """Whole parts for the line to be busy with."""
    for number in range(first, first + count):
        for view in VIEWS:
            world.drop(f"F{number}_{view}.png", seed=number)


def test_a_view_that_came_in_time_is_not_late_where_the_next_look_is(
    world: LineWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line is busy with files that it found before; nobody looks into the folder meanwhile."""
    world.drop("P1_top.png", seed=0)
    feed(world, 0, 10)

    def progress(done: int) -> None:
        if done == 1:  # the first look is over, and the queue before the one who records is full
            world.drop("P1_bottom.png", seed=1)

    os.utime(world.incoming / "P1_top.png", ns=(0, 0))  # first of those that one look finds
    world.run(**ALL_PASS, **settings(world, 0.01), max_batch=1, progress=progress)
    assert {verdict for _, _, verdict in rows(world)} == {"PASS"}
    assert len(rows(world)) == 22
    said = capsys.readouterr().out
    assert "view came after its part was judged" not in said
    assert len(judged(said)) == 11


def test_a_missing_view_is_told_while_pictures_never_stop(world: LineWorld) -> None:
    world.drop("P1_top.png", seed=0)
    feed(world, 0, 10)
    stop = threading.Event()
    fed = 10

    def progress(_done: int) -> None:
        nonlocal fed
        missing = [row for row in rows(world) if row == ("P1", "bottom", "ERROR")]
        if missing or fed == 300:
            stop.set()
        feed(world, fed, 1)
        fed += 1

    world.run(**ALL_PASS, **settings(world, 0.05), max_batch=1, once=False, stop=stop, progress=progress)
    assert ("P1", "bottom", "ERROR") in rows(world)


@pytest.mark.parametrize("complete_when", ["closed", "settled"])
def test_a_view_that_is_still_being_written_is_not_missing(
    complete_when: str, world: LineWorld, plc: Plc, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its part is NG by its deadline; its row says what was seen, and no row says that there was nothing."""
    given = settings(world, 0.3, plc=plc)
    given["source"] = world.folder(part_pattern=PATTERN, complete_when=complete_when, settle_s=0.5)
    data = drawn_png(1)
    with line(world, **ALL_PASS, **given) as running, (world.incoming / "P1_bottom.png").open("wb") as writer:
        writer.write(data[:100])
        writer.flush()
        world.drop("P1_top.png", seed=0)
        written = 100

        def go_on() -> None:  # as a slow writer does: what has settled is complete
            nonlocal written
            writer.write(data[written : written + 10])
            writer.flush()
            written += 10

        for _ in range(400):
            if plc.taken:
                break
            threading.Event().wait(0.05)
            go_on()
        assert plc.codes() == [("P1", "NG")]
        writer.write(data[written:])
        writer.close()
        running.until(2)
    assert sorted(rows(world)) == [("P1", "bottom", "PASS"), ("P1", "top", "PASS")]
    said = capsys.readouterr().out
    assert "view came after its part was judged" not in said
    (told,) = judged(said)
    assert "missing=[]" in told


def test_a_view_that_is_never_closed_is_missing_in_the_end(world: LineWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "_OPEN_TOO_LONG_S", 0.5)
    with line(world, **ALL_PASS, **settings(world, 0.1)), (world.incoming / "P1_bottom.png").open("wb") as writer:
        writer.write(drawn_png(1)[:100])
        writer.flush()
        world.drop("P1_top.png", seed=0)
        until_rows(world, 2)
        assert rows(world) == [("P1", "top", "PASS"), ("P1", "bottom", "ERROR")]


def test_a_part_that_two_stops_left_open_has_its_verdict(world: LineWorld, capsys: pytest.CaptureFixture[str]) -> None:
    """Its row is older than its time before the last row: the time began anew at the start between them."""
    stopped_after(world, 1, "P1_top.png")
    with sqlite3.connect(Path(world.root) / "kizu.db") as database:
        (judged_at,) = database.execute("SELECT judged_at FROM inspection").fetchone()
        database.execute(
            "UPDATE inspection SET judged_at = ?", (str(datetime.fromisoformat(judged_at) - timedelta(seconds=100)),)
        )
    stopped_after(world, 2, "P2_top.png", "P2_bottom.png")
    capsys.readouterr()
    world.run(**ALL_PASS, **settings(world, 0.1))
    assert rows(world)[-1] == ("P1", "bottom", "ERROR")
    (told,) = judged(capsys.readouterr().out)
    assert "missing=['bottom'] part=P1" in told


def test_a_missing_view_is_known_as_one_after_its_time_was_set_anew(
    world: LineWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world.drop("P1_top.png", seed=0)
    world.run(**ALL_PASS, **settings(world, 0.1))
    assert rows(world) == [("P1", "top", "PASS"), ("P1", "bottom", "ERROR")]
    capsys.readouterr()
    world.drop("P1_bottom.png", seed=1)
    world.run(**ALL_PASS, **settings(world, 0.2))
    assert rows(world)[2:] == [("P1", "bottom", "PASS")]
    assert capsys.readouterr().out.count("view came after its part was judged") == 1


def stopped_after(world: LineWorld, count: int, *names: str) -> None:
    for number, name in enumerate(names):
        world.drop(name, seed=number)
    stop = threading.Event()

    def progress(done: int) -> None:
        if done >= count:
            stop.set()

    given: dict[str, Any] = settings(world)
    world.run(**ALL_PASS, **given, once=False, stop=stop, progress=progress)
