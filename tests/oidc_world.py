"""Sign-in services for the tests: a real one, and one that lies as it is told to."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "kizu-dashboard", "s3cret of the client"


def free_port() -> int:
    """A port of this machine that nobody has now: the service must know the dashboard's address before it starts."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


PROVIDER = """
import json, logging, sys
from datetime import timedelta
from oidc_provider_mock import User, run_server_in_thread
logging.disable(logging.WARNING)
people = [User(sub=sub, claims=claims) for sub, claims in json.load(sys.stdin).items()]
with run_server_in_thread(user_claims=people) as server:
    print(server.server_port, flush=True)
    sys.stdin.close()
    import threading
    threading.Event().wait()
"""


@contextmanager
def real_service(people: dict[str, dict[str, Any]]) -> Iterator[str]:
    """The issuer's address of a provider that others wrote, in a process of its own, with these people's claims by subject."""
    with subprocess.Popen(
        [sys.executable, "-c", PROVIDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            json.dump(people, process.stdin)
            process.stdin.close()
            yield f"http://localhost:{int(process.stdout.readline())}"
        finally:
            process.kill()


@dataclass
class Liar:
    """A service in this process: everybody who comes is signed in at once, by tokens that are changed as a test wants it."""

    issuer: str = ""
    claims: dict[str, Any] = field(default_factory=lambda: {"sub": "kim-1", "preferred_username": "kim"})
    """Of who signs in, over what a token would say; None leaves a claim out."""
    userinfo: dict[str, Any] = field(default_factory=dict)
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}, private=True))
    header: dict[str, Any] = field(default_factory=lambda: {"alg": "RS256", "kid": "one"})
    forged: Callable[[dict[str, Any]], str] | None = None
    """Makes a whole token of the claims, instead of signing them."""
    description: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    """Of the answer for a code."""
    paths: list[str] = field(default_factory=list)
    """What was asked for."""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    """What was asked for with each code that was not redeemed yet."""
    leaked: set[str] = field(default_factory=set)
    """What no page and no log may ever show."""

    def token(self, asked: dict[str, str]) -> str:
        """The token for who began so."""
        now = int(time.time())
        told = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"]} | self.claims
        claims = {name: value for name, value in told.items() if value is not None}
        return self.forged(claims) if self.forged else jwt.encode(self.header, claims, self.key)

    def redeem(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        """As a service does: once, for the client with the secret, and for who has the verifier."""
        assert base64.b64decode(authorization.removeprefix("Basic ")).decode() == f"{CLIENT}:{SECRET.replace(' ', '%20')}"
        asked = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        proved = {
            "redirect_uri": form["redirect_uri"],
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        }
        if asked is None or proved.items() - asked.items():
            return 400, {"error": "invalid_grant"}
        told = {"access_token": "access-4711", "token_type": "Bearer", "id_token": self.token(asked)}
        self.leaked |= {told["access_token"], told["id_token"], form["code"], form["code_verifier"]}
        return self.status, told

    def answer(
        self, path: str, query: dict[str, str], form: dict[str, str], authorization: str
    ) -> tuple[int, dict[str, Any], str]:
        """Status, content, and where to go."""
        if path == "/.well-known/openid-configuration":
            at = {name: f"{self.issuer}/{name}" for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
            more = {"userinfo_endpoint": f"{self.issuer}/userinfo"} if self.userinfo else {}
            return 200, {"issuer": self.issuer} | at | more | self.description, ""
        if path == "/jwks_uri":
            return 200, {"keys": [self.key.as_dict(private=False)]}, ""
        if path == "/authorization_endpoint":
            assert (query["code_challenge_method"], query["response_type"], query["client_id"]) == ("S256", "code", CLIENT)
            code = f"code-{len(self.paths)}"
            self.codes[code] = query
            return 303, {}, f"{query['redirect_uri']}?code={code}&state={query['state']}"
        if path == "/userinfo":
            assert authorization == "Bearer access-4711"
            return 200, self.userinfo, ""
        return (*self.redeem(form, authorization), "")


@contextmanager
def lying_service() -> Iterator[Liar]:
    """A service that answers on this machine until the end."""
    liar = Liar()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            where = urlsplit(self.path)
            liar.paths.append(where.path)
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            query, form = ({name: one for name, (one, *_) in parse_qs(text).items()} for text in (where.query, sent))
            status, content, to = liar.answer(where.path, query, form, self.headers.get("Authorization", ""))
            data = json.dumps(content).encode()
            self.send_response(status)
            if to:
                self.send_header("Location", to)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_GET  # noqa: N815 - the base's name

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    liar.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield liar
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
