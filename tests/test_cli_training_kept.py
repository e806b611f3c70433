"""kizu train in the hands of a person: what it shows, how it is ended, and how it goes on."""

from __future__ import annotations

import io
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console
from rich.markup import render
from rich.progress import Progress
from typer.testing import CliRunner

from kizu.training import TrainingShown
from kizu_inspect.bundle import Bundle
from kizu_inspect.errors import ConfigError
from kizu_inspect.picture.decoding import decode_image
from kizu_inspect.synth import write_set
from kizu_inspect.training.checkpoints import folder_of
from kizu_inspect.training.fit import Standing
from kizu_inspect.training.plan import Plan
from whole_cli import app

run = CliRunner().invoke
MAIN = [sys.executable, "-u", "-c", "from kizu.main import main; main()"]
LOOK = re.compile(r"^step (\d+) of (\d+): loss \d+\.\d{3}, validation loss \d+\.\d{3}, accuracy [01]\.\d{3}$", re.MULTILINE)


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    return write_set(tmp_path / "parts", count=60, seed=7, size_px=64, splits={"train": 0.6, "val": 0.4})


def arguments(parts: Path, out: Path, *more: str, steps: int = 400) -> list[str]:
    options = ["--profile", "part", "--size", "32", "--device", "cpu", "--steps", str(steps)]
    return ["train", str(parts), "--out", str(out), *options, *more]


def started(command: list[str]) -> subprocess.Popen[str]:
    """The command, as soon as it has a model: its validation pictures were looked at."""
    process = subprocess.Popen([*MAIN, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while (line := process.stdout.readline()) and LOOK.match(line) is None:
        pass
    assert line, process.communicate()
    return process


def test_ctrl_c_ends_a_training_with_its_best_model(parts: Path, tmp_path: Path) -> None:
    # A name in which a drawing might see a formula.
    parts.write_text(parts.read_text(encoding="utf-8").replace("stain", "$stain_{$"), encoding="utf-8")
    out = tmp_path / "bundle"
    process = started(arguments(parts, out))
    process.send_signal(signal.SIGINT)
    said, told = process.communicate()
    assert process.returncode == 0, told
    assert "The training ends: with its best model so far" in told
    ended = re.search(
        r"^The training was ended early at step (\d+) of 400; its best model is that of step (\d+)\.$", said, re.M
    )
    assert ended is not None, said
    assert Bundle.load(out).spec.provenance.steps == int(ended[1])
    assert decode_image((out / "training.png").read_bytes()).std() > 5
    assert not folder_of(out).exists()


def test_a_second_signal_leaves_at_once_and_the_training_goes_on_later(parts: Path, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    process = started(arguments(parts, out))
    asked = time.time_ns()
    process.send_signal(signal.SIGTERM)
    # One is written when the steps end, before what follows them; an older one may be there.
    while not any(one.stat().st_mtime_ns > asked for one in folder_of(out).glob("*.checkpoint")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate()
    assert process.returncode == 130, told
    assert f"is kept in {folder_of(out)}: the same command with --resume goes on." in told
    assert not out.exists()
    with pytest.raises(ConfigError, match=r"was broken off: .*Go on with it by --resume, or remove"):
        run(app, arguments(parts, out), catch_exceptions=False)
    with pytest.raises(ConfigError, match=r"another one: found settings\.fit\.seed 0; expected 1\."):
        run(app, arguments(parts, out, "--resume", "--seed", "1"), catch_exceptions=False)
    done = run(app, arguments(parts, out, "--resume"), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "400 of 400 steps were taken" in done.output
    looks = [int(step) for step, _ in LOOK.findall(done.output)]
    assert 40 < looks[0] < looks[-1] == 400  # of the first tenth the broken one had told
    assert Bundle.load(out).spec.provenance.steps == 400
    assert not folder_of(out).exists()


def test_too_little_time_is_told_and_kept_and_a_report_that_fails_costs_no_bundle(parts: Path, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    (out / "training.png").mkdir(parents=True)
    done = run(app, [*arguments(parts, out), "--minutes", "0.001"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "Only about 1 steps fit into the time" in done.output
    assert "1 of 1 steps were taken" in done.output
    assert re.search(r"bundle .*, no report could be drawn: \[Errno \d+\] .*training\.png", done.output)
    assert Bundle.load(out).spec.provenance.steps == 1


def test_on_a_terminal_the_bar_says_all_that_the_lines_say_elsewhere(tmp_path: Path) -> None:
    said: list[str] = []
    bar = Progress(console=Console(file=io.StringIO(), force_terminal=True))
    shown = TrainingShown(bar, said.append, tmp_path / "bundle")
    (task,) = bar.tasks
    shown.begin(Plan(1000, None, 1, 0.1, 0.0, 0.0))
    shown.advance(Standing(99, 1000, 0.3, 0.5, None))
    assert (task.completed, task.fields["note"]) == (0.3, "step 99 of 1000: loss 0.500")
    shown.advance(Standing(100, 1000, 0.31, 0.4, (0.25, 0.875)))
    shown.advance(Standing(101, 1000, 0.32, 0.4, None))
    assert task.fields["note"] == "step 101 of 1000: loss 0.400, validation loss 0.250, accuracy 0.875"
    shown.advance(Standing(1000, 1000, 1.0, 0.4, (0.25, 0.875)))
    assert task.fields["note"].startswith("calibrating")
    assert said == []
    for step in (1, 2):
        shown.advance(Standing(step, 1000, 0.01, 0.4, None, "[Errno 28] No space left on device"))
    assert len(said) == 1
    assert str(render(said[0])).endswith("goes on without: [Errno 28] No space left on device")


def test_a_plan_that_is_too_short_or_longer_than_the_time_is_told(tmp_path: Path) -> None:
    said: list[str] = []
    shown = TrainingShown(Progress(disable=True), said.append, tmp_path / "bundle")
    shown.begin(Plan(1000, 420.0, 400, 0.3, 20.0, 20.0))
    assert said == []
    shown.begin(Plan(400, 400.0, 400, 2.97, 12.0, 10.0))
    shown.begin(Plan(30, 60.0, 1, 2.0, 40.0, 10.0))
    assert said[0].startswith("The least steps take about 20.0 minutes here.")
    assert said[1].startswith("Only about 30 steps fit into the time")
    assert said[1].endswith("they would take 14.0 minutes.")
