"""Putting files away: never over another one, and safe to repeat."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

import pytest

from kizu_pipeline.filing import move_aside, move_to_quarantine
from line_world import names_in


@pytest.fixture
def done(tmp_path: Path) -> Path:
    return tmp_path / "done"


@pytest.fixture
def drop(tmp_path: Path) -> Callable[[str, str], Path]:
    def write(name: str, content: str) -> Path:
        path = tmp_path / "incoming" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
        return path

    return write


@pytest.fixture(params=["hard links", "no hard links", "another device"])
def any_disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    number = {"no hard links": errno.EPERM, "another device": errno.EXDEV}.get(request.param)
    if number is not None:

        def refuse(*_: object, **__: object) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "link", refuse)


@pytest.mark.usefixtures("any_disk")
def test_names_in_use_get_a_number(done: Path, drop: Callable[[str, str], Path]) -> None:
    for content in ("first", "second", "third"):
        move_aside(drop("a.png", content), done, PurePath("a.png"))
    assert {name: (done / name).read_text() for name in names_in(done)} == {
        "a.png": "first",
        "a-1.png": "second",
        "a-2.png": "third",
    }
    assert not names_in(done.parent / "incoming")


@pytest.mark.usefixtures("any_disk")
def test_sub_folders_and_times_are_kept(done: Path, drop: Callable[[str, str], Path]) -> None:
    file = drop("a.png", "x")
    os.utime(file, ns=(1, 1_600_000_000_123_456_789))
    target = move_aside(file, done, PurePath("line 2/a.png"))
    assert target == done / "line 2" / "a.png"
    assert target.stat().st_mtime_ns == 1_600_000_000_123_456_789


@pytest.mark.parametrize("leave", [os.link, shutil.copy2], ids=["linked", "copied from another device"])
def test_a_move_cut_in_two_is_completed(done: Path, drop: Callable[[str, str], Path], leave: Callable[..., object]) -> None:
    file = drop("a.png", "x")
    done.mkdir()
    leave(file, done / "a.png")
    move_aside(file, done, PurePath("a.png"))
    assert names_in(done) == ["a.png"]
    assert not file.exists()


@pytest.mark.parametrize("before", [15, 16, 17, 31, 32, 33, 5000])
@pytest.mark.parametrize("leave", [os.link, shutil.copy2, None], ids=["linked", "copied from another device", "not cut off"])
def test_many_files_of_one_name_cost_little_each(
    before: int,
    leave: Callable[..., object] | None,
    done: Path,
    drop: Callable[[str, str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done.mkdir()
    for number in range(before):
        (done / (f"a-{number}.png" if number else "a.png")).touch()
    file = drop("a.png", "x")
    if leave is not None:
        leave(file, done / f"a-{before}.png")
    looked: list[object] = []
    monkeypatch.setattr(os.path, "lexists", lambda path: looked.append(path) or os.access(path, os.F_OK, follow_symlinks=False))
    assert move_aside(file, done, PurePath("a.png")) == done / f"a-{before}.png"
    assert len(looked) < 60
    monkeypatch.undo()
    assert len(names_in(done)) == before + 1
    assert not file.exists()


def test_a_hole_among_many_names_is_taken_or_left_and_nothing_is_lost(done: Path, drop: Callable[[str, str], Path]) -> None:
    done.mkdir()
    for number in {*range(1, 200)} - {40, 100, 128}:
        (done / f"a-{number}.png").write_text(f"old {number}")
    (done / "a.png").write_text("old 0")
    for number in range(50):
        move_aside(drop("a.png", f"new {number}"), done, PurePath("a.png"))
    contents = sorted((done / name).read_text() for name in names_in(done))
    assert contents == sorted([*(f"old {n}" for n in range(200) if n not in {40, 100, 128}), *(f"new {n}" for n in range(50))])


def test_longest_names_still_get_number_and_note(done: Path, drop: Callable[[str, str], Path]) -> None:
    name = "é" * 125 + ".png"  # 254 bytes
    for key in ("1", "2"):
        move_to_quarantine(drop(name, key), done, PurePath(name), {"source_key": key})
    files = names_in(done)
    assert len(files) == 4
    assert all(len(os.fsencode(found)) <= 255 for found in files)


def test_a_name_with_a_very_long_ending(done: Path, drop: Callable[[str, str], Path]) -> None:
    name = "a." + "b" * 253
    assert move_aside(drop(name, "x"), done, PurePath(name)).is_file()


def test_quarantine_puts_the_note_beside_its_file(done: Path, drop: Callable[[str, str], Path]) -> None:
    for key in ("first", "second"):
        move_to_quarantine(drop("a.png", key), done, PurePath("a.png"), {"source_key": key, "error": "torn"})
    assert names_in(done) == ["a-1.png", "a-1.png.json", "a.png", "a.png.json"]
    assert json.loads((done / "a-1.png.json").read_text()) == {"source_key": "second", "error": "torn"}
    assert (done / "a-1.png").read_text() == "second"


def test_a_note_whose_file_was_not_moved_any_more_is_taken_up_again(done: Path, drop: Callable[[str, str], Path]) -> None:
    file = drop("a.png", "x")
    done.mkdir()
    (done / "a.png.json").write_text('{"source_key": "mine"}')
    move_to_quarantine(file, done, PurePath("a.png"), {"source_key": "mine"})
    assert names_in(done) == ["a.png", "a.png.json"]


def test_a_link_is_moved_not_what_it_points_to(done: Path, drop: Callable[[str, str], Path], tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s")
    link = drop("b.png", "").with_name("a.png")
    link.symlink_to(secret)
    target = move_aside(link, done, PurePath("a.png"))
    assert target.is_symlink()
    assert secret.read_text() == "s"


def test_failure_leaves_the_file_where_it_was(done: Path, drop: Callable[[str, str], Path]) -> None:
    file = drop("a.png", "x")
    done.write_text("a file in the folder's place")
    with pytest.raises(OSError, match=r"done|exists|directory"):
        move_aside(file, done, PurePath("a.png"))
    assert file.read_text() == "x"


def test_a_picture_that_comes_while_the_former_one_is_copied_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Onto another disk a move is a copy, which takes its time; the camera may use the name again meanwhile."""
    file = tmp_path / "a.png"
    file.write_bytes(b"first")
    copy2 = shutil.copy2

    def copied(source: Path, target: Path, **options: Any) -> Any:
        copied_to = copy2(source, target, **options)
        (tmp_path / "next").write_bytes(b"second")
        (tmp_path / "next").rename(file)
        return copied_to

    def elsewhere(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "another disk")

    monkeypatch.setattr(os, "link", elsewhere)
    monkeypatch.setattr(shutil, "copy2", copied)
    assert move_aside(file, tmp_path / "done", PurePath("a.png")).read_bytes() == b"first"
    assert file.read_bytes() == b"second"


def test_a_picture_that_comes_in_the_instant_of_the_move_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"first")
    link = os.link

    def too_late(source: Path, target: Path, **options: Any) -> None:
        if file.read_bytes() == b"first":
            (tmp_path / "next").write_bytes(b"second")
            (tmp_path / "next").rename(file)
        link(source, target, **options)

    monkeypatch.setattr(os, "link", too_late)
    move_aside(file, tmp_path / "done", PurePath("a.png"))
    assert file.read_bytes() == b"second"
    assert not any((tmp_path / "done").iterdir())
