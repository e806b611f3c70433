"""The settings of the records, and the names of inspections."""

from __future__ import annotations

import itertools
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import text

from db_examples import raw
from kizu.config import load_config
from kizu_db.settings import PASSWORD_VARIABLE, DatabaseSettings, ImageStoreSettings
from kizu_db.uid import UidSource, new_uid
from kizu_inspect.errors import ConfigError

SERVER = "postgresql+psycopg://kizu@db.plant/kizu"


@pytest.fixture(autouse=True)
def _no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)


def test_defaults() -> None:
    assert DatabaseSettings().url == "sqlite:///data/kizu.db"
    assert DatabaseSettings().file == Path("data/kizu.db")
    assert ImageStoreSettings().path == Path("data/images")


def test_the_password_comes_from_the_file_then_the_environment_then_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "password"
    file.write_text("p@ss/wörd: \n", encoding="utf-8")
    with_password = SERVER.replace("kizu@", "kizu:from-url@")
    assert DatabaseSettings(url=SERVER).connection_url().password is None
    assert DatabaseSettings(url=with_password).connection_url().password == "from-url"
    monkeypatch.setenv(PASSWORD_VARIABLE, "from-env")
    assert DatabaseSettings(url=with_password).connection_url().password == "from-env"
    assert DatabaseSettings(url=with_password, password_file=file).connection_url().password == "p@ss/wörd: "
    assert DatabaseSettings().connection_url().password is None


def test_the_password_is_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("s3cret", encoding="utf-8")
    settings = DatabaseSettings(url=SERVER.replace("kizu@", "kizu:s3cret@"), password_file=file)
    for shown in (repr(settings), str(settings), settings.shown, str(settings.connection_url()), f"{settings!r}"):
        assert "s3cret" not in shown
        assert "db.plant" in shown
    for option in ("password", "sslpassword"):
        assert "s3cret" not in DatabaseSettings(url=f"{SERVER}?{option}=s3cret").shown


@pytest.mark.parametrize(
    "url",
    [
        "mysql://kizu:s3cret@db.plant/kizu",
        "postgresql://kizu:p@s3cret@db.plant:port/kizu",
        "postgresql://kizu:s3cret.db.plant/kizu",
        "mysql://db.plant/kizu?password=s3cret",
        "postgresql://db.plant:s3cret",
    ],
)
def test_a_wrong_address_does_not_tell_its_password(url: str, tmp_path: Path) -> None:
    config = tmp_path / "kizu.yaml"
    config.write_text(f"database: {{url: '{url}'}}", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(config)
    assert "database.url" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    with pytest.raises(ValidationError) as invalid:
        DatabaseSettings(url=url)
    assert "s3cret" not in str(invalid.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read: found No such file"), (b"\n", "is empty"), (b"\xff\xfe", "cannot be read: found no UTF-8")],
    ids=["missing", "empty", "binary"],
)
def test_a_password_file_of_no_use(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        DatabaseSettings(url=SERVER, password_file=file).connection_url()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("kizu.db", "not a database address"),
        ("mysql://kizu@db/kizu", "mysql is not supported"),
        ("sqlite://", "a database in memory keeps no records"),
        ("sqlite:///:memory:", "a database in memory keeps no records"),
    ],
)
def test_addresses_of_no_use(url: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DatabaseSettings(url=url)


def test_the_short_address_of_postgresql_takes_the_same_driver() -> None:
    assert DatabaseSettings(url="postgresql://kizu@db/kizu").connection_url().drivername == "postgresql+psycopg"


def test_an_unknown_key_is_an_error() -> None:
    with pytest.raises(ValidationError, match="adress"):
        DatabaseSettings.model_validate({"adress": "sqlite:///kizu.db"})


def test_sqlite_survives_a_power_cut(tmp_path: Path) -> None:
    with raw(DatabaseSettings(url=f"sqlite:///{tmp_path / 'kizu.db'}")) as connection:
        pragmas = {
            name: connection.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


def test_uids_rise_through_a_clock_that_stands_or_steps_back() -> None:
    hour = 3600 * 10**9
    start = 1_750_000_000 * 10**9
    times = itertools.chain([start] * 1000, [start - hour] * 1000, [start + hour])
    make = UidSource(lambda: next(times))
    uids = [uuid.UUID(make()) for _ in range(2001)]
    assert uids == sorted(set(uids))
    assert {(uid.version, uid.variant) for uid in uids} == {(7, uuid.RFC_4122)}
    assert uids[0].int >> 80 == start // 10**6
    assert uids[-1].int >> 80 == (start + hour) // 10**6


def test_uids_of_threads_are_unique() -> None:
    with ThreadPoolExecutor(8) as threads:
        uids = list(threads.map(lambda _: new_uid(), range(5000)))
    assert len(set(uids)) == 5000
