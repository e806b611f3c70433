"""PIN and badge: they work at a known terminal and nowhere else, for an inspector's work, and guessing is of no use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from sqlalchemy import text

from dashboard_world import Plant, cookie_header, enter_people, filled_plant, served, serving
from db_examples import raw
from kizu_dashboard.people import new_badge
from kizu_dashboard.signing_in.attempts import FREE_BY_NAME, FREE_BY_TERMINAL
from kizu_dashboard.signing_in.checking import check
from kizu_dashboard.signing_in.passwords import hash_password, hash_pin
from kizu_db.permissions import Role, Way
from kizu_db.repositories.credentials import PIN_TRIES
from signing_world import HTML, PASSWORD, Answer, ask, sign_in, socket_status

PIN, BADGE = "492817", "0412 77A9"
NOWHERE = "PIN and badge work at known terminals alone"


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """Ana (admin) and Kim have the PIN, Ana the badge, both the password."""
    with filled_plant(tmp_path_factory.mktemp("plant")) as plant:
        enter_people(plant.room.records)
        password = hash_password(PASSWORD)
        with plant.room.records.unit() as unit:
            for name in ("Ana", "Kim"):
                unit.credentials.set_pin(name, hash_pin(PIN), by="Ana", reason="new")
                unit.users.set_password(name, password, by="Ana")
        new_badge(plant.room.records, "Ana", BADGE, by="Ana", reason="new")
        yield plant


@pytest.fixture
def fresh(plant: Plant) -> Iterator[str]:
    """A dashboard that has counted no attempt yet."""
    with served(plant.config) as address:
        yield address


def terminal(plant: Plant, name: str) -> str:
    """Makes a terminal known; what its browser sends with each request."""
    with plant.room.records.unit() as unit:
        return f"kizu-terminal={unit.terminals.add(name, by='Ana', reason='a test')}"


def post(address: str, cookie: str, **fields: str) -> Answer:
    return ask(address, "/signin", method="POST", body=urlencode(fields), cookie=cookie)


def by_pin(address: str, cookie: str, name: str, pin: str = PIN) -> Answer:
    return post(address, cookie, way="pin", name=name, pin=pin)


def by_badge(address: str, cookie: str, code: str = BADGE) -> Answer:
    return post(address, cookie, way="badge", badge=code)


def session_of(answer: Answer) -> str:
    return answer.cookies["kizu-session"].value


def make_known(address: str, cookie: str, *, headers: dict[str, str] | None = None, **fields: str) -> Answer:
    return ask(address, "/terminal", method="POST", body=urlencode(fields), cookie=cookie, headers=headers or {})


def test_an_admin_makes_the_browser_a_terminal_by_a_cookie_that_no_script_reads(plant: Plant, address: str) -> None:
    anas = cookie_header(plant.config, plant.session("Ana"))
    answer = make_known(address, anas, terminal="Press shop", reason="one screen for all")
    assert (answer.status, answer.headers["location"]) == (303, "/admin?section=Terminals")
    (cookie,) = answer.cookies.values()
    assert (cookie.key, cookie["httponly"], cookie["samesite"], cookie["path"]) == ("kizu-terminal", True, "lax", "/")
    assert int(cookie["max-age"]) > 300 * 24 * 3600
    with plant.room.records.unit(read_only=True) as unit:
        (event,) = unit.trail.of("terminal", "Press shop")
    assert (event.actor, event.action, event.reason) == ("Ana", "terminal.add", "one screen for all")
    page = ask(address, "/signin", cookie=f"kizu-terminal={cookie.value}", headers=HTML).text
    assert "Scan your badge" in page
    assert "Werk Süd · Press shop" in page
    again = make_known(address, f"{anas}; kizu-terminal={cookie.value}", terminal="Other", reason="why")
    assert (again.status, "This browser is the terminal Press shop" in again.text) == (409, True)


@pytest.mark.parametrize(
    ("name", "fields", "headers", "status"),
    [
        ("", {"terminal": "x", "reason": "y"}, {}, 401),
        ("Eun", {"terminal": "x", "reason": "y"}, {}, 403),
        ("Ana", {"terminal": "x", "reason": "y"}, {"Origin": "http://evil.example"}, 403),
        ("Ana", {"terminal": "x", "reason": " "}, {}, 400),
        ("Ana", {"terminal": " ", "reason": "y"}, {}, 400),
        ("Ana", {"terminal": "x" * 20_000, "reason": "y"}, {}, 413),
    ],
    ids=["nobody", "no admin", "another site", "no reason", "no name", "long"],
)
def test_nobody_else_makes_one(
    plant: Plant, address: str, name: str, fields: dict[str, str], headers: dict[str, str], status: int
) -> None:
    cookie = cookie_header(plant.config, plant.session(name)) if name else ""
    with plant.room.records.unit(read_only=True) as unit:
        before = unit.terminals.list()
    answer = make_known(address, cookie, headers=headers, **fields)
    assert (answer.status, answer.cookies) == (status, {})
    with plant.room.records.unit(read_only=True) as unit:
        assert unit.terminals.list() == before


def test_at_a_terminal_pin_and_badge_let_in_for_an_inspectors_work_alone(plant: Plant, address: str) -> None:
    hall = terminal(plant, "Hall 2")
    for number, answer in enumerate(
        (by_pin(address, hall, " ANA "), by_badge(address, hall), by_badge(address, hall, f"{BADGE}\r\n"))
    ):
        assert (answer.status, answer.headers["location"]) == (303, "/"), answer.text
        secret = session_of(answer)
        assert answer.cookies["kizu-terminal"].value == hall.partition("=")[2], "the browser keeps being a terminal"
        user = plant.room.sessions.whose(secret)
        assert user is not None
        assert (user.name, user.role, user.at_terminal) == ("Ana", Role.INSPECTOR, True)
        cookie = f"{hall}; {cookie_header(plant.config, secret)}"
        assert ask(address, f"/image/{plant.uids['P-1002']}", cookie=cookie).status == 200
        assert socket_status(address, cookie=cookie) == 101
        # An admin by the records; the route that makes terminals known asks how she came in.
        mine = make_known(address, cookie_header(plant.config, secret), terminal=f"Mine {number}", reason="why")
        assert (mine.status, mine.cookies) == (403, {})


def test_nowhere_else_do_they_work_and_no_page_offers_them(plant: Plant, address: str) -> None:
    withdrawn = terminal(plant, "Sold")
    with plant.room.records.unit() as unit:
        unit.terminals.withdraw("Sold", by="Ana", reason="sold")
    with raw(plant.config.database) as connection:
        kept = connection.execute(text("SELECT token_sha256 FROM terminal")).scalars().all()
    for cookie in ("", withdrawn, "kizu-terminal=", "kizu-terminal=guessed", *(f"kizu-terminal={one}" for one in kept)):
        page = ask(address, "/signin", cookie=cookie, headers=HTML).text
        assert [word for word in ("Scan your badge", 'name="pin"', 'name="badge"') if word in page] == []
        for answer in (by_pin(address, cookie, "Ana"), by_badge(address, cookie)):
            assert (answer.status, answer.cookies, NOWHERE in answer.text) == (403, {}, True)
    # Nor does a PIN as a password.
    assert sign_in(address, "Ana", PIN).status == 401


def test_a_badge_signs_in_the_next_person_and_the_one_before_is_out(plant: Plant, address: str) -> None:
    gate = terminal(plant, "Gate")
    kims = session_of(by_pin(address, gate, "Kim"))
    anas = session_of(by_badge(address, f"{gate}; {cookie_header(plant.config, kims)}"))
    assert plant.room.sessions.whose(kims) is None
    user = plant.room.sessions.whose(anas)
    assert user is not None
    assert user.name == "Ana"


def test_whoever_fails_hears_the_same(plant: Plant, fresh: str) -> None:
    dock = terminal(plant, "Dock")
    told = set()
    for name in ("Kim", "Lee", "Nobody", ""):
        answer = by_pin(fresh, dock, name, "0000")
        assert (answer.status, answer.cookies) == (401, {}), name
        told.add(re.sub(r'value="[^"]*" maxlength="200"| autofocus|\s', "", answer.text))
    assert len(told) == 1
    for code in ("999999", "1", "", "x" * 5000, "\0" * 8):
        answer = by_badge(fresh, dock, code)
        assert (answer.status, answer.cookies) == (401, {}), code
        assert "Nobody comes in by this badge" in answer.text


def test_guessing_is_slowed_by_name_and_by_terminal(plant: Plant, fresh: str) -> None:
    quay, yard = terminal(plant, "Quay"), terminal(plant, "Yard")
    assert 429 in (by_pin(fresh, quay, "Nobody", "0000").status for _ in range(3 * FREE_BY_NAME))
    assert by_pin(fresh, yard, "nobody", "0000").status == 429, "the name waits at any terminal"
    statuses = (by_badge(fresh, yard, f"guess {number}").status for number in range(3 * FREE_BY_TERMINAL))
    late = next(status for status in statuses if status != 401)
    assert late == 429
    assert by_badge(fresh, yard).status == 429, "not looked at either"
    with plant.room.records.unit(read_only=True) as unit:
        assert [one.last_used_at for one in unit.terminals.list() if one.name == "Yard"] == [None]


def test_a_pin_guessed_wrong_ten_times_is_gone_and_a_right_one_in_between_begins_anew(plant: Plant, address: str) -> None:
    """However long a guesser waits: what counts stands in the records."""
    shed = terminal(plant, "Shed")
    with plant.room.records.unit() as unit:
        unit.credentials.set_pin("Mina", hash_pin(PIN), by="Ana", reason="new")

    def guess(count: int) -> None:
        for _ in range(count):
            assert check(plant.room.records, Way.PIN, "Mina", "0000") is None

    guess(PIN_TRIES - 1)
    assert by_pin(address, shed, "Mina").status == 303
    guess(PIN_TRIES - 1)
    assert by_pin(address, shed, "Mina", "0001").status == 401
    assert by_pin(address, shed, "Mina").status == 401
    with plant.room.records.unit() as unit:
        told = unit.trail.of("user", "Mina")[-1]
        assert (told.action, told.actor, told.after) == ("user.pin", "Kizu", {"pin": False})
        unit.credentials.set_pin("Mina", hash_pin(PIN), by="Ana", reason="set anew")
    assert by_pin(address, shed, "Mina").status == 303


def test_pins_badges_and_terminals_stand_in_no_log(plant: Plant, tmp_path: Path) -> None:
    pier = terminal(plant, "Pier")
    with (tmp_path / "errors").open("w+") as errors:
        with serving(plant.config, errors=errors) as it:
            by_pin(it.address, pier, "Kim", "777123")
            by_badge(it.address, pier, "lost 4711")
            assert by_badge(it.address, pier).status == 303
        errors.seek(0)
        told = errors.read()
    assert told.count("terminal=Pier") == told.count("sign-in refused") == 2
    for word in ("777123", "4711", BADGE, pier.partition("=")[2]):
        assert word not in told
