"""Who comes in: signing in and out, and the sessions that stand for people."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from dashboard_world import PEOPLE, Plant, cookie_header, empty_plant, enter_people, filled_plant, served, serving
from db_examples import raw
from kizu_dashboard.room import close_rooms, open_room
from kizu_dashboard.settings import DashboardConfig, DashboardSettings
from kizu_dashboard.signing_in.attempts import FREE_BY_ADDRESS, FREE_BY_NAME
from kizu_dashboard.signing_in.passwords import hash_password
from kizu_db.permissions import Role
from kizu_db.values import User
from oidc_world import free_port
from signing_world import HTML, PASSWORD, ask, sign_in, socket_status

WRONG = "Name and password do not fit each other"


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """Ana and Kim have the password."""
    with filled_plant(tmp_path_factory.mktemp("plant")) as plant:
        enter_people(plant.room.records)
        with plant.room.records.unit() as unit:
            for name in ("Ana", "Kim"):
                unit.users.set_password(name, hash_password(PASSWORD), by="Ana")
        yield plant


@pytest.fixture
def fresh(plant: Plant) -> Iterator[str]:
    """A dashboard that has counted no attempt yet."""
    with served(plant.config) as address:
        yield address


def status(plant: Plant, address: str, secret: str) -> tuple[int, int]:
    """Of a picture and of the websocket, with this cookie."""
    cookie = cookie_header(plant.config, secret)
    return ask(address, f"/image/{plant.uids['P-1002']}", cookie=cookie).status, socket_status(address, cookie=cookie)


def test_name_and_password_open_everything_until_signing_out(plant: Plant, address: str) -> None:
    answer = sign_in(address, " kim ", back="/part?uid=1")
    assert (answer.status, answer.headers["location"]) == (303, "/part?uid=1")
    (cookie,) = answer.cookies.values()
    assert (cookie.key, cookie["httponly"], cookie["samesite"], cookie["path"]) == ("kizu-session", True, "lax", "/")
    assert (cookie["domain"], cookie["max-age"], cookie["expires"], cookie["secure"]) == ("", "", "", "")
    assert status(plant, address, answer.secret) == (200, 101)
    held = cookie_header(plant.config, answer.secret)
    assert ask(address, "/signin?next=/reports", cookie=held, headers=HTML).headers["location"] == "/reports"
    ask(address, "/signout", cookie=held, headers=HTML)  # a link or a picture signs nobody out
    assert status(plant, address, answer.secret) == (200, 101)
    out = ask(address, "/signout", method="POST", cookie=held)
    assert (out.status, out.headers["location"], out.cookies["kizu-session"]["max-age"]) == (303, "/signin", "0")
    assert status(plant, address, answer.secret) == (401, 403)


@pytest.mark.parametrize(
    "back",
    [
        "//evil.example", "/\\evil.example", "https://evil.example/", "http:evil.example", "javascript:alert(1)",
        "/\t/evil.example", "/\n/evil.example", "\\\\evil.example", " //evil.example", "/signin", "/signout", "",
        "@evil.example",
    ],
)  # fmt: skip
def test_after_signing_in_nobody_is_sent_elsewhere(address: str, back: str) -> None:
    assert sign_in(address, "Kim", back=back).headers["location"] == "/"


def test_the_forms_hidden_path_is_escaped(address: str) -> None:
    page = ask(address, "/signin?next=/%22%3E%3Cscript%3Ealert(1)%3C/script%3E", headers=HTML).text
    assert "<script" not in page
    assert 'value="/&quot;&gt;&lt;script&gt;' in page
    assert "<b>" not in sign_in(address, "<b>x</b>", "y").text


def test_the_cookie_is_the_hosts_own_and_never_sent_without_tls(tmp_path: Path) -> None:
    config = empty_plant(tmp_path)
    config = config.model_copy(update={"dashboard": DashboardSettings(port=0, https=True)})
    with open_room(config.model_dump_json()).records.unit() as unit:
        unit.users.add("Ana", Role.ADMIN, by="Ana", password_hash=hash_password(PASSWORD))
    try:
        with served(config) as address:
            (cookie,) = sign_in(address, "Ana").cookies.values()
            assert (cookie.key, cookie["secure"], cookie["path"], cookie["domain"]) == ("__Host-kizu-session", True, "/", "")
            assert ask(address, "/", cookie=f"kizu-session={cookie.value}").status == 401
            assert ask(address, "/", cookie=f"__Host-kizu-session={cookie.value}").status == 200
    finally:
        close_rooms()


def test_two_dashboards_of_one_host_leave_each_others_sign_ins_alone(tmp_path: Path) -> None:
    """Browsers send a cookie to all ports of its host: who signs in to one would be signed out of the other."""
    held: dict[str, str] = {}
    addresses = []
    try:
        with ExitStack() as both:
            for name in ("first", "second"):
                config = empty_plant(tmp_path / name, port=free_port())
                with open_room(config.model_dump_json()).records.unit() as unit:
                    unit.users.add("Ana", Role.ADMIN, by="Ana", password_hash=hash_password(PASSWORD))
                addresses.append(both.enter_context(served(config)))
                sent = "; ".join(f"{cookie}={secret}" for cookie, secret in held.items())
                held |= {cookie.key: cookie.value for cookie in sign_in(addresses[-1], "Ana", cookie=sent).cookies.values()}
            sent = "; ".join(f"{cookie}={secret}" for cookie, secret in held.items())
            assert [ask(address, "/", cookie=sent).status for address in addresses] == [200, 200]
    finally:
        close_rooms()


def test_a_secret_that_a_browser_brought_is_never_taken(plant: Plant, address: str) -> None:
    """Session fixation: who plants a cookie in somebody's browser does not get in with them."""
    planted = cookie_header(plant.config, "planted-by-another")
    answer = sign_in(address, "Kim", cookie=planted)
    assert answer.secret != "planted-by-another"
    assert status(plant, address, "planted-by-another") == (401, 403)
    thiefs = plant.session("Lee")
    again = sign_in(address, "Kim", cookie=cookie_header(plant.config, thiefs))
    assert again.secret not in (thiefs, answer.secret)
    assert status(plant, address, thiefs) == (401, 403), "what was there before the sign-in ends with it"
    assert status(plant, address, again.secret) == (200, 101)


@pytest.mark.parametrize("column", ["last_seen_at", "expires_at"])
def test_an_idle_session_and_one_whose_shift_is_over_end(plant: Plant, address: str, column: str) -> None:
    secret = plant.session("Kim")
    assert status(plant, address, secret) == (200, 101)
    with raw(plant.config.database) as connection:
        moved = text(f"UPDATE user_session SET {column} = datetime({column}, '-13 hours')")
        connection.execute(moved)
    assert status(plant, address, secret) == (401, 403)


def test_who_is_let_out_or_gets_another_password_is_out_at_once(plant: Plant, address: str) -> None:
    lees, kims = plant.session("Lee"), sign_in(address, "Kim").secret
    with plant.room.records.unit() as unit:
        unit.users.change("Lee", by="Ana", active=False)
        unit.users.set_password("Kim", hash_password(PASSWORD), by="Ana")
    try:
        assert status(plant, address, lees) == (401, 403)
        assert status(plant, address, kims) == (401, 403)
    finally:
        with plant.room.records.unit() as unit:
            unit.users.change("Lee", by="Ana", active=True)
    assert status(plant, address, lees) == (401, 403), "what has ended does not come back"


def test_whoever_fails_hears_the_same(fresh: str) -> None:
    """Somebody with a password, without one, and names that nobody has, some that no database would take."""
    told = set()
    for name in ("Kim", "Lee", "Nobody", "", "%00", "x" * 5000, "%ED%A0%80", "%F0%9F%94%91"):
        answer = ask(fresh, "/signin", method="POST", body=f"name={name}&password=wrong+password")
        assert (answer.status, answer.cookies) == (401, {}), name
        assert WRONG in answer.text
        told.add(re.sub(r'value="[^"]*" maxlength="200"| autofocus|\s', "", answer.text))
    assert len(told) == 1, "but for the name that stands there again"


def test_who_was_let_out_does_not_come_in_by_the_right_password(plant: Plant, fresh: str) -> None:
    with plant.room.records.unit() as unit:
        unit.users.change("Kim", by="Ana", active=False)
    try:
        answer = sign_in(fresh, "Kim")
        assert (answer.status, answer.cookies) == (401, {})
        assert WRONG in answer.text
    finally:
        with plant.room.records.unit() as unit:
            unit.users.change("Kim", by="Ana", active=True)


def test_guessing_is_slowed_by_name_for_all_names_alike(fresh: str) -> None:
    for name in ("Kim", "Nobody"):
        guesses = (sign_in(fresh, name.swapcase(), f"guess {number}") for number in count())
        first = [next(guesses).status for _ in range(FREE_BY_NAME)]
        assert first == [401] * FREE_BY_NAME
        # The first wait is a second, which may be over before a slow machine asks again; the next ones are longer.
        late = next(answer for answer in guesses if int(answer.headers.get("retry-after", "0")) > 1)
        told_at = time.monotonic()
        assert late.status == 429
        assert re.search(r"Too many attempts\. Wait \d+ seconds?, then try again\.", late.text)
        right, waited_s = sign_in(fresh, name), time.monotonic() - told_at
        # It is not looked at either, unless the wait was over by then: a guesser learns nothing from it.
        assert (right.status, right.cookies) == (429, {}) or waited_s > int(late.headers["retry-after"]) - 1
    assert sign_in(fresh, "Ana").status == 303, "others come in meanwhile"


def test_behind_a_proxy_guessing_is_counted_by_each_persons_address(fresh: str) -> None:
    def guess(name: str, address: str) -> int:
        return sign_in(fresh, name, "wrong", headers={"X-Forwarded-For": address}).status

    # Until the wait has come: a slow machine forgets some of the first ones meanwhile.
    assert 429 in (guess(f"name {number}", "203.0.113.5") for number in range(3 * FREE_BY_ADDRESS))
    assert guess("another", "203.0.113.6") == 401


def test_passwords_and_links_stand_in_no_log(plant: Plant, tmp_path: Path) -> None:
    with (tmp_path / "errors").open("w+") as errors:
        with serving(plant.config, link_for="Ana", errors=errors) as it:
            secret = it.link.partition("once=")[2]
            for form in (f"name=Kim&password={PASSWORD}x", f"password={PASSWORD}", f"name={PASSWORD}", "%zz", "a=b&" * 2000):
                assert 400 <= ask(it.address, "/signin", method="POST", body=form.replace(" ", "+")).status < 500
            assert ask(it.address, "/signin", method="POST", body="name=" + "x" * 20_000).status == 413
            assert ask(it.address, it.link.removeprefix(it.address), headers=HTML).status == 303
        errors.flush()
        errors.seek(0)
        told = errors.read()
    assert PASSWORD not in told
    assert PASSWORD.replace(" ", "+") not in told
    assert secret not in told
    assert "Traceback" not in told
    assert told.count("sign-in refused") == told.count("address=127.0.0.1") > 0, "of guessing the log tells from where"


def test_a_database_that_is_away_is_said_and_nobody_comes_in(tmp_path: Path) -> None:
    with filled_plant(tmp_path) as plant, served(plant.config) as address:
        cookie = cookie_header(plant.config, plant.session())
        file = plant.room.records.file
        assert file is not None
        file.rename(tmp_path / "elsewhere")
        assert ask(address, f"/image/{plant.uids['P-1002']}", cookie=cookie).status == 503
        assert socket_status(address, cookie=cookie) == 403
        away = sign_in(address, "Kim")
        assert (away.status, "The records cannot be had now" in away.text) == (503, True)
        (tmp_path / "elsewhere").rename(file)
        assert ask(address, f"/image/{plant.uids['P-1002']}", cookie=cookie).status == 200


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[DashboardConfig]:
    yield empty_plant(tmp_path)
    close_rooms()


def users_of(config: DashboardConfig) -> list[User]:
    with open_room(config.model_dump_json()).records.unit(read_only=True) as unit:
        return unit.users.list()


def test_the_link_makes_the_first_admin_once(empty: DashboardConfig) -> None:
    with serving(empty, link_for="operator") as it:
        path = it.link.removeprefix(it.address)
        assert re.fullmatch(r"/signin\?once=[\w-]{43}", path)
        page = ask(it.address, "/signin", headers=HTML).text
        assert "The terminal that started the dashboard shows a link" in page
        assert 'action="/signin"' not in page
        assert ask(it.address, "/").status == 401
        # To look is not to use it; and through a proxy, or by another name, it does not work.
        assert ask(it.address, path, method="HEAD").cookies == {}
        for header in ("X-Forwarded-For", "Forwarded", "Via"):
            assert ask(it.address, path, headers={header: "203.0.113.9"}).status == 403
        assert ask(it.address, path[:-1] + "_").status == 403
        assert users_of(empty) == []
        answer = ask(it.address, path, headers=HTML)
        assert (answer.status, answer.headers["location"]) == (303, "/")
        assert users_of(empty) == [User("operator", Role.ADMIN, active=True)]
        assert ask(it.address, "/", cookie=cookie_header(empty, answer.secret)).status == 200
        again = ask(it.address, path, headers=HTML)
        assert (again.status, again.cookies) == (403, {})
        assert "This link has ended" in again.text
        assert "kizu user password NAME" in ask(it.address, "/signin", headers=HTML).text


def test_of_many_who_open_the_link_at_once_one_comes_in(empty: DashboardConfig) -> None:
    with serving(empty, link_for="operator") as it, ThreadPoolExecutor(8) as together:
        path = it.link.removeprefix(it.address)
        answers = list(together.map(lambda _: ask(it.address, path, headers=HTML), range(16)))
        assert sorted(answer.status for answer in answers) == [303] + [403] * 15
        assert sum(len(answer.cookies) for answer in answers) == 1
        assert [user.name for user in users_of(empty)] == ["operator"]


def test_the_link_lets_nobody_in_who_is_no_user(empty: DashboardConfig) -> None:
    with serving(empty, link_for="operator") as it:
        with open_room(empty.model_dump_json()).records.unit() as unit:
            unit.users.add("Ana", Role.ADMIN, by="Ana")
        answer = ask(it.address, it.link.removeprefix(it.address), headers=HTML)
        assert (answer.status, answer.cookies) == (403, {})
        assert "People were entered meanwhile" in answer.text
        assert [user.name for user in users_of(empty)] == ["Ana"]


def test_on_the_network_there_is_no_link(empty: DashboardConfig) -> None:
    config = empty.model_copy(update={"dashboard": DashboardSettings(host="0.0.0.0", port=0)})
    with serving(config, link_for="operator") as it:
        assert it.link == ""
        page = ask(it.address, "/signin", headers=HTML)
        assert "kizu user add NAME --role admin" in page.text
        assert 'action="/signin"' not in page.text
        assert ask(it.address, "/signin?once=", headers=HTML).status == 403
        assert ask(it.address, "/", headers=HTML).status == 303
        assert sign_in(it.address, "operator").status == 401
        assert socket_status(it.address) == 403


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"idle_min": 1}, "idle_min"),
        ({"session_h": 0}, "session_h"),
        ({"names": ["*"]}, "names"),
        ({"names": ["https://kizu.example"]}, "names"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        DashboardSettings(**settings)


def test_everybody_of_this_world_is_known(plant: Plant) -> None:
    with plant.room.records.unit(read_only=True) as unit:
        assert {user.name: user.role for user in unit.users.list()} == PEOPLE
