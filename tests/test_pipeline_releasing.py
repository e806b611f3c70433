"""A file in quarantine goes back into its watched folder: once, whole, as another piece of work, whatever is killed when."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from kizu_db.permissions import Role
from kizu_inspect.errors import KizuError, NotAllowed, RecordError
from kizu_inspect.results import Verdict
from kizu_pipeline.aside import files_aside
from kizu_pipeline.naming import file_key
from kizu_pipeline.releasing import open_releasing
from line_world import ALL_PASS, LineWorld, drawn_png, names_in
from whole_cli import app

NAME = "line 2/P7_top.png"
PATTERN = "(?P<part>[^_/]+)_(?P<view>.+)"
KIM = {"by": "Kim", "reason": "lens cleaned"}


def put_aside(world: LineWorld, name: str = NAME, *, pattern: str = PATTERN) -> str:
    """A sound picture that the line refused, since its limit of pixels was too low; returns the uid."""
    world.drop(name)
    world.run(source=world.folder(part_pattern=pattern), max_megapixels=0.001)
    return world.inspections()[-1].row.uid


def release(world: LineWorld, uid: str, *, pattern: str = PATTERN, station: str = "press-3", **who: str) -> str:
    with open_releasing(world.records, world.folder(part_pattern=pattern), station=station) as releasing:
        return str(releasing.release(uid, **{**KIM, **who}))


def kizu(world: LineWorld, *arguments: str, station: dict[str, Any] | None = None) -> Result:
    source = {"kind": "folder", "path": str(world.incoming), "done": str(world.done), "quarantine": str(world.quarantine)}
    config = {
        "database": {"url": f"sqlite:///{world.root / 'kizu.db'}"},
        "images": {"path": str(world.root / "images")},
        "station": {"id": "press-3", "source": source, "recipe": {"bundle": str(world.bundle)}, **(station or {})},
    }
    path = world.root / "kizu.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return CliRunner().invoke(app, ["quarantine", *arguments, "--config", str(path)])


def told(world: LineWorld, *arguments: str) -> Any:
    done = kizu(world, *arguments, "--json", "-")
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout)


def test_killed_at_any_step_it_is_in_quarantine_or_released_and_there_and_judged_once(tmp_path: Path) -> None:
    script = Path(__file__).with_name("quarantine_kills.py")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, script, tmp_path], env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    aside, there = ["line 2/P7_top.png"], ["line 2/released/P7_top.png"]
    for one in outcomes:
        after = one["after_kill"]
        assert after["incoming"] == there if after["released"] else after["quarantine"] == aside, one
        assert after["events"] == after["released"], one
        end = one["end"]
        assert end == {
            "released": True, "events": 1, "parts": ["P7", "P7"], "incoming": [], "quarantine": [], "notes": [], "hidden": 0,
        }, one  # fmt: skip
    states = {
        (bool(after["quarantine"]), bool(after["incoming"]), after["released"])
        for after in (one["after_kill"] for one in outcomes)
    }
    assert states == {(True, False, False), (True, True, False), (True, True, True), (False, True, True)}
    assert any(one["after_kill"]["hidden"] for one in outcomes)
    assert [one["killed"] for one in outcomes] == [True] * (len(outcomes) - 2) + [False] * 2


def test_a_running_line_judges_a_released_file_as_another_piece_of_work(world: LineWorld) -> None:
    uid = put_aside(world)
    before = world.only()
    stop, judged = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as threads:
        line = threads.submit(
            world.run, source=world.folder(part_pattern=PATTERN), once=False, stop=stop,
            progress=lambda done: judged.set() if done else None, **ALL_PASS,
        )  # fmt: skip
        try:
            assert release(world, uid) == "line 2/released/P7_top.png"
            assert judged.wait(60)
        finally:
            stop.set()
        assert line.result().only_moved == 0
    old, new = world.inspections()
    assert old == before
    assert (
        (new.row.verdict, new.row.part, new.row.view)
        == (Verdict.PASS, old.row.part, old.row.view)
        == (Verdict.PASS, "P7", "top")
    )
    assert new.row.captured_at == old.row.captured_at
    assert names_in(world.done) == ["line 2/released/P7_top.png"]
    assert [files_aside(world.quarantine), names_in(world.incoming)] == [{}, []]


def test_commands_list_show_and_release(world: LineWorld) -> None:
    assert "Nothing is in quarantine" in kizu(world, "list").stdout
    first = put_aside(world)
    world.drop("[b]P8_top.png", b"no picture")
    world.run(source=world.folder(part_pattern=PATTERN), **ALL_PASS)
    listed = told(world, "list")["files"]
    assert [(file["name"], file["part"], file["state"]) for file in listed] == [
        ("[b]P8_top.png", "[b]P8", "in quarantine"), ("P7_top.png", "P7", "in quarantine"),
    ]  # fmt: skip
    assert listed[1]["inspection"] == first
    assert f"press-3  [b]P8_top.png  in quarantine\n    {listed[0]['error']}\n{first}" in kizu(world, "list").stdout
    assert told(world, "list", "--station", "press-4") == {"files": []}
    assert len(told(world, "list", "--limit", "1")["files"]) == 1

    (shown,) = told(world, "show", "P7_top.png")["files"]
    assert shown == told(world, "show", first)["files"][0]
    assert shown["picture"] == "PNG, 64 × 64 px"
    assert "too large" in shown["error"]
    assert shown["file"] == str(world.quarantine / NAME)
    assert shown["note"] == json.loads((world.quarantine / f"{NAME}.json").read_text())
    assert "PNG, 64 × 64 px" in kizu(world, "show", first).stdout
    assert told(world, "show", "[b]P8_top.png")["files"][0]["picture"] is None
    assert isinstance(kizu(world, "show", "P9").exception, RecordError)

    went = told(world, "release", "--all", "--station", "press-3", "--by", "Kim", "--reason", "limit raised")
    assert went == {
        "failed": {},
        "released": {first: "line 2/released/P7_top.png", listed[0]["inspection"]: "released/[b]P8_top.png"},
    }
    assert told(world, "list") == {"files": []}
    assert [file["state"] for file in told(world, "list", "--released")["files"]] == ["released by Kim"] * 2
    with world.records.unit(read_only=True) as unit:
        (event,) = unit.trail.of("inspection", first)
    assert (event.action, event.actor, event.reason) == ("quarantine.release", "Kim", "limit raised")
    assert event.after == {"released_as": "line 2/released/P7_top.png"}
    summary = world.run(source=world.folder(part_pattern=PATTERN), **ALL_PASS)
    assert (summary.verdicts[Verdict.PASS], summary.verdicts[Verdict.ERROR], summary.quarantined) == (1, 1, 1)
    (back,) = told(world, "list")["files"]  # what is no picture comes back, under a row of its own
    went = told(world, "release", back["inspection"], "--reason", "once more")
    assert went == {"failed": {}, "released": {back["inspection"]: "released/[b]P8_top.png"}}

    again = kizu(world, "release", first, "--by", "Kim", "--reason", "once more")
    assert again.exit_code == 1
    assert f"The file of inspection {first} is released already: found by Kim at " in again.stderr


def test_a_release_that_was_cut_off_behind_its_row_is_listed_and_only_completed(world: LineWorld) -> None:
    uid = put_aside(world)
    file, note = world.quarantine / NAME, world.quarantine / f"{NAME}.json"
    told_before = json.loads(note.read_text())
    released_as = release(world, uid)
    assert told(world, "list") == {"files": []}
    (world.incoming / released_as).unlink()  # judged, deleted, and its row pruned since
    begun = {"file": released_as, "inode": 1, "mtime_ns": 1, "size_bytes": 1, "sha256": ""}
    file.write_bytes(drawn_png())
    note.write_text(json.dumps(told_before | {"releasing": begun}))
    assert [(one["inspection"], one["state"]) for one in told(world, "list")["files"]] == [(uid, "release cut off")]
    assert told(world, "list", "--station", "press-4") == {"files": []}
    assert told(world, "release", "--all", "--reason", "the same") == {"failed": {}, "released": {uid: released_as}}
    assert [files_aside(world.quarantine), names_in(world.incoming)] == [{}, []]
    with world.records.unit(read_only=True) as unit:
        assert len(unit.trail.of("inspection", uid)) == 1


def test_a_release_says_what_it_needs(world: LineWorld) -> None:
    def refused(*arguments: str, **changes: Any) -> str:
        done = kizu(world, "release", "--reason", "why", *arguments, **changes)
        assert isinstance(done.exception, KizuError), done.output
        return str(done.exception)

    assert "found neither; expected UIDs, or --all" in refused()
    assert "found both" in refused("--all", "1")
    assert "found station press-4; expected one of press-3" in refused("--all", "--station", "press-4")
    assert "has no watched folder: found kind: camera" in refused("--all", station={"source": {"kind": "camera", "device": 0}})
    assert f"the quarantine {world.quarantine} is not there" in refused("--all")
    assert kizu(world, "release", "--all").exit_code == 2


@pytest.mark.parametrize(
    ("pattern", "first", "second"),
    [
        pytest.param(PATTERN, "line 2/released/P7_top.png", "line 2/released-1/P7_top.png", id="the name tells the part"),
        pytest.param("(?P<lot>[^/]+)/(?P<part>[^/]+)", NAME, None, id="the path tells the part"),
        pytest.param(
            "(?P<part>X.*)", "line 2/released/P7_top.png", "line 2/released-1/P7_top.png", id="nothing tells the part"
        ),
    ],
)
def test_no_other_file_is_written_over_and_the_part_stays_the_same(
    world: LineWorld, pattern: str, first: str, second: str | None
) -> None:
    uids = [put_aside(world, pattern=pattern), put_aside(world, pattern=pattern)]
    assert release(world, uids[0], pattern=pattern) == first
    there = (world.incoming / first).stat()
    if second is None:
        with pytest.raises(KizuError, match=r"finds no free name .* Wait until that one is judged"):
            release(world, uids[1], pattern=pattern)
        assert files_aside(world.quarantine)[uids[1]].is_there
    else:
        assert release(world, uids[1], pattern=pattern) == second
    assert (world.incoming / first).stat() == there
    world.run(source=world.folder(part_pattern=pattern), **ALL_PASS)
    inspections = world.inspections()
    assert len(inspections) == (3 if second is None else 4)
    assert len({(one.row.part, one.row.lot) for one in inspections if not one.row.part.startswith("unnamed-")}) < 2
    assert all(one.row.verdict is Verdict.PASS for one in inspections[2:])


def test_a_folder_that_is_a_link_or_a_file_is_passed_by(world: LineWorld, tmp_path: Path) -> None:
    uid = put_aside(world)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (world.incoming / "line 2" / "released").symlink_to(elsewhere)
    (world.incoming / "line 2" / "released-1").touch()
    assert release(world, uid) == "line 2/released-2/P7_top.png"
    assert names_in(elsewhere) == []


def test_a_name_that_is_no_text_comes_back_as_it_was(world: LineWorld) -> None:
    name = os.fsdecode(b"P7_t\xfcr.png")
    uid = put_aside(world, name)
    assert release(world, uid) == f"released/{name}"
    assert (world.incoming / "released" / name).read_bytes() == drawn_png()


@pytest.mark.parametrize("told", ["../outside_top.png", "/tmp/outside_top.png", ".hidden/P7_top.png", "", 7])
def test_a_note_leads_nowhere_else(world: LineWorld, told: object) -> None:
    uid = put_aside(world)
    note = world.quarantine / f"{NAME}.json"
    note.write_text(json.dumps(json.loads(note.read_text()) | {"file": told}))
    before = names_in(world.root)
    with pytest.raises(KizuError, match="a note in quarantine names no file of the watched folder"):
        release(world, uid)
    assert [name for name in names_in(world.root) if not name.endswith((".lock", "-wal", "-shm"))] == [
        name for name in before if not name.endswith((".lock", "-wal", "-shm"))
    ]


def test_what_cannot_be_released_stays(world: LineWorld) -> None:
    uid = put_aside(world)
    with pytest.raises(RecordError, match="belongs to another station: found press-3; expected press-4"):
        release(world, uid, station="press-4")
    with pytest.raises(RecordError, match="nothing to release"):
        release(world, "nobody")
    with pytest.raises(RecordError, match="needs a name and a reason"):
        release(world, uid, reason=" ")
    with world.records.unit() as unit:
        unit.users.add("Ana", Role.ADMIN, by="Ana")
        unit.users.add("Kim", Role.INSPECTOR, by="Ana")
    with pytest.raises(NotAllowed, match="Kim may not release a file from quarantine"):
        release(world, uid)
    file = world.quarantine / NAME
    file.rename(world.root / "taken")
    with pytest.raises(RecordError, match="is not in quarantine"):
        release(world, uid, by="Ana")
    file.symlink_to(world.root / "taken")
    with pytest.raises(KizuError, match="found a link"):
        release(world, uid, by="Ana")
    file.unlink()
    (world.root / "taken").rename(file)
    assert names_in(world.incoming) == []
    release(world, uid, by="Ana")


def test_of_two_releases_at_once_one_wins(world: LineWorld) -> None:
    uid = put_aside(world)
    with ThreadPoolExecutor(4) as threads:
        releases = [threads.submit(release, world, uid) for _ in range(4)]
    failures = [str(error) for error in (one.exception() for one in releases) if error is not None]
    assert len(failures) == 3
    assert all("released already" in failure for failure in failures)
    assert names_in(world.incoming) == ["line 2/released/P7_top.png"]


def test_a_copy_that_got_the_key_of_a_judged_file_by_chance_gets_another_time(world: LineWorld) -> None:
    """Inodes are used again: with the quarantine on another disk the copy may have the very inode of the first file."""
    uid = put_aside(world)
    release(world, uid)
    world.run(source=world.folder(part_pattern=PATTERN), **ALL_PASS)
    (file,) = world.done.rglob("*.png")
    status, target = file.stat(), file.relative_to(world.done)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    key = file_key(target, size=status.st_size, mtime_ns=status.st_mtime_ns, inode=status.st_ino, sha256=sha256)
    with world.records.unit(read_only=True) as unit:
        assert unit.inspections.uid_of(f"folder:press-3:{world.incoming}", key) not in (None, uid)
    with open_releasing(world.records, world.folder(part_pattern=PATTERN), station="press-3") as releasing:
        made = releasing._made_new(file, target, sha256)
    assert (made.st_ino, made.st_size) == (status.st_ino, status.st_size)
    assert made.st_mtime_ns > status.st_mtime_ns
    assert made.st_mtime_ns == file.stat().st_mtime_ns
