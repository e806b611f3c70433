"""What a watched folder gives: complete files only, each once, and nothing from outside it."""

from __future__ import annotations

import mmap
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kizu_inspect.errors import ImageError, SourceError
from kizu_inspect.picture.decoding import decode_image
from kizu_pipeline.locks import LOCK_NAME, folder_lock
from kizu_pipeline.settings import FolderSource
from kizu_pipeline.sources import file_work
from kizu_pipeline.sources.base import Work
from kizu_pipeline.sources.file_work import FileWork
from kizu_pipeline.sources.folder import FolderIntake, open_folder
from kizu_pipeline.sources.writers import is_local
from line_world import drawn_png, names_in

LONG_AGO = 1_700_000_000


class Folder:
    """An intake over a temporary folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "incoming"
        self.path.mkdir()
        self.stop = threading.Event()

    def settings(self, **changes: Any) -> FolderSource:
        defaults = {"path": self.path, "done": self.root / "done", "quarantine": self.root / "quarantine"}
        return FolderSource(**{**defaults, **changes})

    def intake(self, *, batch_wait_s: float = 0.0, **changes: Any) -> FolderIntake:
        return FolderIntake(
            self.settings(**changes), station="s", max_megapixels=1.0, batch_wait_s=batch_wait_s, stop=self.stop
        )

    def drop(self, name: str | bytes, data: bytes = b"x", *, mtime: float = LONG_AGO) -> Path:
        path = self.path / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (mtime, mtime))
        return path


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def names(works: list[Work]) -> list[str]:
    return [work.name for work in works]


def test_oldest_first_and_at_most_the_limit(folder: Folder) -> None:
    for age, name in enumerate(("c", "a", "b")):
        folder.drop(name, mtime=LONG_AGO + age)
    intake = folder.intake()
    assert [names(intake.take(2)), names(intake.take(2))] == [["c", "a"], ["b"]]


def taken_within(intake: FolderIntake, count: int, *, seconds: float = 10.0) -> list[str]:
    """What a waiting line takes of it, until so many came or the time is over."""
    found: list[str] = []
    until = time.monotonic() + seconds
    while len(found) < count and time.monotonic() < until:
        found += names(intake.take(4))
        intake.wait()
    return found


def test_first_seen_goes_first_though_a_clock_was_set_back(folder: Folder) -> None:
    intake = folder.intake()
    with folder.drop("a").open("ab"):
        assert intake.take(4) == []
        folder.drop("b", mtime=LONG_AGO - 3600)
    assert names(intake.take(4)) == ["a", "b"]


@pytest.mark.parametrize(("complete_when", "data"), [("settled", b"x"), ("closed", b"")], ids=["settled", "empty"])
def test_what_has_settled_is_taken_while_a_batch_waits_for_more(folder: Folder, complete_when: str, data: bytes) -> None:
    intake = folder.intake(batch_wait_s=0.001, complete_when=complete_when, settle_s=0.05, rescan_s=0.01)
    folder.drop("a.png", data)
    assert taken_within(intake, 1) == ["a.png"]


def test_what_is_passed_over(folder: Folder) -> None:
    for name in ("a.png.tmp", "a.PNG.PART", ".hidden.png", ".trash/a.png", LOCK_NAME):
        folder.drop(name)
    folder.drop("sub/deep/ok.png")
    os.mkfifo(folder.path / "pipe.png")
    (folder.path / "linked").symlink_to(folder.root)  # would be an endless way round
    assert names(folder.intake().take(10)) == ["ok.png"]


def test_litter_and_sidecars_are_left_where_they_lie(folder: Folder) -> None:
    litter = ("Thumbs.db", "desktop.ini", "P1.json", "P1.XML", "~$notes.docx", "P2.png.crdownload", "P3.png.filepart")
    for name in litter:
        folder.drop(name)
    folder.drop("P1.png")
    assert names(folder.intake().take(10)) == ["P1.png"]
    folder.drop("calibration.png")
    assert names(folder.intake(ignored=("p1.*", "*.ini", "*.db", "~$*")).take(10)) == ["calibration.png"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [("부품/图 é.png".encode(), "图 é.png"), (b"bad\xff.png", r"bad\xff.png"), (b"new\nline.png", "new\nline.png")],
    ids=["Unicode", "no UTF-8", "line break"],
)
def test_names_of_every_kind(folder: Folder, name: bytes, shown: str) -> None:
    folder.drop(name, drawn_png())
    (work,) = folder.intake().take(10)
    assert work.name == shown
    work.key.encode("utf-8")
    assert work.load(decode_image) is not None
    work.inspected()
    assert (folder.root / "done" / os.fsdecode(name)).is_file()


def test_key_tells_apart_what_cameras_call_the_same(folder: Folder) -> None:
    keys = set()
    for data, mtime in ((b"x", LONG_AGO), (b"xx", LONG_AGO), (b"x", LONG_AGO + 1e-6), (b"y", LONG_AGO)):
        folder.drop("image.png", data, mtime=mtime)
        (work,) = folder.intake().take(1)
        keys.add(work.key)
    assert len(keys) == 4


def test_key_of_a_file_is_the_same_after_a_restart(folder: Folder) -> None:
    folder.drop("image.png")
    first, second = (folder.intake().take(1)[0].key for _ in range(2))
    assert first == second


def test_the_same_picture_under_the_same_name_again_is_another_piece_of_work(folder: Folder) -> None:
    intake = folder.intake(keep="delete")
    keys = []
    for _ in range(3):  # a camera without a clock; deleted and made anew a file may even have its inode again
        folder.drop("image.png", drawn_png())
        (work,) = intake.take(1)
        keys.append(work.key)
        work.inspected()
        intake.finished(work)
    assert len(set(keys)) == 3


@pytest.mark.parametrize("mtime", [LONG_AGO, time.time() + 3600 * 24], ids=["long ago", "a day ahead"])
def test_a_closed_file_counts_at_once_whatever_its_clock_says(folder: Folder, mtime: float) -> None:
    folder.drop("a.png", mtime=mtime)
    assert names(folder.intake(settle_s=3600).take(1)) == ["a.png"]


def test_a_file_that_a_program_still_writes_waits_however_long_it_pauses(folder: Folder) -> None:
    intake = folder.intake(settle_s=0)
    path = folder.path / "a.png"
    with path.open("wb") as writer:
        writer.truncate(5_000)  # its space is taken before its rows come
        os.utime(path, (LONG_AGO, LONG_AGO))
        assert intake.take(1) == []
        assert intake.waiting
        writer.write(drawn_png())
        writer.flush()
        assert intake.take(1) == []
    (work,) = intake.take(1)
    assert work.name == "a.png"
    intake.finished(work)
    assert not intake.waiting


def test_a_file_mapped_by_its_writer_waits_too(folder: Folder) -> None:
    intake, path = folder.intake(settle_s=0), folder.drop("a.png", bytes(5_000))
    with path.open("r+b") as file:
        mapped = mmap.mmap(file.fileno(), 0)
    assert intake.take(1) == []
    mapped.close()
    assert names(intake.take(1)) == ["a.png"]


@pytest.mark.parametrize("mtime", [LONG_AGO, time.time() + 3600], ids=["an old file", "a clock an hour fast"])
def test_where_closing_says_nothing_a_file_must_be_seen_unchanged(folder: Folder, mtime: float) -> None:
    intake = folder.intake(complete_when="settled", settle_s=0.2, rescan_s=60)
    path = folder.drop("a.png", b"1", mtime=mtime)
    assert intake.take(1) == []
    assert intake.waiting
    started = time.monotonic()
    intake.wait()
    assert 0.1 < time.monotonic() - started < 5
    folder.drop("a.png", b"12", mtime=mtime)
    assert intake.take(1) == []  # it grew: the wait begins again
    intake.wait()
    (work,) = intake.take(1)
    assert work.name == "a.png"
    intake.finished(work)
    assert not intake.waiting
    assert path.read_bytes() == b"12"


def test_content_that_changes_under_an_unchanged_time_begins_the_wait_again(folder: Folder) -> None:
    intake = folder.intake(complete_when="settled", settle_s=0.2, rescan_s=60)
    path = folder.drop("a.png", bytes(5_000))
    with path.open("r+b") as file:
        mapped = mmap.mmap(file.fileno(), 0)
    assert intake.take(1) == []
    mapped[:100] = b"x" * 100  # a mapped write may leave every time as it was until it is synced
    intake.wait()
    assert intake.take(1) == []
    mapped.close()
    intake.wait()
    assert names(intake.take(1)) == ["a.png"]


def test_an_empty_file_may_be_a_place_kept_for_its_picture(folder: Folder) -> None:
    intake = folder.intake(settle_s=0.2)
    folder.drop("a.png", b"")
    assert intake.take(1) == []
    folder.drop("a.png", drawn_png())
    assert names(intake.take(1)) == ["a.png"]


def test_a_network_drive_is_no_folder_of_this_machine_alone(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    line = "{} 29 0:45 / {} rw,relatime shared:1 - {} source rw\n"
    there = tmp_path / "the share" / "in"
    there.mkdir(parents=True)
    escaped = str(there.parent).replace(" ", "\\040")
    mounts.write_text(line.format(1, "/", "ext4") + line.format(2, escaped, "cifs"))
    assert is_local(tmp_path, mounts=mounts)
    assert not is_local(there, mounts=mounts)
    assert not is_local(tmp_path, mounts=tmp_path / "none")


def test_vanished_and_replaced_files_are_no_pictures(folder: Folder) -> None:
    gone, replaced, link = folder.drop("a"), folder.drop("b"), folder.path / "c"
    link.symlink_to("nowhere")
    works = folder.intake(settle_s=0).take(10)
    gone.unlink()
    replaced.write_bytes(b"another picture")
    link.unlink()
    assert [work.load(decode_image) for work in works] == [None, None, None]


def test_a_picture_put_in_the_place_of_a_judged_one_is_not_put_away_with_it(folder: Folder) -> None:
    path = folder.drop("image.png", drawn_png(1))
    intake = folder.intake()
    (work,) = intake.take(1)
    assert work.load(decode_image) is not None
    path.write_bytes(drawn_png(2))
    work.inspected()
    work.refused("x", inspection="u")
    assert path.read_bytes() == drawn_png(2)
    assert not names_in(folder.root / "done")
    assert not names_in(folder.root / "quarantine")


@pytest.mark.parametrize("target", ["../secret.png", "nowhere", "b.png"], ids=["out of the folder", "dangling", "inside"])
def test_links_are_refused(folder: Folder, target: str) -> None:
    (folder.root / "secret.png").write_bytes(drawn_png())
    (folder.path / "a.png").symlink_to(target)
    work = next(work for work in folder.intake(settle_s=0).take(10) if work.name == "a.png")
    with pytest.raises(ImageError, match=r"links are refused: found a link to .*; expected a file"):
        work.load(decode_image)
    work.refused("link", inspection="u")
    assert names_in(folder.root / "quarantine") == ["a.png", "a.png.json"]
    assert (folder.root / "secret.png").is_file()


def test_delete_instead_of_move(folder: Folder) -> None:
    path = folder.drop("a.png", drawn_png())
    (work,) = folder.intake(keep="delete").take(1)
    work.inspected()
    work.inspected()
    assert not path.exists()
    assert not (folder.root / "done").exists()


def test_suffix_of_the_stored_picture_follows_its_content(folder: Folder) -> None:
    folder.drop("a.jpg", drawn_png())
    (work,) = folder.intake().take(1)
    picture = work.load(decode_image)
    assert picture is not None
    assert picture.suffix == ".png"
    assert picture.image.shape == (64, 64, 3)


def test_folder_that_is_not_there(folder: Folder) -> None:
    settings = folder.settings(path=folder.root / "nowhere")
    with (
        pytest.raises(SourceError, match=r"nowhere is not there: found nothing; expected a folder\. Make it, or correct"),
        open_folder(settings, station="s", max_megapixels=1, watch=False, batch_wait_s=0, stop=folder.stop),
    ):
        pass


def test_folder_that_goes_away(folder: Folder) -> None:
    intake = folder.intake()
    folder.path.rmdir()
    with pytest.raises(SourceError, match="cannot be read: found No such file"):
        intake.take(1)


def test_one_service_a_folder(folder: Folder) -> None:
    with folder_lock(folder.path, station="press-3"):
        owner = rf"station press-3, process {os.getpid()} on .+, since 20"
        with pytest.raises(SourceError, match=f"belongs to another running service: found {owner}"):
            folder_lock(folder.path, station="press-4").__enter__()
    assert names_in(folder.path) == []


@pytest.mark.parametrize("other", ["..", "sub/deep"], ids=["above", "below"])
def test_no_two_services_watch_the_same_file(folder: Folder, other: str) -> None:
    there = (folder.path / other).resolve()
    there.mkdir(parents=True, exist_ok=True)
    with folder_lock(there, station="press-3"):
        with pytest.raises(
            SourceError, match=f"a part of the folder .* another running service: found {there}: station press-3"
        ):
            folder_lock(folder.path, station="press-4").__enter__()
        assert not (folder.path / LOCK_NAME).exists()
    with folder_lock(folder.path, station="press-4"):
        pass


def test_a_lock_file_left_by_a_killed_service_is_no_lock(folder: Folder) -> None:
    folder.drop(LOCK_NAME, b"station press-3, process 1")
    with folder_lock(folder.path, station="press-3"):
        pass
    assert names_in(folder.path) == []


@pytest.fixture
def watched(folder: Folder) -> Iterator[FolderIntake]:
    settings = folder.settings(settle_s=0, rescan_s=60)
    with open_folder(settings, station="s", max_megapixels=1, watch=True, batch_wait_s=0, stop=folder.stop) as intake:
        yield intake


def test_file_events_come_long_before_the_rescan(folder: Folder, watched: FolderIntake) -> None:
    noticed = threading.Event()

    def keep_dropping() -> None:  # the watcher's thread may not have begun when the first file comes
        number = 0
        while not noticed.wait(0.1):
            folder.drop(f"{number}.png", mtime=time.time())
            number += 1

    dropping = threading.Thread(target=keep_dropping)
    dropping.start()
    started = time.monotonic()
    watched.wait()
    noticed.set()
    dropping.join()
    assert time.monotonic() - started < 30
    assert watched.take(1)


def test_stop_ends_the_wait(folder: Folder, watched: FolderIntake) -> None:
    threading.Timer(0.1, folder.stop.set).start()
    started = time.monotonic()
    watched.wait()
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("target", ["odd.png", "file.txt/x", "x" * 300], ids=["itself", "below a file", "too long"])
def test_an_odd_link_is_refused_alone(folder: Folder, target: str) -> None:
    folder.drop("file.txt")
    (folder.path / "odd.png").symlink_to(target)
    folder.drop("good.png", drawn_png())
    works = {work.name: work for work in folder.intake().take(10)}
    assert set(works) == {"odd.png", "good.png"}
    assert works["good.png"].load(decode_image) is not None
    with pytest.raises(ImageError, match="links are refused"):
        works["odd.png"].load(decode_image)


def test_a_huge_file_is_refused_without_being_read(folder: Folder) -> None:
    with (folder.path / "huge.png").open("wb") as file:
        file.truncate(200_000_000_000)
    (work,) = folder.intake().take(1)
    with pytest.raises(ImageError, match="file is too large to be read: found 200000 MB; expected at most 72 MB"):
        work.load(decode_image)
    assert "unread" in work.key


def test_a_path_too_long_for_an_index_keeps_its_file_apart(folder: Folder) -> None:
    keys = set()
    for last in "ab":
        folder.drop("/".join(["d" * 200] * 8) + f"/{last}.png")
    for work in folder.intake().take(2):
        keys.add(work.key)
        assert len(work.key) < 400
    assert len(keys) == 2


def test_a_writer_that_closes_between_its_parts_is_given_the_settle_time(folder: Folder) -> None:
    intake, whole = folder.intake(settle_s=0.3, rescan_s=60), drawn_png()
    path = folder.drop("a.png", whole[:1000])
    (work,) = intake.take(1)
    assert work.load(decode_image) is None
    intake.finished(work)
    assert intake.take(1) == []
    assert intake.waiting
    with path.open("ab") as writer:
        writer.write(whole[1000:])
    (work,) = intake.take(1)
    assert work.load(decode_image) is not None


def test_a_broken_picture_is_refused_after_the_settle_time(folder: Folder) -> None:
    intake = folder.intake(settle_s=0.2, rescan_s=60)
    folder.drop("a.png", drawn_png()[:1000])
    (work,) = intake.take(1)
    assert work.load(decode_image) is None
    intake.finished(work)
    assert intake.take(1) == []
    intake.wait()
    (work,) = intake.take(1)
    with pytest.raises(ImageError, match="truncated or broken"):
        work.load(decode_image)


def test_a_judged_picture_that_is_opened_for_writing_is_not_put_away(folder: Folder) -> None:
    path = folder.drop("a.png", drawn_png(1))
    intake = folder.intake(settle_s=0)
    (work,) = intake.take(1)
    assert work.load(decode_image) is not None
    with path.open("r+b") as late:
        work.inspected()
        intake.finished(work)
        assert path.exists()
        assert intake.take(1) == []
        late.write(drawn_png(2))
        late.truncate()
    (again,) = intake.take(1)
    assert again.key != work.key


def test_what_cannot_be_read_is_tried_once_more_before_it_is_refused(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_work, "_READ_AGAIN_S", 0.3)
    folder.drop("a.png", drawn_png())
    intake = folder.intake(rescan_s=60)
    read, tries = FileWork._read, []

    def faulty(work: FileWork) -> bytes | None:  # root may read everything: no permission could refuse it
        tries.append(time.monotonic())
        if len(tries) != 4:
            raise PermissionError(13, "Permission denied")
        return read(work)

    monkeypatch.setattr(FileWork, "_read", faulty)
    for outcome in ("refused", "read"):
        (work,) = intake.take(1)
        assert work.load(decode_image) is None
        intake.finished(work)
        assert intake.take(1) == []
        intake.wait()
        (work,) = intake.take(1)
        if outcome == "refused":
            with pytest.raises(ImageError, match="file cannot be read: found Permission denied"):
                work.load(decode_image)
            intake.finished(work)
            folder.drop("a.png", drawn_png(1))
        else:
            assert work.load(decode_image) is not None
    assert tries[1] - tries[0] > 0.2
