"""Where the line tells programs how it is."""

from __future__ import annotations

from pydantic import Field

from kizu_inspect.settings import Settings

__all__ = ["HttpSettings"]


class HttpSettings(Settings):
    """The address of /healthz, /readyz, /metrics and /status.json. Nobody is asked for a password there."""

    host: str = Field(
        default="127.0.0.1", min_length=1, title="Host",
        description="Address to listen on. The default answers this machine alone; 0.0.0.0 answers the whole network.",
    )  # fmt: skip
    port: int = Field(default=9108, ge=1, le=65535, title="Port", description="TCP port; one for each service of a machine.")
    alive_s: float = Field(
        default=30.0, ge=1, le=86_400, title="Alive",
        description="/healthz fails when the line's loop has not turned for so many seconds; more than one batch takes.",
    )  # fmt: skip
