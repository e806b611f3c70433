"""Limits that are chosen while the line runs: taken between two parts, by a line that is killed, locked out, told nonsense."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import text

from db_examples import raw
from kizu_db.repositories.limits import ChosenBy
from kizu_db.settings import DatabaseSettings
from kizu_db.values import ExplanationState, RecipeRow
from kizu_db.verifying import verify
from kizu_inspect.errors import ConfigError
from kizu_inspect.inspector import Inspector
from kizu_inspect.recipe import Recipe
from kizu_inspect.results import Verdict
from kizu_inspect.synth import KINDS, draw_part
from kizu_pipeline.settings import StationSettings
from kizu_pipeline.stages import limits as watching
from kizu_pipeline.stages.judge import Judge
from line_world import ALL_PASS, ALL_REVIEW, LineWorld, drawn_png
from test_pipeline_process import parsed
from test_pipeline_service import stop_before_explaining

LINE = """
import sys
from pathlib import Path
from kizu_db.settings import DatabaseSettings
from kizu_pipeline.logs import configure_logging
from kizu_pipeline.signals import stop_on_signals
from line_world import LineWorld

configure_logging()
database = DatabaseSettings.model_validate_json(sys.argv[3])
with LineWorld(Path(sys.argv[1]), Path(sys.argv[2]), database=database) as world, stop_on_signals() as stop:
    world.run(once=False, stop=stop, max_batch=2, policy="on_demand")
"""
LIMITS = {"PASS": (1.0, 1.0), "REVIEW": (0.0, 1.0), "REJECT": (0.0, 0.0)}
"""By which every picture gets this verdict."""


class Line:
    """The service as a process of its own."""

    def __init__(self, world: LineWorld, database: DatabaseSettings) -> None:
        told = json.dumps({"url": database.url})
        command = [sys.executable, "-c", LINE, str(world.root), str(world.bundle), told]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": PATH})
        assert self._process.stderr is not None
        self.events = parsed(self._process.stderr)

    def until(self, event: str, **told: object) -> dict[str, Any]:
        """The next event of the log of that name that says so; fails where the line ends before."""
        return next(one for one in self.events if one["event"] == event and told.items() <= one.items())

    def kill(self) -> None:
        with self._process as ended:
            ended.kill()

    def end(self) -> None:
        """As a person ends it."""
        self._process.send_signal(signal.SIGTERM)
        list(self.events)
        assert self._process.wait() == 0


PATH = os.pathsep.join([*os.environ.get("PYTHONPATH", "").split(os.pathsep), str(Path(__file__).parent)])


@contextmanager
def running(world: LineWorld, database: DatabaseSettings) -> Iterator[Line]:
    line = Line(world, database)
    try:
        line.until("started")
        yield line
    finally:
        line.kill()


@pytest.fixture
def world(tmp_path: Path, line_bundle: Path, database: DatabaseSettings) -> Iterator[LineWorld]:
    """A station with records of either kind."""
    with LineWorld(tmp_path, line_bundle, database=database) as made:
        yield made


def choose(world: LineWorld, verdict: str) -> RecipeRow:
    with world.records.unit() as unit:
        latest = unit.recipes.latest("press-3")
        assert latest is not None
        assert latest.model_hash is not None
        by = ChosenBy("Eun", "as the audit sample says", latest.version)
        return unit.limits.choose("press-3", *LIMITS[verdict], by=by, model_hash=latest.model_hash, seen={"reviewed": 46})


def judged_as_recorded(world: LineWorld) -> dict[str, int]:
    """The recipe version that each part names. Each has one row, whose verdict is that of the limits of its version."""
    found: dict[str, int] = {}
    for record in world.inspections():
        assert record.recipe is not None
        assert record.row.part not in found
        found[record.row.part] = record.recipe.version
        by = record.recipe.limits
        expected = next((verdict for verdict, limits in LIMITS.items() if limits == by), None)
        assert by == (None, None) or record.row.verdict == expected, (record.row, by)
    return found


def test_a_running_line_takes_them_between_two_parts(world: LineWorld, database: DatabaseSettings) -> None:
    with running(world, database) as line:
        for number in range(4):
            world.drop(f"A{number}.png", seed=number)
        for _ in range(4):
            line.until("inspected")
        chosen = choose(world, "REJECT")
        told = line.until("limits taken")
        assert (told["version"], told["pass_below"], told["reject_from"]) == (2, 0.0, 0.0)
        assert (told["chosen_by"], told["reason"]) == ("Eun", "as the audit sample says")
        for number in range(4):
            world.drop(f"B{number}.png", seed=number)
        for _ in range(4):
            assert line.until("inspected")["verdict"] == "REJECT"
        line.end()
    assert judged_as_recorded(world) == {f"{name}{number}": 1 + (name == "B") for name in "AB" for number in range(4)}
    with world.records.unit(read_only=True) as unit:
        events = [(event.action, event.actor) for event in unit.trail.of("recipe", chosen.id)]
        assert unit.limits.judged_by(chosen.id, most=10) == 4
    assert events == [("recipe.version", "Eun"), ("recipe.taken", "station press-3")]
    assert verify(database).findings == ()


@pytest.mark.parametrize("killed", ["before it can know", "as it takes them", "while it judges by them"])
def test_killed_around_the_change_it_judges_by_the_old_or_the_new_ones_and_each_part_once(
    world: LineWorld, database: DatabaseSettings, killed: str
) -> None:
    pictures = [drawn_png(number) for number in range(40)]
    with running(world, database) as line:
        for number, picture in enumerate(pictures):
            world.drop(f"P{number}.png", picture)
            if number == 12:
                line.until("inspected")
                choose(world, "REJECT")
                if killed == "before it can know":
                    break
        if killed != "before it can know":
            line.until("limits taken")
        if killed == "while it judges by them":
            world.drop("extra.png", pictures[0])
            line.until("inspected", part="extra")
        line.kill()
    for number, picture in enumerate(pictures[:13] if killed == "before it can know" else []):
        world.drop(f"again-{number}.png", picture)
    world.run(policy="on_demand")
    found = judged_as_recorded(world)
    files = [path for path in world.done.rglob("*") if path.is_file()]
    assert len(found) == len(files) == {"before it can know": 26, "as it takes them": 40}.get(killed, 41)
    assert set(found.values()) <= {1, 2}
    if killed == "before it can know":
        assert {found[part] for part in found if part.startswith("again")} == {2}
    with world.records.unit(read_only=True) as unit:
        latest = unit.recipes.latest("press-3")
        assert latest is not None
        assert [event.action for event in unit.trail.of("recipe", latest.id)] == ["recipe.version", "recipe.taken"]
    assert verify(database).findings == ()


def test_while_the_database_is_locked_the_line_keeps_what_it_has(tmp_path: Path, line_bundle: Path) -> None:
    database = DatabaseSettings(url=f"sqlite:///{tmp_path / 'kizu.db'}")
    with LineWorld(tmp_path, line_bundle, database=database) as world, running(world, database) as line:
        with raw(database) as connection:  # a writer that does not end
            connection.execute(text("UPDATE station SET outbox_seq = outbox_seq"))
            for number in range(3):
                world.drop(f"away{number}.png", seed=number)
            for _ in range(3):
                line.until("inspected")
        choose(world, "REJECT")
        line.until("limits taken")
        world.drop("back.png")
        assert line.until("inspected", part="back")["verdict"] == "REJECT"
        line.end()
        assert judged_as_recorded(world) == {"away0": 1, "away1": 1, "away2": 1, "back": 2}


def test_limits_that_hold_for_one_batch_alone_are_told_too(world: LineWorld, line_bundle: Path) -> None:
    """Others may be taken before the audit trail heard of them."""
    recipe = Recipe(bundle=line_bundle)
    judge = Inspector.load(recipe, device="cpu")
    watch = watching.open_limits(StationSettings(id="press-3", source=world.folder(), recipe=recipe), world.records, judge)
    chosen = [choose(world, verdict) for verdict in ("REJECT", "REVIEW")]
    for version in chosen:
        watch.took(Judge(judge, version))
    ended = threading.Event()
    ended.set()
    watch.run(ended, asks=lambda: True)
    with world.records.unit(read_only=True) as unit:
        told = [event.action for version in chosen for event in unit.trail.of("recipe", version.id)]
    assert told == ["recipe.version", "recipe.taken"] * 2


def test_where_kizu_yaml_sets_them_it_wins_and_the_log_says_so(world: LineWorld) -> None:
    world.run()
    choose(world, "REJECT")
    world.drop("P1.png")
    with structlog.testing.capture_logs() as logs:
        world.run(**ALL_REVIEW)
    (told,) = [one for one in logs if one["event"] == "chosen limits do not hold"]
    assert (told["version"], told["reason"]) == (2, "kizu.yaml sets its limits itself")
    assert world.only().row.verdict is Verdict.REVIEW
    world.drop("P2.png")
    world.run()
    assert judged_as_recorded(world) == {"P1": 3, "P2": 4}


def test_limits_of_another_model_do_not_hold_and_the_log_says_so(world: LineWorld, tiny_bundle: Path) -> None:
    world.run()
    choose(world, "REJECT")
    with structlog.testing.capture_logs() as logs:
        world.run(bundle=tiny_bundle)
    (told,) = [one for one in logs if one["event"] == "chosen limits do not hold"]
    assert told["reason"] == "they are for the scores of another model"
    with world.records.unit(read_only=True) as unit:
        latest = unit.recipes.latest("press-3")
    assert latest is not None
    assert (latest.limits, latest.chosen) == ((None, None), None)


def forge(world: LineWorld, database: DatabaseSettings, pass_below: object, reject_from: object) -> None:
    """A choice that came past the repositories."""
    with world.records.unit(read_only=True) as unit:
        latest = unit.recipes.latest("press-3")
    assert latest is not None
    content = json.dumps({**latest.content, "pass_below": pass_below, "reject_from": reject_from})
    with raw(database) as connection:
        connection.execute(
            text(
                "INSERT INTO recipe (id, station, version, content, model_hash, created_at) "
                "SELECT 77, station, version + 1, :content, model_hash, created_at FROM recipe WHERE id = :id"
            ),
            {"content": content, "id": latest.id},
        )
        connection.execute(text(f"INSERT INTO chosen_limits VALUES (77, {latest.version + 1}, 'Eve', 'none', '{{}}')"))


@pytest.mark.parametrize(
    ("limits", "said"),
    [((0.9, 0.1), "recipe.pass_below lies above recipe.reject_from"), (("low", 1.0), "are not understood: found pass_below")],
)
def test_what_is_no_limit_is_not_taken_and_the_line_goes_on(
    world: LineWorld, database: DatabaseSettings, limits: tuple[object, object], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "LOOK_S", 0.02)
    started, refused, stop, judged = (threading.Event() for _ in range(4))

    def heard(_logger: object, _name: str, event: dict[str, Any]) -> dict[str, Any]:
        if event["event"] == "started":
            started.set()
        if event["event"] == "chosen limits are not taken":
            assert said in event["error"]
            refused.set()
        raise structlog.DropEvent

    structlog.configure(processors=[heard])
    line = threading.Thread(target=lambda: world.run(once=False, stop=stop, progress=lambda _: judged.set()))
    line.start()
    try:
        assert started.wait(60)
        forge(world, database, *limits)
        assert refused.wait(60)
        world.drop("P1.png")
        assert judged.wait(60)
    finally:
        stop.set()
        line.join()
    recipe = world.only().recipe
    assert recipe is not None
    assert recipe.version == 1
    with pytest.raises(ConfigError, match=said):  # a start by them would be a start by limits that nobody chose
        world.run()


def test_a_map_of_before_the_change_is_made_by_the_limits_of_then_without_loading_the_model_again(
    world: LineWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = Path(shutil.copytree(world.bundle, tmp_path / "bundle"))
    world.drop("P1.png")
    stop_before_explaining(monkeypatch, world, bundle=bundle)

    def gone_once_it_runs(_logger: object, _name: str, event: dict[str, Any]) -> dict[str, Any]:
        if event["event"] == "started":
            shutil.rmtree(bundle)
        raise structlog.DropEvent

    structlog.configure(processors=[gone_once_it_runs])
    world.run(bundle=bundle, **ALL_PASS)
    record = world.only()
    assert not bundle.exists()
    assert (record.row.verdict, record.row.explanation_state) == (Verdict.REJECT, ExplanationState.DONE)
    assert record.explanation is not None
    assert record.explanation.check is not None
    assert record.explanation.check.conflict  # everything is rejected by the limits of then: no map can carry that


def test_other_limits_change_nothing_else_of_a_judge(line_bundle: Path) -> None:
    judge = Inspector.load(Recipe(bundle=line_bundle), device="cpu")
    images = [draw_part(KINDS[number], number, size_px=64).image for number in range(3)]
    other = judge.with_limits(0.0, 0.0)
    before, after = judge.judge(images), other.judge(images)
    assert [one.verdict for one in after.judgements] == [Verdict.REJECT] * 3
    assert [one.probabilities for one in after.judgements] == [one.probabilities for one in before.judgements]
    assert (judge.pass_below, other.pass_below) == (judge.bundle.spec.thresholds.pass_below, 0.0)
    assert other.with_limits(None, None).pass_below == judge.pass_below
    assert other.judges_like(Recipe(bundle=line_bundle, pass_below=0.7))
    assert not other.judges_like(Recipe(bundle=line_bundle, max_megapixels=7))
    with pytest.raises(ConfigError, match="lies above"):
        judge.with_limits(0.9, 0.1)
