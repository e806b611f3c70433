"""What the records take and give back: plain frozen values, never live rows."""

from kizu_db.values.analysis import DefectPlace, LotCounts, Opinion, ReviewedPart
from kizu_db.values.care import AuditEvent, AuditStratum, DatabaseState, DueInspection, RetentionEnds
from kizu_db.values.inspections import (
    ExplanationState,
    InspectionRecord,
    InspectionRow,
    NewInspection,
    OutboxEvent,
    QuarantinedFile,
)
from kizu_db.values.plant import CameIn, HeldLot, MadeReport, ModelRow, Person, RecipeRow, SignedIn, Terminal, User
from kizu_db.values.reviews import (
    MOST_BOXES,
    Claim,
    Decision,
    Disposition,
    DrawnBox,
    Escalation,
    NewReview,
    Review,
    Treatment,
    Waiting,
)
from kizu_db.values.signals import NewSignal, Sent, Signal

__all__ = [
    "MOST_BOXES",
    "AuditEvent",
    "AuditStratum",
    "CameIn",
    "Claim",
    "DatabaseState",
    "Decision",
    "DefectPlace",
    "Disposition",
    "DrawnBox",
    "DueInspection",
    "Escalation",
    "ExplanationState",
    "HeldLot",
    "InspectionRecord",
    "InspectionRow",
    "LotCounts",
    "MadeReport",
    "ModelRow",
    "NewInspection",
    "NewReview",
    "NewSignal",
    "Opinion",
    "OutboxEvent",
    "Person",
    "QuarantinedFile",
    "RecipeRow",
    "RetentionEnds",
    "Review",
    "ReviewedPart",
    "Sent",
    "Signal",
    "SignedIn",
    "Terminal",
    "Treatment",
    "User",
    "Waiting",
]
