"""Killed in the midst of its work, the care of the records leaves them whole, and the next start finishes it.

The work runs in a process that tells of each statement before it is sent, and waits for the word to go on: so it is killed
at the very moment that is meant.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from sqlalchemy import text

from db_examples import explanation, inspection, model, raw, review
from kizu_db.image_store import ImageStore
from kizu_db.migrations import current_version, downgrade, head_version, upgrade
from kizu_db.records import Records
from kizu_db.retention import prune
from kizu_db.settings import DatabaseSettings, RetentionSettings
from kizu_db.verifying import verify, verify_images
from kizu_inspect.results import Verdict
from test_db_retention import NOW, put

DRIVER = """
import sys
from datetime import datetime
from pathlib import Path
from sqlalchemy import event
from sqlalchemy.engine import Engine
from kizu_db.image_store import ImageStore
from kizu_db.migrations import upgrade
from kizu_db.records import Records
from kizu_db.retention import prune
from kizu_db.settings import DatabaseSettings, RetentionSettings

work, url, images, now = sys.argv[1:]

@event.listens_for(Engine, "before_cursor_execute")
def tell(*_):
    print("next", flush=True)
    sys.stdin.readline()

@event.listens_for(Engine, "commit")
def tell_of_commit(_):
    print("next", flush=True)
    sys.stdin.readline()

settings = DatabaseSettings(url=url)
if work == "upgrade":
    upgrade(settings)
else:
    with Records.open(settings) as records:
        if work == "rebuild":
            with records.unit() as unit:
                unit.rollups.rebuild()
        else:
            rules = RetentionSettings(pass_images_days=30, records_days=90)
            prune(records, ImageStore(Path(images)), rules, by="Mina", now=datetime.fromisoformat(now))
print("done", flush=True)
"""

RULES = RetentionSettings(pass_images_days=30, records_days=90)


class Worker:
    """The process at its work, one statement at a time."""

    def __init__(self, work: str, settings: DatabaseSettings, images: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        arguments = [work, settings.url, str(images), NOW.isoformat()]
        self._process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def kill_at(self, step: int) -> bool:
        """Kill it before its statement number `step`; False where it is done before."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._process:
            for _ in range(step):
                said = self._process.stdout.readline().strip()
                if said == "done":
                    return False
                assert said == "next", "the worker failed"
                self._process.stdin.write("\n")
                self._process.stdin.flush()
            said = self._process.stdout.readline().strip()
            self._process.kill()
            return said == "next"


def steps(first: int = 1) -> Iterator[int]:
    """Moments that lie ever further apart."""
    step = first
    while True:
        yield step
        step += max(1, step // 2)


def fill(settings: DatabaseSettings, store: ImageStore) -> None:
    """Reviewed, explained and plain inspections, some of them old."""
    upgrade(settings)
    with Records.open(settings) as records, records.unit() as unit:
        unit.models.register(model())
        unit.recipes.register("press-3", {"audit_share": 0.01}, model().hash)
        for number in range(24):
            days = (10, 45, 120)[number % 3]
            verdict = (Verdict.PASS, Verdict.REJECT)[number % 2]
            name = put(store, f"picture {number}")
            uid = unit.inspections.add(inspection(verdict, judged_at=NOW - timedelta(days=days), image_sha256=name))
            if verdict is Verdict.REJECT:
                unit.inspections.store_explanation(uid, explanation())
                unit.reviews.add(review(uid))


def counts(settings: DatabaseSettings, *tables: str) -> list[int]:
    with raw(settings) as connection:
        return [connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0 for table in tables]


def test_killed_while_migrating(database: DatabaseSettings, tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "images")
    fill(database, store)
    downgrade(database, "0001")
    tables = ("inspection", "heatmap", "region", "review", "recipe", "model", "part")
    before = counts(database, *tables)
    killed = 0
    for step in steps():
        if not Worker("upgrade", database, store.path).kill_at(step):
            break
        killed += 1
        assert current_version(database) == "0001", "all steps are kept, or none"
        assert counts(database, *tables) == before
    assert killed > 5
    assert current_version(database) == head_version()
    assert counts(database, *tables) == before
    assert verify(database).findings == ()


def test_killed_while_pruning(database: DatabaseSettings, tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "images")
    fill(database, store)
    killed = 0
    for step in steps(5):
        if not Worker("prune", database, store.path).kill_at(step):
            break
        killed += 1
        assert verify(database).findings == ()
    assert killed > 4
    with Records.open(database) as records:
        prune(records, store, RULES, by="Mina", now=NOW)
        assert list(verify_images(records, store)) == []
        with records.unit(read_only=True) as unit:
            found = unit.inspections.latest(limit=100)
    assert {(row.judged_at, row.verdict, row.kept_image is None) for row in found} == {
        (NOW - timedelta(days=10), Verdict.PASS, False), (NOW - timedelta(days=10), Verdict.REJECT, False),
        (NOW - timedelta(days=45), Verdict.PASS, True), (NOW - timedelta(days=45), Verdict.REJECT, False),
    }  # fmt: skip
    assert len(found) == 16
    assert verify(database).findings == ()


def test_killed_while_counting_anew(database: DatabaseSettings, tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "images")
    fill(database, store)
    tables = ("rollup_minute", "rollup_hour", "rollup_reviewed")
    before = counts(database, *tables)
    killed = 0
    for step in steps():
        if not Worker("rebuild", database, store.path).kill_at(step):
            break
        killed += 1
        assert counts(database, *tables) == before
        assert verify(database).findings == ()
    assert killed > 3
    assert counts(database, *tables) == before
