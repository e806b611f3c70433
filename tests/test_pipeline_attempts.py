"""A picture that ends the program, or that the network fails on, costs its own verdict and no other."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kizu_db.repositories.inspections import Inspections
from kizu_db.values import ExplanationState
from kizu_inspect.errors import RecordError
from kizu_inspect.inspector import Inspector
from kizu_inspect.picture.decoding import decode_image
from kizu_inspect.results import Verdict
from kizu_pipeline.stages.attempts import JOURNAL_NAME, MAX_ATTEMPTS
from line_world import ALL_PASS, LineWorld, drawn_png, names_in

PARTS = 9
POISON = 4


@pytest.fixture
def world(tmp_path: Path, line_bundle: Path) -> Iterator[LineWorld]:
    with LineWorld(tmp_path, line_bundle) as made:
        for number in range(PARTS):
            made.drop(f"P{number}.png", seed=number)
        yield made


LINE_THAT_DIES = """
    import os, sys
    from pathlib import Path
    import numpy as np
    from kizu_inspect.inspector import Inspector
    from kizu_inspect.picture.decoding import decode_image
    from line_world import ALL_PASS, LineWorld

    poison = decode_image(Path(sys.argv[3]).read_bytes())
    judge = Inspector.judge

    def die(self, images, **options):
        if any(np.array_equal(image, poison) for image in images):
            os._exit(9)
        return judge(self, images, **options)

    Inspector.judge = die
    LineWorld(Path(sys.argv[1]), Path(sys.argv[2])).run(**ALL_PASS)
"""


def test_a_picture_that_ends_the_program_is_given_up_after_three_attempts(world: LineWorld, tmp_path: Path) -> None:
    poison = tmp_path / "poison"
    poison.write_bytes(drawn_png(POISON))
    command = [sys.executable, "-c", textwrap.dedent(LINE_THAT_DIES), str(world.root), str(world.bundle), str(poison)]
    ends = []
    while not ends or ends[-1] != 0:
        ends.append(subprocess.run(command, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, timeout=120).returncode)
        assert len(ends) <= MAX_ATTEMPTS + 1
    assert ends == [9] * MAX_ATTEMPTS + [0]
    records = {record.row.part: record for record in world.inspections()}
    verdicts = {part: record.row.verdict for part, record in records.items()}
    assert verdicts == {f"P{number}": Verdict.ERROR if number == POISON else Verdict.PASS for number in range(PARTS)}
    assert records[f"P{POISON}"].error == (
        "picture may have ended the program: found 3 times in work when it did; expected a picture that it outlives. "
        "Tell the makers, with this file."
    )
    assert names_in(world.quarantine) == [f"P{POISON}.png", f"P{POISON}.png.json"]
    assert names_in(world.incoming) == []


LINE_WHOSE_MAPS_DIE = """
    import os, sys
    from pathlib import Path
    from kizu_inspect.inspector import Inspector
    from line_world import ALL_REJECT, LineWorld

    Inspector.explain = lambda *_, **__: os._exit(9)
    LineWorld(Path(sys.argv[1]), Path(sys.argv[2])).run(**ALL_REJECT)
"""


def test_a_map_that_ends_the_program_is_given_up_after_three_attempts(world: LineWorld) -> None:
    for number in range(1, PARTS):
        (world.incoming / f"P{number}.png").unlink()
    command = [sys.executable, "-c", textwrap.dedent(LINE_WHOSE_MAPS_DIE), str(world.root), str(world.bundle)]
    ends = []
    while not ends or ends[-1] != 0:
        ends.append(subprocess.run(command, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, timeout=120).returncode)
        assert len(ends) <= MAX_ATTEMPTS + 2  # at first it was made straight after its verdict
    record = world.only()
    assert (record.row.verdict, record.row.explanation_state) == (Verdict.REJECT, ExplanationState.FAILED)
    assert record.explanation_error == "making it may have ended the program, 3 times"


def test_an_end_that_is_told_is_no_picture_s_doing(world: LineWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RecordError("the database refuses for good")

    with monkeypatch.context() as patch:
        patch.setattr(Inspections, "add", refuse)
        for _ in range(MAX_ATTEMPTS + 1):
            with pytest.raises(RecordError, match="for good"):
                world.run(**ALL_PASS)
    assert world.run(**ALL_PASS).verdicts[Verdict.PASS] == PARTS


def test_nothing_is_kept_of_attempts_that_were_outlived(world: LineWorld) -> None:
    world.run(**ALL_PASS)
    assert names_in(world.incoming) == []


@pytest.mark.parametrize("content", ["{", '["a"]', '{"a": "b"}', ""])
def test_a_broken_journal_stops_no_line(world: LineWorld, content: str) -> None:
    (world.incoming / JOURNAL_NAME).write_text(content)
    assert world.run(**ALL_PASS).verdicts[Verdict.PASS] == PARTS


def test_a_picture_that_the_network_fails_on_is_an_error_alone(world: LineWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = Inspector.judge
    poison = decode_image(drawn_png(POISON)).tobytes()

    def picky(self: Inspector, images: Any, **options: Any) -> Any:
        if any(image.tobytes() == poison for image in images):
            raise RuntimeError("out of memory")
        return judge(self, images, **options)

    monkeypatch.setattr(Inspector, "judge", picky)
    world.run(**ALL_PASS)
    records = world.inspections()
    assert [record.row.part for record in records] == [f"P{number}" for number in range(PARTS)]  # in the order of arrival
    assert [record.row.part for record in records if record.row.verdict is not Verdict.PASS] == [f"P{POISON}"]
    failed = records[POISON]
    assert (failed.row.verdict, failed.error) == (Verdict.ERROR, "judging failed: RuntimeError: out of memory")
    assert failed.row.image_sha256 is not None
    assert world.images.has(failed.row.image_sha256)
    assert len(names_in(world.done)) == PARTS
