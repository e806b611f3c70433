"""What is asked of the sign-in service itself: where it answers, its keys, and what it says of a person."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote, urlencode

import urllib3
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet
from joserfc.jws import extract_compact

from kizu_dashboard.oidc_settings import CLIENT_SECRET_VARIABLE, OidcSettings, is_safe_address
from kizu_dashboard.signing_in.oidc.begun import Begun
from kizu_inspect.credentials import read_secret, tls_context
from kizu_inspect.errors import KizuError

__all__ = ["AccountRefused", "ServiceAway", "SignInService"]

ALGORITHMS: Final = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""By which only the holder of a private key signs: never `none`, and never by a secret that this client has too."""
ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")
MORE_CLAIMS: Final = "userinfo_endpoint"
PROVES: Final = {"email": "email_verified"}
"""Claims that a person may have made up, with those in which the service says that they are proven."""
CONNECT_S: Final = 5.0
READ_S: Final = 10.0
LARGEST: Final = 1024 * 1024
"""Bytes of an answer."""
KEPT_S: Final = 3600.0
"""For so long the service's addresses and keys are not asked for again."""
AGAIN_S: Final = 60.0
"""A key that is not known yet is asked for at most so often."""
CLOCKS_DIFFER_S: Final = 60


class ServiceAway(KizuError):  # noqa: N818 - it is a state more than a failure
    """The sign-in service cannot be had now, or answers what is no answer."""


class AccountRefused(KizuError):  # noqa: N818 - it is an answer more than a failure
    """The service, or a check of what it says, lets this account not in."""


class SignInService:
    """One issuer. Nothing is asked of it before somebody signs in. Threads may share it."""

    def __init__(self, settings: OidcSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._described: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, list[Key]] | None = None

    def address_for(self, begun: Begun) -> str:
        """Where the browser goes on. Raises ServiceAway."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(begun.verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": self.settings.back_address,
            "scope": " ".join(self.settings.scopes),
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        address = self._endpoint("authorization_endpoint")
        return f"{address}{'&' if '?' in address else '?'}{urlencode(asked)}"

    def claims(self, code: str, begun: Begun) -> Mapping[str, Any]:
        """What the service says of who comes back with this code. Raises ServiceAway and AccountRefused."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.settings.back_address,
            "code_verifier": begun.verifier,
        }
        headers = self._authenticate(form)
        told = self._ask("POST", self._endpoint("token_endpoint"), headers=headers, body=urlencode(form))
        token = told.get("id_token")
        if not isinstance(token, str):
            raise AccountRefused("The service gave no identity for the code", found=sorted(told))
        claims = self._checked(token, begun.nonce)
        wanted = [name for name in (self.settings.name_claim, self.settings.role_claim) if name and name not in claims]
        if wanted and isinstance(access := told.get("access_token"), str):
            claims = self._more(claims, wanted, access)
        if claims.get(PROVES.get(self.settings.name_claim, "")) in (False, "false"):
            raise AccountRefused("The service's account has a name that nobody proved", found=self.settings.name_claim)
        return claims

    def _checked(self, token: str, nonce: str) -> Mapping[str, Any]:
        """The token's claims, where it is the service's, for this dashboard, of now and of this sign-in."""
        registry = jwt.JWTClaimsRegistry(
            leeway=CLOCKS_DIFFER_S,
            iss={"essential": True, "value": self.settings.issuer},
            aud={"essential": True, "value": self.settings.client_id},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
            sub={"essential": True},
        )
        try:
            claims = self._signed(token)
            registry.validate(claims)
        except (JoseError, ValueError, TypeError) as error:  # what is no token is wrong in many ways
            raise AccountRefused("The service's token is not valid", found=getattr(error, "error", "no token")) from None
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else self.settings.client_id) != self.settings.client_id:
            raise AccountRefused("The service's token is for another program", found="azp")
        if not isinstance(claims["sub"], str) or not claims["sub"]:
            raise AccountRefused("The service's token names nobody", found="sub")
        return claims

    def _signed(self, token: str) -> dict[str, Any]:
        """The claims of a token that one of the service's keys signed; keys that it has changed are asked for again."""
        header = extract_compact(token.encode()).headers()
        failed: JoseError = JoseError("no key of the service signed it")
        for fresh in (False, True):
            named = [key for key in self._signing_keys(fresh=fresh) if "kid" not in header or key.kid == header["kid"]]
            for key in named:
                try:
                    return jwt.decode(token, key, algorithms=ALGORITHMS).claims
                except JoseError as error:
                    failed = error
        raise failed

    def _more(self, claims: Mapping[str, Any], wanted: list[str], access: str) -> Mapping[str, Any]:
        """With claims that some services tell only where they are asked for them."""
        if MORE_CLAIMS not in self._description():
            return claims
        told = self._ask("GET", self._endpoint(MORE_CLAIMS), headers={"Authorization": f"Bearer {access}"})
        if told.get("sub") != claims["sub"]:
            raise AccountRefused("The service speaks of two people", found="sub")
        taken = {*wanted, *(PROVES[name] for name in wanted if name in PROVES)}
        return dict(claims) | {name: told[name] for name in taken if name in told}

    def _authenticate(self, form: dict[str, str]) -> dict[str, str]:
        """Who redeems the code: headers, or more in the form."""
        me = self.settings.client_id
        secret = read_secret(
            self.settings.client_secret_file, CLIENT_SECRET_VARIABLE, setting="dashboard.oidc.client_secret_file"
        )  # fmt: skip
        methods = self._description().get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if secret is not None and "client_secret_basic" in methods:
            pair = f"{quote(me, safe='')}:{quote(secret, safe='')}"
            return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        form["client_id"] = me
        if secret is not None:
            form["client_secret"] = secret
        return {}

    def _endpoint(self, name: str) -> str:
        return str(self._description()[name])

    def _description(self) -> dict[str, Any]:
        """What the service says of itself."""
        with self._lock:
            kept = self._described
        if kept is not None and self._clock() - kept[0] < KEPT_S:
            return kept[1]
        told = self._ask("GET", f"{self.settings.issuer.rstrip('/')}/.well-known/openid-configuration")
        if told.get("issuer") != self.settings.issuer:
            raise ServiceAway("The sign-in service names itself otherwise", expected="the issuer of dashboard.oidc")
        for name in (*ENDPOINTS, *({MORE_CLAIMS} & told.keys())):
            if not isinstance(told.get(name), str) or not is_safe_address(told[name]):
                raise ServiceAway("The sign-in service tells no safe address", found=name)
        with self._lock:
            self._described = (self._clock(), told)
        return told

    def _signing_keys(self, *, fresh: bool) -> list[Key]:
        with self._lock:
            kept = self._keys
        if kept is not None and self._clock() - kept[0] < (AGAIN_S if fresh else KEPT_S):
            return kept[1]
        told = self._ask("GET", self._endpoint("jwks_uri"))
        try:
            keys = KeySet.import_key_set({"keys": [one for one in told["keys"] if one.get("kty") != "oct"]}).keys
        except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:  # another service's JSON may be anything
            raise ServiceAway("The sign-in service's keys are none", found=type(error).__name__) from None
        with self._lock:
            self._keys = (self._clock(), keys)
        return keys

    def _ask(
        self, method: str, address: str, *, headers: Mapping[str, str] | None = None, body: str | None = None
    ) -> dict[str, Any]:  # fmt: skip
        """The answer's JSON. Nothing is followed elsewhere, where the secret would go along."""
        sent = {"Accept": "application/json"} | dict(headers or {})
        if body is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            answer = self._http.request(method, address, headers=sent, body=body, redirect=False, preload_content=False)
            try:
                data = answer.read(LARGEST + 1)
                status = answer.status
            finally:
                answer.close()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ServiceAway("The sign-in service does not answer", found=type(error).__name__) from None
        if status in (400, 401, 403):
            raise AccountRefused("The sign-in service refuses", found=f"status {status}")
        if status != 200 or len(data) > LARGEST:
            raise ServiceAway("The sign-in service does not answer as expected", found=f"status {status}")
        try:
            told = json.loads(data)
        except (ValueError, RecursionError):
            told = None
        if not isinstance(told, dict):
            raise ServiceAway("The sign-in service answers no JSON object")
        return told

    @cached_property
    def _http(self) -> urllib3.PoolManager:
        return urllib3.PoolManager(
            ssl_context=tls_context(self.settings.ca_file, setting="dashboard.oidc.ca_file"),
            timeout=urllib3.Timeout(connect=CONNECT_S, read=READ_S),
            retries=False,
        )
