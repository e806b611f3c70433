"""The typed settings of a connection to an MQTT broker."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from kizu_inspect.settings import Settings

__all__ = ["BrokerSettings", "Trust"]


class Trust(Settings):
    """Whose certificates count."""

    ca_file: Path | None = Field(
        default=None, title="Authority",
        description="PEM file with the certificates to trust. Without it, those of the system.",
    )  # fmt: skip


class BrokerSettings(Trust):
    """Where the broker is, and who asks."""

    host: str = Field(min_length=1, title="Host", description="Name or address of the broker.")
    port: int | None = Field(default=None, ge=1, le=65535, title="Port", description="Default: 1883, or with tls 8883.")
    prefix: str = Field(
        default="kizu", pattern=r"^[^+#\x00$/][^+#\x00]{0,199}$", title="Prefix", description="What every topic begins with."
    )
    client_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        title="Client",
        description="Default: kizu-STATION, of a signal kizu-STATION-signal. No other client may use it.",
    )
    user: str | None = Field(default=None, min_length=1, title="User", description="Name at the broker.")
    password_file: Path | None = Field(
        default=None, title="Password file",
        description="File with the user's password. Without it the environment variable KIZU_PUBLISH_PASSWORD, of a signal "
        "KIZU_SIGNAL_PASSWORD, is read, if set.",
    )  # fmt: skip
    tls: bool = Field(default=False, title="TLS", description="Encrypt, and check the broker's certificate and name.")
    keepalive_s: int = Field(
        default=30,
        ge=5,
        le=3600,
        title="Keep-alive",
        description="Seconds of silence after which either side asks for the other.",
    )

    @model_validator(mode="after")
    def _secrets_have_an_owner(self) -> Self:
        if self.password_file is not None and self.user is None:
            raise ValueError("password_file needs user, whose password it holds")
        if self.ca_file is not None and not self.tls:
            raise ValueError("ca_file needs tls: true")
        return self

    @property
    def shown(self) -> str:
        """The broker for messages."""
        return f"{'mqtts' if self.tls else 'mqtt'}://{self.host}:{self.at_port}"

    @property
    def at_port(self) -> int:
        """The port to connect to."""
        return self.port if self.port is not None else 8883 if self.tls else 1883
