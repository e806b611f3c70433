"""Releases one file again and again, killed (SIGKILL) at the first, second, third … thing it asks the system for.

    python quarantine_kills.py ROOT

Prints one JSON object a line: what was found after each kill, and after the release was repeated. Steps count from the lock on:
nothing is done before it.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import Any, Literal

from db_examples import inspection
from kizu_db.migrations import upgrade
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings
from kizu_inspect.results import Verdict
from kizu_pipeline.releasing import open_releasing
from kizu_pipeline.settings import FolderSource
from kizu_pipeline.sources.folder import open_folder

CONTENT = b"no picture at all"
NAME = "line 2/P7_top.png"
STEPS = {"open", "os.mkdir", "os.link", "os.rename", "os.remove", "os.utime", "os.chmod", "os.chown", "sqlite3.connect"}


class World:
    """One file in quarantine, with its row."""

    def __init__(self, root: Path, *, keep: Literal["move", "delete"]) -> None:
        self.root = root
        self.database = DatabaseSettings(url=f"sqlite:///{root / 'kizu.db'}")
        folders = {name: root / name for name in ("done", "quarantine")}
        self.source = FolderSource(
            path=root / "incoming", settle_s=0, part_pattern="(?P<part>[^_/]+)_(?P<view>.+)", keep=keep, **folders
        )

    def judge(self, records: Records, *, fails: bool = False) -> list[str]:
        """What the line does with all that waits, but for the network; returns the uids of the new rows."""
        uids = []
        with open_folder(
            self.source, station="press-3", max_megapixels=1, watch=False, batch_wait_s=0, stop=threading.Event()
        ) as intake:
            for work in intake.take(10):
                with records.unit() as unit:
                    assert unit.inspections.uid_of(intake.source, work.key) is None, "it is no other piece of work"
                    new = inspection(
                        Verdict.ERROR if fails else Verdict.PASS, source=intake.source, source_key=work.key,
                        station="press-3", part=work.part.part, view=work.part.view, image_name=work.name,
                    )  # fmt: skip
                    uids.append(unit.inspections.add(new))
                    if fails:
                        unit.quarantine.add(uids[-1], "no picture")
                if fails:
                    work.refused("no picture", inspection=uids[-1])
                else:
                    work.inspected()
        return uids

    def release(self, records: Records, uid: str) -> None:
        with open_releasing(records, self.source, station="press-3") as releasing:
            releasing.release(uid, by="Kim", reason="lens cleaned")

    def killed_at(self, step: int, uid: str) -> bool:
        """Whether the release was killed before it ended."""
        child = os.fork()
        if child == 0:
            left = math.inf

            def hook(event: str, _args: Any) -> None:
                nonlocal left
                if event == "fcntl.flock":
                    left = step
                if event in STEPS:
                    left -= 1
                    if left == 0:
                        os.kill(os.getpid(), signal.SIGKILL)

            sys.addaudithook(hook)
            with Records.open(self.database) as records:
                self.release(records, uid)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            assert os.WEXITSTATUS(status) == 0
        return os.WIFSIGNALED(status)

    def found(self, records: Records, uid: str) -> dict[str, Any]:
        with records.unit(read_only=True) as unit:
            file = unit.quarantine.get(uid)
            assert file is not None
            return {
                "released": file.released_at is not None,
                "events": len(unit.trail.of("inspection", uid)),
                "parts": [row.part for row in unit.inspections.latest()],
                "incoming": _whole(self.root / "incoming"),
                "quarantine": _whole(self.root / "quarantine"),
                "notes": [path.name for path in (self.root / "quarantine").rglob("*.json")],
                "hidden": len(list((self.root / "incoming").rglob(".kizu-release-*"))),
            }


def _whole(folder: Path) -> list[str]:
    """The files that a line would find, each of which must hold the whole content."""
    found = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".") and path.suffix != ".json"]
    assert all(path.read_bytes() == CONTENT for path in found)
    return [str(path.relative_to(folder)) for path in found]


def main() -> None:
    root, first = Path(sys.argv[1]) / "world", Path(sys.argv[1]) / "first"
    world = World(root, keep="move")
    file = root / "incoming" / NAME
    file.parent.mkdir(parents=True)
    file.write_bytes(CONTENT)
    upgrade(world.database)
    with Records.open(world.database) as records:
        (uid,) = world.judge(records, fails=True)
    root.rename(first)
    step, killed = 0, True
    while killed:
        step += 1
        for judged_between in (False, True):
            shutil.copytree(first, root)
            world = World(root, keep="delete" if judged_between else "move")
            killed = world.killed_at(step, uid)
            with Records.open(world.database) as records:
                after_kill = world.found(records, uid)
                if judged_between:
                    world.judge(records)
                if after_kill["notes"]:
                    world.release(records, uid)
                world.judge(records)
                end = world.found(records, uid)
            sys.stdout.write(json.dumps({"step": step, "killed": killed, "after_kill": after_kill, "end": end}) + "\n")
            shutil.rmtree(root)
            if not after_kill["incoming"]:  # there is nothing to judge in between
                break


if __name__ == "__main__":
    main()
