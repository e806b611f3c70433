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
from kizu_db.values.plant import HeldLot, MadeReport, ModelRow, Person, RecipeRow, SignedIn, User
from kizu_db.values.reviews import (
    MOST_BOXES,
    Claim,
    Decision,
    Disposition,
    DrawnBox,
    Escalation,
    Look,
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
    "Look",
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
    "Treatment",
    "User",
    "Waiting",
]
