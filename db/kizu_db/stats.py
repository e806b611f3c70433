"""How much there is on record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, text

from kizu_db.engine import connected
from kizu_db.migrations import require_current
from kizu_db.repositories.database import size_in_bytes
from kizu_db.settings import DatabaseSettings
from kizu_db.tables import AuditEventTable, Base, InspectionTable, LotTable, OutboxTable

__all__ = ["Stats", "measure"]


@dataclass(frozen=True, kw_only=True)
class Stats:
    """The size of the records at one moment."""

    version: str
    size_bytes: int
    rows: Mapping[str, int]
    """By table."""
    first_judged_at: datetime | None
    last_judged_at: datetime | None
    waiting: int
    """Inspections that wait for a review."""
    pending_explanations: int
    undelivered_events: int
    held_lots: int
    pruned_images: int
    trail_head: str | None
    """The hash of the last audit event; None where there is none."""


def measure(settings: DatabaseSettings) -> Stats:
    """Count everything, in one state of the database. Raises SchemaError, RecordError where it is away."""
    require_current(settings)
    with connected(settings) as connection:
        version = connection.scalar(text("SELECT version_num FROM alembic_version"))
        rows = {
            table.name: connection.scalar(select(func.count()).select_from(table)) or 0 for table in Base.metadata.sorted_tables
        }
        judged = InspectionTable.judged_at
        first, last = connection.execute(select(func.min(judged), func.max(judged))).one()
        head = select(AuditEventTable.hash).order_by(AuditEventTable.id.desc()).limit(1)

        def number(*conditions: object) -> int:
            return connection.scalar(select(func.count()).where(*conditions)) or 0  # type: ignore[arg-type]

        return Stats(
            version=str(version),
            size_bytes=size_in_bytes(connection),
            rows=rows,
            first_judged_at=first,
            last_judged_at=last,
            waiting=rows["review_queue"],
            pending_explanations=number(text("explanation_state = 'pending'"), InspectionTable.id.is_not(None)),
            undelivered_events=number(text("delivered_at IS NULL"), OutboxTable.id.is_not(None)),
            held_lots=number(LotTable.held),
            pruned_images=number(InspectionTable.image_pruned_at.is_not(None)),
            trail_head=connection.scalar(head),
        )
