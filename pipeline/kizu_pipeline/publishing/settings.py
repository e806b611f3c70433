"""Where a station's results are published."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from kizu_inspect.settings import Settings
from kizu_pipeline.broker_settings import BrokerSettings, Trust

__all__ = ["PASSWORD_VARIABLE", "TOKEN_VARIABLE", "MqttTarget", "PublishTarget", "WebhookTarget"]

TOKEN_VARIABLE: Final = "KIZU_PUBLISH_TOKEN"
"""The environment variable that may carry the webhook's token."""
PASSWORD_VARIABLE: Final = "KIZU_PUBLISH_PASSWORD"
"""The environment variable that may carry the broker's password."""

_OWN_HEADERS: Final = frozenset({"content-type", "content-length", "host", "transfer-encoding", "connection"})


class _Target(Settings):
    """What all receivers have in common."""

    timeout_s: float = Field(
        default=10.0, gt=0, le=600, title="Time-out",
        description="A receiver that does not answer for so many seconds is away; its events wait.",
    )  # fmt: skip
    max_attempts: int = Field(
        default=20, ge=1, le=1_000_000, title="Most attempts",
        description="An event that the receiver has refused so often is set aside, so that others get through; it stays in the "
        "records, and is tried again when this number is raised. Tries while the receiver is away do not count.",
    )  # fmt: skip
    keep_days: float = Field(
        default=7.0, ge=0, le=36_500, title="Keep", description="Days for which delivered events stay in the records."
    )
    explanations: bool = Field(
        default=False,
        title="Explanations",
        description="Also tell where the evidence lies, once the map is made: one more event.",
    )


class WebhookTarget(_Target, Trust):
    """Each event is an HTTP POST of JSON; an answer of 2xx means that it was taken."""

    kind: Literal["webhook"] = Field(title="Kind", description="Results go to a web address.")
    url: str = Field(
        title="Address", description="https://… or http://…; redirects are not followed, certificates are checked."
    )
    headers: dict[str, str] = Field(
        default={}, title="Headers", description="Further headers of each request. Not for secrets: token_file is."
    )
    token_file: Path | None = Field(
        default=None, title="Token file",
        description=f"File with the token to send. Without it the environment variable {TOKEN_VARIABLE} is read, if set.",
    )  # fmt: skip
    token_header: str = Field(
        default="Authorization", pattern=r"^[A-Za-z0-9-]{1,80}$", title="Token header",
        description="The header that carries the token: Authorization sends Bearer TOKEN, any other the token alone.",
    )  # fmt: skip

    @field_validator("url")
    @classmethod
    def _an_address(cls, url: str) -> str:
        try:
            parsed = urlsplit(url)
            named = parsed.hostname is not None and parsed.port != 0
        except ValueError:  # a port or an IPv6 address that is none
            named = False
        if not named or parsed.scheme not in ("http", "https") or not url.isascii() or any(c.isspace() for c in url):
            raise ValueError("not a web address; write https://HOST/PATH")
        if parsed.username is not None or parsed.password is not None:
            raise ValueError("an address must not hold a password; put a token into token_file")
        return url

    @model_validator(mode="after")
    def _headers_are_free(self) -> Self:
        taken = _OWN_HEADERS | {"authorization", self.token_header.lower()}
        if wrong := sorted(name for name in self.headers if name.lower() in taken):
            raise ValueError(f"headers must not hold {', '.join(wrong)}: Kizu sets them, the token from token_file")
        for name, value in self.headers.items():
            if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or not (value.isascii() and value.isprintable()):
                raise ValueError(f"header {name!r} cannot be sent: a name is a word, a value printable ASCII")
        return self

    @property
    def shown(self) -> str:
        """The address for messages, without its query, which may hold a key."""
        parsed = urlsplit(self.url)
        return f"{parsed.scheme}://{parsed.netloc}{parsed.path}"


class MqttTarget(_Target, BrokerSettings):
    """Each event is a message of QoS 1 on PREFIX/STATION/KIND; the broker's acknowledgement means that it was taken."""

    kind: Literal["mqtt"] = Field(title="Kind", description="Results go to an MQTT broker.")
    version: Literal["5", "3.1.1"] = Field(
        default="5", title="Version",
        description="Of the protocol. A broker of 3.1.1 cannot say that it will not have a message.",
    )  # fmt: skip

    @field_validator("version", mode="before")
    @classmethod
    def _five_is_a_number_in_yaml(cls, version: object) -> object:
        return str(version) if version in (5, 5.0) else version


PublishTarget = Annotated[WebhookTarget | MqttTarget, Field(discriminator="kind")]
