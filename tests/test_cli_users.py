"""`kizu user` as an admin calls it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from sqlalchemy import text
from typer.testing import CliRunner, Result

from db_examples import raw
from kizu_dashboard.signing_in.checking import check
from kizu_dashboard.signing_in.passwords import matches
from kizu_db.migrations import upgrade
from kizu_db.permissions import Role, Way
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings
from kizu_inspect.errors import ConfigError, KizuError, NotAllowed, RecordError
from terminal_world import typed
from whole_cli import app

PASSWORD = "correct horse 7"
HOUR = timedelta(hours=1)
EVENTS = text("SELECT * FROM audit_event")


@pytest.fixture
def config(database: DatabaseSettings, tmp_path: Path) -> Path:
    """Of a plant in which nobody is entered."""
    upgrade(database)
    path = tmp_path / "kizu.yaml"
    path.write_text(yaml.safe_dump({"database": {"url": database.url}}), encoding="utf-8")
    return path


@pytest.fixture
def records(config: Path, database: DatabaseSettings) -> Iterator[Records]:
    """Its records."""
    assert config.is_file()
    with Records.open(database) as opened:
        yield opened


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(PASSWORD + "\n", encoding="utf-8")
    return path


def run(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["user", *arguments, "--config", str(config)])


def done(config: Path, *arguments: str) -> str:
    result = run(config, *arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def refused(config: Path, *arguments: str) -> KizuError:
    error = run(config, *arguments).exception
    assert isinstance(error, KizuError)
    return error


def kept(records: Records, name: str) -> str | None:
    with records.unit(read_only=True) as unit:
        return unit.users.password_hash(name)


def test_users_are_entered_changed_and_listed(config: Path) -> None:
    assert "Nobody is entered" in done(config, "list")
    assert "first user must manage" in str(refused(config, "add", "Kim", "--no-password"))
    assert "Ana is admin, without a password" in done(config, "add", "Ana", "--role", "admin", "--no-password")
    done(config, "add", "Kim", "--by", "Ana", "--no-password")
    assert "nothing is to be changed" in str(refused(config, "change", "Kim", "--by", "Ana"))
    done(config, "change", "Kim", "--role", "engineer", "--disable", "--by", "Ana")
    assert json.loads(done(config, "list", "--json", "-"))["users"] == [
        {"name": "Ana", "role": "admin", "active": True}, {"name": "Kim", "role": "engineer", "active": False},
    ]  # fmt: skip
    assert "disabled" in done(config, "list")
    error = CliRunner().invoke(app, ["db", "prune", "--apply", "--by", "Kim", "--config", str(config)]).exception
    assert isinstance(error, NotAllowed)
    assert error.exit_code == 2


def test_a_password_is_taken_from_a_file_and_only_its_hash_is_kept(
    config: Path, records: Records, database: DatabaseSettings, password_file: Path
) -> None:
    told = done(config, "add", "Ana", "--role", "admin", "--password-file", str(password_file))
    assert matches(PASSWORD, kept(records, "Ana"))
    with records.unit() as unit:
        secret = unit.sign_ins.begin("Ana", lasting=HOUR)
    password_file.write_text("another one 8", encoding="utf-8")
    told += done(config, "password", "ana", "--password-file", str(password_file), "--by", "ANA")
    assert "Ana has another password, and is signed out everywhere" in told
    assert matches("another one 8", kept(records, "Ana"))
    with records.unit(read_only=True) as unit:
        assert unit.sign_ins.whose(secret, idle=HOUR) is None
        events = unit.trail.of("user", "Ana")
    assert [event.action for event in events] == ["user.add", "user.sign_in", "user.password"]
    with raw(database) as connection:
        rows = str(connection.execute(text("SELECT * FROM user_account")).all() + connection.execute(EVENTS).all())
    for word in (PASSWORD, "another one 8"):
        assert word not in rows + told
    assert "$argon2id$" not in str(events) + told


def test_a_password_is_asked_for_twice_and_never_shown(config: Path, records: Records) -> None:
    code, shown = typed("user", "add", "Ana", "--role", "admin", "--config", str(config), lines=[PASSWORD, PASSWORD])
    assert (code, "Ana is admin" in shown) == (0, True), shown
    assert matches(PASSWORD, kept(records, "Ana"))
    lines = ["some other 9", "mistyped 99", "third one 10", "third one 10"]
    code, again = typed("user", "password", "Ana", "--by", "Ana", "--config", str(config), lines=lines)
    assert code == 0, again
    assert matches("third one 10", kept(records, "Ana"))
    code, short = typed("user", "password", "Ana", "--by", "Ana", "--config", str(config), lines=["seven77", "seven77"])
    assert (code, "found 7 characters; expected 8 to 1024" in short) == (2, True), short
    assert matches("third one 10", kept(records, "Ana"))
    for word in (PASSWORD, "some other 9", "mistyped 99", "third one 10", "seven77"):
        assert word not in shown + again + short


def test_without_a_terminal_the_command_says_how(config: Path, password_file: Path) -> None:
    error = refused(config, "add", "Ana", "--role", "admin")
    assert "nobody is there to type a password: found no terminal; expected --password-file FILE" in str(error)
    both = refused(config, "add", "Ana", "--role", "admin", "--no-password", "--password-file", str(password_file))
    assert isinstance(both, ConfigError)
    assert "Nobody is entered" in done(config, "list")


@pytest.mark.parametrize("content", ["", "short", "two\nlines of text", None, "x" * 1025])
def test_a_file_without_a_good_password_is_refused_and_not_repeated(
    config: Path, password_file: Path, content: str | None
) -> None:
    if content is None:
        password_file.unlink()
    else:
        password_file.write_text(content, encoding="utf-8")
    error = refused(config, "add", "Ana", "--role", "admin", "--password-file", str(password_file))
    assert isinstance(error, ConfigError)
    assert not content or content not in str(error)
    assert "Nobody is entered" in done(config, "list")


def test_only_an_admin_sets_anothers_password(config: Path, records: Records, password_file: Path) -> None:
    done(config, "add", "Ana", "--role", "admin", "--no-password")
    done(config, "add", "Kim", "--by", "Ana", "--no-password")
    given = ("--password-file", str(password_file))
    assert isinstance(refused(config, "password", "Ana", *given, "--by", "Kim"), NotAllowed)
    assert isinstance(refused(config, "password", "Lee", *given, "--by", "Ana"), RecordError)
    assert kept(records, "Ana") is None
    done(config, "password", "Kim", *given, "--by", "kim")
    assert matches(PASSWORD, kept(records, "Kim"))


def events(records: Records, action: str) -> list[tuple[str, object, str]]:
    """Of this action, oldest first: about whom, what is now, and why."""
    with records.unit(read_only=True) as unit:
        found = unit.trail.latest(action=action)[::-1]
    return [(event.subject_id, event.after, event.reason) for event in found]


def test_every_change_of_a_person_has_its_reason_in_the_trail(config: Path, records: Records, password_file: Path) -> None:
    done(config, "add", "Ana", "--role", "admin", "--no-password", "--by", "Ana", "--reason", "first day")
    done(config, "change", "Ana", "--enable", "--by", "Ana", "--reason", "back")
    done(config, "password", "Ana", "--password-file", str(password_file), "--by", "Ana", "--reason", "forgotten")
    assert [reason for _, _, reason in events(records, "user.")] == ["first day", "back", "forgotten"]


def test_a_pin_and_a_badge_are_given_and_withdrawn(
    config: Path, records: Records, database: DatabaseSettings, tmp_path: Path
) -> None:
    done(config, "add", "Ana", "--role", "admin", "--no-password")
    done(config, "add", "Kim", "--no-password", "--by", "Ana")
    pin, badge = tmp_path / "pin", tmp_path / "badge"
    pin.write_text("492817\n", encoding="utf-8")
    badge.write_text("0412 77A9\r\n", encoding="utf-8")
    by = ("--by", "Ana")
    told = done(config, "pin", "KIM", "--pin-file", str(pin), *by, "--reason", "shop floor")
    told += done(config, "badge", "kim", "--badge-file", str(badge), *by, "--reason", "card 7")
    assert "Kim has a PIN" in told
    assert "Kim has this badge" in told
    for kind, file in (("pin", pin), ("badge", badge)):
        both = refused(config, kind, "Kim", f"--{kind}-file", str(file), "--withdraw", *by)
        assert f"found --withdraw and --{kind}-file; expected one" in str(both)
    assert check(records, Way.PIN, "kim", "492817") is not None
    assert check(records, Way.BADGE, "", " 0412 77A9") is not None
    assert "This badge is that of Kim" in str(refused(config, "badge", "Ana", "--badge-file", str(badge), *by))
    assert isinstance(refused(config, "badge", "Ana", "--badge-file", str(badge), "--by", "Kim"), NotAllowed)
    told += done(config, "badge", "Kim", "--withdraw", *by, "--reason", "lost")
    told += done(config, "pin", "Kim", "--withdraw", *by, "--reason", "left the line")
    assert check(records, Way.PIN, "Kim", "492817") is None
    assert check(records, Way.BADGE, "", "0412 77A9") is None
    assert events(records, "user.pin") == [("Kim", {"pin": True}, "shop floor"), ("Kim", {"pin": False}, "left the line")]
    assert events(records, "user.badge") == [("Kim", {"badge": True}, "card 7"), ("Kim", {"badge": False}, "lost")]
    with raw(database) as connection:
        rows = str(connection.execute(text("SELECT * FROM user_account")).all() + connection.execute(EVENTS).all())
    for word in ("492817", "77A9"):
        assert word not in rows + told


@pytest.mark.parametrize("pin", ["123", "123456789", "12a4", "٤٣٢٩", "1111", "4321", "7890"])
def test_a_pin_that_cannot_be_is_refused_and_not_repeated(config: Path, tmp_path: Path, pin: str) -> None:
    done(config, "add", "Ana", "--role", "admin", "--no-password")
    file = tmp_path / "pin"
    file.write_text(pin, encoding="utf-8")
    error = refused(config, "pin", "Ana", "--pin-file", str(file), "--by", "Ana")
    assert "The PIN cannot be taken" in str(error)
    assert pin not in str(error).replace("such as 1111", "")


def test_terminals_are_listed_and_withdrawn(config: Path, records: Records) -> None:
    assert "No terminal is known" in done(config, "terminals")
    with records.unit() as unit:
        unit.users.add("Ana", Role.ADMIN, by="Ana")
        unit.terminals.add("Hall 2", by="Ana", reason="shared")
    (listed,) = json.loads(done(config, "terminals", "--json", "-"))["terminals"]
    assert (listed["name"], listed["made_by"], listed["last_used_at"]) == ("Hall 2", "Ana", None)
    assert "last used never" in done(config, "terminals")
    assert isinstance(refused(config, "withdraw-terminal", "Hall 2", "--by", "Kim"), NotAllowed)
    assert isinstance(refused(config, "withdraw-terminal", "Gate", "--by", "Ana"), RecordError)
    assert "Hall 2 is no known terminal any more" in done(
        config, "withdraw-terminal", "hall 2", "--by", "Ana", "--reason", "sold"
    )
    assert events(records, "terminal.withdraw") == [("Hall 2", {"known": False}, "sold")]
