"""Sidecars: which part a picture shows, told by a file beside it, and never by one that belongs to another picture."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kizu_inspect.errors import RecordError
from kizu_inspect.results import Verdict
from kizu_pipeline import filing
from kizu_pipeline.releasing import open_releasing
from kizu_pipeline.sources.file_work import FileWork
from kizu_pipeline.sources.folder import FolderIntake
from line_world import ALL_PASS, LineWorld, drawn_png, names_in

LONG_S = 60.0


def run(world: LineWorld, wait_s: float = 0.2, **source: Any) -> dict[str, tuple[str | None, str | None, str]]:
    """Judge what waits; by part its view, lot and verdict, of all rows."""
    world.run(**ALL_PASS, policy="on_demand", source=world.folder(sidecar_wait_s=wait_s, **source))
    return {row.part: (row.view, row.lot, row.verdict.value) for row in (record.row for record in world.inspections())}


def told(**content: object) -> bytes:
    return json.dumps(content).encode()


@pytest.fixture
def intake(world: LineWorld) -> Callable[..., FolderIntake]:
    """Makes an intake over the world's folder."""

    def make(wait_s: float = LONG_S, **source: Any) -> FolderIntake:
        settings = world.folder(sidecar_wait_s=wait_s, **source)
        return FolderIntake(settings, station="s", max_megapixels=1, batch_wait_s=0, stop=threading.Event())

    return make


def taken(intake: FolderIntake) -> list[FileWork]:
    return [work for work in intake.take(10) if isinstance(work, FileWork)]


def test_a_sidecar_names_the_part_and_goes_to_done_with_its_picture(world: LineWorld) -> None:
    moment = "2026-03-01T13:00:00+01:00"
    world.drop("a.png", seed=0)
    world.drop("a.png.json", told(part=" P-1 ", view="top", lot="L7", captured_at=moment, operator="x"))
    world.drop("sub/b.png", seed=1)
    world.drop("sub/b.json", b"\xef\xbb\xbf" + told(part="부품 2"))
    assert run(world, LONG_S) == {"P-1": ("top", "L7", "PASS"), "부품 2": (None, None, "PASS")}
    first = next(record for record in world.inspections() if record.row.part == "P-1")
    assert first.row.captured_at == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert not first.row.part_generated
    assert names_in(world.done) == ["a.png", "a.png.json", "sub/b.png", "sub/b.png.json"]
    assert names_in(world.incoming) == []


def test_the_full_name_comes_before_the_stem(world: LineWorld) -> None:
    world.drop("a.png")
    world.drop("a.json", told(part="stem"))
    world.drop("a.png.json", told(part="full"))
    assert list(run(world, LONG_S)) == ["full"]
    assert names_in(world.incoming) == ["a.json"]


def test_without_the_setting_nobody_looks_at_sidecars(world: LineWorld) -> None:
    world.drop("a.png")
    world.drop("a.png.json", told(part="P1"))
    world.run(**ALL_PASS)
    assert world.only().row.part == "a"
    assert names_in(world.incoming) == ["a.png.json"]


def test_none_comes_and_the_name_tells_the_part_when_the_time_is_up(
    world: LineWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world.drop("P5_top.png")
    world.drop("orphan.json", told(part="P9"))
    begun = time.monotonic()
    assert run(world, 0.3, part_pattern="(?P<part>[^_]+)_(?P<view>.+)", ignored=()) == {"P5": ("top", None, "PASS")}
    assert time.monotonic() - begun >= 0.3
    assert capsys.readouterr().out.count("no sidecar came; the name tells the part") == 1
    assert names_in(world.incoming) == ["orphan.json"]


@pytest.mark.parametrize("complete_when", ["closed", "settled"])
def test_a_picture_waits_for_a_late_sidecar(complete_when: str, world: LineWorld, intake: Callable[..., FolderIntake]) -> None:
    looks = intake(complete_when=complete_when)
    world.drop("a.png")
    assert taken(looks) == []
    assert looks.waiting
    world.drop("a.json", told(part="P1"))
    (work,) = taken(looks)
    assert work.part.part == "P1"


def test_the_key_of_the_work_knows_nothing_of_sidecars(world: LineWorld, intake: Callable[..., FolderIntake]) -> None:
    world.drop("a.png")
    (before,) = taken(intake(wait_s=0))
    world.drop("a.json", told(part="P1"))
    (after,) = taken(intake(wait_s=0))
    assert (before.part.part, after.part.part) == ("a", "P1")
    assert before.key == after.key


def test_a_half_written_sidecar_is_waited_for(world: LineWorld, intake: Callable[..., FolderIntake]) -> None:
    looks, whole = intake(), told(part="P1", view="top")
    world.drop("a.png")
    path = world.drop("a.png.json", whole[:10])
    assert taken(looks) == []
    with path.open("wb") as writer:
        writer.write(whole)
        writer.flush()
        assert taken(looks) == []  # whole, but who knows what its writer still does
    (work,) = taken(looks)
    assert (work.part.part, work.part.view) == ("P1", "top")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        pytest.param(b'{"part": "P', "found file: Invalid JSON", id="cut off"),
        pytest.param(b"[1]", "found file: ", id="no object"),
        pytest.param(b"{}", "found part: Field required", id="no part"),
        pytest.param(told(part=""), "found part: String should have at least 1", id="empty"),
        pytest.param(told(part="x" * 201), "found part: String should have at most 200", id="too long"),
        pytest.param(told(part=7), "found part: Input should be a valid string", id="a number"),
        pytest.param(told(part="a\0b"), "no database takes a NUL", id="NUL"),
        pytest.param(b'{"part": "\\ud800"}', "found file: Invalid JSON", id="half a character"),
        pytest.param(told(part="P", captured_at="2026-03-01T12:00:00"), "found captured_at: ", id="no zone"),
        pytest.param(told(part="P", captured_at="9999-12-31T23:59:59-12:00"), "found captured_at: ", id="year 10000"),
        pytest.param(told(part="P", captured_at="0001-01-01T00:00:00Z"), "a time is of the years 2 to 9998", id="year 1"),
        pytest.param(told(part="P", lot="\U0001d160" * 200), "found lot: Value error, text has at most 200", id="grows"),
        pytest.param(told(part="P", x="y" * 70_000), "found more than 64 kB", id="too large"),
    ],
)
def test_a_sidecar_that_stays_broken_is_an_error_and_goes_to_quarantine_with_its_picture(
    content: bytes, found: str, world: LineWorld
) -> None:
    world.drop("a.png")
    world.drop("a.png.json", content)
    world.run(**ALL_PASS, source=world.folder(sidecar_wait_s=0.05))
    row = world.only().row
    assert (row.verdict, row.part_generated) == (Verdict.ERROR, True)
    assert row.reason.startswith("sidecar is broken: ")
    assert found in row.reason
    assert {"a.png", "a.png.json", "a.png.sidecar.json"} <= set(names_in(world.quarantine))
    assert (world.quarantine / "a.png.sidecar.json").read_bytes() == content
    assert json.loads((world.quarantine / "a.png.json").read_bytes())["error"] == row.reason
    assert names_in(world.incoming) == []


def test_a_link_is_no_sidecar(world: LineWorld) -> None:
    world.drop("a.png")
    secret = world.root / "secret.json"
    secret.write_bytes(told(part="P1"))
    (world.incoming / "a.png.json").symlink_to(secret)
    assert {verdict for _, _, verdict in run(world, 0.05).values()} == {"ERROR"}
    assert secret.is_file()
    assert (world.quarantine / "a.png.sidecar.json").is_symlink()


def test_names_that_are_used_again_keep_each_picture_beside_its_sidecar(world: LineWorld) -> None:
    for number in range(3):
        world.drop("a.png", seed=number)
        world.drop("a.png.json", told(part=f"P{number}"))
        run(world)
    assert sorted(record.row.part for record in world.inspections()) == ["P0", "P1", "P2"]
    for number, name in enumerate(("a.png", "a-1.png", "a-2.png")):
        assert (world.done / name).read_bytes() == drawn_png(number)
        assert json.loads((world.done / f"{name}.json").read_bytes()) == {"part": f"P{number}"}


def test_with_delete_both_go(world: LineWorld) -> None:
    world.drop("a.png")
    world.drop("a.json", told(part="P1"))
    assert list(run(world, keep="delete")) == ["P1"]
    assert names_in(world.incoming) == []


def test_a_sidecar_that_comes_while_its_picture_is_judged_goes_with_it(
    world: LineWorld, intake: Callable[..., FolderIntake]
) -> None:
    looks = intake(wait_s=0)
    world.drop("a.png", seed=0)
    (first,) = taken(looks)
    world.drop("a.png.json", told(part="P0"))
    first.inspected()
    looks.finished(first)
    assert names_in(world.done) == ["a.png", "a.png.json"]
    world.drop("a.png", seed=1)
    (second,) = taken(looks)
    assert (first.part.part, second.part.part) == ("a", "a")


def test_a_sidecar_that_may_belong_to_the_picture_before_names_none(
    world: LineWorld, intake: Callable[..., FolderIntake]
) -> None:
    looks = intake(wait_s=0)
    world.drop("a.png", seed=0)
    (first,) = taken(looks)
    first.inspected()
    looks.finished(first)
    world.drop("a.png.json", told(part="P0"))  # far too late
    world.drop("a.png", seed=1)
    (second,) = taken(looks)
    assert second.part.generated
    assert second.sidecar is not None
    assert second.sidecar.error.startswith("sidecar may be that of the picture before")
    second.refused(second.sidecar.error, inspection="u")
    assert names_in(world.incoming) == []


def test_a_new_sidecar_that_comes_after_its_picture_is_not_doubted(
    world: LineWorld, intake: Callable[..., FolderIntake]
) -> None:
    looks = intake(wait_s=0.2, rescan_s=60)
    world.drop("a.png", seed=0)
    assert taken(looks) == []
    looks.wait()
    (first,) = taken(looks)
    first.inspected()
    looks.finished(first)
    world.drop("a.png.json", told(part="P0"))
    world.drop("a.png", seed=1)
    assert taken(looks) == []
    world.drop("a.png.json", told(part="P1"))
    (second,) = taken(looks)
    assert second.part.part == "P1"


def test_the_sidecar_of_a_picture_that_was_replaced_does_not_name_the_new_one(
    world: LineWorld, intake: Callable[..., FolderIntake]
) -> None:
    looks = intake(wait_s=0)
    world.drop("a.png", seed=0)
    world.drop("a.png.json", told(part="P0"))
    (first,) = taken(looks)
    world.drop("a.png", seed=1)
    first.inspected()
    looks.finished(first)
    assert (names_in(world.incoming), names_in(world.done)) == (["a.png"], ["a.png.json"])
    (second,) = taken(looks)
    assert second.part.part == "a"


@pytest.mark.parametrize("broken", [pytest.param(False, id="done"), pytest.param(True, id="quarantine")])
def test_a_kill_between_sidecar_and_picture_is_harmless(
    broken: bool, world: LineWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sidecar goes first: killed in between, the picture has its row already and follows at the next start."""
    place, placed = filing._place, []

    def killed_after_the_first(file: Path, target: Path) -> bool:
        if placed:
            raise KeyboardInterrupt
        placed.append(file.name)
        return place(file, target)

    (world.done).mkdir()
    (world.done / "a.png").write_bytes(b"another")
    world.drop("a.png", seed=1)
    world.drop("a.png.json", b"{" if broken else told(part="P1"))
    with monkeypatch.context() as patch:
        patch.setattr(filing, "_place", killed_after_the_first)
        with pytest.raises(KeyboardInterrupt):
            run(world, 0.05)
    assert placed == ["a.png.json"]
    assert [name for name in names_in(world.incoming) if not name.startswith(".")] == ["a.png"]
    before = world.only()
    run(world, 0.05)
    assert world.only().row == before.row
    assert names_in(world.incoming) == []
    if broken:
        assert {"a.png", "a.png.json", "a.png.sidecar.json"} <= set(names_in(world.quarantine))
    else:
        assert names_in(world.done) == ["a-1.png", "a-1.png.json", "a.png"]


def test_a_kill_within_the_move_of_the_sidecar_is_completed(world: LineWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    unlink = os.unlink

    def killed(path: str | Path, **options: Any) -> None:
        if Path(path) == world.incoming / "a.png.json":
            raise KeyboardInterrupt
        unlink(path, **options)

    world.drop("a.png")
    world.drop("a.png.json", told(part="P1"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            run(world)
    assert names_in(world.done) == ["a.png.json"]
    assert list(run(world)) == ["P1"]
    assert (names_in(world.incoming), names_in(world.done)) == ([], ["a.png", "a.png.json"])


def test_a_picture_with_a_sidecar_is_not_released_without_it(world: LineWorld) -> None:
    world.drop("a.png")
    (world.incoming / "a.png.json").write_text("{")
    source = world.folder(sidecar_wait_s=0.1)
    world.run(source=source)
    uid = world.only().row.uid
    with open_releasing(world.records, source, station="press-3") as releasing:
        assert releasing.waiting() == [uid]
        with pytest.raises(RecordError, match=r"has a sidecar, which tells its part: found a\.png\.sidecar\.json"):
            releasing.release(uid, by="Kim", reason="mended")
    assert {"a.png", "a.png.json", "a.png.sidecar.json"} <= set(names_in(world.quarantine))
