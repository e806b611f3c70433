"""The tables. Pages and stages never see these classes: repositories turn them into the values of `kizu_db.values`."""

from kizu_db.tables.accounts import SessionTable, TerminalTable, UserTable
from kizu_db.tables.audit import AuditEventTable, PrunePermitTable
from kizu_db.tables.base import Base, CleanText, UtcDateTime
from kizu_db.tables.inspections import HeatmapTable, InspectionTable, QuarantineTable, RegionTable
from kizu_db.tables.outbox import OutboxTable
from kizu_db.tables.plant import ChosenLimitsTable, LotTable, ModelTable, PartTable, RecipeTable, StationTable, ViewTable
from kizu_db.tables.reports import ReportTable
from kizu_db.tables.reviews import QueueTable, ReviewBoxTable, ReviewTable, SecondReviewTable
from kizu_db.tables.rollups import HourTable, MinuteTable, ReviewedTable
from kizu_db.tables.signals import SignalTable

__all__ = [
    "AuditEventTable",
    "Base",
    "ChosenLimitsTable",
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
    "ReviewBoxTable",
    "ReviewTable",
    "ReviewedTable",
    "SecondReviewTable",
    "SessionTable",
    "SignalTable",
    "StationTable",
    "TerminalTable",
    "UserTable",
    "UtcDateTime",
    "ViewTable",
]
