"""Settings of the company's sign-in service, by OpenID Connect."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from kizu_db.permissions import Role
from kizu_inspect.settings import Settings

__all__ = ["CLIENT_SECRET_VARIABLE", "OidcSettings", "is_safe_address"]

CLIENT_SECRET_VARIABLE: Final = "KIZU_OIDC_CLIENT_SECRET"
"""The environment variable that may carry the client's secret."""
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def is_safe_address(address: str) -> bool:
    """Whether secrets may be sent there: by HTTPS, or to this machine itself."""
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        return False
    return bool(host) and parts.username is None and (parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK))


def _service(address: str) -> str:
    if not is_safe_address(address) or urlsplit(address).query or urlsplit(address).fragment:
        raise ValueError("no address of a service; write https://HOST/PATH, or http:// for this machine alone")
    return address


def _site(address: str) -> str:
    if not is_safe_address(address) or urlsplit(address).path not in ("", "/") or urlsplit(address).query:
        raise ValueError("no address of a site; write https://NAME, or http:// for this machine alone")
    return address.rstrip("/")


class OidcSettings(Settings):
    """Who signs in with an account of the company's sign-in service, and as what."""

    issuer: Annotated[str, AfterValidator(_service)] = Field(
        title="Issuer", description="The service's address, exactly as it names itself in its tokens."
    )
    client_id: str = Field(min_length=1, title="Client", description="By what the service knows this dashboard.")
    client_secret_file: Path | None = Field(
        default=None, title="Client's secret",
        description=f"File with the secret. Without it {CLIENT_SECRET_VARIABLE} is read; without both the client is public.",
    )  # fmt: skip
    address: Annotated[str, AfterValidator(_site)] = Field(
        title="Own address",
        description="The dashboard's address as browsers know it. The service sends people back to it, at /signin/oidc/back.",
    )
    ca_file: Path | None = Field(
        default=None, title="Authorities", description="PEM file whose authorities are trusted. Default: the system's."
    )
    scopes: tuple[str, ...] = Field(default=("openid", "profile"), title="Scopes", description="What is asked for.")
    label: str = Field(
        default="your company account", min_length=1, max_length=60, title="Label", description="Stands behind “Sign in with”."
    )
    name_claim: str = Field(
        default="preferred_username", min_length=1, title="Name claim", description="The claim with the person's name here."
    )
    role_claim: str | None = Field(
        default=None, title="Role claim",
        description="The claim with the person's groups. With it the service says at each sign-in who is what.",
    )  # fmt: skip
    roles: dict[str, Role] = Field(
        default={}, title="Roles", description="The role of each group. Of several the highest counts; without any, no sign-in."
    )
    newcomers: Role | None = Field(
        default=None, title="Newcomers",
        description="The role with which a person is entered who is not yet; where there is a role claim, that of its groups. "
        "Null: they are refused.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        if "openid" not in self.scopes:
            raise ValueError("scopes must hold openid")
        if (self.role_claim is None) != (not self.roles):
            raise ValueError("role_claim and roles need each other")
        return self

    @property
    def back_address(self) -> str:
        """Where the service sends people back to."""
        return f"{self.address}/signin/oidc/back"
