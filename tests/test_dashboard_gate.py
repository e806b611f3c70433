"""The gate: without a session nothing of the dashboard answers, and no other site's page can use one that there is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import text
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from websockets.exceptions import ConnectionClosedError

from dashboard_world import Plant, cookie_header, enter_people, filled_plant, served
from db_examples import raw
from kizu_dashboard.signing_in.passwords import hash_password
from signing_world import HTML, PASSWORD, ask, messages_until_finished, pages_socket, sign_in, socket_status

GUESSED = "01890000-0000-7000-8000-000000000000"
REFUSED = [
    "/image/{uid}", "/thumbnail/{uid}", "/heatmap/{uid}", f"/image/{GUESSED}", "/media/" + "0" * 56 + ".csv", "/static/js/x.js",
    "/_stcore/host-config", "/_stcore/metrics", "/_stcore/stream", "/_stcore/script-health-check", "/_stcore/health/",
    "/_stcore/health/x", "//_stcore/health", "/_stcore/upload_file/a/b", "/_stcore/bidi-components/x", "/component/x/i.html",
    "/auth/login", "/oauth2callback", "/index.html", "/favicon.png", "/signin/", "/signin/../image/{uid}", "//signin",
    "/SIGNIN", "/signout", "/signin%2F..%2Fimage/{uid}", "/signin;/image/{uid}", "/openapi.json",
]  # fmt: skip


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    with filled_plant(tmp_path_factory.mktemp("plant")) as plant:
        enter_people(plant.room.records)
        with plant.room.records.unit() as unit:
            unit.users.set_password("Kim", hash_password(PASSWORD), by="Ana")
        yield plant


@pytest.mark.parametrize("path", ["/", "/part?uid=1&x=ä b", "/reports", "/image/{uid}", "/nowhere/<b>"])
def test_a_page_leads_to_the_sign_in_and_back(plant: Plant, address: str, path: str) -> None:
    path = quote(path.format(uid=plant.uids["P-1002"]), safe="/?&=")
    answer = ask(address, path, headers=HTML)
    assert (answer.status, answer.headers["cache-control"]) == (303, "no-store")
    assert answer.headers["location"] == f"/signin?next={quote(path, safe='')}"
    page = ask(address, answer.headers["location"], headers=HTML)
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert 'name="password" type="password"' in page.text


@pytest.mark.parametrize("path", REFUSED)
@pytest.mark.parametrize("cookie", ["", "kizu-session=guessed", "kizu-session=", "kizu-session=' OR 1=1 --"])
def test_anything_else_is_refused(plant: Plant, address: str, path: str, cookie: str) -> None:
    answer = ask(address, path.format(uid=plant.uids["P-1002"]), cookie=cookie)
    assert (answer.status, answer.text) == (401, "Sign in first.")
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/", "/image/{uid}", "/_stcore/upload_file/a/b", "/_stcore/stream"])
def test_no_method_goes_around_it(plant: Plant, address: str, method: str, path: str) -> None:
    path = path.format(uid=plant.uids["P-1002"])
    assert ask(address, path, method=method, headers=HTML, body="" if method == "POST" else None).status == 401


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/signin"), ("DELETE", "/signin"), ("GET", "/signout"), ("POST", "/_stcore/health")]
)
def test_what_is_open_is_open_in_its_own_way_alone(address: str, method: str, path: str) -> None:
    assert ask(address, path, method=method).status == 401


def test_whoever_watches_hears_ok(address: str) -> None:
    answer = ask(address, "/_stcore/health")
    assert (answer.status, answer.text) == (200, "ok")


def test_the_websocket_is_closed_before_it_is_accepted(plant: Plant, address: str) -> None:
    assert socket_status(address) == 403
    assert socket_status(address, cookie="kizu-session=guessed") == 403
    assert socket_status(address, cookie=cookie_header(plant.config, plant.session())) == 101


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://127.0.0.1:1", "http://127.0.0.1", "", "http://[", "http://127.0.0.1@evil.example"],
)
def test_another_sites_page_does_nothing_with_a_session(plant: Plant, address: str, origin: str) -> None:
    cookie = cookie_header(plant.config, plant.session())
    assert socket_status(address, cookie=cookie, origin=origin) == 403
    foreign = {"Origin": origin}
    for path in ("/signout", "/_stcore/upload_file/a/b", "/"):
        answer = ask(address, path, method="POST", cookie=cookie, body="", headers=foreign)
        assert (answer.status, answer.text) == (403, "Another site's page asked for this. Nothing was done.")
    assert sign_in(address, "Kim", headers=foreign).status == 403, "nobody is signed in for another's purposes"
    assert ask(address, "/", cookie=cookie).status == 200, "nor signed out"


def test_its_own_page_may(plant: Plant, address: str) -> None:
    cookie = cookie_header(plant.config, plant.session())
    assert socket_status(address, cookie=cookie, origin=address) == 101
    assert sign_in(address, "Kim", headers={"Origin": address}).status == 303


@pytest.mark.parametrize("signed_in", [True, False])
@pytest.mark.parametrize(
    "path", ["/", "/signin", "/image/{uid}", f"/image/{GUESSED}", "/_stcore/health", "/media/x", "/signin?once=x"]
)
def test_every_answer_has_the_headers(plant: Plant, address: str, path: str, signed_in: bool) -> None:
    cookie = cookie_header(plant.config, plant.session()) if signed_in else ""
    for asked in ({}, HTML, {"Host": "evil.example"}):
        answer = ask(address, path.format(uid=plant.uids["P-1002"]), cookie=cookie, headers=asked)
        policy = answer.headers["content-security-policy"]
        assert policy.endswith("frame-ancestors 'none'")
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["x-content-type-options"] == "nosniff"
        if path == "/image/{uid}" and answer.status == 200:
            assert policy == "default-src 'none'; frame-ancestors 'none'"


def test_the_sign_in_page_may_load_and_run_nothing(address: str) -> None:
    page = ask(address, "/signin", headers=HTML)
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert page.headers["cache-control"] == "no-store"
    assert "http:" not in page.text
    assert "https:" not in page.text
    assert "<script" not in page.text


def test_a_look_waits_for_no_writer_and_is_noted_once_a_minute(tmp_path: Path) -> None:
    with filled_plant(tmp_path) as plant:
        secret = plant.session()

        def seen() -> datetime:
            with plant.room.records.unit(read_only=True) as unit:
                found = unit.sign_ins.whose(secret, idle=timedelta(days=1))
            assert found is not None
            return found.last_seen_at

        first = seen()
        for _ in range(30):
            assert plant.room.sessions.whose(secret) is not None
        assert seen() == first, "a look within the minute writes nothing"
        with raw(plant.config.database) as connection:
            connection.execute(text("UPDATE user_session SET last_seen_at = datetime(last_seen_at, '-10 minutes')"))
            # Committed at the end of this block: until then this connection is the only writer, as a line may be.
            for _ in range(30):
                user = plant.room.sessions.whose(secret)
                assert user is not None
                assert user.name == "Kim"
        before = seen()
        assert before < first - timedelta(minutes=9)
        give_up = time.monotonic() + 60
        while seen() == before and time.monotonic() < give_up:
            plant.room.sessions.whose(secret)
            time.sleep(0.01)  # the note is made by another thread
        assert abs(seen() - datetime.now(UTC)) < timedelta(minutes=2)


def test_what_a_page_does_by_itself_keeps_nobody_signed_in(tmp_path: Path) -> None:
    """Pictures, the websocket, and fragments that a clock runs: an unattended screen goes idle."""
    with filled_plant(tmp_path) as plant:
        secret = plant.session()
        cookie = cookie_header(plant.config, secret)
        with raw(plant.config.database) as connection:
            connection.execute(text("UPDATE user_session SET last_seen_at = datetime(last_seen_at, '-10 minutes')"))
            before = connection.scalar(text("SELECT last_seen_at FROM user_session"))
        with served(plant.config) as address:
            for _ in range(5):
                assert ask(address, f"/image/{plant.uids['P-1002']}", cookie=cookie).status == 200
                assert socket_status(address, cookie=cookie) == 101
                assert plant.room.sessions.whose(secret, used=False) is not None
        plant.room.sessions.close()  # as the server's were at its end: what was to be noted is noted
        with raw(plant.config.database) as connection:
            assert connection.scalar(text("SELECT last_seen_at FROM user_session")) == before


def test_an_open_websocket_ends_soon_after_its_session(plant: Plant, address: str) -> None:
    """A page of figures that renew themselves would else show them to whoever passes by."""
    secret = plant.session()
    draw = BackMsg(rerun_script=ClientState()).SerializeToString()
    with pages_socket(address, cookie=cookie_header(plant.config, secret)) as socket:
        drawn = messages_until_finished(socket, draw)
        assert b"Werk" in drawn
        for _ in range(3):
            assert b"Werk" in messages_until_finished(socket, draw)
        plant.room.sessions.end(secret)
        last_words = messages_until_finished(socket, draw)
        assert b"Your sign-in has ended" in last_words
        assert b"Werk" not in last_words
        with pytest.raises(ConnectionClosedError) as closed:
            list(iter(lambda: messages_until_finished(socket, draw), None))
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008
