"""What stands in a defect report, whatever its format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from kizu_dashboard.settings import DashboardConfig
from kizu_db.records import Records
from kizu_db.values import InspectionRecord, ModelRow, RecipeRow
from kizu_inspect.errors import ConfigError
from kizu_inspect.results import Verdict
from kizu_inspect.versions import version_of

__all__ = ["DefectReport", "gather_report"]


@dataclass(frozen=True, kw_only=True)
class DefectReport:
    """The flagged inspections of a period with what is needed to understand them."""

    plant: str
    station: str | None
    """One station, or None for all."""
    since: datetime
    """Aware; the period's first moment."""
    until: datetime
    """Aware; the first moment after the period."""
    zone: ZoneInfo
    """In which times are shown."""
    made_at: datetime
    made_by: str
    software: str
    """Name and version."""
    counts: Mapping[Verdict, int]
    """All inspections of the period by verdict."""
    flagged: tuple[InspectionRecord, ...]
    """REVIEW, ERROR and REJECT, oldest first."""

    @property
    def flagged_count(self) -> int:
        """How many inspections of the period are flagged; more than `flagged` holds where the report was cut."""
        return sum(n for verdict, n in self.counts.items() if verdict is not Verdict.PASS)

    @property
    def left_out(self) -> int:
        """Flagged inspections of the period that this report does not hold."""
        return max(0, self.flagged_count - len(self.flagged))

    @property
    def told(self) -> dict[str, object]:
        """What the records keep of it beside the file's hash."""
        return {
            "station": self.station,
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "inspections": sum(self.counts.values()),
            "flagged": self.flagged_count,
            "parts": len(self.flagged),
        }

    @property
    def models(self) -> tuple[ModelRow, ...]:
        """The models that judged the flagged parts, each once."""
        return tuple({record.model.hash: record.model for record in self.flagged if record.model is not None}.values())

    @property
    def recipes(self) -> tuple[RecipeRow, ...]:
        """The recipes by which they were judged, each once."""
        return tuple({record.recipe.id: record.recipe for record in self.flagged if record.recipe is not None}.values())


def gather_report(
    records: Records,
    config: DashboardConfig,
    *,
    since: datetime,
    until: datetime,
    station: str | None = None,
    most: int | None = None,
    made_by: str = "",
    made_at: datetime | None = None,
) -> DefectReport:
    """The report of the inspections judged in [since, until), both aware: the newest `most` flagged ones (None: all).

    Raises ConfigError where the period is empty or has no time zone, and for a station that never recorded anything.
    """
    if since.tzinfo is None or until.tzinfo is None:
        raise ConfigError("the period needs a time zone", found=f"{since} to {until}")
    if since >= until:
        raise ConfigError("the period is empty", found=f"{since} to {until}", expected="an end after the start")
    with records.unit(read_only=True) as unit:
        if station is not None and station not in (known := unit.stations.names()):
            raise ConfigError("there is no such station", found=station, expected=f"one of {', '.join(known) or 'none yet'}")
        counts = unit.rollups.verdicts(since=since, until=until, station=station)
        flagged = unit.inspections.flagged(since=since, until=until, station=station, limit=most)
    return DefectReport(
        plant=config.plant.name,
        station=station,
        since=since,
        until=until,
        zone=config.plant.zone,
        made_at=made_at or datetime.now(UTC),
        made_by=made_by,
        software=f"Kizu {version_of('kizu')}",
        counts=counts,
        flagged=tuple(flagged),
    )
