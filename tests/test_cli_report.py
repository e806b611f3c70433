"""`kizu report`: who may have one, and whose name it bears."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from pypdf import PdfReader
from typer.testing import CliRunner, Result

from kizu_db.permissions import Role
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings
from kizu_db.values import AuditEvent
from kizu_inspect.errors import NotAllowed
from whole_cli import app


@pytest.fixture
def config(database: DatabaseSettings, tmp_path: Path) -> Path:
    path = tmp_path / "kizu.yaml"
    path.write_text(yaml.safe_dump({"database": {"url": database.url}}), encoding="utf-8")
    return path


def report(config: Path, out: Path, *more: str) -> Result:
    return CliRunner().invoke(app, ["report", str(out), "--config", str(config), *more])


def told(records: Records) -> list[AuditEvent]:
    with records.unit(read_only=True) as unit:
        return unit.trail.latest(action="report.make")


@pytest.mark.parametrize("name", ["week.csv", "week.pdf"])
def test_who_may_make_none_has_no_file_of_it(config: Path, records: Records, tmp_path: Path, name: str) -> None:
    with records.unit() as unit:
        unit.users.add("Ana", Role.ADMIN, by="Ana")
        unit.users.add("Vera", Role.VIEWER, by="Ana")
    out = tmp_path / name
    assert isinstance(report(config, out, "--made-by", "Vera").exception, NotAllowed)
    assert not out.exists()
    assert told(records) == []
    assert report(config, out, "--made-by", "Ana").exit_code == 0
    assert out.stat().st_size > 0
    assert [event.actor for event in told(records)] == ["Ana"]


def test_it_bears_the_name_that_the_trail_has(config: Path, records: Records, tmp_path: Path) -> None:
    """Where nobody is named, that of who is logged in."""
    out = tmp_path / "week.pdf"
    assert report(config, out).exit_code == 0
    (event,) = told(records)
    assert re.search(rf"Made\s.* by {re.escape(event.actor)}\s", PdfReader(out).pages[0].extract_text())
