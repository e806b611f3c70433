"""The link that `kizu dashboard` and `kizu demo` print while nobody has a password."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from kizu.console import name_of
from kizu.demo import DemoFolders
from kizu_db.migrations import upgrade
from kizu_db.permissions import Role
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings
from kizu_db.values import User
from signing_world import HTML, ask

ME = User(name_of(None), Role.ADMIN, active=True)


@contextmanager
def started(*arguments: str) -> Iterator[tuple[str, str | None]]:
    """The command while it serves: the dashboard's address, and the path of the link that it prints after it."""
    command = [sys.executable, "-c", "from kizu.main import main; main()", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            while not (found := re.search(r"Dashboard on (http://127\.0\.0\.1:\d+)", process.stdout.readline())):
                assert process.poll() is None
            address, path = found[1], None
            if "shows a link" in ask(address, "/signin", headers=HTML).text:  # it is printed after the address, or not at all
                link = process.stdout.readline()
                told = re.fullmatch(rf"Sign in once, on this machine: {re.escape(address)}(/signin\?once=[\w-]+)\n", link)
                assert told, link
                path = told[1]
            yield address, path
        finally:
            process.terminate()


def users(database: DatabaseSettings) -> list[User]:
    with Records.open(database) as records, records.unit(read_only=True) as unit:
        return unit.users.list()


def lets_in(address: str, path: str | None) -> bool:
    assert path is not None
    answer = ask(address, path, headers=HTML)
    if answer.status != 303:
        return False
    (name,) = answer.cookies
    return ask(address, "/", cookie=f"{name}={answer.secret}", headers=HTML).status == 200


def test_the_first_start_makes_its_user_the_admin_and_later_ones_ask_for_a_password(tmp_path: Path) -> None:
    config, database = tmp_path / "kizu.yaml", DatabaseSettings(url=f"sqlite:///{tmp_path / 'kizu.db'}")
    upgrade(database)
    config.write_text(yaml.safe_dump({"database": {"url": database.url}, "dashboard": {"port": 0}}), encoding="utf-8")
    for _ in range(2):  # a link that nobody used is no reason to do without
        with started("dashboard", "--config", str(config)) as (address, path):
            assert path is not None
            assert users(database) == []
    with started("dashboard", "--config", str(config)) as (address, path):
        assert lets_in(address, path)
        assert users(database) == [ME]
        assert not lets_in(address, path)
    with started("dashboard", "--config", str(config)) as (address, path):
        assert path is None
        assert "kizu user password NAME" in ask(address, "/signin", headers=HTML).text


@pytest.mark.parametrize("admin", [None, "Mina"])
def test_each_start_of_the_demo_lets_its_admin_in(tmp_path: Path, admin: str | None) -> None:
    folders = DemoFolders(tmp_path / "demo")
    folders.prepare()
    database = folders.write_config(0).database
    upgrade(database)
    folders.summary.write_text("made before\n", encoding="utf-8")
    expected = [ME]
    if admin is not None:
        expected = [User(admin, Role.ADMIN, active=True)]
        with Records.open(database) as records, records.unit() as unit:
            unit.users.add(admin, Role.ADMIN, by=admin)
    for _ in range(2):
        with started("demo", "--folder", str(folders.root), "--port", "0") as (address, path):
            assert lets_in(address, path)
            assert users(database) == expected
