"""Inspections as rows and as plain values."""

from __future__ import annotations

from typing import cast

from sqlalchemy import Row, Select, select
from sqlalchemy.orm import contains_eager, joinedload, selectinload

from kizu_db.repositories.heatmaps import explanation_value
from kizu_db.repositories.models import model_row
from kizu_db.repositories.recipes import recipe_row
from kizu_db.repositories.reviews import review_value
from kizu_db.tables import HeatmapTable, InspectionTable, ReviewTable, SignalTable
from kizu_db.values import Disposition, InspectionRecord, InspectionRow, Sent, Signal

__all__ = ["record_value", "records_query", "row_value", "rows_query"]


def rows_query() -> Select[InspectionTable, bool]:
    """Each inspection with its part, and whether it has a map."""
    has_heatmap = select(HeatmapTable.id).where(HeatmapTable.inspection_id == InspectionTable.id).exists()
    query = select(InspectionTable, has_heatmap).join(InspectionTable.part)
    # A unit may have stored a map or a state since it last read the row.
    return query.options(contains_eager(InspectionTable.part)).execution_options(populate_existing=True)


def records_query() -> Select[InspectionTable, bool]:
    """The rows with everything that hangs on them, in a fixed number of queries however many they are."""
    return rows_query().options(
        joinedload(InspectionTable.model),
        joinedload(InspectionTable.recipe),
        joinedload(InspectionTable.signal),
        selectinload(InspectionTable.heatmaps).selectinload(HeatmapTable.regions),
        selectinload(InspectionTable.reviews).selectinload(ReviewTable.boxes),
    )


def row_value(found: Row[InspectionTable, bool]) -> InspectionRow:
    """One line of a list."""
    inspection, has_heatmap = found
    return InspectionRow(
        number=inspection.id,
        uid=inspection.uid,
        part=inspection.part.serial,
        part_generated=inspection.part.generated,
        view=inspection.view,
        lot=inspection.part.lot or None,
        station=inspection.station,
        captured_at=inspection.captured_at,
        judged_at=inspection.judged_at,
        verdict=inspection.verdict,
        reason=inspection.reason,
        predicted=inspection.predicted,
        target=inspection.target,
        score=inspection.score,
        image_sha256=inspection.image_sha256,
        image_pruned_at=inspection.image_pruned_at,
        model_hash=inspection.model_hash,
        explanation_state=inspection.explanation_state,
        audit=inspection.audit,
        disposition=cast("Disposition | None", inspection.disposition),  # the database checks the words
        has_heatmap=bool(has_heatmap),
        explanation_conflict=inspection.explanation_conflict,
    )


def record_value(found: Row[InspectionTable, bool]) -> InspectionRecord:
    """All that is known of one inspection."""
    inspection = found[0]
    return InspectionRecord(
        row=row_value(found),
        source=inspection.source,
        source_key=inspection.source_key,
        image_name=inspection.image_name,
        probabilities=inspection.probabilities,
        width_px=inspection.width_px,
        height_px=inspection.height_px,
        device=inspection.device,
        timings_ms=inspection.timings_ms,
        audit_probability=inspection.audit_probability,
        novelty=inspection.novelty,
        reference_correlation=inspection.reference_correlation,
        model=None if inspection.model is None else model_row(inspection.model),
        recipe=None if inspection.recipe is None else recipe_row(inspection.recipe),
        explanations=tuple(explanation_value(heatmap) for heatmap in inspection.heatmaps),
        explanation_error=inspection.explanation_error,
        reviews=tuple(review_value(review, inspection.uid) for review in inspection.reviews),
        error=inspection.error,
        measured=inspection.measured,
        signal=None if inspection.signal is None else _signal_value(inspection.signal),
    )


def _signal_value(signal: SignalTable) -> Signal:
    return Signal(
        sent=cast("Sent", signal.sent),  # the database checks the words
        sent_at=signal.sent_at,
        acknowledged_at=signal.acknowledged_at,
        late_ms=signal.late_ms,
        note=signal.note,
    )
