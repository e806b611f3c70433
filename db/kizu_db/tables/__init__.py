"""The tables. Pages and stages never see these classes: repositories turn them into the values of `kizu_db.values`."""

from kizu_db.tables.accounts import AuditEventTable, PrunePermitTable, SessionTable, UserTable
from kizu_db.tables.base import Base, CleanText, UtcDateTime
from kizu_db.tables.inspections import HeatmapTable, InspectionTable, QuarantineTable, RegionTable
from kizu_db.tables.plant import LotTable, ModelTable, PartTable, RecipeTable, StationTable, ViewTable
from kizu_db.tables.reviews import QueueTable, ReportTable, ReviewTable
from kizu_db.tables.rollups import HourTable, MinuteTable, OutboxTable, ReviewedTable

__all__ = [
    "AuditEventTable",
    "Base",
    "CleanText",
    "HeatmapTable",
    "HourTable",
    "InspectionTable",
    "LotTable",
    "MinuteTable",
    "ModelTable",
    "OutboxTable",
    "PartTable",
    "PrunePermitTable",
    "QuarantineTable",
    "QueueTable",
    "RecipeTable",
    "RegionTable",
    "ReportTable",
    "ReviewTable",
    "ReviewedTable",
    "SessionTable",
    "StationTable",
    "UserTable",
    "UtcDateTime",
    "ViewTable",
]
