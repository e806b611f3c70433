"""kizu train: what its settings file says, and what its help shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner

from kizu.training_file import TrainingFile, load_training_file
from kizu_inspect.bundle import Bundle
from kizu_inspect.errors import ConfigError, DataError
from kizu_inspect.synth import write_set
from whole_cli import app

HOUSE = Path(__file__).parent.parent
run = CliRunner().invoke


def test_what_the_settings_file_says_is_what_is_trained(tmp_path: Path) -> None:
    write_set(tmp_path / "parts", count=100, seed=7, size_px=64)
    given, out = tmp_path / "training.yaml", tmp_path / "bundle"
    arguments = [
        "train", str(tmp_path / "parts"), "--out", str(out), "--settings", str(given), "--profile", "part", "--size", "32",
        "--steps", "5", "--device", "cpu",
    ]  # fmt: skip
    network = "network: {cell_px: 8, branch: false}\nalignment: {kind: homography}\n"
    given.write_text(f"{network}fit: {{batch_size: 1000}}", encoding="utf-8")
    with pytest.raises(DataError, match=r"expected at least 1000 train and 4 val\. Add pictures, or lower fit\.batch_size"):
        run(app, arguments, catch_exceptions=False)
    given.write_text(network, encoding="utf-8")
    done = run(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    spec = Bundle.load(out).spec
    assert spec.architecture.cell_px == 8
    assert not spec.architecture.head.branch
    assert "lfi-cam" not in spec.explanation
    assert spec.input.alignment.kind == "homography"
    assert spec.provenance.steps == 5


def test_the_example_shows_every_key_with_its_default() -> None:
    path = HOUSE / "configs" / "training.yaml"
    assert yaml.safe_load(path.read_text(encoding="utf-8")) == TrainingFile().model_dump()
    assert load_training_file(path) == TrainingFile() == load_training_file(None)


@pytest.mark.parametrize("path", sorted((HOUSE / "benchmarks" / "acceptance").glob("*.yaml")), ids=lambda path: path.name)
def test_the_settings_of_published_figures_are_understood(path: Path) -> None:
    assert load_training_file(path) != TrainingFile()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "fits: {}",
            r"fits: .* not permitted, the nearest key is fit \(found \{\}\)\. See configs/training\.yaml",
        ),
        ("fit: {lerning_rate: 1}", r"fit\.lerning_rate: .*, the nearest key is learning_rate \(found 1\)"),
        ("fit: {steps: 100}", r"fit\.steps: .*, the keys are batch_size, .*all else is an option of kizu train"),
        ("network: {cell_px: 5}", r"network\.cell_px: Input should be 4, 8 or 16 \(found 5\)"),
        ("fit: {learning_rate: -1}", r"fit\.learning_rate: Input should be greater than 0"),
        ("fit: [", "is not YAML"),
        (
            None,
            r"settings file of the training is not there: found no file .*\. Copy configs/training\.yaml",
        ),
    ],
)
def test_a_mistake_is_told_before_any_picture_is_read(text: str | None, said: str, tmp_path: Path) -> None:
    given = tmp_path / "training.yaml"
    if text is not None:
        given.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        run(app, ["train", str(tmp_path / "absent"), "--out", str(tmp_path / "b"), "--settings", str(given)],
            catch_exceptions=False)  # fmt: skip
    assert not (tmp_path / "b").exists()


def test_every_option_says_what_it_is_in_the_panel_of_what_a_person_wants() -> None:
    command = typer.main.get_command(app).commands["train"]  # type: ignore[attr-defined]
    panels: dict[str, list[str]] = {}
    for option in command.params[1:]:
        assert option.help, option.name
        panels.setdefault(option.rich_help_panel, []).append(option.name)
    wanted = ["Result", "Data", "Time", "Network", "Limits", "Heatmaps", "Rarely needed"]
    assert sorted(panels) == sorted(wanted)
    assert max(len(options) for options in panels.values()) <= 6
    shown = run(app, ["train", "--help"], env={"COLUMNS": "120"}).stdout
    assert re.findall(r"^╭─ ([^─]+) ─", shown, re.MULTILINE) == ["Arguments", "Options", *wanted]
