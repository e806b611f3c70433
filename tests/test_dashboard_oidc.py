"""Signing in with an account of the company's sign-in service: what lets in, and whatever else comes back from there."""

from __future__ import annotations

import base64
import hmac
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from dashboard_world import cookie_header, empty_plant, enter_people, serving
from kizu_dashboard.oidc_settings import OidcSettings
from kizu_dashboard.room import Room, close_rooms, open_room
from kizu_dashboard.settings import DashboardConfig, DashboardSettings
from kizu_dashboard.signing_in.sessions import cookie_name, own_cookie
from kizu_db.permissions import Role
from oidc_world import CLIENT, SECRET, Liar, free_port, lying_service
from signing_world import HTML, Answer, ask

NOT_LET_IN = "The account was not let in"


@dataclass
class World:
    """A dashboard whose people have accounts of a service that lies as it is told to."""

    config: DashboardConfig
    room: Room
    address: str
    liar: Liar
    log: Path

    def begin(self, back: str = "/reports") -> tuple[str, str]:
        """A browser is sent to the service: its cookie, and where it goes."""
        answer = ask(self.address, f"/signin/oidc?next={back}", headers=HTML)
        assert answer.status == 303, answer.text
        (cookie,) = answer.cookies.values()
        assert (cookie.key, cookie["httponly"], cookie["samesite"]) == (
            own_cookie("kizu-account", self.config.dashboard), True, "lax",
        )  # fmt: skip
        return f"{cookie.key}={cookie.value}", answer.headers["location"]

    def at_service(self, to: str) -> str:
        """The service signs the person in at once: the path with which it sends the browser back."""
        where = urlsplit(to)
        sent = ask(f"http://{where.netloc}", f"{where.path}?{where.query}").headers["location"]
        assert sent.startswith(f"{self.address}/signin/oidc/back?")
        return sent.removeprefix(self.address)

    def sign_in(self, back: str = "/reports") -> Answer:
        """The whole way."""
        cookie, to = self.begin(back)
        return ask(self.address, self.at_service(to), cookie=cookie, headers=HTML)

    def role(self, name: str) -> Role | None:
        """What this person is by the records."""
        with self.room.records.unit(read_only=True) as unit:
            return {user.name: user.role for user in unit.users.list()}.get(name)


@pytest.fixture(scope="module")
def service() -> Iterator[Liar]:
    with lying_service() as liar:
        yield liar


@pytest.fixture
def liar(service: Liar) -> Liar:
    """A service that tells the truth about Kim until a test says otherwise."""
    for name, value in vars(Liar()).items():
        if name not in ("issuer", "key"):
            setattr(service, name, value)
    return service


def session_of(world: World, answer: Answer) -> str:
    """The secret of the sign-in that it begins."""
    return answer.cookies[cookie_name(world.config.dashboard)].value


def made(folder: Path, liar: Liar, held: ExitStack, **settings: Any) -> World:
    """A dashboard with these settings of the service."""
    port = free_port()
    secret = folder / "secret"
    secret.write_text(f"{SECRET}\n", encoding="utf-8")
    oidc = OidcSettings(
        issuer=liar.issuer, client_id=CLIENT, client_secret_file=secret, address=f"http://127.0.0.1:{port}", **settings
    )
    config = empty_plant(folder).model_copy(update={"dashboard": DashboardSettings(port=port, oidc=oidc)})
    room = open_room(config.model_dump_json())
    held.callback(close_rooms)
    enter_people(room.records)
    log = folder / "log"
    errors = held.enter_context(log.open("w+"))
    served = held.enter_context(serving(config, errors=errors))
    return World(config, room, served.address, liar, log)


@pytest.fixture(scope="module")
def plain_world(tmp_path_factory: pytest.TempPathFactory, service: Liar) -> Iterator[World]:
    """Names alone count."""
    with ExitStack() as held:
        yield made(tmp_path_factory.mktemp("plain"), service, held)


@pytest.fixture
def world(plain_world: World, liar: Liar) -> World:
    """The same, where the service tells the truth again."""
    assert plain_world.liar is liar
    return plain_world


def test_an_account_signs_in_the_person_of_its_name_however_it_is_spelt(world: World) -> None:
    world.liar.claims = {"sub": "kim-1", "preferred_username": " KIM "}
    answer = world.sign_in(back="/part?uid=1")
    assert (answer.status, answer.headers["location"]) == (303, "/part?uid=1"), answer.text
    user = world.room.sessions.whose(session_of(world, answer))
    assert user is not None
    assert (user.name, user.role, user.at_terminal) == ("Kim", Role.INSPECTOR, False)
    held = cookie_header(world.config, session_of(world, answer))
    assert ask(world.address, "/", cookie=held).status == 200
    with world.room.records.unit(read_only=True) as unit:
        events = [(event.action, event.actor, event.after) for event in unit.trail.of("user", "Kim")[-2:]]
    assert events == [
        ("user.account", "sign-in service", {"account": True}), ("user.sign_in", "Kim", {"way": "oidc"}),
    ]  # fmt: skip


def test_the_service_is_asked_with_everything_that_ties_its_answer_to_this_browser(world: World) -> None:
    asked = {name: one for name, (one,) in parse_qs(urlsplit(world.begin()[1]).query).items()}
    again = {name: one for name, (one,) in parse_qs(urlsplit(world.begin()[1]).query).items()}
    fixed = {"response_type", "client_id", "redirect_uri", "scope", "code_challenge_method"}
    assert {name for name in asked if asked[name] == again[name]} == fixed
    assert all(len(asked[name]) == 43 for name in ("state", "nonce", "code_challenge"))
    assert asked["redirect_uri"] == f"{world.address}/signin/oidc/back"
    assert SECRET not in str(asked)


@pytest.mark.parametrize("back", ["//evil.example", "https://evil.example/", "/%5Cevil.example", "/signin/oidc?next=/"])
def test_after_it_nobody_is_sent_elsewhere(world: World, back: str) -> None:
    assert world.sign_in(back=back).headers["location"] == "/"


def test_an_answer_is_for_the_browser_that_began_and_for_one_use(world: World) -> None:
    cookie, to = world.begin()
    path = world.at_service(to)
    others = world.begin()[0]
    tampered = path.replace("state=", "state=x")
    wrong = [
        ("", path),
        (others, path),
        (f"{cookie.partition('=')[0]}=guessed", path),
        (cookie, tampered),
        (cookie, path.split("&")[0]),
    ]
    for who, came in wrong:
        answer = ask(world.address, came, cookie=who, headers=HTML)
        assert (answer.status, answer.cookies, "This sign-in has ended" in answer.text) == (400, {}, True)
    assert "/token_endpoint" not in world.liar.paths
    assert ask(world.address, path, cookie=cookie, headers=HTML).status == 303
    replayed = ask(world.address, path, cookie=cookie, headers=HTML)
    assert (replayed.status, replayed.cookies) == (400, {})


def test_a_code_that_was_used_or_is_anothers_lets_nobody_in(world: World) -> None:
    """The browser and its state are right, and the code is not the one that the service gave it."""
    cookie, to = world.begin()
    used = world.at_service(to)
    world.liar.codes.clear()  # as if somebody had redeemed it
    mine_cookie, to = world.begin()
    mine, others = world.at_service(to), world.at_service(world.begin()[1])
    codes = [parse_qs(urlsplit(path).query)["code"][0] for path in (mine, others)]
    injected = mine.replace(f"code={codes[0]}&", f"code={codes[1]}&")
    assert injected != mine
    for who, path in ((cookie, used), (mine_cookie, injected)):
        answer = ask(world.address, path, cookie=who, headers=HTML)
        assert (answer.status, answer.cookies, NOT_LET_IN in answer.text) == (403, {}, True)


NOW = int(time.time())
LIES: dict[str, dict[str, Any]] = {
    "another nonce": {"nonce": "another"},
    "no nonce": {"nonce": None},
    "another audience": {"aud": "another-client"},
    "no audience": {"aud": None},
    "several audiences, and not for us": {"aud": [CLIENT, "another-client"]},
    "for another party": {"azp": "another-client"},
    "expired": {"exp": NOW - 3600, "iat": NOW - 7200},
    "without an end": {"exp": None},
    "not yet": {"iat": NOW + 36_000},
    "another issuer": {"iss": "http://127.0.0.1:1"},
    "no subject": {"sub": None},
    "an empty subject": {"sub": ""},
    "no name": {"preferred_username": None},
    "a name that is none": {"preferred_username": ["kim"]},
    "a long name": {"preferred_username": "k" * 201},
    "nobody here": {"preferred_username": "stranger"},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_token_that_is_not_for_this_sign_in_lets_nobody_in(world: World, lie: str) -> None:
    world.liar.claims = {"sub": "lee-1", "preferred_username": "lee"} | LIES[lie]
    answer = world.sign_in()
    assert (answer.status, answer.cookies, NOT_LET_IN in answer.text) == (403, {}, True)
    assert not any(secret in answer.text for secret in (*world.liar.leaked, SECRET, world.liar.issuer))


def unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    """A token up to its signature."""
    parts = (json.dumps(one).encode() for one in (header, claims))
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def without_signature(_: RSAKey, claims: dict[str, Any]) -> str:
    return f"{unsigned({'alg': 'none', 'kid': 'one'}, claims)}."


def by_the_public_key_as_a_secret(key: RSAKey, claims: dict[str, Any]) -> str:
    signed = unsigned({"alg": "HS256", "kid": "one"}, claims)
    mac = hmac.digest(key.as_pem(private=False), signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def by_another_key_of_the_same_name(_: RSAKey, claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "RS256", "kid": "one"}, claims, RSAKey.generate_key(2048, {"kid": "one"}, private=True))


def changed_after_it_was_signed(key: RSAKey, claims: dict[str, Any]) -> str:
    head = {"alg": "RS256", "kid": "one"}
    signature = jwt.encode(head, claims | {"preferred_username": "lee"}, key).rpartition(".")[2]
    return f"{unsigned(head, claims)}.{signature}"


FORGERIES = [
    without_signature, by_the_public_key_as_a_secret, by_another_key_of_the_same_name, changed_after_it_was_signed,
]  # fmt: skip


@pytest.mark.parametrize("forgery", FORGERIES)
def test_true_claims_let_somebody_in_only_where_the_service_signed_them(
    world: World, forgery: Callable[[RSAKey, dict[str, Any]], str]
) -> None:
    world.liar.forged = partial(forgery, world.liar.key)
    answer = world.sign_in()
    assert (answer.status, answer.cookies, NOT_LET_IN in answer.text) == (403, {}, True)
    world.liar.forged = None
    assert world.sign_in().status == 303


@pytest.mark.parametrize("token", ["a.b.c", "", ".", "{}", "x" * 5000])
def test_what_is_no_token_lets_nobody_in(world: World, token: str) -> None:
    world.liar.forged = lambda _: token
    answer = world.sign_in()
    assert (answer.status, answer.cookies, NOT_LET_IN in answer.text) == (403, {}, True)


def test_a_service_that_names_itself_otherwise_is_none_until_it_is_mended(tmp_path: Path, liar: Liar) -> None:
    with ExitStack() as held:
        world = made(tmp_path, liar, held)
        for changes in (
            {"issuer": "http://127.0.0.1:1"},
            {"authorization_endpoint": "http://evil.example/"},
            {"token_endpoint": "http://evil.example/"},
            {"jwks_uri": None},
            {"userinfo_endpoint": 7},
        ):
            liar.description = changes
            answer = ask(world.address, "/signin/oidc", headers=HTML)
            assert (answer.status, answer.cookies, "cannot be had now" in answer.text) == (503, {}, True), changes
            assert not any(word in answer.text for word in ("evil.example", "127.0.0.1"))
        liar.description = {}
        assert ask(world.address, "/signin/oidc", headers=HTML).status == 303


@pytest.mark.parametrize("status", [500, 302, 200])
def test_a_service_that_fails_is_away(world: World, status: int) -> None:
    world.liar.status = status
    if status == 200:
        world.liar.claims = {"sub": "lee-1", "preferred_username": "lee"}
    assert world.sign_in().status == (303 if status == 200 else 503)


def test_who_says_no_at_the_service_comes_back_to_words(world: World) -> None:
    cookie, to = world.begin()
    state = parse_qs(urlsplit(to).query)["state"][0]
    answer = ask(world.address, f"/signin/oidc/back?error=access_denied&error_description=%3Cb%3E&state={state}", cookie=cookie)
    assert (answer.status, "let nobody in" in answer.text, "<b>" in answer.text) == (403, True, False)


def test_one_person_has_one_account_until_an_admin_forgets_it(world: World) -> None:
    world.liar.claims = {"sub": "eun-1", "preferred_username": "eun"}
    first = session_of(world, world.sign_in())
    world.liar.claims = {"sub": "eun-2", "preferred_username": "Eun"}
    assert world.sign_in().status == 403, "a second account of the same name is somebody else's"
    world.liar.claims = {"sub": "eun-1", "preferred_username": "Ana"}
    user = world.room.sessions.whose(session_of(world, world.sign_in()))
    assert user is not None
    assert user.name == "Eun", "who takes another's name at the service stays who they are here"
    with world.room.records.unit() as unit:
        unit.accounts.forget("eun", by="Ana", reason="married")
    assert world.room.sessions.whose(first) is None
    world.liar.claims = {"sub": "eun-2", "preferred_username": "Eun"}
    assert world.sign_in().status == 303


def test_who_was_let_out_here_stays_out(world: World) -> None:
    world.liar.claims = {"sub": "mina-1", "preferred_username": "mina"}
    secret = session_of(world, world.sign_in())
    with world.room.records.unit() as unit:
        unit.users.change("Mina", by="Ana", active=False)
    try:
        assert world.room.sessions.whose(secret) is None
        assert world.sign_in().status == 403
    finally:
        with world.room.records.unit() as unit:
            unit.users.change("Mina", by="Ana", active=True)


def test_claims_that_stand_elsewhere_are_of_the_same_person(tmp_path: Path, liar: Liar) -> None:
    liar.claims = {"sub": "vera-1"}
    with ExitStack() as held:
        liar.userinfo = {"sub": "vera-2", "preferred_username": "vera"}
        world = made(tmp_path, liar, held)
        assert world.sign_in().status == 403
        liar.userinfo = {"sub": "vera-1", "preferred_username": "vera"}
        assert world.sign_in().status == 303


def test_an_address_that_nobody_proved_is_nobodys(tmp_path: Path, liar: Liar) -> None:
    """At some services people write into their account whatever address they like; the service says so."""
    address = {"email": "kim@plant.example"}
    liar.userinfo = {"sub": "stranger-1", **address, "email_verified": False}
    with ExitStack() as held:
        world = made(tmp_path, liar, held, name_claim="email")
        with world.room.records.unit() as unit:
            unit.users.add(address["email"], Role.INSPECTOR, by="Ana")
        for told in ({**address, "email_verified": False}, {**address, "email_verified": "false"}, {"email": None}):
            liar.claims = {"sub": "stranger-1", **told}
            answer = world.sign_in()
            assert (answer.status, answer.cookies, NOT_LET_IN in answer.text) == (403, {}, True), told
        liar.userinfo |= {"email_verified": True}
        assert world.sign_in().status == 303
        liar.claims = {"sub": "stranger-1", **address}  # a service that proves every address need not say so
        assert world.sign_in().status == 303


def test_groups_say_at_each_sign_in_who_is_what(tmp_path: Path, liar: Liar) -> None:
    roles = {"line": Role.INSPECTOR, "process": Role.ENGINEER, "it": Role.ADMIN}

    def groups(name: str, *told: object) -> None:
        liar.claims = {"sub": f"{name}-1", "preferred_username": name, "groups": list(told)}

    with ExitStack() as held:
        world = made(tmp_path, liar, held, role_claim="groups", roles=roles, newcomers=Role.VIEWER)
        groups("kim", "line", "process", 7, "canteen")
        assert (world.sign_in().status, world.role("Kim")) == (303, Role.ENGINEER)
        groups("kim", "canteen")
        assert (world.sign_in().status, world.role("Kim")) == (403, Role.ENGINEER)
        groups("kim", "line")
        assert (world.sign_in().status, world.role("Kim")) == (303, Role.INSPECTOR)
        groups("bo", "process")
        assert (world.sign_in().status, world.role("bo")) == (303, Role.ENGINEER), "a newcomer is what the groups say"
        groups("ana", "line")
        assert (world.sign_in().status, world.role("Ana")) == (303, Role.ADMIN), "somebody must be left who manages the others"
        with world.room.records.unit(read_only=True) as unit:
            told = [(event.actor, event.reason) for event in unit.trail.of("user", "Kim") if event.action == "user.change"]
    assert told == [("sign-in service", "groups of the account")] * 2


def test_newcomers_get_the_role_of_the_settings(tmp_path: Path, liar: Liar) -> None:
    liar.claims = {"sub": "bo-1", "preferred_username": "Bo  Li"}
    with ExitStack() as held:
        world = made(tmp_path, liar, held, newcomers=Role.VIEWER)
        assert (world.sign_in().status, world.role("Bo Li")) == (303, Role.VIEWER)
        assert world.role("Kim") is Role.INSPECTOR


def test_no_secret_stands_in_the_log(tmp_path: Path, liar: Liar) -> None:
    with ExitStack() as held:
        world = made(tmp_path, liar, held)
        for nonce in (None, "another"):
            liar.claims = {"sub": "kim-1", "preferred_username": "kim", "nonce": nonce}
            assert world.sign_in().status == 403
        liar.claims = {"sub": "kim-1", "preferred_username": "kim"}
        assert world.sign_in().status == 303
    log = world.log.read_text(encoding="utf-8")
    assert log.count("sign-in with an account failed") == 2
    assert len(liar.leaked) > 8
    assert [secret for secret in (*liar.leaked, SECRET) if secret in log] == []


CONNECTS = """
import sys
def tell(event, arguments):
    if event == "socket.connect":
        print("connected", arguments[1], file=sys.stderr, flush=True)
sys.addaudithook(tell)
"""


@pytest.mark.parametrize("configured", [True, False])
def test_nothing_leaves_the_machine_before_it_is_configured_and_wanted(
    tmp_path: Path, liar: Liar, monkeypatch: pytest.MonkeyPatch, configured: bool
) -> None:
    """The program itself tells of each connection that it makes."""
    (tmp_path / "sitecustomize.py").write_text(CONNECTS, encoding="utf-8")  # which every Python reads as it starts
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    oidc = OidcSettings(issuer=liar.issuer, client_id=CLIENT, address="http://127.0.0.1:8501") if configured else None
    config = empty_plant(tmp_path).model_copy(update={"dashboard": DashboardSettings(port=0, oidc=oidc)})
    enter_people(open_room(config.model_dump_json()).records)
    told = tmp_path / "told"
    try:
        with told.open("w+") as errors, serving(config, errors=errors) as it:
            page = ask(it.address, "/signin", headers=HTML)
            assert ("Sign in with your company account" in page.text) == configured
            assert "connected" not in told.read_text(encoding="utf-8")
            statuses = [
                ask(it.address, path, headers=HTML).status for path in ("/signin/oidc/back?code=1&state=2", "/signin/oidc")
            ]
            assert statuses == ([400, 303] if configured else [404, 404])
            connected = [line for line in told.read_text(encoding="utf-8").splitlines() if line.startswith("connected")]
    finally:
        close_rooms()
    assert connected == ([f"connected ('127.0.0.1', {urlsplit(liar.issuer).port})"] if configured else [])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"issuer": "http://login.example"}, "issuer"),
        ({"issuer": "https://user:secret@login.example"}, "issuer"),
        ({"address": "http://kizu.plant.example"}, "address"),
        ({"address": "https://kizu.plant.example/below"}, "address"),
        ({"scopes": ["profile"]}, "scopes must hold openid"),
        ({"role_claim": "groups"}, "role_claim and roles need each other"),
        ({"roles": {"line": "inspector"}}, "role_claim and roles need each other"),
        ({"newcomers": "boss"}, "newcomers"),
        ({"client_secret": "stands here"}, "client_secret"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], said: str) -> None:
    whole = {"issuer": "https://login.example", "client_id": "kizu", "address": "https://kizu.plant.example"}
    OidcSettings.model_validate(whole)
    with pytest.raises(ValueError, match=said):
        OidcSettings.model_validate(whole | settings)
