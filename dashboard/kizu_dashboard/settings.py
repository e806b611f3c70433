"""Settings of the dashboard and the reports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, StringConstraints

from kizu_dashboard.oidc_settings import OidcSettings
from kizu_db.settings import DatabaseSettings, ImageStoreSettings, RetentionSettings
from kizu_inspect.settings import Settings

__all__ = ["DashboardConfig", "DashboardSettings", "PlantSettings", "ReportSettings"]


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"unknown time zone {name!r}; expected an IANA name such as Asia/Seoul or UTC") from None
    return name


class PlantSettings(Settings):
    """Where the line stands."""

    name: str = Field(
        default="Plant 1", min_length=1, max_length=200, title="Name", description="The plant's name, as reports show it."
    )
    timezone: Annotated[str, AfterValidator(_known_zone)] = Field(
        default="UTC",
        title="Time zone",
        description="IANA time zone in which times are shown, for example Asia/Seoul. Times are stored in UTC.",
    )

    @property
    def zone(self) -> ZoneInfo:
        """The plant's time zone."""
        return ZoneInfo(self.timezone)


class DashboardSettings(Settings):
    """Where the dashboard is served, in which language, and for how long a sign-in holds."""

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        title="Address",
        description="Address to listen on. The default is reachable from this machine only.",
    )
    port: int = Field(default=8501, ge=0, le=65535, title="Port", description="TCP port to listen on; 0 takes any free port.")
    https: bool = Field(
        default=False,
        title="HTTPS",
        description="People reach it by HTTPS alone, through a proxy that ends TLS. Their cookie is never sent without it.",
    )
    names: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]+$")], ...] = Field(
        default=(),
        title="Names",
        description="Names by which people reach it through a proxy or the network, for example kizu.plant.example. No "
        "other is answered but the machine's own; on a network address any, where none is given.",
    )
    language: Literal["en", "ko"] | None = Field(
        default=None,
        title="Language",
        description="What the pages speak to who has not chosen another: English (en) or Korean (ko). Default: the browser's.",
    )
    idle_min: int = Field(
        default=60, ge=5, le=1440, title="Idle", description="A sign-in that is not used for so many minutes ends."
    )
    session_h: float = Field(
        default=12.0, gt=0, le=168, title="Session", description="A sign-in ends after so many hours: a shift's length."
    )
    terminal_idle_min: int = Field(
        default=10, ge=1, le=1440, title="Idle at a terminal",
        description="A sign-in by PIN or badge that is not used for so many minutes ends.",
    )  # fmt: skip
    terminal_session_h: float = Field(
        default=4.0, gt=0, le=168, title="Session at a terminal",
        description="A sign-in by PIN or badge ends after so many hours.",
    )  # fmt: skip
    oidc: OidcSettings | None = Field(
        default=None, title="Sign-in service", description="The company's accounts, by OpenID Connect. Null: nothing is asked."
    )
    second_share: float = Field(
        default=0.0, ge=0, le=1, title="Second reviews",
        description="Share of the decided parts that another inspector judges too, blind to the first decision, for the figure "
        "by which reviewers agree. 0: none, for it takes a second person and their time. 0.05 is a good start.",
    )  # fmt: skip
    blind_share: float = Field(
        default=0.1, ge=0, le=1, title="Blind reviews",
        description="Share of REVIEW and REJECT parts that are judged by the photo alone, as the audit sample's are. "
        "With 0, who must judge blind knows that the part passed.",
    )  # fmt: skip


class ReportSettings(Settings):
    """How reports are made."""

    font: Path | None = Field(
        default=None,
        title="Font",
        description="TrueType font of the PDF reports. Default: NanumGothic or DejaVu Sans where Debian installs them.",
    )
    max_parts: int = Field(
        default=500,
        ge=1,
        le=10_000,
        title="Longest PDF",
        description="A PDF holds the newest flagged inspections, at most this many, and says when there were more. A CSV: all.",
    )


class DashboardConfig(Settings):
    """All that the dashboard needs to know; part of `kizu.yaml`."""

    plant: PlantSettings = PlantSettings()
    database: DatabaseSettings = DatabaseSettings()
    images: ImageStoreSettings = ImageStoreSettings()
    dashboard: DashboardSettings = DashboardSettings()
    report: ReportSettings = ReportSettings()
    retention: RetentionSettings = RetentionSettings()
