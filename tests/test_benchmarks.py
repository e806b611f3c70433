"""The scripts that measure run, and name their figures as programs expect; the figures themselves are no test's business."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def figures_of(script: str, *arguments: str, tmp_path: Path) -> dict[str, object]:
    """What a script writes, run as a user runs it."""
    target = tmp_path / "figures.json"
    command = [sys.executable, str(BENCHMARKS / script), *arguments, "--json", str(target)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    figures: dict[str, object] = json.loads(target.read_text(encoding="utf-8"))
    return figures


def test_what_an_explanation_costs_is_measured_beside_the_peers(tmp_path: Path) -> None:
    found = figures_of(
        "explain.py", "--backbone", "local", "--size", "64", "--rounds", "1", "--quick", "--device", "cpu", tmp_path=tmp_path
    )
    ours = [f"ratio.{method}.b{batch}" for method in ("cam", "grad-cam", "grad-cam++", "lfi-cam") for batch in (1, 16)]
    theirs = [f"peer.{name}.b1" for name in ("grad-cam.grad-cam", "grad-cam.grad-cam++", "torchcam.cam")]
    named = [*ours, *theirs, "ratio.region-check.b16"]
    values = [found.get(name) for name in named]
    assert all(isinstance(value, float) and value > 0 for value in values), dict(zip(named, values, strict=True))


def test_what_finer_cells_cost_is_measured_beside_the_network_without_them(tmp_path: Path) -> None:
    found = figures_of("cells.py", "--rounds", "1", "--steps", "2", tmp_path=tmp_path)
    maps = [f"map.{method}.b{batch}" for method in ("cam", "grad-cam", "grad-cam++", "lfi-cam") for batch in (1, 16)]
    named = ["forward.b1", "forward.b16", "training", *maps]
    values = [found.get(name) for name in named]
    assert all(isinstance(value, float) and value > 0 for value in values), dict(zip(named, values, strict=True))


def test_what_maps_are_worth_is_measured_seed_by_seed(tmp_path: Path) -> None:
    options = ("--set", "surfaces", "--truth", "boxes", "--seeds", "1", "--steps", "2", "--explain", "cam", "--pictures", "360")
    found = figures_of("acceptance/evidence.py", str(tmp_path / "work"), *options, tmp_path=tmp_path)
    seeds = found["seeds"]
    assert isinstance(seeds, dict)
    assert {"cam", "centre", "random"} <= set(seeds)
    least, mean, most = (seeds["centre"]["pointing"][place] for place in (1, 0, 2))
    assert 0 <= least == mean == most <= 1


def test_sizes_of_regions_are_held_against_what_was_drawn(tiny_bundle: Path, tmp_path: Path) -> None:
    found = figures_of("acceptance/sizes.py", str(tiny_bundle), "--parts", "3", "--size", "64", tmp_path=tmp_path)
    holes = found["missing_hole"]
    assert isinstance(holes, dict)
    assert (holes["parts"], holes["one_region"]) == (3, 3)
    for name in ("length", "width", "area"):
        middle, (low, high) = holes[name]
        assert 0 < low <= middle <= high


def test_many_explanations_leave_nothing_behind(tmp_path: Path) -> None:
    found = figures_of("acceptance/explain_many.py", "--explanations", "200", tmp_path=tmp_path)
    assert found["model_unchanged"] is True
    assert found["passed"] is True
    for mistakes in (found["refused"], found["failed_midway"]):
        assert isinstance(mistakes, int)
        assert mistakes > 0


def test_fuzzed_files_harm_no_line(tiny_bundle: Path, tmp_path: Path) -> None:
    options = ("--files", "60", "--good", "10", "--seed", "3", "--trained", str(tiny_bundle.parent))
    found = figures_of("acceptance/fuzzed_files.py", *options, tmp_path=tmp_path)
    assert found["passed"] is True
    assert found["rows"] == found["files_put_away"] == 70
    assert sum(int(str(found[kind])) for kind in ("refused", "stopped_by_a_gate", "judged")) == 60


def test_a_locked_database_costs_a_line_time_alone(tmp_path: Path) -> None:
    found = figures_of("acceptance/away.py", "--seconds", "10", "--cases", "sqlite-locked", tmp_path=tmp_path)
    locked = found["sqlite-locked"]
    assert isinstance(locked, dict)
    assert locked["passed"] is True
    assert locked["rows"] == locked["files"] > locked["files_while_away"] > 0


def test_what_a_line_waits_for_a_backup_is_measured(tmp_path: Path) -> None:
    found = figures_of("backup.py", "--rows", "20", "--alone", "0.5", tmp_path=tmp_path)
    named = [f"{phase}.{figure}" for phase in ("alone", "backup") for figure in ("count", "median_ms", "p99_ms", "max_ms")]
    values = [found.get(name) for name in [*named, "backups", "backup_s", "megabytes"]]
    assert all(isinstance(value, int | float) and value > 0 for value in values), found


def test_the_records_are_timed_on_both_databases(tmp_path: Path) -> None:
    small = ("--inspections", "3000", "--rounds", "2", "--writes", "40", "--prune", "150")
    found = figures_of("records.py", *small, tmp_path=tmp_path)
    for database in ("sqlite", "postgresql"):
        figures = found[database]
        assert isinstance(figures, dict)
        for query in (
            "list_deep",
            "list_part",
            "list_lot",
            "record",
            "counts_day",
            "p_chart_week",
            "lots_month",
            "report_100_parts",
        ):
            assert 0 < figures[query]["p50_ms"] <= figures[query]["p95_ms"] <= figures[query]["max_ms"]
        assert figures["claim"]["claims"] == figures["claim"]["distinct"] > 0
        assert figures["insert_per_s"] > 0
        assert figures["explanation_per_s"] > 0
        for kind in ("prune_images", "prune_records"):
            assert figures[kind]["pruned"] == 150
            assert figures[kind]["writes"] > 0


def test_a_start_is_measured_from_help_to_the_first_verdict(line_bundle: Path, tmp_path: Path) -> None:
    found = figures_of("start.py", "--bundle", str(line_bundle), "--rounds", "1", tmp_path=tmp_path)
    named = [f"help{which}_{unit}" for which in ("", "_run", "_db", "_db_prune") for unit in ("s", "cpu_s")]
    values = [found.get(name) for name in [*named, "first_verdict_s"]]
    assert all(isinstance(value, float) and value > 0 for value in values), found


def test_every_picture_of_a_large_set_is_taken_or_named(tmp_path: Path) -> None:
    found = figures_of("acceptance/large_set.py", "--pictures", "250", "--folder", str(tmp_path), tmp_path=tmp_path)
    assert (found["readable"], found["taken"], found["left_out"], found["there"]) == (247, 247, 3, 250)


def test_wrong_labels_are_counted_where_they_were_made(tmp_path: Path) -> None:
    options = ("--parts", "90", "--steps", "2")
    found = figures_of("acceptance/wrong_labels.py", str(tmp_path / "work"), *options, tmp_path=tmp_path)
    assert (found["pictures"], found["wrong"]) == (63, 3)
    for way in ("learned", "after"):
        assert 0 < found[way]["average_precision"] <= 1
    unseen = found["unseen"]
    assert (unseen["pictures"], unseen["wrong"]) == (27, 2)
    assert unseen["found_wrong"] <= unseen["wrong"]


def test_squeezed_scratches_are_as_wide_as_they_are_squeezed(tmp_path: Path) -> None:
    options = ("--squeezes", "2", "--steps", "2")
    found = figures_of("acceptance/squeezed_scratches.py", str(tmp_path / "work"), *options, tmp_path=tmp_path)
    assert found["2"]["width_px"] == 1.5
    assert 0 <= found["2"]["auroc"] <= 1
