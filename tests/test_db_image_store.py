"""The image store: whole or not at all, and once."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kizu_db import image_store
from kizu_db.image_store import ImageStore
from kizu_inspect.errors import RecordError, RecordsAway

ROOT = Path(__file__).parents[1]
PICTURE = b"\x89PNG not quite, but bytes all the same"
NAME = hashlib.sha256(PICTURE).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    """A store in a folder that does not exist yet."""
    return ImageStore(tmp_path / "data" / "images")


def files(store: ImageStore) -> list[Path]:
    """Every file of the store, unfinished ones included."""
    return [path for path in store.path.rglob("*") if path.is_file()]


def test_a_picture_comes_back_from_its_place(store: ImageStore) -> None:
    assert store.put(PICTURE, suffix=".png") == NAME
    assert store.get(NAME) == PICTURE
    assert store.path_of(NAME) == store.path / NAME[:2] / NAME[2:4] / f"{NAME}.png"


def test_many_are_looked_up_at_once(store: ImageStore) -> None:
    assert list(store.look_up([NAME, "0" * 64])) == [(NAME, None, 0), ("0" * 64, None, 0)]
    names = [store.put(PICTURE + bytes([number]), suffix=".png") for number in range(20)]
    beside = store.path_of(names[0]).with_name(f"{names[0][:4]}{'f' * 60}.jpg")
    beside.write_bytes(b"in the same folder")
    (beside.parent / f".{names[0]}.png.1-ab.tmp").write_bytes(b"unfinished")
    asked = sorted([*names, beside.stem, NAME, "no name", ""])
    assert [name for name, _path, _size in store.look_up(asked)] == asked
    found = {name: (path, size) for name, path, size in store.look_up(asked) if path is not None}
    assert found == {
        **{name: (store.path_of(name), len(PICTURE) + 1) for name in names},
        beside.stem: (beside, len(b"in the same folder")),
    }


def test_the_same_content_is_there_once(store: ImageStore) -> None:
    first = store.put(PICTURE, suffix=".png")
    written = store.path_of(first).stat().st_ino
    assert store.put(PICTURE, suffix=".jpg") == store.put(PICTURE, suffix="") == first
    assert [path.name for path in files(store)] == [f"{NAME}.png"]
    assert store.path_of(first).stat().st_ino == written


def test_many_at_once_leave_one_file_and_nothing_unfinished(store: ImageStore) -> None:
    with ThreadPoolExecutor(8) as threads:
        names = set(threads.map(lambda _: store.put(PICTURE, suffix=".png"), range(32)))
    assert names == {NAME}
    assert files(store) == [store.path_of(NAME)]


def test_what_a_killed_program_left_is_ignored(store: ImageStore) -> None:
    folder = store.path / NAME[:2] / NAME[2:4]
    folder.mkdir(parents=True)
    (folder / f".{NAME}.png.4711-0badcafe.tmp").write_bytes(PICTURE[:5])
    with pytest.raises(RecordError, match="is not in the image store"):
        store.get(NAME)
    store.put(PICTURE, suffix=".png")
    assert store.get(NAME) == PICTURE
    assert store.path_of(NAME).name == f"{NAME}.png"


def test_a_kill_leaves_whole_pictures_only(tmp_path: Path) -> None:
    # Tells each name after its picture was put; killed in the midst of the next one, at three different moments.
    code = (
        f"import sys, os; sys.path[:0] = [{str(ROOT / 'db')!r}, {str(ROOT / 'inspect')!r}]\n"
        "from pathlib import Path\n"
        "from kizu_db.image_store import ImageStore\n"
        "store = ImageStore(Path(sys.argv[1]))\n"
        "while True:\n"
        "    print(store.put(os.urandom(2_000_000), suffix='.png'), flush=True)\n"
    )
    store = ImageStore(tmp_path / "images")
    told: list[str] = []
    for pictures in (1, 4, 9):
        with subprocess.Popen([sys.executable, "-c", code, str(store.path)], stdout=subprocess.PIPE, text=True) as program:
            assert program.stdout is not None
            told += [program.stdout.readline().strip() for _ in range(pictures)]
            program.kill()
    for name in told:
        assert len(store.get(name)) == 2_000_000
    for path in files(store):
        if not path.name.startswith("."):
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem


def test_a_changed_picture_is_noticed_and_put_right_when_it_comes_again(store: ImageStore) -> None:
    store.put(PICTURE, suffix=".png")
    store.path_of(NAME).write_bytes(PICTURE[:-1])
    with pytest.raises(RecordError, match=r"was changed on disk: found SHA-256 [0-9a-f]{64}\. Restore"):
        store.get(NAME)
    store.put(PICTURE, suffix=".png")
    assert store.get(NAME) == PICTURE


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", NAME[:-1], NAME.upper(), f"{NAME}.png", "*" * 64])
def test_only_a_hash_names_a_picture(store: ImageStore, name: str) -> None:
    with pytest.raises(RecordError, match="Not the name of a picture"):
        store.get(name)


@pytest.mark.parametrize("suffix", ["png", ".PNG", "./x", ".a/../b", ".", ".png.tmp"])
def test_odd_endings_are_refused(store: ImageStore, suffix: str) -> None:
    with pytest.raises(RecordError, match="cannot be stored under this ending"):
        store.put(PICTURE, suffix=suffix)
    assert not store.path.exists()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    with pytest.raises(RecordError, match=r"could not be stored in .*images: found (File exists|Not a directory)\. Check"):
        ImageStore(tmp_path / "data" / "images").put(PICTURE, suffix=".png")


def test_a_store_that_leaves_in_the_midst_of_a_picture_is_known_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, kept = ImageStore(tmp_path / "images"), tmp_path / "kept"
    store.put(b"first", suffix=".png")

    def leave(folder: Path) -> None:
        made(folder)
        store.path.rename(kept)
        store.path.write_text("a file where the store's folder should be")

    made = image_store.make_folder
    with monkeypatch.context() as patch:
        patch.setattr(image_store, "make_folder", leave)
        with pytest.raises(RecordsAway):
            store.put(b"second", suffix=".png")
    with pytest.raises(RecordsAway):
        store.put(b"second", suffix=".png")
    store.path.unlink()
    kept.rename(store.path)
    assert store.get(store.put(b"second", suffix=".png")) == b"second"
