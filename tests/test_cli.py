"""The commands as a user calls them."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import cv2
import numpy as np
import pytest
import typer
import yaml
from typer.testing import CliRunner

from kizu.config import load_config
from kizu.demo import DemoScale
from kizu.main import COMMANDS, GROUPS, build_app
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings
from kizu_inspect.errors import ConfigError
from kizu_inspect.picture.images import encode_png
from kizu_inspect.synth import draw_part
from whole_cli import app

run = CliRunner().invoke


@pytest.fixture
def line(tmp_path: Path, tiny_bundle: Path) -> Path:
    """kizu.yaml of a line whose watched folder holds three parts and a file that is no picture."""
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    for seed, kind in enumerate(("good", "stain", "missing_hole")):
        (incoming / f"P{seed}_top.png").write_bytes(encode_png(draw_part(kind, seed, size_px=64).image))
    (incoming / "P9_top.png").write_bytes(b"no picture")
    config = {
        "database": {"url": f"sqlite:///{tmp_path / 'kizu.db'}"},
        "images": {"path": str(tmp_path / "images")},
        "station": {
            "id": "press-3",
            "source": {
                "kind": "folder", "path": str(incoming), "done": str(tmp_path / "done"),
                "quarantine": str(tmp_path / "quarantine"), "settle_s": 0, "part_pattern": "(?P<part>[^_]+)_(?P<view>.+)",
            },
            "recipe": {
                "bundle": str(tiny_bundle), "allow_no_promise": True, "explanation": {"policy": "all"}, "mm_per_px": 0.2,
            },
        },
        "runtime": {"device": "cpu"},
    }  # fmt: skip
    path = tmp_path / "kizu.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def test_a_folder_becomes_rows_a_report_and_the_same_answer_as_inspect(line: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    done = run(app, ["run", "--config", str(line), "--once", "--json", "-"])
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert (summary["files"], summary["quarantined"]) == (4, 1)
    assert not list((tmp_path / "incoming").iterdir())

    shown = run(app, ["inspect", str(tiny_bundle), str(tmp_path / "done" / "P1_top.png"), "--json", "-", "--device", "cpu"])
    assert shown.exit_code == 0, shown.output
    (image,) = json.loads(shown.stdout)["images"]
    with (
        Records.open(DatabaseSettings(url=f"sqlite:///{tmp_path / 'kizu.db'}")) as records,
        records.unit(read_only=True) as unit,
    ):
        (row,) = unit.inspections.latest(named="P1")
        record = unit.inspections.get(row.uid)
    assert record is not None
    assert record.explanation is not None
    assert record.probabilities == pytest.approx(image["probabilities"], abs=1e-5)
    grid = np.array(image["explanation"]["grid"])
    assert np.abs(record.explanation.heatmap.grid.astype(float) - grid).max() <= 1e-3
    assert record.mm_per_px == 0.2

    for name in ("week.csv", "week.pdf"):
        made = run(app, ["report", str(tmp_path / name), "--config", str(line)])
        assert made.exit_code == 0, made.output
        assert (tmp_path / name).stat().st_size > 100
        assert re.search(r"\d{4}-\d\d-\d\d, \d+ flagged parts$", made.output.strip().replace("\n", "")), made.output


def test_the_dashboard_answers_at_the_address_that_it_prints(line: Path) -> None:
    assert run(app, ["db", "upgrade", "--config", str(line)]).exit_code == 0
    with line.open("a", encoding="utf-8") as file:
        file.write("dashboard: {port: 0}\n")
    command = [sys.executable, "-c", "from kizu.main import main; main()", "dashboard", "--config", str(line)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as dashboard:
        assert dashboard.stdout is not None
        said = dashboard.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", said)
        assert found, said
        once = dashboard.stdout.readline()
        assert once.startswith(f"Sign in once, on this machine: {found.group()}/signin?once="), once
        with urlopen(found.group() + "/_stcore/health", timeout=30) as answer:
            assert answer.status == 200
        dashboard.terminate()
        assert dashboard.wait(timeout=30) == -signal.SIGTERM  # uvicorn ends its work, then passes the signal on


def test_evaluate_names_its_figures_as_programs_expect(tiny_bundle: Path, tmp_path: Path) -> None:
    assert run(app, ["synth", str(tmp_path / "parts"), "--count", "60", "--size", "64"]).exit_code == 0
    sheet = tmp_path / "sheet.png"
    options = ["--explain", "all", "--json", "-", "--device", "cpu", "--faithful", "3", "--sheet", str(sheet)]
    done = run(app, ["evaluate", str(tiny_bundle), str(tmp_path / "parts"), *options])
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    assert {"accuracy", "balanced_accuracy", "auroc", "miss_rate", "overkill_rate", "ece"} <= set(figures["classification"])
    assert set(figures["explanation"]) == {"cam", "grad-cam", "grad-cam++", "score-cam", "random", "centre", "empty", "ones"}
    assert "train the bundle again" in figures["explanation_skipped"]["lfi-cam"]
    asked = {"average_drop", "increase", "deletion", "insertion"}
    compared = {"pointing", "pointing_tolerant", "energy", "enrichment", "iou", "pixel_ap", "aupro"}
    assert asked | compared | {"sanity", "cost"} <= set(figures["explanation"]["cam"])
    assert asked | compared <= set(figures["explanation"]["ones"])
    assert 0 < figures["explanation"]["score-cam"]["channels_16"]["value"] <= 1
    assert set(figures["explanation"]["cam"]["pointing"]) == {"value", "low", "high", "n"}
    assert figures["explanation"]["cam"]["deletion"]["n"] == 3
    assert cv2.imread(str(sheet)) is not None
    otherwise = ["--masked", "black", "--target", "margin", "--refine", "none"]
    black = run(app, ["evaluate", str(tiny_bundle), str(tmp_path / "parts"), *options, *otherwise])
    asked_otherwise = json.loads(black.stdout)["explanation"]
    assert asked_otherwise["score-cam"]["energy"] != figures["explanation"]["score-cam"]["energy"]
    assert asked_otherwise["cam"]["energy"] != figures["explanation"]["cam"]["energy"]  # a margin alone leaves CAM's as it is
    for figure in ("pointing", "energy", "deletion"):  # IoU is taken at the threshold of the methods beside it
        assert asked_otherwise["random"][figure] == figures["explanation"]["random"][figure]


def test_the_demo_ends_with_its_figures_and_opens_again_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = DemoScale(training_parts=120, unseen_parts=20, stream_parts=10, size_px=64, training_s=0.1)
    monkeypatch.setattr("kizu.demo.SCALE", small)
    arguments = ["demo", "--folder", str(tmp_path / "demo"), "--no-dashboard"]
    done = run(app, arguments)
    assert done.exit_code == 0, done.output
    assert re.search(r"^    400 steps, by a probe of 0\.\d{3} s a step$", done.output, re.MULTILINE)  # its least, however slow
    assert "    10 inspections: " in done.output
    assert re.search(r"^    accuracy        [01]\.\d{3} \[[01]\.\d{3}, [01]\.\d{3}\] \(n = 20\)$", done.output, re.MULTILINE)
    assert re.search(r"^    grad-cam        pointing .*, within 5 px .*, cold on good parts ", done.output, re.MULTILINE)
    config = load_config(tmp_path / "demo" / "kizu.yaml")
    with Records.open(config.database) as records, records.unit(read_only=True) as unit:
        assert len(unit.inspections.latest(limit=100)) == 10
    rows = (tmp_path / "demo" / "kizu.db").read_bytes()
    again = run(app, arguments)
    assert again.exit_code == 0
    assert again.output.startswith(done.output)
    assert "made before. Remove" in again.output
    assert (tmp_path / "demo" / "kizu.db").read_bytes() == rows


def test_a_demo_that_did_not_come_to_its_end_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    done = run(app, ["demo", "--folder", str(tmp_path), "--no-dashboard"])
    assert isinstance(done.exception, ConfigError)
    assert "the demo's folder is in use: found files in" in str(done.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_pictures_of_one_name_keep_their_own_heatmaps(tiny_bundle: Path, tmp_path: Path) -> None:
    pictures = [tmp_path / camera / "P7.png" for camera in ("left", "right")]
    for seed, picture in enumerate(pictures):
        picture.parent.mkdir()
        picture.write_bytes(encode_png(draw_part("stain", seed, size_px=64).image))
    shown = tmp_path / "shown"
    done = run(app, ["inspect", str(tiny_bundle), *map(str, pictures), "--out", str(shown), "--device", "cpu"])
    assert done.exit_code == 0, done.output
    assert {path.name for path in shown.iterdir()} == {"P7.grad-cam.png", "P7-2.grad-cam.png"}


def test_inspect_tells_contours_and_sizes_in_mm_where_a_pixel_is_known(tiny_bundle: Path, tmp_path: Path) -> None:
    pictures = [tmp_path / f"{seed}.png" for seed in range(3)]
    for seed, picture in enumerate(pictures):
        picture.write_bytes(encode_png(draw_part("missing_hole", seed, size_px=64).image))

    def regions(*options: str) -> list[dict[str, float]]:
        arguments = ["inspect", str(tiny_bundle), *map(str, pictures), "--json", "-", "--device", "cpu", *options]
        done = run(app, arguments)
        assert done.exit_code == 0, done.output
        return [region for image in json.loads(done.stdout)["images"] for region in image["explanation"]["regions"]]

    plain, scaled = regions(), regions("--mm-per-px", "0.25")
    assert len(plain) > 0
    for before, region in zip(plain, scaled, strict=True):
        assert region["area_px"] >= cv2.contourArea(np.array(region["contour"], np.int32)) > 0
        assert region == before | {
            "length_mm": region["length_px"] / 4, "width_mm": region["width_px"] / 4, "area_mm2": region["area_px"] / 16
        }  # fmt: skip
    wrong = run(app, ["inspect", str(tiny_bundle), str(pictures[0]), "--mm-per-px", "0"])
    assert isinstance(wrong.exception, ConfigError)
    assert "mm_per_px" in str(wrong.exception)


def test_evaluate_says_where_training_pictures_may_stand_among_the_tested(tiny_bundle: Path, tmp_path: Path) -> None:
    for label in ("good", "stain"):
        (tmp_path / "folders" / label).mkdir(parents=True)
        for seed in range(8):
            picture = encode_png(draw_part(label, seed, size_px=64).image)
            (tmp_path / "folders" / label / f"{seed}.png").write_bytes(picture)
    arguments = ["evaluate", str(tiny_bundle), str(tmp_path / "folders"), "--explain", "cam", "--faithful", "0"]
    done = run(app, [*arguments, "--json", "-"])
    assert done.exit_code == 0, done.output
    assert "these are not the pictures that the model was trained from" in done.stderr
    figures = json.loads(done.stdout)
    assert figures["pictures"] > 0
    assert figures["explanation"]["cam"]["pointing"]["n"] == 0
    shown = run(app, arguments)
    assert "No picture says where its defect lies, so nothing can be said of where the maps point." in shown.stdout
    assert "accuracy" in shown.stdout
    assert "(n = 0)" not in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--config", "absent.yaml"], "kizu: configuration is not there: found no file absent.yaml"),
        (["inspect", "absent", "part.png"], "kizu: model bundle is not there"),
        (
            ["inspect", "absent", "part.png", "--method", "heat"],
            "kizu: unknown explanation method: found heat; expected one of cam",
        ),
        (["train", "absent", "--out", "b"], "kizu: data set is not there: found absent"),
        (["evaluate", "absent", "parts"], "kizu: model bundle is not there"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from kizu.main import main; main()", *arguments],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(said)
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_command_that_is_not_asked_for_shows_the_help_that_it_has() -> None:
    whole, light = (typer.main.get_command(build_app(arguments)) for arguments in (None, ["--help"]))
    assert list(light.commands) == list(whole.commands)  # type: ignore[attr-defined]
    for name in (*COMMANDS, *GROUPS):
        ours, theirs = light.commands[name], whole.commands[name]  # type: ignore[attr-defined]
        assert ours.help == theirs.help
        for below, command in getattr(theirs, "commands", {}).items():
            assert ours.commands[below].help == command.help


HELP = ("", "run", "report", "status", "db", "db prune", "db backup", "quarantine release", "user add", "train", "demo")


@pytest.mark.parametrize("command", HELP)
def test_help_imports_nothing_that_a_command_works_with(command: str) -> None:
    code = (
        f"import sys; sys.argv = ['kizu', *{command.split()!r}, '--help']\n"
        "from kizu.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code in (0, None)\n"
        "heavy = {'torch', 'numpy', 'cv2', 'sqlalchemy', 'alembic', 'psycopg', 'streamlit'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert f"Usage: kizu {command}".strip() in done.stdout


@pytest.mark.parametrize("arguments", [["nonsense"], ["db", "nonsense"], ["--json", "-", "run"]])
def test_what_is_no_command_is_told(arguments: list[str]) -> None:
    code = f"import sys; sys.argv = ['kizu', *{arguments!r}]; from kizu.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "No such" in done.stderr
    assert "Traceback" not in done.stderr
