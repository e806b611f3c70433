"""What the processes of a run share is made once, and whole."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared_work import once_per_run


def test_of_many_who_ask_at_once_one_makes_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    made, all_ask = [], threading.Barrier(4)
    tmp_path_factory.getbasetemp()  # each process of a run has made its own by then

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "it").write_text("whole")

    def ask(_: int) -> str:
        all_ask.wait()
        return (once_per_run(tmp_path_factory, "asked by many", make) / "it").read_text()

    with ThreadPoolExecutor(4) as together:
        assert list(together.map(ask, range(4))) == ["whole"] * 4
    assert len(made) == 1


def test_what_failed_in_the_midst_is_made_anew(tmp_path_factory: pytest.TempPathFactory) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        once_per_run(tmp_path_factory, "failed", fail)
    found = once_per_run(tmp_path_factory, "failed", lambda folder: (folder / "it").touch())
    assert [path.name for path in found.iterdir()] == ["it"]
