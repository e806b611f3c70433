"""`kizu db` and `kizu user` as an admin calls them."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import text
from typer.testing import CliRunner, Result

from db_examples import inspection, raw, review
from kizu_db.image_store import ImageStore
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings
from kizu_inspect.errors import KizuError, SchemaError
from kizu_inspect.results import Verdict
from test_db_retention import NOW, put
from whole_cli import app

OLD = NOW - timedelta(days=4000)


@pytest.fixture
def config(database: DatabaseSettings, tmp_path: Path) -> Path:
    path = tmp_path / "kizu.yaml"
    content = {
        "database": {"url": database.url},
        "images": {"path": str(tmp_path / "images")},
        "retention": {"pass_images_days": 30, "records_days": 3000},
    }
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


@pytest.fixture
def uids(records: Records, tmp_path: Path) -> dict[str, str]:
    """Three inspections with pictures: one of today, two old ones."""
    store = ImageStore(tmp_path / "images")
    found = {}
    with records.unit() as unit:
        for name, at, verdict in (
            ("new", NOW, Verdict.REJECT), ("passed", NOW - timedelta(days=100), Verdict.PASS), ("old", OLD, Verdict.REJECT),
        ):  # fmt: skip
            new = inspection(verdict, part=name, lot="L7", judged_at=at, image_sha256=put(store, name))
            found[name] = unit.inspections.add(new)
        unit.reviews.add(review(found["new"]))
    return found


def run(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--config", str(config)])


def done(config: Path, *arguments: str) -> str:
    result = run(config, *arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def figures(config: Path, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done(config, *arguments, "--json", "-"))
    return found


def refused(config: Path, *arguments: str) -> KizuError:
    error = run(config, *arguments).exception
    assert isinstance(error, KizuError)
    return error


@pytest.mark.usefixtures("uids")
def test_sound_records_are_called_sound_and_others_are_not(config: Path, database: DatabaseSettings) -> None:
    said = done(config, "db", "verify", "--images")
    assert "1 audit events and 1 reviews: all as written; last event " in said
    head = figures(config, "db", "verify")["head"]
    done(config, "db", "verify", "--head", head)
    with raw(database) as connection:
        if database.file is not None:
            connection.execute(text("DROP TRIGGER review_no_update"))
        else:
            connection.execute(text("ALTER TABLE review DISABLE TRIGGER USER"))
        connection.execute(text("UPDATE review SET reason = 'nothing to see'"))
    result = run(config, "db", "verify")
    assert result.exit_code == 1
    assert "review 1: changed since it was written: reason" in result.stdout
    result = run(config, "db", "verify", "--json", "-")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["findings"] == [
        {"subject": "review", "subject_id": "1", "what": "changed since it was written: reason"}
    ]


def test_pruning_is_tried_dry_first(config: Path, uids: dict[str, str], records: Records) -> None:
    said = done(config, "db", "prune")
    assert "1 inspections with all that hangs on them would go, and the pictures of 1 passed and 0 other parts" in said
    assert "Nothing was changed" in said
    with records.unit(read_only=True) as unit:
        assert len(unit.inspections.latest()) == 3
    done(config, "db", "hold", "L7", "--reason", "claim 4711", "--by", "Kim")
    held = figures(config, "db", "prune")
    assert (held["records"], held["passed_images"], held["held_lots"]) == (0, 0, ["L7"])
    done(config, "db", "release", "L7", "--reason", "settled", "--by", "Kim")
    gone = figures(config, "db", "prune", "--apply", "--by", "Kim", "--reason", "yearly")
    assert gone == {
        "applied": True, "records": 1, "passed_images": 1, "flagged_images": 0, "files": 2,
        "freed_bytes": len("passed") + len("old"), "held_lots": [],
    }  # fmt: skip
    with records.unit(read_only=True) as unit:
        assert {row.uid: row.kept_image is not None for row in unit.inspections.latest()} == {
            uids["new"]: True, uids["passed"]: False,
        }  # fmt: skip
    events = figures(config, "db", "audit")["events"]
    assert [(event["action"], event["actor"], event["reason"]) for event in events] == [
        ("prune.images", "Kim", "yearly"), ("prune.records", "Kim", "yearly"), ("lot.release", "Kim", "settled"),
        ("lot.hold", "Kim", "claim 4711"), ("review.add", "Mina", "seen under the lamp"),
    ]  # fmt: skip
    assert len(figures(config, "db", "audit", "--limit", "1", "--before", "3")["events"]) == 1
    assert "lot.hold" in done(config, "db", "audit")
    done(config, "db", "verify", "--images")


@pytest.mark.usefixtures("uids")
def test_words_that_look_like_markup_hide_no_event(config: Path) -> None:
    done(config, "db", "hold", "L7", "--reason", r"\[/red] [b]z", "--by", "[i]Kim")
    said = done(config, "db", "audit")
    assert "[i]Kim" in said


@pytest.mark.usefixtures("uids")
def test_stats_say_how_much_there_is(config: Path) -> None:
    found = figures(config, "db", "stats")
    assert (found["rows"]["inspection"], found["rows"]["review"], found["waiting"]) == (3, 1, 1)
    assert found["size_bytes"] > 100_000
    assert (found["first_judged_at"], found["last_judged_at"]) == (OLD.isoformat(), NOW.isoformat())
    assert found["trail_head"] == figures(config, "db", "verify")["head"]
    said = done(config, "db", "stats")
    assert "inspection                  3" in said
    assert "1 wait for a review, 0 for their map" in said


@pytest.mark.usefixtures("uids")
def test_counts_are_made_anew(config: Path, database: DatabaseSettings) -> None:
    with raw(database) as connection:
        connection.execute(text("DELETE FROM rollup_hour"))
    assert "rollup_hour: 0 counted, 3 there" in run(config, "db", "verify").stdout
    assert "3 inspections counted" in done(config, "db", "rebuild-rollups")
    done(config, "db", "verify")


def test_every_command_says_what_to_run_first(config: Path, database: DatabaseSettings) -> None:
    for command in ("verify", "audit", "stats", "prune", "rebuild-rollups"):
        error = refused(config, "db", command)
        assert isinstance(error, SchemaError)
        assert "Run `kizu db upgrade`" in str(error)
    assert database.file is None or not database.file.exists()
